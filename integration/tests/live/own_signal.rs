//! A module with a signal of a user's own runs in a real Envoy, and the signal carries a verdict.

use super::common::{
    ENOUGH, config, load, wait_for_anomalous, wait_for_judged, why_anomalous, with,
};
use anyhow::Result;
use serde_json::json;
use serin_integration::shop::Shops;
use serin_integration::topology::{Topology, WasmFilter};
use serin_integration::turn;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_of_ones_own_carries_a_verdict() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(41).await?;
    // The built-in signal that would see the same is off.
    let settings = with(
        config("observe"),
        json!({"signals": {"header_names": false}, "tolerance": {"unusual_validator": 2}}),
    );
    let topology = Topology::builder("own-signal", &shops)
        .weights(70, 30)
        .concurrency(2)
        .filter(WasmFilter::new("target/own-signal.wasm", &settings))
        .start()
        .await?;
    let load = load(&topology, 300.0, 42)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression("headers".parse()?);
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    assert!(
        why.contains("can be revalidated") && why.contains("(no validator)"),
        "{why}"
    );
    load.stop().await;
    Ok(())
}
