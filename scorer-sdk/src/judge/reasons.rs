//! Why a candidate is suspect: the pairs that carry the evidence, with what explains them.

use super::body::PathPair;
use super::comparison::Comparison;
use super::examples::MAX_TOLD;
use super::explain::{Explained, explained};
use super::pair::Pair;
use super::recent::RecentRate;
use super::route::Route;
use super::shares::{PairIndex, Shares};
use crate::config::Plan;
use crate::count::examples::Example;
use crate::evidence::{WeightedEvidence, e_bh};
use crate::judge::verdict::{Now, Rate, Reason, Shift};
use crate::route::RouteKey;
use crate::signal::{Quantity, Question, Rule, listed};

/// Most reasons in a decision.
const MAX_REASONS: usize = 10;
/// Share of the exchanges in a category from which on another category says the same of them.
const MOST: f64 = 0.9;

/// The reasons, those of single routes first, and on each route what explains the others first.
pub(super) fn reasons(
    plan: &Plan,
    destination: &str,
    comparison: &Comparison,
    shares: &Shares,
) -> Vec<Reason> {
    causes(plan, comparison, strongest(plan, shares))
        .into_iter()
        .take(MAX_REASONS)
        .filter_map(|index| reason(plan, destination, comparison, index))
        .collect()
}

/// Leaves out what says again what another reason says, and puts failures first: an answer with another
/// status has another size, another type and other headers.
fn causes(plan: &Plan, comparison: &Comparison, named: Vec<PairIndex>) -> Vec<PairIndex> {
    let repeated = |one: &PairIndex| {
        let mut others = named.iter().filter(|other| *other != one);
        others.any(|other| repeats(plan, comparison, *one, *other))
    };
    let is_kept_on_a_route = |question: usize| {
        let mut of_routes = named.iter().filter(|at| at.route.is_some());
        of_routes.any(|at| at.question == question && !repeated(at))
    };
    let was_on_a_route = |question: usize| {
        named
            .iter()
            .any(|at| at.route.is_some() && at.question == question)
    };
    let mut kept: Vec<PairIndex> = Vec::new();
    for index in &named {
        let is_left_out = match index.route {
            Some(_) => repeated(index),
            // What repeats another reason on each route does so on all together.
            None if was_on_a_route(index.question) => !is_kept_on_a_route(index.question),
            None => repeated(index),
        };
        // The paths of one category are told together.
        let is_told = |known: &PairIndex| {
            index.path.is_some() && (known.route, known.question) == (index.route, index.question)
        };
        if !is_left_out && !kept.iter().any(is_told) {
            kept.push(*index);
        }
    }
    let order: Vec<Option<usize>> = kept.iter().map(|index| index.route).collect();
    let failures = plan.failures().map(|found| found.0);
    let rank = |index: &PairIndex| {
        let signal = plan.questions.get(index.question).map(|found| found.0);
        let of_route = order.iter().position(|route| *route == index.route);
        (of_route, signal != failures)
    };
    crate::order::sort_by(&mut kept, |one, other| rank(one).cmp(&rank(other)));
    kept
}

