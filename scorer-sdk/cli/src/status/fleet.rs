//! Many proxies as one: what each says of a rollout, and what they say together.
//!
//! Proxies judge on their own, at their own false-alarm rate. [`fleet_evidence`] says what they come
//! to together. A guard judges requests that a comparer judges as well: it has an opinion of its own
//! and adds nothing to that.

pub use super::pairs::Pair;
pub use super::problems::{STALE, STALE_IN_PROMETHEUS};
pub use super::rollout::{Opinion, Rollout};

use super::problems::problems;
use super::proxies::{is_guard, samples_of};
use super::rollout::rollout;
use super::source::Proxy;
use crate::fleet_evidence;
use crate::metrics_text::Sample;
use crate::samples::{candidates, exchanges, is_sum, total, value};
use scorer_sdk::Verdict;
use scorer_sdk::telemetry;
use std::collections::BTreeMap;

/// Rollouts that are kept.
const MAX_ROLLOUTS: usize = 1_000;

/// All rollouts that some proxies see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fleet {
    /// Names of the proxies, in the order in which they were looked at.
    pub proxies: Vec<String>,
    /// Rollouts, by destination and candidate.
    pub rollouts: Vec<Rollout>,
    /// Destinations that have traffic and no candidate, with their versions' exchanges.
    pub waiting: BTreeMap<String, BTreeMap<String, u64>>,
    /// What is wrong with proxies, in sentences.
    pub problems: Vec<String>,
    /// What was done: requests that were steered, refused, rescued.
    pub acted: BTreeMap<&'static str, u64>,
}

impl Fleet {
    /// Puts the proxies together. `routes` has the number of routes that a Prometheus saw of each
    /// destination within a day; those that the proxies show now count in any case. `stale` is the
    /// age in seconds at which a heartbeat is too old.
    #[must_use]
    pub fn new(proxies: &[Proxy], routes: &BTreeMap<String, usize>, stale: f64) -> Self {
        let mut fleet = Self {
            proxies: proxies.iter().map(|proxy| proxy.name.clone()).collect(),
            ..Self::default()
        };
        let mut found: BTreeMap<(&str, &str), Vec<&Proxy>> = BTreeMap::new();
        for proxy in proxies {
            for pair in candidates(&proxy.samples) {
                // One that was replaced keeps gauges of 0.
                let threshold = &telemetry::ROLLOUT_THRESHOLD;
                if value(&proxy.samples, threshold, pair.0, pair.1) <= 0.0 {
                    continue;
                }
                if found.len() < MAX_ROLLOUTS || found.contains_key(&pair) {
                    found.entry(pair).or_default().push(proxy);
                }
            }
            fleet.problems.extend(problems(proxy, stale));
        }
        for (metric, what) in [
            (&telemetry::STEERED, "steered to stable"),
            (&telemetry::REJECTED, "refused by guards"),
            (&telemetry::RESCUED, "rescued by stable"),
        ] {
            let count = total(proxies.iter().flat_map(|proxy| &proxy.samples), metric);
            if count > 0 {
                fleet.acted.insert(what, count);
            }
        }
        fleet.waiting = exchanges(samples_of(proxies, false));
        for (destination, versions) in exchanges(samples_of(proxies, true)) {
            fleet.waiting.entry(destination).or_insert(versions);
        }
        let routes_now = fleet_evidence::routes(proxies.iter().flat_map(|proxy| &proxy.samples));
        let comparers: Vec<&[Sample]> = proxies
            .iter()
            .filter(|proxy| !is_guard(proxy) && !is_sum(&proxy.samples))
            .map(|proxy| proxy.samples.as_slice())
            .collect();
        for ((destination, candidate), proxies) in found {
            let exchanges = fleet.waiting.get(destination).cloned().unwrap_or_default();
            let routes = [routes, &routes_now].map(|routes| routes.get(destination));
            let routes = routes.into_iter().flatten().max().copied().unwrap_or(0);
            let comparers = comparers.iter().copied();
            let together = fleet_evidence::of_fleet(comparers, destination, candidate, routes);
            let rollout = rollout(destination, candidate, &proxies, exchanges, together);
            fleet.rollouts.push(rollout);
        }
        for rollout in &fleet.rollouts {
            fleet.waiting.remove(&rollout.destination);
        }
        fleet
    }

