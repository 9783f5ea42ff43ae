//! The fleet's evidence: what all proxies that compare the same two versions come to together.
//!
//! With `e(proxy, pair)` the log evidence in nats that the candidate is worse, of one proxy and one
//! pair of route and category:
//!
//! ```text
//! fleet = ln( Σ_routes,categories exp( E(route, category) ) / (64 · routes)
//!           + Σ_categories        exp( E(all routes, category) ) / 32 )
//! E(pair) = min( Σ_proxies e(proxy, pair), 600 )
//! ```
//!
//! Proxies see different requests, so their e-values are independent and multiply: the logs of a
//! pair add up. The mean over pairs comes after. A fault of one route is found by that route's pairs;
//! one that all routes share by the pairs over all of them, which have half of the weight.
//!
//! There are at most 16 categories. So the weights of the pairs that are there sum to 3/4 at most,
//! whichever they are: 16 · routes / (64 · routes) and 16 / 32. A route that appears after the
//! candidate makes each route's weight smaller. What counts for the promise is the weight that a pair
//! had when it appeared, and these sum to at most 1 as long as the routes become at most 2.7 times as
//! many: 1/2 + (1 + ln 2.7) / 4. By Ville's inequality a healthy candidate then reaches the threshold
//! ln(1 / false_alarm) with a chance of at most `false_alarm`. A service whose routes become 20 times
//! as many in one rollout has 1.5 times that chance.
//!
//! - `routes` counts the distinct routes of the destination that any proxy has shown within a day
//!   ([`ROUTES_WINDOW`]): a pod that ends takes its metrics with it, and the weights must not grow
//!   for that.
//! - A pair of one proxy counts only with both its gauges, for and against. Where a full table kept
//!   one of the two out, the other would overstate the evidence.
//! - A proxy that only guards sees requests that a comparer has counted already. It is no
//!   independent witness and adds nothing.
//!
//! Three readers use this one definition: `serin serve-verdict` and the recording rule
//! `serin:fleet_evidence:nats` in PromQL, `serin status` in Rust. The rule's text is tested against
//! the functions here, and all three are tested on the same series
//! (`integration/tests/prometheus/fleet.rs`).

use crate::metrics_text::Sample;
use crate::samples::of;
use scorer_sdk::telemetry::{
    COMPARER, EVIDENCE_AGAINST, EVIDENCE_FOR, EXCHANGES, GUARD, HEARTBEAT, Metric,
    POOLED_EVIDENCE_AGAINST, POOLED_EVIDENCE_FOR, label,
};
use std::collections::{BTreeMap, BTreeSet};

/// One in so many times the routes is the weight of a pair of a single route: 16 categories, half of
/// the weight, and as much again for routes that come later.
pub const PAIRS_PER_ROUTE: usize = 64;
/// One in so many is the weight of a pair over all routes: 16 categories, half of the weight.
pub const POOLED_PAIRS: usize = 32;
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
    let metrics = [&EVIDENCE_FOR, &EVIDENCE_AGAINST];
    differences(samples, metrics, destination, candidate)
}

/// The same over all routes together, by an empty route and the category.
fn over_all_routes<'a>(
    samples: &'a [Sample],
    destination: &str,
    candidate: &str,
) -> BTreeMap<(&'a str, &'a str), f64> {
    let metrics = [&POOLED_EVIDENCE_FOR, &POOLED_EVIDENCE_AGAINST];
    differences(samples, metrics, destination, candidate)
}

/// Nats for less nats against, of each pair that has both.
fn differences<'a>(
    samples: &'a [Sample],
    [for_it, against]: [&Metric; 2],
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
    let better = gauges(against);
    gauges(for_it)
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
    let mut single: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    let mut pooled: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for samples in comparers {
        for (pair, nats) in of_pairs(samples, destination, candidate) {
            *single.entry(pair).or_default() += nats;
        }
        for (pair, nats) in over_all_routes(samples, destination, candidate) {
            *pooled.entry(pair).or_default() += nats;
        }
    }
    log_mean(single.into_values(), pooled.into_values(), routes)
}

/// The log of the weighted mean over pairs of their e-values, whose logs are given in nats: those of
/// single routes, and those over all routes. 0 where there are none.
#[must_use]
pub fn log_mean(
    single: impl IntoIterator<Item = f64>,
    pooled: impl IntoIterator<Item = f64>,
    routes: usize,
) -> f64 {
    let of_routes = (PAIRS_PER_ROUTE * routes.max(1)) as f64;
    let single = single.into_iter().map(|nats| (nats, of_routes));
    let pooled = pooled.into_iter().map(|nats| (nats, POOLED_PAIRS as f64));
    let shares: Vec<f64> = single
        .chain(pooled)
        .map(|(nats, parts)| nats.min(MOST_NATS) - libm::log(parts))
        .collect();
    let most = shares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return 0.0;
    }
    let sum: f64 = shares.iter().map(|share| libm::exp(share - most)).sum();
    most + libm::log(sum)
}

