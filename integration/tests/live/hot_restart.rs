//! Envoy's hot restart: two processes, whose gauges Envoy adds up.

use super::common::{config, filter, load, verdict, wait_for_judged};
use anyhow::{Error, Result};
use scorer_sdk::telemetry;
use serin_cli::metrics_text;
use serin_cli::samples::{is_sum, verdict_on};
use serin_integration::metrics::Metrics;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::{turn, wait_until};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longer than the test takes on the busiest machine: both processes are there until its end.
const BOTH: Duration = Duration::from_secs(600);

fn processes(metrics: &Metrics) -> Option<f64> {
    metrics.value(telemetry::PROCESSES.name, &[("role", "comparer")])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_hot_restart_adds_two_processes_up_no_reader_takes_the_sum_for_a_verdict()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(51).await?;
    let topology = Topology::builder("hot-restart", &shops)
        .weights(50, 50)
        .concurrency(1)
        .drain_time(BOTH)
        .hot_restart()
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let load = load(&topology, 200.0, 52)?;
    wait_for_judged(&topology.front, 20.0).await?;
    assert_eq!(processes(&topology.front.metrics().await?), Some(1.0));
    let successor = topology.front.hot_restart().await?;
    // Envoy takes over the numbers of the old process every few seconds.
    let metrics = successor
        .wait_for_metrics("gauges of two processes", |metrics| {
            processes(metrics) == Some(2.0) && verdict(metrics).is_some()
        })
        .await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let beat = metrics.value(telemetry::HEARTBEAT.name, &[("role", "comparer")]);
    assert!(beat > Some(1.5 * now), "{beat:?} is no sum");
    let samples = metrics_text::parse(&successor.prometheus().await?).map_err(Error::msg)?;
    assert!(is_sum(&samples));
    let thought = verdict_on(&samples, "shop", "v2");
    assert_eq!(thought, scorer_sdk::Verdict::Learning);
    // The new process judges by itself meanwhile.
    let before = load.snapshot().answered;
    wait_until("answers of the new process", async || {
        Ok(load.snapshot().answered > before + 200)
    })
    .await?;
    load.stop().await;
    Ok(())
}