    /// Whether a candidate is anomalous.
    #[must_use]
    pub fn is_anomalous(&self) -> bool {
        self.rollouts
            .iter()
            .any(|rollout| rollout.verdict() == Verdict::Anomalous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics_text::parse;

    fn proxy(name: &str, page: &str) -> Proxy {
        Proxy {
            name: name.to_owned(),
            samples: parse(page).unwrap(),
            at: 1_000.0,
        }
    }

    /// A page of a proxy with one pair that has `nats`.
    fn page(nats: f64, verdict: u8) -> String {
        let (worse, better) = (1e3 * nats.max(0.0), 1e3 * (-nats).max(0.0));
        let pair = "destination=\"shop\",route=\"GET /\",version=\"v2\",category=\"error\"";
        format!(
            "serin_verdict{{destination=\"shop\",version=\"v2\"}} {verdict}\n\
             serin_rollout_threshold{{destination=\"shop\",version=\"v2\"}} 4605\n\
             serin_rollout_evidence{{destination=\"shop\",version=\"v2\"}} 1000\n\
             serin_judged_exchanges{{destination=\"shop\",version=\"v2\"}} 50\n\
             serin_heartbeat_seconds{{role=\"comparer\"}} 999\n\
             serin_exchanges_total{{destination=\"shop\",route=\"GET /\",version=\"v1\"}} 90\n\
             serin_exchanges_total{{destination=\"shop\",route=\"GET /\",version=\"v2\"}} 10\n\
             serin_evidence_for{{{pair}}} {worse}\n\
             serin_evidence_against{{{pair}}} {better}\n"
        )
    }

    #[test]
    fn evidence_of_a_pair_adds_up_over_proxies_before_the_mean_over_pairs() {
        let proxies = [
            proxy("a", &page(9.0, 1)),
            proxy("b", &page(5.0, 1)),
            proxy("c", &page(-2.0, 1)),
        ];
        let fleet = Fleet::new(&proxies, &BTreeMap::new(), STALE);
        let rollout = &fleet.rollouts[0];
        assert_eq!(rollout.pairs[0].evidence, 12.0);
        let together = rollout.together.unwrap();
        let expected = 12.0 - 64.0_f64.ln();
        assert!((together - expected).abs() < 1e-9, "{together}");
        assert!(rollout.anomalous_together());
        assert_eq!(rollout.verdict(), Verdict::Anomalous);
        assert_eq!(rollout.judged, 150);
        assert_eq!(rollout.share(&rollout.exchanges), Some(0.1));
        assert!(fleet.problems.is_empty(), "{:?}", fleet.problems);
    }

    #[test]
    fn routes_that_only_prometheus_remembers_count() {
        let proxies = [proxy("a", &page(9.0, 1)), proxy("b", &page(5.0, 1))];
        let day = BTreeMap::from([("shop".to_owned(), 4)]);
        let together = |day| {
            Fleet::new(&proxies, day, STALE).rollouts[0]
                .together
                .unwrap()
        };
        let less = together(&BTreeMap::new()) - together(&day);
        assert!((less - 4.0_f64.ln()).abs() < 1e-9, "{less}");
    }

    #[test]
    fn guards_alone_have_no_evidence_together() {
        let guard = |name| proxy(name, &page(9.0, 1).replace("comparer", "guard"));
        let fleet = Fleet::new(&[guard("a"), guard("b")], &BTreeMap::new(), STALE);
        assert_eq!(fleet.rollouts[0].together, None);
        assert_eq!(fleet.rollouts[0].judged, 100);
    }

    #[test]
    fn a_pair_is_left_out_where_a_full_table_kept_half_of_it_out() {
        // Two nats for the candidate, and the metric that says so found no room.
        let half = page(-2.0, 1).replace(telemetry::EVIDENCE_AGAINST.name, "serin_other");
        let proxies = [proxy("a", &page(3.0, 1)), proxy("b", &half)];
        let pair = &Fleet::new(&proxies, &BTreeMap::new(), STALE).rollouts[0].pairs[0];
        assert_eq!(pair.evidence, 3.0);
        let alone = Fleet::new(&[proxy("b", &half)], &BTreeMap::new(), STALE);
        assert!(alone.rollouts[0].pairs.is_empty());
    }

    #[test]
    fn what_one_proxy_holds_back_is_not_said_by_all_together() {
        let held = "serin_held_by_placebo{destination=\"shop\",version=\"v2\"} 1\n";
        let proxies = [
            proxy("a", &(page(9.0, 2) + held)),
            proxy("b", &page(9.0, 1)),
        ];
        let fleet = Fleet::new(&proxies, &BTreeMap::new(), STALE);
        assert_eq!(fleet.rollouts[0].verdict(), Verdict::Suspect);
        assert!(!fleet.is_anomalous());
        assert!(fleet.rollouts[0].notes[0].contains("1 of 2 proxies"));
    }

    #[test]
    fn a_guard_has_an_opinion_and_does_not_count_the_same_requests_again() {
        let guard = page(9.0, 3).replace("comparer", "guard");
        let proxies = [
            proxy("gateway", &page(2.0, 1)),
            proxy("another", &page(1.0, 1)),
            proxy("v2", &guard),
        ];
        let fleet = Fleet::new(&proxies, &BTreeMap::new(), STALE);
        let rollout = &fleet.rollouts[0];
        assert_eq!(rollout.pairs[0].evidence, 3.0);
        assert_eq!((rollout.judged, rollout.exchanges["v2"]), (100, 20));
        assert_eq!(rollout.opinions[0].proxy, "v2 (guard)");
        assert_eq!(rollout.verdict(), Verdict::Anomalous);
        assert!(!rollout.anomalous_together());
    }

    #[test]
    fn one_proxy_has_no_opinion_beside_its_own() {
        let fleet = Fleet::new(&[proxy("a", &page(12.0, 1))], &BTreeMap::new(), STALE);
        assert_eq!(fleet.rollouts[0].together, None);
        assert_eq!(fleet.rollouts[0].verdict(), Verdict::Healthy);
    }

    #[test]
    fn a_proxy_that_stopped_to_judge_or_shows_nothing_is_a_problem() {
        let mut old = proxy("a", &page(1.0, 1));
        old.at = 1_100.0;
        let fleet = Fleet::new(&[old, proxy("b", "up 1\n")], &BTreeMap::new(), STALE);
        assert_eq!(
            fleet.problems,
            [
                "a: no worker has judged for 101 s",
                "b: shows no metric of Serin; serin doctor says why"
            ]
        );
    }

    #[test]
    fn the_sum_of_two_processes_verdicts_is_no_verdict() {
        // Two that are healthy read as one that is suspicious, and their heartbeats as a future.
        let sum = "serin_processes{role=\"comparer\"} 2\n";
        let page = page(1.0, 3).replace("} 999\n", "} 1998\n") + sum;
        let fleet = Fleet::new(&[proxy("a", &page)], &BTreeMap::new(), STALE);
        assert_eq!(fleet.rollouts[0].verdict(), Verdict::Learning);
        let [problem] = &fleet.problems[..] else {
            panic!("{:?}", fleet.problems);
        };
        assert!(problem.contains("the sums of two processes"), "{problem}");
    }

    #[test]
    fn gauges_of_two_processes_are_no_evidence_alone_or_together_with_other_proxies() {
        let sum = page(40.0, 6) + "serin_processes{role=\"comparer\"} 2\n";
        let alone = Fleet::new(&[proxy("a", &sum)], &BTreeMap::new(), STALE);
        let rollout = &alone.rollouts[0];
        assert_eq!((rollout.evidence(), rollout.judged), (0.0, 0));
        assert!(rollout.pairs.is_empty(), "{:?}", rollout.pairs);
        // What Envoy counts is not added up.
        assert_eq!(rollout.exchanges["v1"], 90);
        let text = crate::status::show::text(&alone, &crate::status::show::Around::default());
        assert!(!text.contains("needs 1 in"), "{text}");
        let proxies = [proxy("a", &sum), proxy("b", &page(1.0, 1))];
        let fleet = Fleet::new(&proxies, &BTreeMap::new(), STALE);
        let rollout = &fleet.rollouts[0];
        assert_eq!(rollout.together, None);
        assert_eq!((rollout.pairs[0].evidence, rollout.judged), (1.0, 50));
        assert_ne!(rollout.verdict(), Verdict::Anomalous);
    }

    #[test]
    fn counters_larger_than_a_number_can_be_have_a_sum() {
        let huge = "serin_steered_total{destination=\"shop\"} 1e30\n\
             serin_unattributed_total 1e30\n\
             serin_exchanges_total{destination=\"shop\",route=\"GET /\",version=\"v3\"} 1e30\n\
             serin_category_total{destination=\"shop\",route=\"GET /\",version=\"v2\",category=\"error\"} 1e30\n\
             serin_category_total{destination=\"shop\",route=\"GET /\",version=\"v1\",category=\"error\"} 1e30\n";
        let page = page(1.0, 1).replace(
            "judged_exchanges{destination=\"shop\",version=\"v2\"} 50",
            "judged_exchanges{destination=\"shop\",version=\"v2\"} 1e30",
        );
        let proxies = ["a", "b"].map(|name| proxy(name, &format!("{page}{huge}")));
        let fleet = Fleet::new(&proxies, &BTreeMap::new(), STALE);
        let rollout = &fleet.rollouts[0];
        let pair = &rollout.pairs[0];
        let sums = [
            rollout.judged,
            rollout.exchanges["v3"],
            pair.candidate,
            pair.others,
        ];
        assert_eq!(sums, [u64::MAX; 4]);
        assert_eq!(fleet.acted["steered to stable"], u64::MAX);
        assert!(
            rollout
                .share(&rollout.exchanges)
                .is_some_and(|share| share < 1e-9)
        );
        assert_eq!(fleet.problems.len(), 2);
    }
}
