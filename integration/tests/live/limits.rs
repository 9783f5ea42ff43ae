//! What limits a comparison, in a real Envoy: requests that are not assigned by chance, hosts that
//! differ, changes that were declared, and a candidate's first seconds.

use super::common::{
    ANOMALOUS, ENOUGH, UNHURRIED, config, filter, verdict, wait_for_anomalous, wait_for_counted,
    wait_for_judged, wait_for_line, watch, why_anomalous, with,
};
use anyhow::Result;
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::load::{Load, LoadOptions, Mix};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Regression, Route, Shop, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::time::Duration;
use tokio::time::sleep;

const SUSPECT: f64 = 2.0;

fn of_candidate(metrics: &Metrics, name: &str) -> f64 {
    let labels = [("destination", "shop"), ("version", "v2")];
    metrics.value(name, &labels).unwrap_or(0.0)
}

fn is_anomalous(metrics: &Metrics) -> bool {
    verdict(metrics) == Some(ANOMALOUS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_are_chosen_by_a_header_make_the_balance_speak_and_chance_does_not() -> Result<()>
{
    let _turn = turn::beside_another().await;
    let shops = Shops::start(41).await?;
    let mut topology = Topology::builder("limits-balance", &shops)
        .weights(70, 30)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 400.0).beta_share(0.3);
    let load = Load::start(options.seed(42))?;
    // The same users, assigned by chance.
    let unbalanced = |metrics: &Metrics| of_candidate(metrics, telemetry::UNBALANCED.name) > 0.0;
    let judged = wait_for_judged(&topology.front, 3.0 * ENOUGH);
    watch(&topology.front, judged, unbalanced).await?;
    topology.set_beta_rule(true).await?;
    let metrics = topology
        .front
        .wait_for_metrics("balance that speaks", unbalanced)
        .await?;
    let labels = [("destination", "shop"), ("signal", "request_headers")];
    assert!(metrics.value(telemetry::BALANCE.name, &labels) > Some(0.0));
    assert!(!is_anomalous(&metrics));
    let line = wait_for_line(&topology.front, "get different requests").await?;
    assert!(line.contains("request_headers"), "{line}");
    load.stop().await;
    Ok(())
}

/// Whether stable's hosts differ by more than twice the odds.
fn placebo_speaks(metrics: &Metrics) -> bool {
    metrics
        .select(
            telemetry::PLACEBO_ODDS_RATIO.name,
            &[("destination", "shop")],
        )
        .any(|sample| sample.value > 2_000.0)
}

/// Three hosts of v1, the last of which is slow, before one of v2 that is between: worse than v1 as
/// a whole, but by less than v1's hosts differ, however they are split into halves.
async fn slow_hosts(name: &str) -> Result<(Topology, Load, Vec<Shop>)> {
    let shops = Shops::start(43).await?;
    let (second, slow) = (Shop::start("v1", 44).await?, Shop::start("v1", 45).await?);
    for v1 in [&shops.v1, &second] {
        v1.set_slowdown(UNHURRIED);
    }
    slow.set_slowdown(4.0 * UNHURRIED);
    shops.v2.set_slowdown(2.3 * UNHURRIED);
    let settings = config("steer");
    let mut topology = Topology::builder(name, &shops)
        .weights(100, 0)
        .more_v1(&[second.address(), slow.address()])
        .concurrency(2)
        .filter(filter(&settings))
        .start()
        .await?;
    let load = Load::start(
        LoadOptions::new(topology.address(), 400.0)
            .mix(Mix::only(Route::Product))
            .seed(46),
    )?;
    wait_for_counted(&topology.front, "v1", 1_800.0).await?;
    // What is known of stable's hosts is known before the candidate comes.
    topology
        .front
        .wait_for_metrics("placebo that speaks", placebo_speaks)
        .await?;
    topology.set_weights(75, 25).await?;
    Ok((topology, load, vec![shops.v1, shops.v2, second, slow]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_host_of_stable_makes_the_placebo_speak_and_a_candidate_no_worse_is_not_condemned()
-> Result<()> {
    let _turn = turn::alone().await;
    let (topology, load, shops) = slow_hosts("limits-placebo").await?;
    let line = wait_for_line(&topology.front, "v1 differs from itself").await?;
    assert!(line.contains("one half of its hosts"), "{line}");
    watch(&topology.front, load.wait_for_answers(4_000), is_anomalous).await?;
    let metrics = topology.front.metrics().await?;
    assert!(placebo_speaks(&metrics));
    load.stop().await;
    drop(shops);
    Ok(())
}

fn expecting(expected: Value) -> Value {
    with(config("steer"), json!({"expected": expected}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_change_stays_quiet_and_an_undeclared_one_next_to_it_is_caught() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(47).await?;
    let declared = expecting(json!([{"route": "GET /api/products", "category": "size"}]));
    let topology = Topology::builder("limits-expected", &shops)
        .weights(70, 30)
        .concurrency(2)
        .filter(filter(&declared))
        .start()
        .await?;
    let load = Load::start(LoadOptions::new(topology.address(), 400.0).seed(48))?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression(Regression::Size);
    let speaks = |metrics: &Metrics| {
        verdict(metrics) >= Some(SUSPECT) || of_candidate(metrics, telemetry::DIFFERS.name) > 0.0
    };
    watch(&topology.front, load.wait_for_answers(3_200), speaks).await?;
    shops
        .v2
        .set_regressions(&[Regression::Size, Regression::Headers]);
    wait_for_anomalous(&topology).await?;
    let line = why_anomalous(&topology.front).await?;
    assert!(
        line.contains("header") && !line.contains("body of"),
        "{line}"
    );
    load.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_is_slow_in_its_first_seconds_is_not_condemned_for_it() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(49).await?;
    // Far longer than the first seconds.
    let settings = with(config("steer"), json!({"warm_up": "30s"}));
    let mut topology = Topology::builder("limits-warm-up", &shops)
        .weights(100, 0)
        .concurrency(2)
        .filter(filter(&settings))
        .start()
        .await?;
    let load = Load::start(LoadOptions::new(topology.address(), 400.0).seed(50))?;
    wait_for_counted(&topology.front, "v1", 1_500.0).await?;
    // Caches are cold and code is not compiled yet.
    shops.v2.set_slowdown(5.0);
    topology.set_weights(70, 30).await?;
    let warming_up = |metrics: &Metrics| of_candidate(metrics, telemetry::WARMING_UP.name) > 0.0;
    topology
        .front
        .wait_for_metrics("warm-up", warming_up)
        .await?;
    let accused = |metrics: &Metrics| verdict(metrics) >= Some(SUSPECT);
    let first_seconds = async {
        sleep(Duration::from_secs(3)).await;
        Ok(())
    };
    watch(&topology.front, first_seconds, accused).await?;
    shops.v2.set_slowdown(1.0);
    let metrics = topology.front.metrics().await?;
    assert!(warming_up(&metrics), "healed too late to show anything");
    // Warmed up, it is judged like any other.
    let warm = |metrics: &Metrics| !warming_up(metrics);
    let judged = async {
        topology.front.wait_for_metrics("warmth", warm).await?;
        wait_for_judged(&topology.front, ENOUGH).await
    };
    watch(&topology.front, judged, accused).await?;
    load.stop().await;
    Ok(())
}
