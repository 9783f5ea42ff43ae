//! What the live tests share: the shipped module, its config, and what to ask of its metrics.

#![allow(dead_code, reason = "each test file uses a part of it")]

use anyhow::{Context as _, Result, ensure};
use scorer_sdk::recording::Record;
use serde_json::{Value, json};
use serin_integration::envoy::Envoy;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::metrics::Metrics;
use serin_integration::shop::Shop;
use serin_integration::topology::{AccessLog, Topology, WasmFilter};
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(crate) const MODULE: &str = "target/serin.wasm";
pub(crate) const ANOMALOUS: f64 = 3.0;
pub(crate) const HEALTHY: f64 = 1.0;
/// How long to wait for what has to come: a machine may be slow, and who waits goes on as soon as it
/// is there.
pub(crate) const LONGEST: Duration = Duration::from_secs(180);
/// Exchanges of the candidate after which enough is known of both versions to tell them apart.
pub(crate) const ENOUGH: f64 = 250.0;

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
pub(crate) async fn wait_for_anomalous(topology: &Topology) -> Result<()> {
    topology
        .front
        .wait_for_metrics("the verdict anomalous", LONGEST, |metrics| {
            verdict(metrics) == Some(ANOMALOUS)
        })
        .await
        .context("waiting for the verdict")?;
    Ok(())
}

/// Waits until so many exchanges of the candidate were judged, beside those of the baseline.
pub(crate) async fn wait_for_judged(front: &Envoy, exchanges: f64) -> Result<()> {
    let labels = [("destination", "shop"), ("version", "v2")];
    front
        .wait_for_metrics("judged exchanges", LONGEST, |metrics| {
            metrics.value("serin_judged_exchanges", &labels) >= Some(exchanges)
        })
        .await?;
    Ok(())
}

/// Waits until so many exchanges of a version were counted.
pub(crate) async fn wait_for_counted(front: &Envoy, version: &str, exchanges: f64) -> Result<()> {
    front
        .wait_for_metrics("counted exchanges", LONGEST, |metrics| {
            metrics.value("serin_exchanges_total", &[("version", version)]) >= Some(exchanges)
        })
        .await?;
    Ok(())
}

/// Waits until `come` is true.
pub(crate) async fn wait_until(what: &str, come: impl Fn() -> bool) -> Result<()> {
    let start = Instant::now();
    while !come() {
        ensure!(start.elapsed() < LONGEST, "no {what} within {LONGEST:?}");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits until a line of the log contains `words`, and gives it.
pub(crate) async fn wait_for_line(envoy: &Envoy, words: &str) -> Result<String> {
    let line = || {
        let text = envoy.log_text();
        text.lines()
            .find(|line| line.contains(words))
            .map(str::to_owned)
    };
    wait_until(&format!("line with {words:?}"), || line().is_some()).await?;
    line().context("the line has gone")
}

/// Waits until an instance has got nothing for two seconds, after its share had been dozens of
/// requests a second.
pub(crate) async fn wait_for_silence(shop: &Shop) -> Result<()> {
    let start = Instant::now();
    loop {
        let before = shop.received();
        sleep(Duration::from_secs(2)).await;
        if shop.received() == before {
            return Ok(());
        }
        // All workers know within a tick; a slow machine may take a few.
        ensure!(start.elapsed() < LONGEST, "the canary still gets requests");
    }
}

/// What the log says of why v2 is anomalous; it may come a moment after the metric.
pub(crate) async fn why_anomalous(topology: &Topology) -> Result<String> {
    wait_for_line(&topology.front, "shop v2 is anomalous").await?;
    announcement(topology, "anomalous").context("the line has gone")
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
