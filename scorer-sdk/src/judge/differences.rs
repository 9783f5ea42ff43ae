//! Where the versions differ at all, for better or worse: in their responses, which is told, and in
//! their requests, which must not differ for the comparison to be fair.
//!
//! Each signal has a change over all routes and one on each. Half of a signal's weight is for all
//! routes together, as in the harm test: a difference that all routes share would be spread thin.

use super::arm::Arm;
use super::change::{Change, Effect, Needs, SHIFT_QUANTILE, TokenChange};
use super::comparison::Comparison;
use super::explain;
use super::mix::Mix;
use super::route::Route;
use super::weights::POOLED_WEIGHT;
use crate::config::Plan;
use crate::evidence::{Spread, WeightedEvidence, log_weighted_mean};
use crate::judge::verdict::{Difference, ShareChange, Shift};
use crate::route::RouteKey;
use crate::signal::{Side, Signal};
use crate::sketch::NameTable;

/// Most differences in a decision.
const MAX_DIFFERENCES: usize = 10;
/// Name of the balance check over routes, beside those of the request's signals.
const MIX: &str = "routes";
/// Part of the balance check's weight that the mix of routes has.
const MIX_WEIGHT: f64 = 0.5;
/// Smallest total variation distance between two mixes of routes that is called an imbalance.
const SMALLEST_IMBALANCE: f64 = 0.05;

/// Says anew, after a tick, which differences are told.
pub(super) fn settle(plan: &Plan, comparison: &mut Comparison, threshold: f64) {
    for (index, signal) in plan.signals.iter().enumerate() {
        let whole = weight_of(plan, signal.side());
        let spread = comparison.spread(index);
        if let Some(change) = comparison.changes.get_mut(index) {
            change.settle(&needs(plan, threshold, whole * POOLED_WEIGHT, spread));
        }
        for route in &mut comparison.routes {
            let weight = whole * (1.0 - POOLED_WEIGHT) * route.part;
            if let Some(change) = route.changes.get_mut(index) {
                change.settle(&needs(plan, threshold, weight, spread));
            }
        }
    }
}

/// Evidence in nats that the responses differ, and where they do.
pub(super) fn differences(
    plan: &Plan,
    comparison: &Comparison,
    destination: &str,
) -> (f64, Vec<Difference>) {
    let evidence = log_weighted_mean(weighted(plan, comparison, Side::Response));
    let found = told(plan, comparison, destination, Side::Response);
    (evidence, strongest(found))
}

/// Where the requests of the arms are not alike: half of the weight is for the routes' mix.
pub(super) fn balance(
    plan: &Plan,
    destination: &str,
    comparison: &Comparison,
    threshold: f64,
) -> Vec<Difference> {
    let mut found = told(plan, comparison, destination, Side::Request);
    let evidence = comparison.mix.log_evidence();
    let distance = Mix::distance(&comparison.routes);
    if evidence + MIX_WEIGHT.ln() >= threshold && distance >= SMALLEST_IMBALANCE {
        found.push(Difference {
            route: RouteKey::all(destination),
            signal: MIX,
            evidence,
            distance,
            shift: None,
            share: None,
            detail: String::new(),
        });
    }
    strongest(found)
}

fn strongest(mut found: Vec<Difference>) -> Vec<Difference> {
    crate::order::sort_by(&mut found, |one, other| {
        other.evidence.total_cmp(&one.evidence)
    });
    found.truncate(MAX_DIFFERENCES);
    found
}

/// The weight of a signal of this side. Those of a side share its weight.
fn weight_of(plan: &Plan, side: Side) -> f64 {
    let signals = plan
        .signals
        .iter()
        .filter(|signal| signal.side() == side)
        .count();
    let weight = match side {
        Side::Response => 1.0,
        Side::Request => 1.0 - MIX_WEIGHT,
    };
    weight / signals.max(1) as f64
}

/// What a change of this weight has to show: by itself it is wrong with at most its part of the
/// chance for a false alarm.
fn needs(plan: &Plan, threshold: f64, weight: f64, spread: Spread) -> Needs {
    let evidence = threshold - weight.ln();
    Needs {
        evidence,
        alpha: (-evidence).exp(),
        sizes: plan.differs,
        spread,
    }
}

/// The change tests of one side's signals with their weights.
fn weighted(plan: &Plan, comparison: &Comparison, side: Side) -> Vec<WeightedEvidence> {
    let whole = weight_of(plan, side);
    let mut weighted = Vec::new();
    for (index, signal) in plan.signals.iter().enumerate() {
        if signal.side() != side {
            continue;
        }
        let mut add = |weight: f64, change: Option<&Change>| {
            if let Some(change) = change {
                weighted.push(WeightedEvidence {
                    weight: whole * weight,
                    log_evidence: change.log_evidence(),
                });
            }
        };
        add(POOLED_WEIGHT, comparison.changes.get(index));
        for route in &comparison.routes {
            let weight = (1.0 - POOLED_WEIGHT) * route.part;
            add(weight, route.changes.get(index));
        }
    }
    weighted
}

