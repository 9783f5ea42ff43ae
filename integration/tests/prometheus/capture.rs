//! Writes what the live proxies gave into the tests of promtool.
//!
//! `make alert-series` runs the scene and replaces the series in
//! `envoyfilter-manifests/alerts/tests/live.yaml`: each scrape, then the last one held, as a
//! Prometheus sees it when traffic ends. What is expected of them stays as it is written there.

use super::scene::Scene;
use super::server::STEP;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use serin_integration::envoy::workspace;
use std::collections::BTreeMap;
use std::fs;

/// Longest time that is looked back, in seconds.
const LONGEST: u64 = 60;
/// What rules look at.
const METRICS: &str = "serin_(verdict|heartbeat_seconds|rollout_evidence|rollout_threshold|judged_exchanges|exchanges_total|evidence_for|evidence_against|differs|baseline_failing|held_by_placebo|unbalanced|placebo_odds_ratio|steered_total|unattributed_total|cause)";
/// For how many steps the last value is held: half an hour.
const HELD: u64 = 1_800 / STEP;

pub(crate) async fn write(scene: &Scene) -> Result<()> {
    let path = workspace().join("envoyfilter-manifests/alerts/tests/live.yaml");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let comment: String = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut tests: Value = serde_saphyr::from_str(&text)?;
    let selector = format!("{{__name__=~\"{METRICS}\"}}");
    let found = scene.prometheus.raw(&selector, LONGEST).await?;
    let times = found
        .iter()
        .filter_map(|series| series["values"][0][0].as_f64());
    let begun = times.fold(f64::INFINITY, f64::min);
    let mut series: Vec<Value> = found
        .iter()
        .map(|series| input(series, begun))
        .collect::<Result<_>>()?;
    ensure!(series.len() > 50, "only {} series", series.len());
    series.sort_by_key(|series| series["series"].as_str().map(str::to_owned));
    for test in tests["tests"].as_array_mut().context("tests")? {
        test["interval"] = format!("{STEP}s").into();
        test["input_series"] = series.clone().into();
    }
    // Each text on one line, however long: one line of the diff is one series.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let tests = serde_saphyr::to_string_with_options(&tests, options)?;
    fs::write(&path, format!("{comment}{tests}"))?;
    println!("{} series into {}", series.len(), path.display());
    Ok(())
}

/// A series in promtool's notation. `begun` is the time of the first sample of all series, in
/// seconds: a series that came late begins late.
fn input(found: &Value, begun: f64) -> Result<Value> {
    let mut labels: BTreeMap<String, String> = serde_json::from_value(found["metric"].clone())?;
    let name = labels.remove("__name__").context("a name")?;
    // The address is another one in each run.
    if let Some(proxy) = labels.remove("proxy") {
        labels.insert("instance".to_owned(), proxy);
    }
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let samples = found["values"].as_array().context("values")?;
    let first = samples.first().context("no sample")?[0].as_f64();
    let late = ((first.context("a time")? - begun) / STEP as f64).round() as usize;
    let mut text = vec!["_"; late];
    text.extend(samples.iter().filter_map(|sample| sample[1].as_str()));
    let last = (*text.last().context("no sample")?).to_owned();
    Ok(json!({
        "series": format!("{name}{{{}}}", labels.join(", ")),
        "values": format!("{} {last}+0x{HELD}", text.join(" ")),
    }))
}
