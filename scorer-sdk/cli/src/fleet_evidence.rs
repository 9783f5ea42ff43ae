//! The fleet's evidence: what all proxies that compare the same two versions come to together.
//!
//! With `e(proxy, pair)` the log evidence in nats that the candidate is worse, of one proxy and one
//! pair of route and category:
//!
//! ```text
//! fleet = ln( Σ_pairs exp( min(Σ_proxies e(proxy, pair), 600) ) / (32 · routes) )
//! ```
//!
//! Proxies see different requests, so their e-values are independent and multiply: the logs of a
//! pair add up. The mean over pairs comes after. A pair weighs 1 in [`PAIRS_PER_ROUTE`] times the
//! routes: there are 16 categories, and the factor of 2 pays for routes that appear after the
//! candidate. As long as those make the routes at most 2.7 times as many (1 + ln 2.7 = 2), the
//! weights that pairs had when they appeared sum to at most 1. By Ville's inequality a healthy
//! candidate then reaches the threshold ln(1 / false_alarm) with a chance of at most `false_alarm`.
//!
//! - `routes` counts the distinct routes of the destination that any proxy has shown within a day
//!   ([`ROUTES_WINDOW`]): a pod that ends takes its metrics with it, and the weights must not grow
//!   for that.
//! - A pair of one proxy counts only with both its gauges, for and against. Where a full table kept
//!   one of the two out, the other would overstate the evidence.
//! - A proxy that only guards sees requests that a comparer has counted already. It is no
//!   independent witness and adds nothing.
//! - Pairs over all routes are not among the metrics, so the fleet's evidence can be less than that
//!   of a single proxy.
//!
//! Three readers use this one definition: `serin serve-verdict` and the recording rule
//! `serin:fleet_evidence:nats` in PromQL, `serin status` in Rust. The rule's text is tested against
//! the functions here, and all three are tested on the same series
//! (`integration/tests/prometheus/fleet.rs`).

use crate::metrics_text::Sample;
use crate::samples::of;
use scorer_sdk::telemetry::{
    COMPARER, EVIDENCE_AGAINST, EVIDENCE_FOR, EXCHANGES, GUARD, HEARTBEAT, label,
};
use std::collections::{BTreeMap, BTreeSet};

/// Pairs among which the weights are shared, for each route: 16 categories, and as many again for
/// routes that come later.
pub const PAIRS_PER_ROUTE: usize = 32;
/// The most evidence that one pair can have, in nats: `exp` of more would overflow.
pub const MOST_NATS: f64 = 600.0;
/// The time within which a route counts, in PromQL.
pub const ROUTES_WINDOW: &str = "1d";

/// Log evidence in nats that the candidate is worse, by route and category, from the samples of one
/// proxy; negative when it favours the candidate.
#[must_use]
pub fn of_pairs<'a>(
    samples: &'a [Sample],
    destination: &str,
    candidate: &str,
) -> BTreeMap<(&'a str, &'a str), f64> {
    let gauges = |metric| {
        of(samples, metric)
            .filter(|sample| {
                sample.label(label::DESTINATION) == destination
                    && sample.label(label::VERSION) == candidate
            })
            .map(|sample| {
                let pair = (sample.label(label::ROUTE), sample.label(label::CATEGORY));
                (pair, sample.value.max(0.0))
            })
            .collect::<BTreeMap<_, _>>()
    };
    let better = gauges(&EVIDENCE_AGAINST);
    gauges(&EVIDENCE_FOR)
        .into_iter()
        // In thousandths of a nat.
        .filter_map(|(pair, worse)| Some((pair, (worse - better.get(&pair)?) / 1e3)))
        .collect()
}

/// The fleet's evidence in nats that the candidate is worse, from the samples of each proxy that
/// compares and the number of routes; 0 where no pair has any evidence.
#[must_use]
pub fn of_fleet<'a>(
    comparers: impl IntoIterator<Item = &'a [Sample]>,
    destination: &str,
    candidate: &str,
    routes: usize,
) -> f64 {
    let mut pairs: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for samples in comparers {
        for (pair, nats) in of_pairs(samples, destination, candidate) {
            *pairs.entry(pair).or_default() += nats;
        }
    }
    log_mean(pairs.values().copied(), routes)
}