/// The differences of one side's signals that are told.
fn told(plan: &Plan, comparison: &Comparison, destination: &str, side: Side) -> Vec<Difference> {
    let mut found = Vec::new();
    for (index, signal) in plan.signals.iter().enumerate() {
        if signal.side() != side {
            continue;
        }
        let signal = signal.as_ref();
        let spread = comparison.spread(index);
        if let Some(change) = comparison.changes.get(index).filter(|it| it.is_told()) {
            let distances = comparison.routes.iter().map(|route| {
                let traffic = route.past.weight(Arm::Candidate);
                (traffic, route.past.distance(index, signal))
            });
            let (traffic, sum) = distances.fold((0.0, 0.0), |sum, (traffic, distance)| {
                (sum.0 + traffic, sum.1 + traffic * distance)
            });
            found.push(Difference {
                route: RouteKey::all(destination),
                signal: signal.name(),
                evidence: change.log_evidence(),
                distance: if traffic > 0.0 { sum / traffic } else { 0.0 },
                shift: shift(plan, change.effect(), &spread),
                share: share(plan, change.effect(), &spread, change.names(), signal),
                detail: comparison
                    .routes
                    .iter()
                    .filter_map(|route| Some((route, route.changes.get(index)?.log_evidence())))
                    .max_by(|one, other| one.1.total_cmp(&other.1))
                    .map(|(route, _)| detail(plan, route, index, (change, change.names()), signal))
                    .unwrap_or_default(),
            });
        }
        for route in &comparison.routes {
            let Some(change) = route.changes.get(index).filter(|it| it.is_told()) else {
                continue;
            };
            let (effect, names) = (change.effect(), route.past.names().get(index));
            found.push(Difference {
                route: route.key.clone(),
                signal: signal.name(),
                evidence: change.log_evidence(),
                distance: route.past.distance(index, signal),
                shift: shift(plan, effect, &spread),
                share: names.and_then(|names| share(plan, effect, &spread, names, signal)),
                detail: names.map_or_else(String::new, |names| {
                    detail(plan, route, index, (change, names), signal)
                }),
            });
        }
    }
    found
}

/// Which tokens differ since the difference began, or which paths on a route; of all routes together, on
/// the one that shows it most.
fn detail(
    plan: &Plan,
    route: &Route,
    index: usize,
    (change, names): (&Change, &NameTable),
    signal: &dyn Signal,
) -> String {
    if plan.paths_of_bodies() == Some(index) {
        route.bodies.gained()
    } else {
        explain::changed(change.effect().shares(), names, signal)
    }
}

/// The shift of the median of an effect on durations.
fn shift(plan: &Plan, effect: &Effect, spread: &Spread) -> Option<Shift> {
    let (factor, level) = effect.shift(plan.false_alarm, spread)?;
    Some(Shift::new(SHIFT_QUANTILE, &factor, level))
}

/// The token whose share changed most.
fn share(
    plan: &Plan,
    effect: &Effect,
    spread: &Spread,
    names: &NameTable,
    signal: &dyn Signal,
) -> Option<ShareChange> {
    let TokenChange {
        code,
        change,
        interval: [lower, upper],
    } = effect.changed_share(plan.false_alarm, spread)?;
    Some(ShareChange {
        token: explain::group_name(code, names, signal),
        change,
        change_lower: lower.max(-1.0),
        change_upper: upper.min(1.0),
    })
}

#[cfg(test)]
#[cfg(feature = "simulation")]
mod tests {

    use crate::count::tally::Tally;
    use crate::judge::Judge;
    use crate::simulation::law::binomial_bound;
    use crate::simulation::{Clients, Scenario, Sessions, Share, Traffic, plan};
    use std::sync::Arc;

    /// σ of a session's durations, in logs; σ of its single requests is 0.5.
    const OF_SESSIONS: f64 = 0.3;

    /// Whether identical code with a hundred sticky users at a time, a fifth of them on the
    /// candidate, is ever said to differ. `knows_sessions` says whether the judge is told whose requests
    /// are whose.
    fn is_told(seed: u64, knows_sessions: bool) -> bool {
        let plan = plan("{}").unwrap();
        let clients = Clients::Sessions(Sessions {
            active: 100,
            shortest: 300.0,
            latency_spread: OF_SESSIONS,
            ..Sessions::default()
        });
        let scenario = Scenario {
            share: Share::Constant(0.2),
            clients,
            ..Scenario::default()
        };
        let mut traffic = Traffic::new(scenario, seed);
        let mut tally = Tally::new(Arc::clone(&plan), seed);
        let mut judge = Judge::new(Arc::clone(&plan));
        (0..300).any(|_| {
            traffic.advance();
            for exchange in traffic.exchanges() {
                tally.record(&crate::Exchange {
                    session: exchange.session.filter(|_| knows_sessions),
                    ..exchange
                });
            }
            judge.tick(&[tally.take()], traffic.now());
            judge.decisions().iter().any(|decision| decision.differs())
        })
    }

    #[test]
    fn sticky_users_are_not_taken_for_a_difference_where_sessions_are_known() {
        let runs = 30;
        let told = |knows_sessions| {
            (0..runs)
                .filter(|seed| is_told(*seed, knows_sessions))
                .count() as u64
        };
        let (naive, aware) = (told(false), told(true));
        println!("said to differ: {naive} of {runs}, {aware} where sessions are known");
        assert!(naive > runs / 4, "{naive} of {runs}: this tests nothing");
        assert!(aware <= binomial_bound(runs, 0.01), "{aware} of {runs}");
    }
}
