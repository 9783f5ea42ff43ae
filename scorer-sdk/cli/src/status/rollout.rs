//! One rollout, as each proxy sees it and as all do together.

use super::notes::notes;
use super::pairs::{Pair, pairs};
use super::proxies::{about, is_guard};
use super::source::Proxy;
use crate::fleet_evidence::enough_together;
use crate::found::When;
use crate::samples::{is_sum, of, saturating_sum, value, verdict_on};
use scorer_sdk::Verdict;
use scorer_sdk::telemetry::{self, Metric, label};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// Pairs that are kept of one rollout.
const MAX_PAIRS: usize = 100;

/// What one proxy says of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Opinion {
    /// The proxy.
    pub proxy: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its evidence in nats; 0 when it speaks for the candidate.
    pub evidence: f64,
    /// The evidence that is enough, in nats; 0, as the evidence is, where gauges are sums of two
    /// processes.
    pub threshold: f64,
}

/// One candidate of one destination.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rollout {
    /// The service.
    pub destination: String,
    /// The new version.
    pub candidate: String,
    /// The other versions that had exchanges.
    #[serde(skip)]
    pub others: Vec<String>,
    /// What the proxies say, the worst verdict first, and of equal ones that with most evidence.
    #[serde(rename = "by_proxy")]
    pub opinions: Vec<Opinion>,
    /// The [fleet's evidence](crate::fleet_evidence) in nats; `None` where fewer than two proxies
    /// compare this candidate.
    #[serde(rename = "evidence_together")]
    pub together: Option<f64>,
    /// When the first proxy's verdict fell and since when the candidate is worse; `None` without one.
    pub when: Option<When>,
    /// Exchanges that ended, by version.
    pub exchanges: BTreeMap<String, u64>,
    /// The candidate's exchanges that were judged.
    #[serde(rename = "judged_exchanges")]
    pub judged: u64,
    /// Further candidate exchanges until a rise of the odds by each factor is found, at the proxy
    /// that needs fewest.
    #[serde(rename = "requests_needed", serialize_with = "map")]
    pub needed: Vec<(String, u64)>,
    /// Pairs, those with most evidence against the candidate first.
    pub pairs: Vec<Pair>,
    /// What is to be said beside the verdict, in sentences.
    pub notes: Vec<String>,
    /// Whether a verdict is held back by the placebo somewhere.
    #[serde(rename = "held_by_placebo")]
    pub held: bool,
    /// What proxies with `fleet` in their config show as enough for all of them, in nats; 0 without.
    #[serde(skip)]
    pub with_fleet: f64,
}

impl Rollout {
    /// The worst of the proxies' verdicts, and anomalous where all of them together have evidence
    /// enough and none of them is held back.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let alone = self.opinions.iter().map(|opinion| opinion.verdict).max();
        if self.anomalous_together() {
            Verdict::Anomalous
        } else {
            alone.unwrap_or_default()
        }
    }

    /// Whether the proxies together have evidence enough.
    #[must_use]
    pub fn anomalous_together(&self) -> bool {
        let threshold = self.threshold_together();
        !self.held && threshold > 0.0 && self.together.is_some_and(|evidence| evidence >= threshold)
    }

    /// The evidence of all proxies together that is enough, in nats.
    #[must_use]
    pub fn threshold_together(&self) -> f64 {
        enough_together(self.with_fleet, self.threshold())
    }

    /// The evidence that is enough for one proxy, in nats: the most that any asks for.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.opinions
            .iter()
            .map(|opinion| opinion.threshold)
            .fold(0.0, f64::max)
    }

    /// The most evidence that one proxy has, in nats.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.opinions
            .iter()
            .map(|opinion| opinion.evidence)
            .fold(0.0, f64::max)
    }

    /// The candidate's share of `exchanges`; `None` when there are none.
    #[must_use]
    pub fn share(&self, exchanges: &BTreeMap<String, u64>) -> Option<f64> {
        let all: f64 = exchanges.values().map(|count| *count as f64).sum();
        let own = exchanges.get(&self.candidate).copied().unwrap_or(0);
        (all > 0.0).then(|| own as f64 / all)
    }
}