/// The log of the mean over pairs of their e-values, whose logs are given in nats.
fn log_mean(pairs: impl Iterator<Item = f64> + Clone, routes: usize) -> f64 {
    let pairs = pairs.map(|nats| nats.min(MOST_NATS));
    let most = pairs.clone().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return 0.0;
    }
    let sum: f64 = pairs.map(|nats| libm::exp(nats - most)).sum();
    most + libm::log(sum / (PAIRS_PER_ROUTE * routes.max(1)) as f64)
}

/// PromQL for the evidence of each pair over all proxies, in nats. `selector` goes between the
/// braces of each metric: matchers of the destination, or nothing.
#[must_use]
pub fn pairs_query(selector: &str) -> String {
    let of = braces(selector);
    let (worse, better, beat) = (EVIDENCE_FOR.name, EVIDENCE_AGAINST.name, HEARTBEAT.name);
    format!(
        "sum by (destination, version, route, category) (\
         ({worse}{of} - {better}{of}) \
         unless on (job, instance) \
         ({beat}{{role=\"{GUARD}\"}} unless on (job, instance) {beat}{{role=\"{COMPARER}\"}})\
         ) / 1000"
    )
}

/// Routes of each destination that any proxy shows now.
#[must_use]
pub fn routes<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> BTreeMap<String, usize> {
    let mut routes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sample in of(samples, &EXCHANGES) {
        let of_destination = routes.entry(sample.label(label::DESTINATION)).or_default();
        of_destination.insert(sample.label(label::ROUTE));
    }
    routes
        .into_iter()
        .map(|(destination, routes)| (destination.to_owned(), routes.len()))
        .collect()
}

/// PromQL for the number of proxies that show a route, for each destination and route.
#[must_use]
pub fn route_query(selector: &str) -> String {
    format!(
        "count by (destination, route) ({}{})",
        EXCHANGES.name,
        braces(selector)
    )
}

/// PromQL for the number of routes of each destination that were seen within [`ROUTES_WINDOW`].
/// `route` is a selector of series that each have a destination and a route.
#[must_use]
pub fn routes_query(route: &str) -> String {
    format!(
        "count by (destination) (count by (destination, route) (max_over_time({route}[{ROUTES_WINDOW}])))"
    )
}

/// The same from the counters themselves.
#[must_use]
pub fn routes_of_counters_query(selector: &str) -> String {
    routes_query(&format!("{}{}", EXCHANGES.name, braces(selector)))
}

/// PromQL for the fleet's evidence in nats, of each destination and version, from an expression or
/// recorded series for the pairs and one for the routes.
#[must_use]
pub fn fleet_query(pairs: &str, routes: &str) -> String {
    format!(
        "ln(sum by (destination, version) (exp(clamp_max({pairs}, {MOST_NATS}))) \
         / on (destination) group_left () ({PAIRS_PER_ROUTE} * {routes}))"
    )
}

fn braces(selector: &str) -> String {
    if selector.is_empty() {
        String::new()
    } else {
        format!("{{{selector}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleets_evidence_is_the_log_of_the_mean_over_pairs() {
        let pairs = [12.0, 3.0, -1.0];
        let expected: f64 = pairs.iter().map(|nats: &f64| nats.exp()).sum();
        let expected = (expected / 64.0).ln();
        let found = log_mean(pairs.into_iter(), 2);
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        assert_eq!(log_mean(std::iter::empty(), 2), 0.0);
    }

    #[test]
    fn a_pair_counts_for_no_more_than_the_most() {
        let found = log_mean([10_000.0].into_iter(), 1);
        assert_eq!(found, MOST_NATS - 32.0_f64.ln());
    }
}
