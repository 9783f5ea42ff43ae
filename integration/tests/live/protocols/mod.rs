//! What HTTP allows, through a real Envoy with the filter and one without: clients and the origin see
//! the same bytes, Envoy goes on, and each exchange is counted once or left alone.

mod http1;
mod http2;
mod origin;
mod proxy;

use super::common::{MODULE, config, with};
use anyhow::{Result, ensure};
use http2::{Connection, RAPID};
use proxy::{Counted, Proxy};
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::topology::WasmFilter;
use serin_integration::turn;
use std::collections::BTreeMap;

/// What is to be counted: exchanges by target, and how many requests are nobody's.
#[derive(Default)]
struct Expected {
    counted: BTreeMap<&'static str, usize>,
    nobodys: usize,
}

/// The two proxies.
struct Pair {
    with: Proxy,
    without: Proxy,
    different: Vec<String>,
}

impl Pair {
    async fn start(name: &str) -> Result<Self> {
        // The access log says which exchanges were counted.
        let settings = with(config("observe"), json!({"record": true}));
        let filter = WasmFilter::new(MODULE, &settings);
        Ok(Self {
            with: Proxy::start(name, Some(&filter)).await?,
            without: Proxy::start(&format!("{name}-plain"), None).await?,
            different: Vec::new(),
        })
    }

    /// Holds what clients and origins saw of a case against each other.
    fn compare(&mut self, target: &str, client: [String; 2]) {
        let origin = [&self.with, &self.without].map(|proxy| {
            let requests = proxy.origin.received(target);
            requests
                .iter()
                .map(|request| without_id(request))
                .collect::<Vec<_>>()
        });
        if client[0] != client[1] {
            let [with, plain] = client.map(|text| text.chars().take(2_000).collect::<String>());
            self.different.push(format!(
                "{target}: the client saw\n{with}\nand not\n{plain}"
            ));
        }
        if origin[0] != origin[1] {
            self.different
                .push(format!("{target}: the origin got {origin:?}"));
        }
    }

    /// Nothing differed, Envoy lives, and what was counted is what was expected.
    async fn finish(self, expected: &Expected) -> Result<()> {
        assert!(self.different.is_empty(), "{}", self.different.join("\n\n"));
        let counted: usize = expected.counted.values().sum();
        // One line for each request that is over.
        let wrong = |log: &Counted| -> Vec<String> {
            let found = |target: &str| log.get(target).copied().unwrap_or(0);
            let wrong = expected
                .counted
                .iter()
                .filter(|(target, counted)| found(target) != **counted);
            let text = |(target, counted): (&&str, &usize)| {
                format!(
                    "{target}: counted {} times and not {counted}",
                    found(target)
                )
            };
            wrong.map(text).collect()
        };
        let log = self.with.wait_for_log(|log| wrong(log).is_empty()).await?;
        ensure!(wrong(&log).is_empty(), "{:#?}", wrong(&log));
        let metrics = self
            .with
            .envoy
            .wait_for_metrics("each exchange to be counted", |metrics| {
                metrics.sum(telemetry::EXCHANGES.name, &[]) >= counted as u64
                    && metrics.sum(telemetry::UNATTRIBUTED.name, &[]) >= expected.nobodys as u64
            })
            .await?;
        let found = metrics.sum(telemetry::EXCHANGES.name, &[]);
        let nobodys = metrics.sum(telemetry::UNATTRIBUTED.name, &[]);
        assert_eq!((found, nobodys), (counted as u64, expected.nobodys as u64));
        Ok(())
    }
}

/// A request as the origin got it, without the number that Envoy gives it.
fn without_id(request: &str) -> String {
    let lines = request
        .lines()
        .filter(|line| !line.starts_with("x-request-id: "));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_http_1_passes_unchanged_and_each_exchange_is_counted_once() -> Result<()> {
    let _turn = turn::beside_another().await;
    let mut pair = Pair::start("protocols-1").await?;
    let mut expected = Expected::default();
    for case in http1::cases() {
        let client = [
            case.play(&pair.with).await?,
            case.play(&pair.without).await?,
        ];
        pair.compare(case.target, client);
        expected.counted.insert(case.target, case.counted);
        expected.nobodys += case.nobodys;
    }
    pair.finish(&expected).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_http_2_passes_unchanged_and_each_exchange_is_counted_once() -> Result<()> {
    let _turn = turn::beside_another().await;
    let mut pair = Pair::start("protocols-2").await?;
    let mut expected = Expected::default();
    let rapid = "/plain?2-rapid-reset";
    http2::reset_rapidly(&pair.with, rapid).await?;
    expected.counted.insert(rapid, RAPID);
    for case in http2::cases()? {
        let mut client = [String::new(), String::new()];
        for (seen, proxy) in client.iter_mut().zip([&pair.with, &pair.without]) {
            *seen = Connection::open(proxy).await?.play(&case, proxy).await?;
        }
        pair.compare(case.target, client);
        expected.counted.insert(case.target, case.counted);
    }
    pair.finish(&expected).await
}
