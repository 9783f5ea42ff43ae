//! What the live tests share: the shipped module, its config, and what to ask of its metrics.

use anyhow::{Context as _, Result};
use scorer_sdk::telemetry;
use scorer_sdk::wire::recording::Record;
use serde_json::{Value, json};
use serin_integration::envoy::Envoy;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::metrics::Metrics;
use serin_integration::topology::{AccessLog, Topology, WasmFilter};
use serin_integration::wait_until;
use std::time::Duration;
use tokio::time::sleep;

pub(crate) const MODULE: &str = "target/serin.wasm";
pub(crate) const ANOMALOUS: f64 = 3.0;
pub(crate) const HEALTHY: f64 = 1.0;
/// Exchanges of the candidate after which enough is known of both versions to tell them apart.
pub(crate) const ENOUGH: f64 = 250.0;
/// Times as long as the shop's few milliseconds: what a busy machine adds is little beside it.
pub(crate) const UNHURRIED: f64 = 5.0;
/// Pause between two looks of who watches.
const LOOK: Duration = Duration::from_millis(250);

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

/// How answers with 5xx are told. Two questions see them, and the one with the most evidence
/// tells of them in its own words.
pub(crate) const FAILURES: [&str; 2] = ["fail (", "are answered with 5"];

pub(crate) fn tells_of_failures(said: &str) -> bool {
    FAILURES.iter().any(|words| said.contains(words))
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
        telemetry::VERDICT.name,
        &[("destination", "shop"), ("version", "v2")],
    )
}

/// Waits for the verdict `anomalous`.
pub(crate) async fn wait_for_anomalous(topology: &Topology) -> Result<()> {
    topology
        .front
        .wait_for_metrics("verdict anomalous", |metrics| {
            verdict(metrics) == Some(ANOMALOUS)
        })
        .await?;
    Ok(())
}

/// Waits until this number of the candidate's exchanges was judged, beside those of the baseline.
pub(crate) async fn wait_for_judged(front: &Envoy, exchanges: f64) -> Result<()> {
    let labels = [("destination", "shop"), ("version", "v2")];
    front
        .wait_for_metrics("judged exchanges", |metrics| {
            metrics.value(telemetry::JUDGED_EXCHANGES.name, &labels) >= Some(exchanges)
        })
        .await?;
    Ok(())
}

/// Waits until this number of a version's exchanges was counted.
pub(crate) async fn wait_for_counted(front: &Envoy, version: &str, exchanges: f64) -> Result<()> {
    front
        .wait_for_metrics("counted exchanges", |metrics| {
            metrics.value(telemetry::EXCHANGES.name, &[("version", version)]) >= Some(exchanges)
        })
        .await?;
    Ok(())
}

/// Looks at the metrics again and again until `end` is over; no page may be as `never` says.
pub(crate) async fn watch(
    front: &Envoy,
    end: impl Future<Output = Result<()>>,
    never: impl Fn(&Metrics) -> bool,
) -> Result<()> {
    let look = async || -> Result<()> {
        loop {
            let metrics = front.metrics().await?;
            assert!(!never(&metrics), "{}", front.log_tail());
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        ended = end => ended,
        failed = look() => failed,
    }
}

/// The first whole line of the log that contains `words`.
fn find_line(envoy: &Envoy, words: &str) -> Option<String> {
    let text = envoy.log_text();
    let (whole, _) = text.rsplit_once('\n')?;
    let mut lines = whole.lines();
    lines.find(|line| line.contains(words)).map(str::to_owned)
}

/// Waits until a line of the log contains `words`, and gives it.
pub(crate) async fn wait_for_line(envoy: &Envoy, words: &str) -> Result<String> {
    let mut line = None;
    wait_until(&format!("line with {words:?}"), async || {
        line = find_line(envoy, words);
        Ok(line.is_some())
    })
    .await
    .with_context(|| envoy.log_tail())?;
    line.context("a line of the log")
}

const ANNOUNCED: &str = "shop v2 is anomalous";

/// What the log says of why v2 is anomalous; it may come a moment after the metric.
pub(crate) async fn why_anomalous(envoy: &Envoy) -> Result<String> {
    message(&wait_for_line(envoy, ANNOUNCED).await?).context("no message of Serin's")
}

/// What the log says of why v2 is anomalous, if it does.
pub(crate) fn said_anomalous(envoy: &Envoy) -> Option<String> {
    message(&find_line(envoy, ANNOUNCED)?)
}

fn message(line: &str) -> Option<String> {
    let (_, message) = line.split_once("serin: ")?;
    Some(message.to_owned())
}
