//! One minute with one candidate.

use crate::cpu::cpu_seconds;
use anyhow::{Context, Result};
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::metrics::Metrics;
use serin_integration::process::{Memory, memory_mib};
use serin_integration::shop::{Regression, Shops};
use serin_integration::topology::{Topology, WasmFilter};
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a candidate lives.
const LENGTH: Duration = Duration::from_secs(60);
/// Pause between two looks at the verdict.
const LOOK: Duration = Duration::from_millis(500);
const ANOMALOUS: f64 = 3.0;

/// The proxy with its load.
pub(crate) struct Soak {
    shops: Shops,
    topology: Topology,
    load: Load,
    /// Requests without an answer so far.
    failed: u64,
}

/// What one candidate did.
pub(crate) struct Minute {
    number: u32,
    pub(crate) candidate: String,
    is_bad: bool,
    /// The last verdict, as its metric has it.
    verdict: f64,
    /// Seconds until it was called anomalous.
    found: Option<f64>,
    answered: u64,
    lost: u64,
    pub(crate) memory_mib: f64,
    cpu_percent: f64,
    pub(crate) series: u64,
}

impl Minute {
    pub(crate) const HEADINGS: &'static str = "minute  candidate  truth    verdict  found after  answered  lost  memory MiB  CPU %  series";

    /// What was not as it has to be.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self {
            candidate, lost, ..
        } = self;
        if self.is_bad != self.found.is_some() {
            let truth = if self.is_bad { "bad" } else { "healthy" };
            return Some(format!(
                "{candidate} is {truth} and its verdict {}",
                self.verdict
            ));
        }
        (*lost > 0).then(|| format!("{lost} requests were lost under {candidate}"))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let truth = if self.is_bad { "bad" } else { "healthy" };
        let found = self
            .found
            .map_or_else(|| "-".to_owned(), |time| format!("{time:.1} s"));
        write!(
            f,
            "{:>6}  {:<9}  {truth:<7}  {:>7}  {found:>11}  {:>8}  {:>4}  {:>10.1}  {:>5.1}  {:>6}",
            self.number,
            self.candidate,
            self.verdict,
            self.answered,
            self.lost,
            self.memory_mib,
            self.cpu_percent,
            self.series
        )
    }
}

/// The module under a candidate's own name, as each release has one.
fn filter(candidate: &str) -> WasmFilter {
    let versions = json!({"v1": ["shop-v1"], candidate: ["shop-v2"]});
    WasmFilter::new(
        "target/serin.wasm",
        &json!({
            "mode": "observe",
            "baseline": "v1",
            "candidate": candidate,
            "warm_up": "3s",
            "versions": {"from": "clusters", "destinations": {"shop": versions}},
        }),
    )
}

impl Soak {
    pub(crate) async fn start(rate: f64) -> Result<Self> {
        let shops = Shops::start(90).await?;
        let topology = Topology::builder("soak", &shops)
            .weights(70, 30)
            .filter(filter("r0"))
            .start()
            .await?;
        let options = LoadOptions::new(topology.address(), rate).clients(20);
        let load = Load::start(options.seed(91))?;
        Ok(Self {
            shops,
            topology,
            load,
            failed: 0,
        })
    }

    /// Brings the next candidate, watches it for a minute and says how it was.
    pub(crate) async fn next(&mut self, number: u32) -> Result<Minute> {
        let candidate = format!("r{number}");
        let is_bad = number.is_multiple_of(2);
        self.shops.v2.set_regression(if is_bad {
            Regression::Size
        } else {
            Regression::None
        });
        self.topology.set_filters(vec![filter(&candidate)]).await?;
        let (begun, before) = (Instant::now(), self.load.snapshot());
        let pid = self.topology.front.pid();
        let cpu = cpu_seconds(pid)?;
        let mut found = None;
        while begun.elapsed() < LENGTH {
            let metrics = self.topology.front.metrics().await?;
            if found.is_none() && verdict(&metrics, &candidate) == Some(ANOMALOUS) {
                found = Some(begun.elapsed().as_secs_f64());
            }
            sleep(LOOK).await;
        }
        sleep_until(begun + LENGTH).await;
        let (metrics, after) = (self.topology.front.metrics().await?, self.load.snapshot());
        if found.is_none() && verdict(&metrics, &candidate) == Some(ANOMALOUS) {
            found = Some(begun.elapsed().as_secs_f64());
        }
        let lost = after.failed - self.failed;
        self.failed = after.failed;
        Ok(Minute {
            number,
            is_bad,
            verdict: verdict(&metrics, &candidate)
                .with_context(|| format!("no verdict on {candidate}"))?,
            found,
            answered: after.answered - before.answered,
            lost,
            memory_mib: memory_mib(pid, Memory::Now)?,
            cpu_percent: 100.0 * (cpu_seconds(pid)? - cpu) / begun.elapsed().as_secs_f64(),
            series: metrics.with_prefix("serin_").count() as u64,
            candidate,
        })
    }
}

fn verdict(metrics: &Metrics, candidate: &str) -> Option<f64> {
    let labels = [("destination", "shop"), ("version", candidate)];
    metrics.value(telemetry::VERDICT.name, &labels)
}
