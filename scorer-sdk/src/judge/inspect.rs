//! A look inside: everything that the judge knows about its routes, for reports.
//!
//! Nothing here takes part in a verdict. A pair is described as the verdict's sentence would describe
//! it; tokens are the decayed counts that the signals' cuts come from.

use super::Judge;
use super::arm::Arm;
use super::comparison::Comparison;
use super::destination::Destination;
use super::explain::{explained, token_name};
use super::pair::Pair;
use super::reasons::now;
use super::route::Route;
use crate::config::Plan;
use crate::evidence::Interval;
use crate::judge::verdict::{Now, Rate};
use crate::route::RouteKey;
use crate::signal::{Side, Signal};
use crate::sketch::{NameTable, buckets};

/// One destination.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Inspected {
    /// Its name.
    pub destination: String,
    /// The stable version; empty while none is known.
    pub baseline: String,
    /// The new version; empty while there is none.
    pub candidate: String,
    /// Per category, the pair over all routes; none for a guard.
    pub pooled: Vec<InspectedPair>,
    /// The routes, in the order in which they appeared.
    pub routes: Vec<InspectedRoute>,
}

/// One route.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InspectedRoute {
    /// Its key.
    pub key: RouteKey,
    /// Per category, what is known.
    pub pairs: Vec<InspectedPair>,
    /// Per signal, what passed.
    pub signals: Vec<InspectedSignal>,
}

/// One category, of a route or of all routes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InspectedPair {
    /// Name of the category.
    pub category: &'static str,
    /// What an exchange in the category does, for people.
    pub meaning: &'static str,
    /// Further words, such as the cut or the names of lost headers; empty for the pair over all.
    pub detail: String,
    /// Log e-value that the candidate is worse than tolerated, in nats. This, the rates and the odds
    /// ratio rest while a verdict stands.
    pub evidence: f64,
    /// Odds ratio up to which a difference is tolerated.
    pub tolerance: f64,
    /// The candidate, since the difference began.
    pub candidate: Rate,
    /// The baseline, over the same blocks.
    pub baseline: Rate,
    /// Most likely odds ratio.
    pub odds_ratio: Option<f64>,
    /// Odds ratios that are not ruled out, at confidence one minus the configured false alarm.
    pub interval: Interval,
    /// How often it is so in the last half minute or so, whatever was decided; none while too little is
    /// known.
    pub now: Option<Now>,
}

/// One signal of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct InspectedSignal {
    /// Name of the signal.
    pub signal: &'static str,
    /// Whose doing its tokens are.
    pub side: Side,
    /// Log e-value that the versions' tokens differ, for better or worse, in nats.
    pub change_evidence: f64,
    /// Total variation distance between the two versions' tokens, 0 to 1; 0 while too little is
    /// known.
    pub distance: f64,
    /// The tokens that either version showed, in the order of their codes.
    pub tokens: Vec<InspectedToken>,
}

/// One token of a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct InspectedToken {
    /// What it means, for people.
    pub label: String,
    /// For a latency or a size, the smallest and the largest value of its bucket: microseconds or
    /// bytes.
    pub bounds: Option<[u64; 2]>,
    /// Decayed exchanges of the baseline.
    pub baseline: f64,
    /// Decayed exchanges of the candidate.
    pub candidate: f64,
}

impl Judge {
    /// Everything about all destinations. It copies the state as text: call it for a report, not at
    /// each tick.
    #[must_use]
    pub fn inspect(&self) -> Vec<Inspected> {
        self.destinations
            .iter()
            .map(|destination| inspect(destination, &self.plan))
            .collect()
    }

