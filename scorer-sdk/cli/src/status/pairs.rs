//! Pairs of route and category, with the evidence of all proxies, and the mean over them.

use super::samples::{about, count};
use super::source::Proxy;
use crate::metrics_text::Sample;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs among which the evidence of several proxies is shared, for each route: 16 categories, and
/// as much again for routes that come later.
pub const PAIRS_PER_ROUTE: usize = 32;

/// One route and category.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// The route.
    pub route: String,
    /// The category.
    pub category: String,
    /// Log evidence in nats, summed over proxies; negative when it speaks for the candidate.
    pub evidence: f64,
    /// The candidate's judged exchanges in the category.
    #[serde(rename = "candidate_in_category")]
    pub candidate: u64,
    /// Those of the other versions.
    #[serde(rename = "others_in_category")]
    pub others: u64,
    /// Whether a proxy has evidence on it, for or against.
    #[serde(skip)]
    pub spoken: bool,
}

/// Log evidence in nats that the candidate is worse, by route and category, from the samples of one
/// proxy; negative when it speaks for the candidate. A pair counts only with both its gauges: where
/// a full table kept one of the two out, what is left says too much.
pub fn pair_evidence<'a>(
    samples: &'a [Sample],
    destination: &str,
    candidate: &str,
) -> BTreeMap<(&'a str, &'a str), f64> {
    // For and against the candidate being worse, in thousandths of a nat.
    let mut gauges: BTreeMap<(&str, &str), [Option<f64>; 2]> = BTreeMap::new();
    for sample in samples {
        let index = match sample.metric.as_str() {
            "serin_evidence_for" => 0,
            "serin_evidence_against" => 1,
            _ => continue,
        };
        if sample.label("destination") == destination && sample.label("version") == candidate {
            let key = (sample.label("route"), sample.label("category"));
            if let Some(gauge) = gauges.entry(key).or_default().get_mut(index) {
                *gauge = Some(sample.value.max(0.0));
            }
        }
    }
    gauges
        .into_iter()
        .filter_map(|(key, [worse, better])| Some((key, (worse? - better?) / 1e3)))
        .collect()
}

/// The pairs with their evidence over all proxies, the strongest first.
pub(super) fn pairs(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<Pair> {
    let mut found: BTreeMap<(&str, &str), Pair> = BTreeMap::new();
    for proxy in proxies {
        let samples = proxy.samples.iter().filter(|sample| {
            sample.metric == "serin_category_total" && sample.label("destination") == destination
        });
        for sample in samples {
            let key = (sample.label("route"), sample.label("category"));
            let pair = found.entry(key).or_insert_with(|| Pair::new(key));
            let sum = if sample.label("version") == candidate {
                &mut pair.candidate
            } else {
                &mut pair.others
            };
            *sum = sum.saturating_add(count(sample));
        }
        for (key, evidence) in pair_evidence(&proxy.samples, destination, candidate) {
            let pair = found.entry(key).or_insert_with(|| Pair::new(key));
            pair.evidence += evidence;
            pair.spoken = true;
        }
    }
    let mut pairs: Vec<Pair> = found.into_values().collect();
    pairs.sort_by(|one, other| other.evidence.total_cmp(&one.evidence));
    pairs
}

impl Pair {
    fn new((route, category): (&str, &str)) -> Self {
        Self {
            route: route.to_owned(),
            category: category.to_owned(),
            evidence: 0.0,
            candidate: 0,
            others: 0,
            spoken: false,
        }
    }
}

/// How many routes of a destination were seen.
pub(super) fn routes(destination: &str, proxies: &[&Proxy]) -> usize {
    let routes: BTreeSet<&str> = about(proxies, destination)
        .filter(|sample| sample.metric == "serin_exchanges_total")
        .map(|sample| sample.label("route"))
        .collect();
    routes.len()
}

/// The log of the mean e-value of the pairs that have evidence.
pub(super) fn log_mean(pairs: &[Pair], routes: usize) -> f64 {
    let spoken = || pairs.iter().filter(|pair| pair.spoken);
    let most = spoken()
        .map(|pair| pair.evidence)
        .fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return 0.0;
    }
    let sum: f64 = spoken().map(|pair| libm::exp(pair.evidence - most)).sum();
    most + libm::log(sum / (PAIRS_PER_ROUTE * routes.max(1)) as f64)
}