/// Whether a reason says again what another one of the same signal says: that a status is unusual which
/// is a failure, or that a distribution is shifted at another quantile.
fn repeats(plan: &Plan, comparison: &Comparison, one: PairIndex, other: PairIndex) -> bool {
    let (Some((signal, question)), Some((of_other, other_question))) = (
        plan.questions.get(one.question),
        plan.questions.get(other.question),
    ) else {
        return false;
    };
    let (Some(pair), Some(other_pair)) = (one.pair(comparison), other.pair(comparison)) else {
        return false;
    };
    if signal != of_other || one.route != other.route {
        return false;
    }
    match (question.rule, other_question.rule) {
        (Rule::Unusual { .. }, Rule::Fixed(is_inside)) => pair.seen.as_ref().is_some_and(|seen| {
            let [_, candidate] = &seen.tokens;
            candidate.total_where(is_inside) as f64 >= MOST * candidate.total().max(1) as f64
        }),
        (Rule::Above { .. }, Rule::Above { .. }) => {
            let evidence = |pair: &Pair| pair.harm.log_evidence();
            evidence(other_pair) > evidence(pair)
                || evidence(other_pair) == evidence(pair) && other.question < one.question
        }
        _ => false,
    }
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

/// What a pair has to say.
pub(super) fn reason(
    plan: &Plan,
    destination: &str,
    comparison: &Comparison,
    index: PairIndex,
) -> Option<Reason> {
    let (_, question) = plan.questions.get(index.question)?;
    let pair = index.pair(comparison)?;
    let route = index.route.and_then(|route| comparison.routes.get(route));
    let (pair, explained, likewise) = match (route, index.path) {
        (Some(route), Some(path)) => of_paths(question, &route.bodies.pairs, path)?,
        _ => {
            let names = route.map_or(&[][..], |route| route.past.names());
            let explained = explained(plan, names, pair, index.question);
            (pair, explained, String::new())
        }
    };
    Some(Reason {
        route: index.key(destination, comparison)?,
        category: question.name,
        meaning: question.meaning,
        phrase: explained.phrase,
        detail: explained.detail,
        likewise,
        evidence: pair.harm.log_evidence(),
        candidate: pair.candidate,
        baseline: pair.baseline,
        tolerance: pair.harm.tolerance(),
        odds_ratio: pair.interval.estimate(),
        interval: pair.interval.interval(plan.false_alarm),
        shift: shift(plan, comparison, index.question, pair),
        now: match index.path {
            Some(_) => None,
            None => now(comparison, index.route, index.question),
        },
        examples: examples(comparison, index),
    })
}

/// The newest exchanges of the candidate that are in the category, as far as they are known.
fn examples(comparison: &Comparison, index: PairIndex) -> Vec<Example> {
    let of_route = |(number, _): &(usize, &Route)| index.route.is_none_or(|it| it == *number);
    let mut found: Vec<&Example> = comparison
        .routes
        .iter()
        .enumerate()
        .filter(of_route)
        .flat_map(|(_, route)| route.examples.of(index.question).take(MAX_TOLD))
        .collect();
    crate::order::sort_by(&mut found, |one, other| {
        other.started_ms.cmp(&one.started_ms)
    });
    found.into_iter().take(MAX_TOLD).copied().collect()
}

/// How often exchanges of the `wanted` route, or of all routes, are in the category just now,
/// whatever was decided.
pub(super) fn now(comparison: &Comparison, wanted: Option<usize>, question: usize) -> Option<Now> {
    let mut sums = [RecentRate::default(); 2];
    for (number, route) in comparison.routes.iter().enumerate() {
        if wanted.is_none_or(|wanted| wanted == number)
            && let Some(rates) = route.recent.rates(question)
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

/// The paths of a category on a route in words, with the pair of the one that is told first: most often
/// there in the baseline and least often in the candidate. `path` is the index of the strongest one; the
/// others that have half of its evidence, in logs, are told with it.
fn of_paths<'a>(
    question: &Question,
    pairs: &'a [PathPair],
    path: usize,
) -> Option<(&'a Pair, Explained, String)> {
    let strongest = pairs.get(path)?;
    let most = strongest.pair.harm.log_evidence();
    let least = (most / 2.0).min(most);
    let told: Vec<&PathPair> = pairs
        .iter()
        .filter(|found| found.question == strongest.question)
        .filter(|found| found.pair.harm.log_evidence() >= least)
        .collect();
    let apart = |found: &&PathPair| {
        let [candidate, baseline] = [found.pair.candidate, found.pair.baseline].map(Rate::percent);
        candidate - baseline
    };
    let apart: Vec<f64> = told.iter().map(apart).collect();
    let told: Vec<&PathPair> = crate::order::largest_first(&apart)
        .iter()
        .filter_map(|index| told.get(*index).copied())
        .collect();
    let first = told.first()?;
    let others: Vec<String> = told
        .iter()
        .skip(1)
        .map(|found| format!("{} ({:.1}%)", found.detail, found.pair.candidate.percent()))
        .collect();
    let phrase = match first.detail.as_str() {
        "" => question.meaning.to_owned(),
        detail => format!("have a body in which {detail}"),
    };
    let explained = Explained {
        phrase,
        detail: first.detail.clone(),
    };
    Some((&first.pair, explained, listed(&others)))
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
