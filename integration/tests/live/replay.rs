//! Live and replayed traffic lead to the same verdict on the same facts.

use super::common::{
    ENOUGH, HEALTHY, filter, load, recording, said_anomalous, stop_and_read, tells_of_failures,
    verdict, wait_for_anomalous, wait_for_judged,
};
use anyhow::{Context as _, Result};
use scorer_sdk::judge::verdict::Reason;
use scorer_sdk::telemetry;
use scorer_sdk::{Decision, Plan, Verdict};
use serin_cli::replay::Replay;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::sync::Arc;

struct Live {
    healthy: bool,
    explanation: Option<String>,
    sent: u64,
    replayed: Decision,
    lines: u64,
}

async fn record_and_replay(name: &str, regression: &str) -> Result<Live> {
    let _turn = turn::alone().await;
    let shops = Shops::start(21).await?;
    let (settings, log) = recording();
    let topology = Topology::builder(name, &shops)
        .weights(70, 30)
        .concurrency(2)
        .filter(filter(&settings))
        .access_log(log)
        .start()
        .await?;
    let load = load(&topology, 300.0, 22)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression(regression.parse()?);
    if regression == "none" {
        wait_for_judged(&topology.front, 3.0 * ENOUGH).await?;
    } else {
        wait_for_anomalous(&topology).await?;
        // The replay's ticks have other borders: its verdict may come a little later.
        load.wait_for_answers(2_400).await?;
    }
    let tally = load.stop().await;
    // Everything has reached the judge.
    let metrics = topology
        .front
        .wait_for_metrics("every exchange to be counted", |metrics| {
            metrics.value(telemetry::MERGED_EXCHANGES.name, &[]) >= Some(tally.sent as f64)
        })
        .await?;
    let healthy = verdict(&metrics) == Some(HEALTHY);
    let explanation = said_anomalous(&topology.front);
    let records = stop_and_read(topology).await?;
    let plan = Arc::new(Plan::from_json(&settings.to_string())?);
    let mut replay = Replay::new(plan, None);
    let lines = records.len() as u64;
    for record in records {
        replay.push(record, 0)?;
    }
    let found = replay.finish()?;
    let replayed = found
        .decisions
        .into_iter()
        .next()
        .context("no destination")?;
    Ok(Live {
        healthy,
        explanation,
        sent: tally.sent,
        replayed,
        lines,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_regression_replays_to_the_same_verdict_and_reason() -> Result<()> {
    let live = record_and_replay("replay-errors", "errors").await?;
    assert_eq!(
        live.lines, live.sent,
        "each request is in the recording once"
    );
    assert_eq!(
        live.replayed.verdict,
        Verdict::Anomalous,
        "{:?}",
        live.replayed
    );
    let explanation = live.explanation.context("nothing in the log")?;
    // The same failures on the same routes. Which route and which question leads depends on the
    // ticks' borders.
    assert!(tells_of_failures(&explanation), "{explanation}");
    let same = |reason: &Reason| {
        explanation.contains(&reason.route.to_string()) && tells_of_failures(&reason.phrase)
    };
    assert!(
        live.replayed.reasons.iter().any(same),
        "{explanation}: {:?}",
        live.replayed.reasons
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_healthy_rollout_replays_to_the_same_verdict() -> Result<()> {
    let live = record_and_replay("replay-none", "none").await?;
    assert_eq!(live.lines, live.sent);
    assert!(live.healthy);
    assert_eq!(
        live.replayed.verdict,
        Verdict::Healthy,
        "{:?}",
        live.replayed
    );
    Ok(())
}
