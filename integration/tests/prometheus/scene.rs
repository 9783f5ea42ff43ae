//! What runs: shops, four proxies with load, and a Prometheus that scrapes them.
//!
//! | destination | proxies | candidate |
//! | --- | --- | --- |
//! | `bad` | one observes, one steers | v2 is slow on two routes |
//! | `good` | one | v2 is like v1 |
//! | `idle` | one | none; one of the two hosts of v1 is slow |

use super::manifests::hurried_rule_groups;
use super::server::Prometheus;
use crate::live::common::{UNHURRIED, config, filter, with};
use anyhow::{Context as _, Result};
use serde_json::json;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::{Regression, Shop, Shops};
use serin_integration::topology::Topology;
use std::path::Path;

pub(crate) struct Scene {
    pub(crate) prometheus: Prometheus,
    pub(crate) proxies: Vec<Topology>,
    loads: Vec<Load>,
    _shops: Vec<Shops>,
    _slow: Shop,
}

impl Scene {
    pub(crate) async fn start(binary: &Path) -> Result<Self> {
        let bad = Shops::start(71).await?;
        bad.v2.set_regression(Regression::Latency);
        let good = Shops::start(72).await?;
        let slow = Shop::start("v1", 73).await?;
        for shops in [&bad, &good] {
            shops.set_slowdown(UNHURRIED);
        }
        slow.set_slowdown(4.0 * UNHURRIED);
        let mut proxies = Vec::new();
        for (name, destination, mode, shops) in [
            ("bad-observed", "bad", "observe", &bad),
            ("bad-steered", "bad", "steer", &bad),
            ("good", "good", "observe", &good),
            ("idle", "idle", "observe", &good),
        ] {
            let settings = with(
                config(mode),
                json!({
                    "warm_up": "1s",
                    "surprise": {"epoch": "1s"},
                    "versions": {
                        "from": "clusters",
                        "destinations": {destination: {"v1": ["shop-v1"], "v2": ["shop-v2"]}},
                    },
                }),
            );
            let builder = Topology::builder(&format!("prometheus-{name}"), shops)
                .concurrency(1)
                .filter(filter(&settings));
            let builder = if destination == "idle" {
                builder.weights(100, 0).more_v1(&[slow.address()])
            } else {
                builder.weights(70, 30)
            };
            proxies.push(builder.start().await?);
        }
        let targets: Vec<_> = proxies
            .iter()
            .map(|proxy| (proxy.front.name(), proxy.front.admin_address()))
            .collect();
        let prometheus = Prometheus::start(binary, &targets, &hurried_rule_groups()?).await?;
        let mut loads = Vec::new();
        for (seed, proxy) in (74_u64..).zip(&proxies) {
            loads.push(Load::start(
                LoadOptions::new(proxy.address(), 120.0).seed(seed),
            )?);
        }
        Ok(Self {
            prometheus,
            proxies,
            loads,
            _shops: vec![bad, good],
            _slow: slow,
        })
    }

    /// Waits until each proxy has come to its verdict, and the recording rules have seen it.
    pub(crate) async fn wait_for_verdicts(&self) -> Result<()> {
        for expression in [
            "serin:decision{destination=\"good\", version=\"v2\"} == 1",
            "count(serin_verdict{destination=\"bad\", version=\"v2\"} == 3) == 2",
            "serin:fleet_evidence:nats{destination=\"bad\"}",
            "serin_placebo_odds_ratio{destination=\"idle\"} > 1000",
            "serin_steered_total{destination=\"bad\"} > 0",
            "serin_surprise_count{destination=\"good\"} > 0",
        ] {
            self.prometheus.wait_for(expression).await?;
        }
        Ok(())
    }

    /// Ends all traffic.
    pub(crate) async fn stop_load(&mut self) {
        for load in self.loads.drain(..) {
            load.stop().await;
        }
    }

    /// Takes the plugin out of a running proxy: its gauges stay, and stand still. Gives the proxy's
    /// address.
    pub(crate) async fn remove_the_filter_of_the_last_proxy(&mut self) -> Result<String> {
        let last = self.proxies.last_mut().context("a proxy")?;
        last.set_filters(Vec::new()).await?;
        Ok(last.front.admin_address().to_string())
    }
}
