//! Usage, shared change, or the version: each called what it is, by a live filter.

use super::common::{ANOMALOUS, UNHURRIED, config, filter, verdict, wait_for_line, with};
use anyhow::{Context as _, Result};
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::load::{Load, LoadOptions, Mix};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Regression, Route, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;

/// A shop in which both versions have taken traffic for so long that they have a past.
struct Rollout {
    name: &'static str,
    shops: Shops,
    topology: Topology,
    load: Load,
}

impl Rollout {
    async fn start(name: &'static str, seed: u64) -> Result<Self> {
        let shops = Shops::start(seed).await?;
        shops.set_slowdown(UNHURRIED);
        let drift = json!({"tick": "250ms", "drift": {"window": "500ms"}});
        let topology = Topology::builder(name, &shops)
            .weights(60, 40)
            .filter(filter(&with(config("observe"), drift)))
            .start()
            .await?;
        let options = LoadOptions::new(topology.address(), 100.0).mix(Mix::buying());
        let load = Load::start(options.seed(seed))?;
        Ok(Self {
            name,
            shops,
            topology,
            load,
        })
    }

    async fn wait(&self, what: &str, until: impl Fn(&Metrics) -> bool) -> Result<Metrics> {
        self.topology
            .front
            .wait_for_metrics(what, until)
            .await
            .context(self.name)
    }

    async fn has_a_past(&self) -> Result<()> {
        self.wait("past of both versions", |metrics| {
            ["baseline", "candidate"].iter().all(|arm| {
                ["errors", "latency"].iter().all(|measure| {
                    let labels = [("arm", *arm), ("measure", *measure)];
                    metrics
                        .value(telemetry::DRIFT_EVIDENCE.name, &labels)
                        .is_some()
                })
            })
        })
        .await?;
        // A little more than what is just enough.
        self.load.wait_for_answers(500).await
    }

    /// Waits until nothing drifts: what others did on the machine is over, if it was ever noticed.
    async fn is_quiet(&self) -> Result<()> {
        let labels = [("cause", "nothing")];
        self.wait("quiet", |metrics| {
            metrics.value(telemetry::CAUSE.name, &labels) == Some(1.0)
        })
        .await?;
        Ok(())
    }

    /// Waits until the metrics name this cause, and gives the sentence of the log.
    async fn says(&self, cause: &str, words: &str) -> Result<()> {
        let labels = [("destination", "shop"), ("cause", cause)];
        let metrics = self
            .wait(cause, |metrics| {
                metrics.value(telemetry::CAUSE.name, &labels) == Some(1.0)
            })
            .await?;
        let blamed = verdict(&metrics) == Some(ANOMALOUS);
        assert_eq!(blamed, cause.starts_with("version"), "{}", self.name);
        let line = wait_for_line(&self.topology.front, words).await?;
        println!("{}: {line}", self.name);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_shared_change_and_versions_are_told_apart() -> Result<()> {
    let _turn = turn::alone().await;
    let usage = Rollout::start("drift-usage", 1).await?;
    let shared = Rollout::start("drift-shared", 2).await?;
    let version = Rollout::start("drift-version", 3).await?;
    let both = Rollout::start("drift-both", 4).await?;
    for rollout in [&usage, &shared, &version, &both] {
        rollout.has_a_past().await?;
    }
    for rollout in [&usage, &shared, &version, &both] {
        rollout.is_quiet().await?;
    }

    let sale = Mix::empty()
        .with(Route::Home, 5)
        .with(Route::Product, 15)
        .with(Route::Cart, 40)
        .with(Route::Checkout, 40);
    usage.load.set_mix(sale.clone());
    shared.shops.set_slowdown(4.0 * UNHURRIED);
    version.shops.v2.set_regression(Regression::Errors);
    both.load.set_mix(sale);
    both.shops.v2.set_regression(Regression::Errors);

    usage.says("shared", "drift: usage").await?;
    shared.says("shared", "drift: a shared dependency").await?;
    version.says("version", "shop v2 is anomalous").await?;
    both.says("version_and_shared", "during a change of usage")
        .await?;
    for rollout in [usage, shared, version, both] {
        rollout.load.stop().await;
    }
    Ok(())
}