    /// Calls `visitor` with route, category and log e-value in nats of each pair, those over all
    /// routes ([`RouteKey::all`]) among them.
    pub fn visit_evidence(&self, visitor: &mut dyn FnMut(&RouteKey, &'static str, f64)) {
        for destination in &self.destinations {
            let mut visit = |key: &RouteKey, pairs: &[Pair]| {
                for ((_, question), pair) in self.plan.questions.iter().zip(pairs) {
                    visitor(key, question.name, pair.harm.log_evidence());
                }
            };
            visit(
                &RouteKey::all(&destination.name),
                &destination.comparison.pooled,
            );
            for route in &destination.comparison.routes {
                visit(&route.key, &route.pairs);
            }
        }
    }
}

fn inspect(destination: &Destination, plan: &Plan) -> Inspected {
    let comparison = &destination.comparison;
    Inspected {
        destination: destination.name.clone(),
        baseline: destination.versions.baseline().to_owned(),
        candidate: destination.candidate().to_owned(),
        pooled: pairs(plan, comparison, None, &comparison.pooled, &[]),
        routes: comparison
            .routes
            .iter()
            .enumerate()
            .map(|(number, route)| inspect_route(comparison, number, route, plan))
            .collect(),
    }
}

fn inspect_route(
    comparison: &Comparison,
    number: usize,
    route: &Route,
    plan: &Plan,
) -> InspectedRoute {
    let past = &route.past;
    let arms = past.arm(Arm::Baseline).iter().zip(past.arm(Arm::Candidate));
    let signals = plan
        .signals
        .iter()
        .zip(past.names())
        .zip(&route.changes)
        .zip(arms);
    InspectedRoute {
        key: route.key.clone(),
        pairs: pairs(plan, comparison, Some(number), &route.pairs, past.names()),
        signals: signals
            .enumerate()
            .map(
                |(index, (((signal, names), change), (baseline, candidate)))| {
                    let codes = baseline.iter().chain(candidate.iter());
                    let mut codes: Vec<u16> = codes.map(|(code, _)| code).collect();
                    crate::order::sort(&mut codes);
                    codes.dedup();
                    let token = |code: u16| InspectedToken {
                        label: token_name(code, names, signal.as_ref()),
                        bounds: bounds(signal.as_ref(), code),
                        baseline: baseline.get(code),
                        candidate: candidate.get(code),
                    };
                    InspectedSignal {
                        signal: signal.name(),
                        side: signal.side(),
                        change_evidence: change.log_evidence(),
                        distance: past.distance(index, signal.as_ref()),
                        tokens: codes.into_iter().map(token).collect(),
                    }
                },
            )
            .collect(),
    }
}

fn pairs(
    plan: &Plan,
    comparison: &Comparison,
    route: Option<usize>,
    pairs: &[Pair],
    names: &[NameTable],
) -> Vec<InspectedPair> {
    plan.questions
        .iter()
        .zip(pairs)
        .enumerate()
        .map(|(index, ((_, question), pair))| InspectedPair {
            category: question.name,
            meaning: question.meaning,
            detail: explained(plan, names, pair, index).detail,
            evidence: pair.harm.log_evidence(),
            tolerance: pair.harm.tolerance(),
            candidate: pair.candidate,
            baseline: pair.baseline,
            odds_ratio: pair.interval.estimate(),
            interval: pair.interval.interval(plan.false_alarm),
            now: now(comparison, route, index),
        })
        .collect()
}

fn bounds(signal: &dyn Signal, code: u16) -> Option<[u64; 2]> {
    signal
        .quantity()
        .map(|_| [buckets::lower_bound(code), buckets::upper_bound(code)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;
    use crate::testing::exchange;
    use crate::{Engine, Plan};
    use core::time::Duration;
    use std::sync::Arc;

    /// v1 beside v2, which is slower and fails each fifth time.
    fn judged() -> Engine {
        let config = r#"{"warm_up": "0s", "baseline": "v1", "candidate": "v2"}"#;
        let mut engine = Engine::new(Arc::new(Plan::from_json(config).unwrap()), 1);
        for tick in 0..60 {
            for number in 0..20 {
                engine.observe(&exchange());
                engine.observe(&Exchange {
                    version: "v2",
                    status: Some(if number % 5 == 0 { 503 } else { 200 }),
                    duration_us: Some(9_000),
                    ..exchange()
                });
            }
            engine.advance(Duration::from_secs(1_000 + tick));
        }
        engine
    }

    #[test]
    fn a_look_inside_shows_what_each_version_did() {
        let engine = judged();
        let found = engine.judge().inspect();
        assert_eq!(found.len(), 1);
        let shop = &found[0];
        assert_eq!(
            (shop.baseline.as_str(), shop.candidate.as_str()),
            ("v1", "v2")
        );
        assert_eq!(shop.routes.len(), 1);
        let route = &shop.routes[0];
        let error = route
            .pairs
            .iter()
            .find(|pair| pair.category == "error")
            .unwrap();
        assert!(
            error.evidence > 4.6 && error.odds_ratio > Some(5.0),
            "{error:?}"
        );
        assert!((15.0..25.0).contains(&error.candidate.percent()));
        assert_eq!(error.baseline.inside, 0);
        let signal = |name: &str| {
            route
                .signals
                .iter()
                .find(|found| found.signal == name)
                .unwrap()
        };
        let outcome: Vec<(&str, bool, bool)> = signal("outcome")
            .tokens
            .iter()
            .map(|token| {
                (
                    token.label.as_str(),
                    token.baseline > 0.0,
                    token.candidate > 0.0,
                )
            })
            .collect();
        assert_eq!(outcome, [("200", true, true), ("503", false, true)]);
        let latency = signal("latency");
        let holds = |token: &InspectedToken, value: u64| {
            token
                .bounds
                .is_some_and(|[low, high]| (low..=high).contains(&value))
        };
        let [stable, slow] = latency.tokens.as_slice() else {
            panic!("{latency:?}")
        };
        assert!(holds(stable, 5_000) && stable.baseline > 0.0 && stable.candidate == 0.0);
        assert!(holds(slow, 9_000) && slow.candidate > 0.0 && slow.baseline == 0.0);
        assert!(latency.distance > 0.99);
        assert_eq!(signal("content_type").tokens[0].label, "application/json");
    }

    #[test]
    fn what_was_found_rests_while_a_verdict_stands_and_what_happens_now_is_told() {
        let mut engine = judged();
        let error = |engine: &Engine| {
            let mut inspected = engine.judge().inspect();
            let pairs = inspected.remove(0).routes.remove(0).pairs;
            let mut errors = pairs.into_iter().filter(|pair| pair.category == "error");
            errors.next().unwrap()
        };
        let before = error(&engine);
        let now = before.now.unwrap();
        assert!((0.15..0.25).contains(&now.candidate), "{now:?}");
        assert_eq!(now.baseline, 0.0);
        for tick in 60..360 {
            for version in ["v1", "v2"] {
                engine.observe(&Exchange {
                    version,
                    ..exchange()
                });
            }
            engine.advance(Duration::from_secs(1_000 + tick));
        }
        let healed = error(&engine);
        assert!(healed.now.unwrap().candidate < 0.02, "{healed:?}");
        let found = |pair: &InspectedPair| (pair.evidence, pair.candidate, pair.odds_ratio);
        assert_eq!(found(&healed), found(&before));
    }

    #[test]
    fn the_evidence_is_visited_for_each_route_and_for_all() {
        let engine = judged();
        let mut seen = Vec::new();
        engine
            .judge()
            .visit_evidence(&mut |key, category, evidence| {
                if category == "error" {
                    seen.push((key.label(), evidence > 1.0));
                }
            });
        let all = ("all routes".to_owned(), true);
        assert_eq!(seen, [all, ("GET /api/products/{int}".to_owned(), true)]);
    }
}
