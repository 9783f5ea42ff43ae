//! The canary's own sidecar refuses, the front retries on stable, and nobody notices.

use super::common::{config, filter, recording, stop_and_read, with};
use anyhow::{Context as _, Result};
use scorer_sdk::Plan;
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_cli::snapshot::Snapshot;
use serin_integration::load::{Load, LoadOptions, Mix};
use serin_integration::shop::{Route, Shops};
use serin_integration::topology::{SidecarProcess, Topology};
use serin_integration::{turn, wait_until};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// What stable does, recorded at the front and made into a reference by the command's own code.
async fn reference(shops: &Shops) -> Result<Value> {
    let (settings, log) = recording();
    let topology = Topology::builder("rescue-reference", shops)
        .weights(100, 0)
        .filter(filter(&settings))
        .access_log(log)
        .start()
        .await?;
    let load = start_load(&topology, 31)?;
    load.wait_for_answers(1_200).await?;
    load.stop().await;
    let plan = Arc::new(Plan::from_json(&settings.to_string())?);
    let mut snapshot = Snapshot::new(plan, None, None);
    for record in stop_and_read(topology).await? {
        snapshot.push(record)?;
    }
    Ok(serde_json::to_value(snapshot.finish()?)?)
}

fn start_load(topology: &Topology, seed: u64) -> Result<Load> {
    Load::start(
        LoadOptions::new(topology.address(), 250.0)
            .mix(Mix::only(Route::Product))
            .seed(seed),
    )
}

async fn refused_and_rescued(name: &str, phase: &str) -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(30).await?;
    // A guard has no defence against shared change. Where others work on the machine the times of the
    // reference are not those of now: they are left out.
    let guard = json!({
        "mode": "reject",
        "candidate": "v2",
        "warm_up": "1s",
        "signals": {"latency": false},
        "reject": {"reference": reference(&shops).await?, "share": 1.0, "phase": phase},
    });
    let topology = Topology::builder(name, &shops)
        .weights(50, 50)
        .concurrency(2)
        .filter(filter(&with(
            config("observe"),
            json!({"count_rescued": true}),
        )))
        .sidecar(SidecarProcess::Own, vec![filter(&guard)])
        .start()
        .await?;
    let sidecar = topology.sidecar.as_ref().context("no sidecar")?;
    let load = start_load(&topology, 32)?;
    // Long after the warm-up.
    wait_until("requests to v2", async || Ok(shops.v2.received() >= 450)).await?;
    assert_eq!(
        sidecar.metrics().await?.sum(telemetry::REJECTED.name, &[]),
        0,
        "refused too early"
    );
    shops.v2.set_regression("headers".parse()?);
    sidecar
        .wait_for_metrics("refusals", |metrics| {
            metrics.sum(telemetry::REJECTED.name, &[]) > 0
        })
        .await?;
    // Both workers of the sidecar know at their next ticks.
    if phase == "request" {
        load.wait_until_left_alone(&shops.v2).await?;
    } else {
        // Only its bad answers are refused: its own 404 and 500, a few in a hundred, are not. Of many
        // that come at once, after the machine has stood still, some pass.
        wait_until("end of bad answers", async || {
            let before = load.snapshot();
            load.wait_for_answers(500).await?;
            let after = load.snapshot();
            let of_v2 = after.version("v2").answered - before.version("v2").answered;
            Ok(of_v2 * 33 < after.answered - before.answered)
        })
        .await?;
    }
    load.stop().await;
    let reached = shops.v2.received();
    let load = start_load(&topology, 33)?;
    load.wait_for_answers(1_500).await?;
    let tally = load.stop().await;
    // Nobody lost an answer but for the failures that both versions have by themselves, and every
    // request was answered.
    let (v1, v2) = (tally.version("v1"), tally.version("v2"));
    assert_eq!(tally.lost(), v1.errors + v2.errors, "{tally:?}");
    assert_eq!(v1.answered + v2.answered, tally.sent, "{tally:?}");
    if phase == "request" {
        assert_eq!(v2.answered, 0, "{tally:?}");
        assert_eq!(
            shops.v2.received(),
            reached,
            "the application still got requests"
        );
    }
    // Each was rescued but for the few that stable also failed to answer. The workers of the two
    // proxies count at their own ticks.
    let (mut rejected, mut rescued) = (0, 0);
    wait_until("refusals counted as rescued", async || {
        let counted = (rejected, rescued);
        rejected = sidecar.metrics().await?.sum(telemetry::REJECTED.name, &[]);
        rescued = topology
            .front
            .metrics()
            .await?
            .sum(telemetry::RESCUED.name, &[]);
        sleep(Duration::from_secs(1)).await;
        let all = counted == (rejected, rescued) && rejected as f64 > 0.35 * tally.sent as f64;
        Ok(all && (0.98 * rejected as f64..=rejected as f64).contains(&(rescued as f64)))
    })
    .await
    .with_context(|| format!("{rejected} refused, {rescued} rescued: {tally:?}"))?;
    println!(
        "{phase}: {rejected} refused, {rescued} rescued of {} requests",
        tally.sent
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_refuses_requests_is_not_noticed_by_clients() -> Result<()> {
    refused_and_rescued("rescue-request", "request").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_refuses_its_bad_answers_is_not_noticed_by_clients() -> Result<()> {
    refused_and_rescued("rescue-response", "response").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_behind_a_guard_cannot_have_its_answers_retried_by_naming_them_refusals()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(34).await?;
    let guard = with(config("observe"), json!({"role": "guard"}));
    let topology = Topology::builder("rescue-forged", &shops)
        .weights(50, 50)
        .sidecar(SidecarProcess::Own, vec![filter(&guard)])
        .start()
        .await?;
    // It answers 503 with `x-serin-reject`, and the front would ask v1.
    shops.v2.set_refusing(true);
    let load = start_load(&topology, 35)?;
    wait_until("answers of v2", async || Ok(shops.v2.received() >= 300)).await?;
    let tally = load.stop().await;
    let v2 = tally.version("v2");
    assert_eq!(v2.answered, shops.v2.received(), "{tally:?}");
    assert!(v2.errors == v2.answered && v2.errors > 200, "{tally:?}");
    Ok(())
}
