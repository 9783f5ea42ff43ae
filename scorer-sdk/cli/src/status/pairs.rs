//! Pairs of route and category, with the evidence of all proxies, and the mean over them.

use super::samples::{about, count};
use super::source::Proxy;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs among which the evidence of several proxies is shared, for each route: 16 categories, and
/// as much again for routes that come later.
pub const PAIRS_PER_ROUTE: usize = 32;

/// One route and category.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The route.
    pub route: String,
    /// The category.
    pub category: String,
    /// Log evidence in nats, summed over proxies; negative when it speaks for the candidate.
    pub evidence: f64,
    /// The candidate's judged exchanges in the category.
    pub candidate: u64,
    /// Those of the other versions.
    pub others: u64,
    /// Whether a proxy has evidence on it, for or against.
    pub spoken: bool,
}

/// The pairs with their evidence over all proxies, the loudest first.
pub(super) fn pairs(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<Pair> {
    let mut found: BTreeMap<(&str, &str), Pair> = BTreeMap::new();
    for proxy in proxies {
        // What one proxy has for and against the candidate being worse, in thousandths of a nat.
        let mut own: BTreeMap<(&str, &str), [Option<f64>; 2]> = BTreeMap::new();
        let samples = proxy.samples.iter();
        for sample in samples.filter(|sample| sample.label("destination") == destination) {
            let key = (sample.label("route"), sample.label("category"));
            let of_candidate = sample.label("version") == candidate;
            match (sample.metric.as_str(), of_candidate) {
                ("serin_evidence_for", true) => own.entry(key).or_default()[0] = Some(sample.value),
                ("serin_evidence_against", true) => {
                    own.entry(key).or_default()[1] = Some(sample.value);
                }
                ("serin_category_total", _) => {
                    let pair = found.entry(key).or_insert_with(|| Pair::new(key));
                    let sum = if of_candidate {
                        &mut pair.candidate
                    } else {
                        &mut pair.others
                    };
                    *sum = sum.saturating_add(count(sample));
                }
                _ => {}
            }
        }
        for (key, evidence) in own {
            // Where a full table kept one of the two out, what is left says too much.
            if let [Some(worse), Some(better)] = evidence {
                let pair = found.entry(key).or_insert_with(|| Pair::new(key));
                pair.evidence += (worse.max(0.0) - better.max(0.0)) / 1e3;
                pair.spoken = true;
            }
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
