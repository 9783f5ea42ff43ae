//! What the live tests share: the shipped module, its config, and what to ask of its metrics.

#![allow(dead_code, reason = "each test file uses a part of it")]

use anyhow::{Context as _, Result};
use scorer_sdk::recording::Record;
use serde_json::{Value, json};
use serin_integration::load::{Load, LoadOptions};
use serin_integration::metrics::Metrics;
use serin_integration::shop::Shops;
use serin_integration::topology::{AccessLog, Topology, WasmFilter};
use std::time::Duration;
use tokio::time::sleep;

pub(crate) const MODULE: &str = "target/serin.wasm";
pub(crate) const ANOMALOUS: f64 = 3.0;
pub(crate) const HEALTHY: f64 = 1.0;

/// The config of the front's filter.
pub(crate) fn config(mode: &str) -> Value {
    json!({
        "mode": mode,
        "baseline": "v1",
        "candidate": "v2",
        "warm_up": "3s",
        "versions": {
            "from": "clusters",
            "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}},
        },
    })
}

/// `config` with the fields of `more` in place of its own.
pub(crate) fn with(mut config: Value, more: Value) -> Value {
    if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
        config.extend(more);
    }
    config
}

pub(crate) fn filter(config: &Value) -> WasmFilter {
    WasmFilter::new(MODULE, config)
}

/// `config` that leaves each exchange for the access log, and the log that takes it.
pub(crate) fn recording() -> (Value, AccessLog) {
    let log = AccessLog {
        path: "exchanges.jsonl".into(),
        format: json!("%FILTER_STATE(wasm.serin.exchange:PLAIN)%\n"),
    };
    (with(config("observe"), json!({"record": true})), log)
}

/// Stops the front, which makes Envoy write what it has, and reads the recording.
pub(crate) async fn stop_and_read(topology: Topology) -> Result<Vec<Record>> {
    let log = topology.front.dir().join("exchanges.jsonl");
    topology.front.stop().await?;
    let text = std::fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    text.lines()
        .map(|line| Record::parse(line).map_err(|error| anyhow::anyhow!("{error}: {line}")))
        .collect()
}

pub(crate) fn load(topology: &Topology, rate: f64, seed: u64) -> Result<Load> {
    Load::start(LoadOptions::new(topology.address(), rate).seed(seed))
}

pub(crate) fn verdict(metrics: &Metrics) -> Option<f64> {
    metrics.value(
        "serin_verdict",
        &[("destination", "shop"), ("version", "v2")],
    )
}

/// Waits for the verdict `anomalous`.
pub(crate) async fn wait_for_anomalous(topology: &Topology, longest: Duration) -> Result<()> {
    topology
        .front
        .wait_for_metrics("the verdict anomalous", longest, |metrics| {
            verdict(metrics) == Some(ANOMALOUS)
        })
        .await
        .context("waiting for the verdict")?;
    Ok(())
}

/// No further request reaches the canary.
pub(crate) async fn assert_steered_away(shops: &Shops) {
    // Both workers know within a tick; what was on its way has arrived by then.
    sleep(Duration::from_millis(1_500)).await;
    let before = shops.v2.received();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(
        shops.v2.received(),
        before,
        "the canary still gets requests"
    );
}

/// The log line that announces a verdict.
pub(crate) fn announcement(topology: &Topology, verdict: &str) -> Option<String> {
    let text = topology.front.log_text();
    let line = text
        .lines()
        .find(|line| line.contains(&format!("shop v2 is {verdict}")))?;
    line.split_once("serin: ")
        .map(|(_, message)| message.to_owned())
}
