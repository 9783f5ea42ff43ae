//! Pairs of route and category, with the evidence of all proxies.

use super::source::Proxy;
use crate::fleet_evidence;
use crate::samples::{count, of};
use scorer_sdk::telemetry::{self, label};
use serde::Serialize;
use std::collections::BTreeMap;

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
}

/// The pairs with their evidence over all proxies, the strongest first.
pub(super) fn pairs(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<Pair> {
    let mut found: BTreeMap<(&str, &str), Pair> = BTreeMap::new();
    for proxy in proxies {
        let samples = of(&proxy.samples, &telemetry::CATEGORY)
            .filter(|sample| sample.label(label::DESTINATION) == destination);
        for sample in samples {
            let key = (sample.label(label::ROUTE), sample.label(label::CATEGORY));
            let pair = found.entry(key).or_insert_with(|| Pair::new(key));
            let sum = if sample.label(label::VERSION) == candidate {
                &mut pair.candidate
            } else {
                &mut pair.others
            };
            *sum = sum.saturating_add(count(sample));
        }
        for (key, evidence) in fleet_evidence::of_pairs(&proxy.samples, destination, candidate) {
            let pair = found.entry(key).or_insert_with(|| Pair::new(key));
            pair.evidence += evidence;
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
        }
    }
}