fn map<S: Serializer>(pairs: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, count)| (name, count)))
}

/// The rollout as these proxies see it; `together` is the fleet's evidence, which counts only where
/// more than one of them compares.
pub(super) fn rollout(
    destination: &str,
    candidate: &str,
    proxies: &[&Proxy],
    exchanges: BTreeMap<String, u64>,
    together: f64,
) -> Rollout {
    let gauge =
        |proxy: &Proxy, metric: &Metric| value(&proxy.samples, metric, destination, candidate);
    // Gauges that are sums of two processes say nothing.
    let known: Vec<&Proxy> = proxies
        .iter()
        .filter(|proxy| !is_sum(&proxy.samples))
        .copied()
        .collect();
    let nats = |proxy: &Proxy, metric: &Metric| {
        if is_sum(&proxy.samples) {
            0.0
        } else {
            gauge(proxy, metric) / 1e3
        }
    };
    let mut opinions: Vec<Opinion> = proxies
        .iter()
        .map(|proxy| Opinion {
            proxy: if is_guard(proxy) {
                format!("{} (guard)", proxy.name)
            } else {
                proxy.name.clone()
            },
            verdict: verdict_on(&proxy.samples, destination, candidate),
            evidence: nats(proxy, &telemetry::ROLLOUT_EVIDENCE),
            threshold: nats(proxy, &telemetry::ROLLOUT_THRESHOLD),
        })
        .collect();
    opinions.sort_by(|one, other| {
        (other.verdict, other.evidence)
            .partial_cmp(&(one.verdict, one.evidence))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut counted: Vec<&Proxy> = known
        .iter()
        .filter(|proxy| !is_guard(proxy))
        .copied()
        .collect();
    let together = (counted.len() > 1).then_some(together);
    if counted.is_empty() {
        counted.clone_from(&known);
    }
    let counted = counted.as_slice();
    let mut pairs = pairs(destination, candidate, counted);
    pairs.truncate(MAX_PAIRS);
    let judged = |proxy: &&Proxy| gauge(proxy, &telemetry::JUDGED_EXCHANGES).max(0.0) as u64;
    let judged = saturating_sum(counted.iter().map(judged));
    let others = exchanges
        .keys()
        .filter(|version| *version != candidate)
        .cloned()
        .collect();
    Rollout {
        destination: destination.to_owned(),
        candidate: candidate.to_owned(),
        others,
        opinions,
        together,
        when: proxies
            .iter()
            .filter_map(|proxy| When::of_samples(&proxy.samples, destination, candidate))
            .min_by(|one, other| one.verdict.total_cmp(&other.verdict)),
        exchanges,
        judged,
        needed: needed(destination, candidate, &known),
        pairs,
        notes: notes(destination, candidate, &known),
        held: known
            .iter()
            .any(|proxy| gauge(proxy, &telemetry::HELD_BY_PLACEBO) > 0.0),
        with_fleet: proxies
            .iter()
            .map(|proxy| nats(proxy, &telemetry::FLEET_THRESHOLD))
            .fold(0.0, f64::max),
    }
}

fn needed(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<(String, u64)> {
    let mut least: BTreeMap<&str, u64> = BTreeMap::new();
    for sample in of(about(proxies, destination), &telemetry::REQUESTS_NEEDED) {
        if sample.label(label::VERSION) == candidate && sample.value > 0.0 {
            let known = least
                .entry(sample.label(label::ODDS_RATIO))
                .or_insert(u64::MAX);
            *known = (*known).min(sample.value as u64);
        }
    }
    let mut needed: Vec<(String, u64)> = least
        .into_iter()
        .map(|(size, requests)| (size.to_owned(), requests))
        .collect();
    needed.sort_by_key(|(_, requests)| std::cmp::Reverse(*requests));
    needed
}