/// Evidence of all proxies together that is enough, in nats: what they show with `fleet` in their
/// config, else what is enough for one of them. A proxy keeps the gauge of the first when `fleet` is
/// taken out of its config, and needs less by itself then; a candidate that was replaced has 0.
#[must_use]
pub fn enough_together(with_fleet: f64, alone: f64) -> f64 {
    if with_fleet > 0.0 {
        with_fleet.min(alone)
    } else {
        alone
    }
}

/// PromQL for the evidence over all proxies.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Goes between the braces of each metric: matchers of the destination, or nothing.
    pub selector: &'a str,
    /// Leaves some proxies alone, such as ` and on (job, instance) x == 1`, or gives them a label.
    pub only: &'a str,
    /// Labels that tell evidence apart, beside route and category.
    pub by: &'a str,
}

impl Evidence<'_> {
    /// In nats: of each pair of route and category, and of each category on all routes together.
    #[must_use]
    pub fn queries(&self) -> [String; 2] {
        let by = self.by;
        [
            self.sum(
                &format!("{by}, route, category"),
                [&EVIDENCE_FOR, &EVIDENCE_AGAINST],
            ),
            self.sum(
                &format!("{by}, category"),
                [&POOLED_EVIDENCE_FOR, &POOLED_EVIDENCE_AGAINST],
            ),
        ]
    }

    fn sum(&self, labels: &str, [worse, better]: [&Metric; 2]) -> String {
        let (of, only) = (braces(self.selector), self.only);
        let (worse, better, beat) = (worse.name, better.name, HEARTBEAT.name);
        format!(
            "sum by ({labels}) (\
             ({worse}{of} - {better}{of}){only} \
             unless on (job, instance) \
             ({beat}{{role=\"{GUARD}\"}} unless on (job, instance) {beat}{{role=\"{COMPARER}\"}})\
             ) / 1000"
        )
    }
}

/// PromQL for the evidence of each pair over all proxies, in nats. `selector` goes between the
/// braces of each metric: matchers of the destination, or nothing.
#[must_use]
pub fn pairs_query(selector: &str) -> String {
    let [pairs, _] = of_all(selector).queries();
    pairs
}

/// PromQL for the evidence of each category on all routes together, over all proxies, in nats.
#[must_use]
pub fn pooled_query(selector: &str) -> String {
    let [_, pooled] = of_all(selector).queries();
    pooled
}

fn of_all(selector: &str) -> Evidence<'_> {
    Evidence {
        selector,
        only: "",
        by: "destination, version",
    }
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

/// PromQL for the fleet's evidence in nats, by these labels, from expressions or recorded series: for
/// the pairs of single routes, for those over all routes, and for the routes.
#[must_use]
pub fn fleet_query(by: &str, pairs: &str, pooled: &str, routes: &str) -> String {
    format!(
        "ln(sum by ({by}) (\
         exp(clamp_max({pairs}, {MOST_NATS})) \
         / on (destination) group_left () ({PAIRS_PER_ROUTE} * {routes}) \
         or exp(clamp_max({pooled}, {MOST_NATS})) / {POOLED_PAIRS}))"
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
        let (single, pooled) = ([12.0, 3.0, -1.0], [2.0, 11.0]);
        let sum = |pairs: &[f64]| pairs.iter().map(|nats| nats.exp()).sum::<f64>();
        let expected = (sum(&single) / 128.0 + sum(&pooled) / 32.0).ln();
        let found = log_mean(single, pooled, 2);
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        assert_eq!(log_mean([], [], 2), 0.0);
    }

    #[test]
    fn a_pair_counts_for_no_more_than_the_most() {
        let found = log_mean([10_000.0], [], 1);
        assert!(
            (found - (MOST_NATS - 64.0_f64.ln())).abs() < 1e-9,
            "{found}"
        );
    }

    #[test]
    fn weights_of_the_pairs_sum_to_at_most_one() {
        let plan = scorer_sdk::Plan::from_json(r#"{"signals": {"fan_out": true}, "body": {}}"#);
        let categories = plan.unwrap().questions.len();
        assert!(categories <= 16, "{categories} categories");
        let of_route = |routes: usize| 1.0 / (PAIRS_PER_ROUTE * routes) as f64;
        let of_all = 16.0 / POOLED_PAIRS as f64;
        for first in 1..200 {
            // Whatever is there: each pair with its weight of now.
            assert!(16.0 * first as f64 * of_route(first) + of_all <= 0.75);
            // Each pair with its weight of then, while routes become 2.7 times as many.
            let last = (2.7 * first as f64) as usize;
            let known = first as f64 * of_route(first);
            let new: f64 = (first + 1..=last).map(of_route).sum();
            let given = 16.0 * (known + new) + of_all;
            assert!(given <= 1.0, "{first} routes, then {last}: {given}");
        }
    }
}
