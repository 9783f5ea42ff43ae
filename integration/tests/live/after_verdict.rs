//! What goes on after a verdict, where the filter only observes: both versions are counted as before,
//! and the gauges say when the verdict fell and since when the candidate is worse.

use super::common::{
    self, ENOUGH, UNHURRIED, config, filter, verdict, wait_for_anomalous, wait_for_judged,
    why_anomalous,
};
use anyhow::{Context as _, Result};
use scorer_sdk::telemetry::{self, Metric};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Regression, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::time::{SystemTime, UNIX_EPOCH};

/// Exchanges of a version in a category so far.
fn counted(metrics: &Metrics, version: &str, category: &str) -> f64 {
    let labels = [("version", version), ("category", category)];
    metrics
        .value(telemetry::CATEGORY.name, &labels)
        .unwrap_or(0.0)
}

fn gauge(metrics: &Metrics, metric: &Metric) -> Option<f64> {
    metrics.value(metric.name, &[("destination", "shop"), ("version", "v2")])
}

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_are_counted_and_the_time_of_the_verdict_stands() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(201).await?;
    shops.set_slowdown(UNHURRIED);
    let topology = Topology::builder("after-verdict", &shops)
        .weights(80, 20)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let started = now()?;
    let _load = common::load(&topology, 300.0, 2)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    let before = now()?;
    shops.v2.set_regression(Regression::Latency);
    wait_for_anomalous(&topology).await?;
    let after = now()?;
    let then = topology.front.metrics().await?;

    // Whole seconds, and a block may have begun before the regression did.
    let verdict_time = gauge(&then, &telemetry::VERDICT_TIME).context("a time of the verdict")?;
    let onset_time = gauge(&then, &telemetry::ONSET_TIME).context("a time of the onset")?;
    assert!(
        (before - 1.0..=after).contains(&verdict_time),
        "{before} {verdict_time} {after}"
    );
    assert!(
        onset_time <= verdict_time && onset_time > before - 60.0,
        "{before} {onset_time} {verdict_time}"
    );
    let start_time = gauge(&then, &telemetry::ROLLOUT_START_TIME).context("a start time")?;
    assert!(
        (started - 1.0..=before).contains(&start_time),
        "{started} {start_time} {before}"
    );
    let why = why_anomalous(&topology.front).await?;
    assert!(why.contains("worse since "), "{why}");

    let judged = gauge(&then, &telemetry::JUDGED_EXCHANGES);
    let mut last = then;
    for round in 1..=3 {
        let known = last;
        let grows = |metrics: &Metrics, version: &str| {
            counted(metrics, version, "slow_p50") >= counted(&known, version, "slow_p50") + 50.0
        };
        last = topology
            .front
            .wait_for_metrics("counts of both versions", |metrics| {
                grows(metrics, "v1") && grows(metrics, "v2")
            })
            .await
            .with_context(|| format!("round {round}"))?;
        assert_eq!(verdict(&last), Some(common::ANOMALOUS));
    }
    for (metric, value) in [
        (&telemetry::ROLLOUT_START_TIME, Some(start_time)),
        (&telemetry::VERDICT_TIME, Some(verdict_time)),
        (&telemetry::ONSET_TIME, Some(onset_time)),
        (&telemetry::JUDGED_EXCHANGES, judged),
    ] {
        assert_eq!(gauge(&last, metric), value, "{}", metric.name);
    }
    let rate = |arm: &str| {
        let labels = [("version", "v2"), ("arm", arm)];
        let found = last.value(telemetry::VERDICT_RATE.name, &labels);
        found.context("a rate at the verdict")
    };
    assert!(rate("candidate")? > rate("baseline")?);
    Ok(())
}
