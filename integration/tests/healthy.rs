//! Usage and weather are not blamed on the version.

mod common;

use anyhow::Result;
use common::{ANOMALOUS, HEALTHY, LONGEST, config, filter, load, verdict};
use serin_integration::load::Mix;
use serin_integration::one_at_a_time;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use std::time::{Duration, Instant};
use tokio::time::sleep;

async fn stays_healthy(topology: &Topology, time: Duration) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        let metrics = topology.front.metrics().await?;
        assert_ne!(
            verdict(&metrics),
            Some(ANOMALOUS),
            "{}",
            topology.front.log_tail()
        );
        sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_canary_is_left_alone_while_load_mix_share_and_weather_change() -> Result<()> {
    let _turn = one_at_a_time().await;
    let shops = Shops::start(3).await?;
    let mut topology = Topology::builder("healthy", &shops)
        .weights(80, 20)
        .concurrency(2)
        .filter(filter(&config("steer")))
        .start()
        .await?;
    let load = load(&topology, 200.0, 4)?;
    let phase = Duration::from_secs(8);
    stays_healthy(&topology, phase).await?;
    load.set_rate(600.0);
    stays_healthy(&topology, phase).await?;
    load.set_mix(Mix::buying());
    stays_healthy(&topology, phase).await?;
    // A slow shared database: both versions, by the same factor.
    shops.set_slowdown(3.0);
    stays_healthy(&topology, phase).await?;
    shops.set_slowdown(1.0);
    topology.set_weights(50, 50).await?;
    stays_healthy(&topology, phase).await?;
    let metrics = topology
        .front
        .wait_for_metrics("the verdict healthy", LONGEST, |metrics| {
            verdict(metrics) == Some(HEALTHY)
        })
        .await?;
    assert_eq!(metrics.value("serin_steered_total", &[]), None);
    load.stop().await;
    Ok(())
}
