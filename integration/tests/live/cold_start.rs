//! A pod that starts slow and warms up is no slow version, and one that stays slow is.

use super::common::{
    ANOMALOUS, HEALTHY, UNHURRIED, config, filter, verdict, wait_for_anomalous, wait_for_counted,
    watch, why_anomalous, with,
};
use anyhow::Result;
use serde_json::json;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Shop, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::time::Duration;

const RATE: f64 = 300.0;
/// How slow a fresh pod is, and how fast that passes.
const COLD: f64 = 3.0;
const TIME_CONSTANT: Duration = Duration::from_secs(10);

/// Warm pods of stable, and a canary that has just started; `slow` is the factor on its latency once
/// it is warm.
async fn start(name: &str, seed: u64, slow: f64) -> Result<(Topology, Load, Shops, Vec<Shop>)> {
    let shops = Shops::start(seed).await?;
    shops.set_slowdown(UNHURRIED);
    let mut more = Vec::new();
    for seed in seed + 2..seed + 5 {
        let pod = Shop::start("v1", seed).await?;
        pod.set_slowdown(UNHURRIED);
        more.push(pod);
    }
    // A plain time would end the warm-up of every pod then, warm or not.
    let warm_up = json!({"warm_up": {"min": "3s", "max": "3m"}});
    let addresses: Vec<_> = more.iter().map(Shop::address).collect();
    let mut topology = Topology::builder(name, &shops)
        .weights(100, 0)
        .more_v1(&addresses)
        .filter(filter(&with(config("observe"), warm_up)))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), RATE).clients(200);
    let load = Load::start(options.seed(seed))?;
    wait_for_counted(&topology.front, "v1", 1_500.0).await?;
    shops.v2.set_slowdown(slow * UNHURRIED);
    shops.v2.set_cold_start(COLD, TIME_CONSTANT);
    topology.set_weights(75, 25).await?;
    Ok((topology, load, shops, more))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_starts_three_times_as_slow_and_warms_up_is_healthy() -> Result<()> {
    let _turn = turn::alone().await;
    let (topology, load, _shops, _more) = start("cold-start", 261, 1.0).await?;
    let never = |metrics: &Metrics| verdict(metrics) == Some(ANOMALOUS);
    // Requests for four time constants at least: 2% of what was too slow is left.
    let answers = (4.0 * RATE * TIME_CONSTANT.as_secs_f64()) as u64;
    watch(&topology.front, load.wait_for_answers(answers), never).await?;
    let healthy = topology
        .front
        .wait_for_metrics("verdict healthy", |metrics| {
            verdict(metrics) == Some(HEALTHY)
        });
    healthy.await?;
    load.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_is_twice_as_slow_after_its_cold_start_is_condemned() -> Result<()> {
    let _turn = turn::alone().await;
    let (topology, _load, _shops, _more) = start("cold-start-slow", 271, 2.0).await?;
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    assert!(why.contains("slower than"), "{why}");
    println!("{why}");
    Ok(())
}
