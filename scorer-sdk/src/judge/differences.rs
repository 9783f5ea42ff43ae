//! Where the versions differ at all, for better or worse: in their responses, which is told, and in
//! their requests, which must not differ for the comparison to be fair.

use super::comparison::Comparison;
use super::explain;
use super::mix::Mix;
use super::route::Route;
use crate::config::Plan;
use crate::evidence::{WeightedEvidence, log_weighted_mean};
use crate::judge::verdict::Difference;
use crate::route::RouteKey;
use crate::signal::{Side, Signal};

/// Most differences in a decision.
const MAX_DIFFERENCES: usize = 10;
/// Name of the balance check over routes, beside those of the request's signals.
const MIX: &str = "routes";
/// Smallest total variation distance between two mixes of routes that is called an imbalance.
const SMALLEST_IMBALANCE: f64 = 0.05;

/// Evidence in nats that the responses differ, and where they do.
pub(super) fn differences(
    plan: &Plan,
    comparison: &Comparison,
    threshold: f64,
) -> (f64, Vec<Difference>) {
    let (weighted, found) = changes(plan, &comparison.routes, Side::Response, 1.0, threshold);
    (log_weighted_mean(weighted), strongest(found))
}

/// Where the requests of the arms are not alike: half of the weight is for the routes' mix.
pub(super) fn balance(
    plan: &Plan,
    destination: &str,
    comparison: &Comparison,
    threshold: f64,
) -> Vec<Difference> {
    let (_, mut found) = changes(plan, &comparison.routes, Side::Request, 0.5, threshold);
    let evidence = comparison.mix.log_evidence();
    let distance = Mix::distance(&comparison.routes);
    if evidence + 0.5_f64.ln() >= threshold && distance >= SMALLEST_IMBALANCE {
        found.push(Difference {
            route: RouteKey::all(destination),
            signal: MIX,
            evidence,
            distance,
            detail: String::new(),
        });
    }
    strongest(found)
}

fn strongest(mut found: Vec<Difference>) -> Vec<Difference> {
    found.sort_by(|one, other| other.evidence.total_cmp(&one.evidence));
    found.truncate(MAX_DIFFERENCES);
    found
}

/// The change tests of one side's signals, which share `weight`, and those of them that are enough
/// by themselves and far enough apart. Declared changes do not count.
fn changes(
    plan: &Plan,
    routes: &[Route],
    side: Side,
    weight: f64,
    threshold: f64,
) -> (Vec<WeightedEvidence>, Vec<Difference>) {
    let of_side = |signal: &dyn Signal| signal.side() == side;
    let signals = plan
        .signals
        .iter()
        .filter(|signal| of_side(signal.as_ref()))
        .count()
        .max(1) as f64;
    let mut weighted = Vec::new();
    let mut found = Vec::new();
    for route in routes {
        let weight = weight * route.part / signals;
        for (index, (signal, change)) in plan
            .signals
            .iter()
            .zip(&route.changes)
            .enumerate()
            .filter(|(_, (signal, _))| of_side(signal.as_ref()))
        {
            if plan.is_expected_to_differ(&route.key, index) {
                continue;
            }
            let log_evidence = change.log_evidence();
            weighted.push(WeightedEvidence {
                weight,
                log_evidence,
            });
            if log_evidence + weight.ln() < threshold {
                continue;
            }
            let distance = route.past.distance(index, signal.as_ref());
            if distance >= signal.smallest_change() {
                let detail = if plan.paths_of_bodies() == Some(index) {
                    route.bodies.gained()
                } else {
                    explain::changed(&route.past, index, signal.as_ref())
                };
                found.push(Difference {
                    route: route.key.clone(),
                    signal: signal.name(),
                    evidence: log_evidence,
                    distance,
                    detail,
                });
            }
        }
    }
    (weighted, found)
}
