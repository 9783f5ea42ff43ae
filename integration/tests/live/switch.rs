//! A blue/green switch, from 0 to 100% at once, and a version that falls silent.

use super::common::{
    ANOMALOUS, UNHURRIED, config, filter, tells_of_failures, verdict, wait_for_line, watch, with,
};
use anyhow::{Context as _, Result};
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::load::{Load, LoadOptions, Mix};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Route, Shop, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::time::Duration;

const SUSPECT: f64 = 2.0;
/// Requests a second.
const RATE: f64 = 150.0;
/// How long clients wait.
const PATIENCE: Duration = Duration::from_secs(4);
/// Answers until the past of stable is long enough: 20 windows of a second.
const PAST: u64 = 3_000;

fn says(metrics: &Metrics, name: &str, version: &str) -> bool {
    let labels = [("destination", "shop"), ("version", version)];
    metrics.value(name, &labels) == Some(1.0)
}

/// Since when a version is judged, in seconds since the Unix epoch.
fn start(metrics: &Metrics, version: &str) -> Option<f64> {
    let labels = [("destination", "shop"), ("version", version)];
    metrics.value(telemetry::ROLLOUT_START_TIME.name, &labels)
}

fn is_against_past(metrics: &Metrics) -> bool {
    says(metrics, telemetry::AGAINST_PAST.name, "v2")
}

/// A shop whose v1 has been alone for a while, and the load on it. Every second host of v2 fails
/// all requests where `broken` is given.
async fn before_the_switch(
    name: &str,
    shops: &Shops,
    broken: Option<&Shop>,
) -> Result<(Topology, Load)> {
    shops.set_slowdown(UNHURRIED);
    let hosts: Vec<_> = broken.iter().map(|shop| shop.address()).collect();
    let topology = Topology::builder(name, shops)
        .weights(100, 0)
        .concurrency(2)
        .more_v2(&hosts)
        .filter(filter(&with(
            config("steer"),
            json!({"tick": "250ms", "past": {"window": "1s"}}),
        )))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), RATE).timeout(PATIENCE);
    let load = Load::start(options.seed(7))?;
    load.wait_for_answers(PAST).await?;
    Ok((topology, load))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_to_a_version_that_fails_half_of_its_requests_is_suspect_and_not_acted_on()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(71).await?;
    let broken = Shop::start("v2", 72).await?;
    broken.set_refusing(true);
    let (mut topology, load) = before_the_switch("switch-bad", &shops, Some(&broken)).await?;
    topology.set_weights(0, 100).await?;
    let metrics = topology
        .front
        .wait_for_metrics("alarm against the past", is_against_past)
        .await?;
    assert_eq!(verdict(&metrics), Some(SUSPECT));
    let labels = [("destination", "shop"), ("category", "error")];
    assert!(metrics.value(telemetry::PAST_EVIDENCE.name, &labels) > Some(0.0));
    assert_eq!(metrics.value(telemetry::STEERED.name, &[]), None);
    let line = wait_for_line(&topology.front, "against the past of v1").await?;
    assert!(line.contains("v2 is suspect"), "{line}");
    assert!(tells_of_failures(&line), "{line}");
    println!("{line}");
    load.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_switch_is_quiet() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(73).await?;
    let (mut topology, load) = before_the_switch("switch-good", &shops, None).await?;
    topology.set_weights(0, 100).await?;
    // Thirty windows: three times as many as a bad version takes.
    let never = |metrics: &Metrics| {
        is_against_past(metrics) || verdict(metrics).is_some_and(|verdict| verdict >= SUSPECT)
    };
    watch(&topology.front, load.wait_for_answers(4_500), never).await?;
    let metrics = topology.front.metrics().await?;
    assert!(verdict(&metrics) < Some(ANOMALOUS));
    load.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_hangs_on_every_request_is_mute() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(74).await?;
    let (mut topology, load) = before_the_switch("switch-mute", &shops, None).await?;
    load.set_mix(Mix::only(Route::Product));
    // Answers that take ten seconds, which no client waits for.
    shops.v2.set_slowdown(100_000.0);
    topology.set_weights(90, 10).await?;
    let metrics = topology
        .front
        .wait_for_metrics("version that is mute", |metrics| {
            says(metrics, telemetry::MUTE.name, "v2")
        })
        .await?;
    assert!(!says(&metrics, telemetry::MUTE.name, "v1"));
    wait_for_line(&topology.front, "v2 has answered none of its last").await?;
    load.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_gets_no_requests_any_more_is_idle_and_comes_back_as_another_release()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(75).await?;
    let (mut topology, load) = before_the_switch("switch-idle", &shops, None).await?;
    topology.set_weights(80, 20).await?;
    load.wait_for_answers(600).await?;
    topology.set_weights(100, 0).await?;
    let metrics = topology
        .front
        .wait_for_metrics("version that is idle", |metrics| {
            says(metrics, telemetry::IDLE.name, "v2")
        })
        .await?;
    assert!(!says(&metrics, telemetry::IDLE.name, "v1"));
    let line = wait_for_line(&topology.front, "v2 has received no request for").await?;
    println!("{line}");
    let began = start(&metrics, "v2").context("the start of a rollout")?;
    // As a delivery tool does with the next release of the same name.
    topology.set_weights(80, 20).await?;
    topology
        .front
        .wait_for_metrics("another release", |metrics| {
            start(metrics, "v2") > Some(began) && !says(metrics, telemetry::IDLE.name, "v2")
        })
        .await?;
    load.stop().await;
    Ok(())
}
