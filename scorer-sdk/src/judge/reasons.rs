//! Why a candidate is suspect: the pairs that carry the evidence, with what explains them.

use super::comparison::Comparison;
use super::explain;
use super::pair::Pair;
use super::recent::RecentRate;
use super::shares::{PairIndex, Shares};
use crate::config::Plan;
use crate::evidence::{WeightedEvidence, e_bh};
use crate::judge::verdict::{Now, Reason, Shift};
use crate::route::RouteKey;
use crate::signal::{Quantity, Rule};

/// Most reasons in a decision.
const MAX_REASONS: usize = 10;

/// The reasons, those of single routes first.
pub(super) fn reasons(
    plan: &Plan,
    destination: &str,
    comparison: &Comparison,
    shares: &Shares,
) -> Vec<Reason> {
    strongest(plan, shares)
        .into_iter()
        .take(MAX_REASONS)
        .filter_map(|index| reason(plan, destination, comparison, index))
        .collect()
}

/// The pairs to name.
fn strongest(plan: &Plan, shares: &Shares) -> Vec<PairIndex> {
    let shares = shares.as_slice();
    let share = |index: &usize| {
        shares.get(*index).map_or(f64::NEG_INFINITY, |(_, pair)| {
            pair.weight.ln() + pair.log_evidence
        })
    };
    let weighted: Vec<WeightedEvidence> = shares.iter().map(|share| share.1).collect();
    let mut named = e_bh(&weighted, plan.false_alarm);
    if named.is_empty() {
        // No pair is enough by itself; the largest still leads.
        named.extend((0..shares.len()).max_by(|one, other| share(one).total_cmp(&share(other))));
    }
    // A single route says more than all routes do: the strongest one is named beside the pair over
    // all of them.
    if let Some(pooled) = named.first().and_then(|index| shares.get(*index))
        && pooled.0.route.is_none()
    {
        let strongest = (0..shares.len())
            .filter(|index| {
                shares.get(*index).is_some_and(|(at, pair)| {
                    at.route.is_some()
                        && at.question == pooled.0.question
                        && pair.log_evidence > 0.0
                })
            })
            .max_by(|one, other| share(one).total_cmp(&share(other)));
        named.extend(strongest.filter(|index| !named.contains(index)));
    }
    let pooled = |index: &usize| shares.get(*index).is_some_and(|(at, _)| at.route.is_none());
    crate::order::sort_by(&mut named, |one, other| pooled(one).cmp(&pooled(other)));
    named
        .into_iter()
        .filter_map(|index| shares.get(index).map(|(at, _)| *at))
        .collect()
}

fn reason(
    plan: &Plan,
    destination: &str,
    comparison: &Comparison,
    index: PairIndex,
) -> Option<Reason> {
    let (_, question) = plan.questions.get(index.question)?;
    let pair = index.pair(comparison)?;
    let route = index.route.and_then(|route| comparison.routes.get(route));
    let detail = match (route, index.path) {
        (Some(route), Some(path)) => route.bodies.pairs.get(path)?.detail.clone(),
        (Some(route), None) => explain::detail(plan, &route.past, index.question),
        (None, _) => String::new(),
    };
    Some(Reason {
        route: index.key(destination, comparison)?,
        category: question.name,
        meaning: question.meaning,
        detail,
        evidence: pair.harm.log_evidence(),
        candidate: pair.candidate,
        baseline: pair.baseline,
        tolerance: pair.harm.tolerance(),
        odds_ratio: pair.interval.estimate(),
        interval: pair.interval.interval(plan.false_alarm),
        shift: shift(plan, comparison, index.question, pair),
        now: now(comparison, index),
    })
}

/// How often exchanges are in the category just now, whatever was decided.
fn now(comparison: &Comparison, index: PairIndex) -> Option<Now> {
    if index.path.is_some() {
        return None;
    }
    let mut sums = [RecentRate::default(); 2];
    for (number, route) in comparison.routes.iter().enumerate() {
        if index.route.is_none_or(|wanted| wanted == number)
            && let Some(rates) = route.recent.rates(index.question)
        {
            for (sum, rate) in sums.iter_mut().zip(rates) {
                sum.inside += rate.inside;
                sum.total += rate.total;
            }
        }
    }
    let [baseline, candidate] = sums.map(RecentRate::share);
    Some(Now {
        candidate: candidate?,
        baseline: baseline?,
    })
}

/// How far the quantile is shifted that a question on durations is about.
fn shift(plan: &Plan, comparison: &Comparison, question: usize, pair: &Pair) -> Option<Shift> {
    let (signal, question) = plan.questions.get(question)?;
    let spread = comparison.spread(*signal);
    let Rule::Above { quantile } = question.rule else {
        return None;
    };
    if plan.signals.get(*signal)?.quantity() != Some(Quantity::Duration) {
        return None;
    }
    let found = pair.shift.as_ref()?;
    let factor = found.factor(plan.false_alarm, &spread);
    Some(Shift::new(quantile, &factor, found.level()?))
}

/// For a guard, the routes and categories whose evidence is enough alone: what it refuses.
pub(super) fn condemned(
    plan: &Plan,
    destination: &str,
    comparison: &Comparison,
    shares: &Shares,
    threshold: f64,
) -> Vec<(RouteKey, &'static str)> {
    if plan.reject.reference.is_none() {
        return Vec::new();
    }
    shares
        .as_slice()
        .iter()
        .filter(|(_, share)| share.log_evidence + share.weight.ln() >= threshold)
        .filter_map(|(at, _)| {
            let (_, question) = plan.questions.get(at.question)?;
            Some((at.key(destination, comparison)?, question.name))
        })
        .collect()
}
