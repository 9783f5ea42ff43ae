//! Recording rules and alerts against the live scene.

use super::manifests;
use super::scene::Scene;
use anyhow::{Context as _, Result, ensure};
use scorer_sdk::telemetry;
use serin_cli::fleet_evidence::{PAIRS_PER_ROUTE, POOLED_PAIRS};
use std::collections::{BTreeMap, BTreeSet};

/// `SerinAnomalous` for the bad canary and `SerinPlacebo` for the host that is slow; nothing that
/// would wake anybody for the good one.
pub(crate) async fn the_right_alerts_fire(scene: &Scene) -> Result<()> {
    let prometheus = &scene.prometheus;
    let firing = prometheus.firing().await?;
    let of = |destination: &str, severity: &str| -> BTreeSet<&str> {
        firing
            .iter()
            .filter(|alert| alert.label("destination") == destination)
            .filter(|alert| alert.label("severity") == severity)
            .map(|alert| alert.label("alertname"))
            .collect()
    };
    for (destination, severity, expected) in [
        ("bad", "critical", Some("SerinAnomalous")),
        ("bad", "warning", None),
        ("good", "critical", None),
        ("good", "warning", None),
        ("idle", "critical", None),
        ("idle", "warning", Some("SerinPlacebo")),
        // About proxies.
        ("", "critical", None),
        ("", "warning", None),
    ] {
        let found = of(destination, severity);
        ensure!(
            found == expected.into_iter().collect(),
            "{severity} alerts of {destination:?}: {found:?}"
        );
    }
    let annotations = prometheus.annotations("SerinAnomalous").await?;
    let description = annotations["description"].as_str().context("description")?;
    ensure!(
        description.contains("strongest for slow p"),
        "the reason is not named: {annotations}"
    );
    Ok(())
}

/// The mean over pairs of the product over proxies, worked out anew from each proxy's own page.
pub(crate) async fn the_fleets_evidence_is_right(scene: &Scene) -> Result<()> {
    let expected = fleet_evidence(scene, "bad").await?;
    let recorded = scene
        .prometheus
        .query("serin:fleet_evidence:nats{destination=\"bad\", version=\"v2\"}")
        .await?;
    let recorded = recorded.first().context("no fleet evidence")?.value;
    // The last ticks and scrapes may be under way.
    ensure!(
        (recorded - expected).abs() < 1e-6,
        "recorded {recorded}, from the pages {expected}"
    );
    println!("fleet evidence of the bad canary: {recorded:.2} nats");
    Ok(())
}

/// The formula of `fleet_evidence`, worked out by hand, in nats.
async fn fleet_evidence(scene: &Scene, destination: &str) -> Result<f64> {
    let mut pairs: BTreeMap<(String, String), f64> = BTreeMap::new();
    let mut routes = BTreeSet::new();
    let labels = [("destination", destination)];
    for proxy in &scene.proxies {
        let metrics = proxy.front.metrics().await?;
        for (name, sign) in [
            (telemetry::EVIDENCE_FOR.name, 1.0),
            (telemetry::EVIDENCE_AGAINST.name, -1.0),
            (telemetry::POOLED_EVIDENCE_FOR.name, 1.0),
            (telemetry::POOLED_EVIDENCE_AGAINST.name, -1.0),
        ] {
            for sample in metrics.select(name, &labels) {
                let label = |name| sample.label(name).unwrap_or_default().to_owned();
                *pairs
                    .entry((label("route"), label("category")))
                    .or_insert(0.0) += sign * sample.value / 1_000.0;
            }
        }
        for sample in metrics.select(telemetry::EXCHANGES.name, &labels) {
            routes.insert(sample.label("route").unwrap_or_default().to_owned());
        }
    }
    ensure!(pairs.len() > 5 && routes.len() > 2, "{pairs:?} {routes:?}");
    let shares = pairs.iter().map(|((route, _), nats)| {
        // A pair over all routes has no route.
        let parts = match route.as_str() {
            "" => POOLED_PAIRS,
            _ => PAIRS_PER_ROUTE * routes.len(),
        };
        nats.exp() / parts as f64
    });
    Ok(shares.sum::<f64>().ln())
}

/// A heartbeat that stands still is an alert a minute later, and not before.
pub(crate) async fn a_judge_that_stopped_is_missed(scene: &Scene, silent: &str) -> Result<()> {
    let rules = manifests::rules()?;
    let rule = rules
        .iter()
        .find(|rule| rule["alert"] == "SerinHeartbeatStopped")
        .context("SerinHeartbeatStopped")?;
    let expression = rule["expr"].as_str().context("expr")?;
    let beats = scene.prometheus.query(telemetry::HEARTBEAT.name).await?;
    let last = beats.iter().find(|beat| beat.label("instance") == silent);
    let last = last.context("no heartbeat")?.value;
    // Prometheus can be asked of another time: what is known then is as old as that.
    for (after, missed) in [(30.0, false), (90.0, true)] {
        let found = scene.prometheus.query_at(expression, last + after).await?;
        ensure!(
            found
                .iter()
                .any(|sample| sample.label("instance") == silent)
                == missed,
            "{after} s after the last heartbeat: {found:?}"
        );
    }
    Ok(())
}
