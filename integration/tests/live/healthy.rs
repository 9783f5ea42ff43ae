//! Usage and shared change are not blamed on the version.

use super::common::{ANOMALOUS, HEALTHY, config, filter, load, verdict, watch};
use anyhow::Result;
use scorer_sdk::telemetry;
use serin_integration::load::{Load, Mix};
use serin_integration::metrics::Metrics;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;

/// Nobody is blamed while this number of requests is answered.
async fn stays_healthy(topology: &Topology, load: &Load, answers: u64) -> Result<()> {
    let never = |metrics: &Metrics| verdict(metrics) == Some(ANOMALOUS);
    watch(&topology.front, load.wait_for_answers(answers), never).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_canary_is_left_alone_while_load_mix_share_and_speed_of_both_change() -> Result<()>
{
    let _turn = turn::alone().await;
    let shops = Shops::start(3).await?;
    let mut topology = Topology::builder("healthy", &shops)
        .weights(80, 20)
        .concurrency(2)
        .filter(filter(&config("steer")))
        .start()
        .await?;
    let load = load(&topology, 200.0, 4)?;
    stays_healthy(&topology, &load, 1_600).await?;
    load.set_rate(600.0);
    stays_healthy(&topology, &load, 4_000).await?;
    load.set_mix(Mix::buying());
    stays_healthy(&topology, &load, 4_000).await?;
    // A slow shared database: both versions, by the same factor.
    shops.set_slowdown(3.0);
    stays_healthy(&topology, &load, 4_000).await?;
    shops.set_slowdown(1.0);
    topology.set_weights(50, 50).await?;
    stays_healthy(&topology, &load, 4_000).await?;
    let metrics = topology
        .front
        .wait_for_metrics("verdict healthy", |metrics| {
            verdict(metrics) == Some(HEALTHY)
        })
        .await?;
    assert_eq!(metrics.value(telemetry::STEERED.name, &[]), None);
    load.stop().await;
    Ok(())
}
