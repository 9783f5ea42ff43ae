//! What the tests under Istio share.

use anyhow::Result;
use scorer_sdk::telemetry;
use serde_json::Value;
use serin_integration::istio::Mesh;
use serin_integration::istio::manifests::{configure, rendered};
use serin_integration::istio::mesh::{DOMAIN, HOST, PORT};
use serin_integration::load::{Load, LoadOptions, Tally};
use serin_integration::metrics::Metrics;
use serin_integration::wait_until;

pub(crate) fn load(mesh: &Mesh, rate: f64, seed: u64) -> Result<Load> {
    Load::start(
        LoadOptions::new(mesh.address(), rate)
            .header("host", DOMAIN)
            .seed(seed),
    )
}

/// Service and port, as the filter names a destination.
pub(crate) fn destination() -> String {
    format!("{HOST}:{PORT}")
}

/// Waits for more than `answers` of each version, then until all requests have come back.
pub(crate) async fn answered_by_both(load: Load, answers: u64) -> Result<Tally> {
    let enough = |version: &str| load.snapshot().version(version).answered > answers;
    wait_until("answers of both versions", async || {
        Ok(enough("v1") && enough("v2"))
    })
    .await?;
    Ok(load.stop().await)
}

/// Exchanges of a version of the shop.
pub(crate) fn counted(metrics: &Metrics, version: &str) -> f64 {
    let labels = [("version", version), ("destination", &destination())];
    metrics
        .value(telemetry::EXCHANGES.name, &labels)
        .unwrap_or_default()
}

/// Nobody lost an answer but for the failures that both versions have by themselves.
pub(crate) fn assert_undisturbed(tally: &Tally) {
    let (v1, v2) = (tally.version("v1"), tally.version("v2"));
    assert_eq!(tally.lost(), v1.errors + v2.errors, "{tally:?}");
    assert_eq!(v1.answered + v2.answered, tally.sent, "{tally:?}");
}

/// An overlay with fields of the plugin `serin` replaced.
pub(crate) fn overlay(name: &str, fields: &Value) -> Result<Vec<Value>> {
    let mut manifests = rendered(name)?;
    configure(&mut manifests, "serin", fields);
    Ok(manifests)
}
