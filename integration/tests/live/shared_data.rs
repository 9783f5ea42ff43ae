//! Another module damages what the workers share.

use super::common::{ENOUGH, config, filter, load, wait_for_anomalous, wait_for_judged};
use anyhow::Result;
use scorer_sdk::telemetry;
use serde_json::Value;
use serin_integration::shop::Shops;
use serin_integration::topology::{Topology, WasmFilter};
use serin_integration::turn;

/// Fifteen seconds: longer than it takes until a worker has as much in its slot as it may, and until
/// that counts as late.
const TIMES: &str = "300";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_whose_counts_were_damaged_hand_them_in_again_and_a_verdict_comes() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(71).await?;
    let vandal = WasmFilter::new("target/vandal.wasm", &Value::Null)
        .name("vandal")
        .config_text(TIMES);
    let topology = Topology::builder("vandal", &shops)
        .weights(70, 30)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .filter(vandal)
        .start()
        .await?;
    let load = load(&topology, 300.0, 72)?;
    topology
        .front
        .wait_for_metrics("counts that nobody merges", |metrics| {
            metrics.value(telemetry::UNMERGED_TICKS.name, &[]) > Some(0.0)
        })
        .await?;
    // Afterwards it is all handed in again.
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression("errors".parse()?);
    wait_for_anomalous(&topology).await?;
    let tally = load.stop().await;
    assert_eq!(tally.failed, 0, "{tally:?}");
    // No exchange is lost, and none counts twice.
    topology
        .front
        .wait_for_metrics("every exchange", |metrics| {
            let name = telemetry::MERGED_EXCHANGES.name;
            metrics.value(name, &[]) == Some(tally.sent as f64)
        })
        .await?;
    Ok(())
}
