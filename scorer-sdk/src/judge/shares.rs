//! All pairs of a comparison, each with its share of the weight, and the mean over them.

use super::body::{PathPair, is_path_question};
use super::comparison::Comparison;
use super::pair::Pair;
use super::placebo::Placebo;
use super::weights::POOLED_WEIGHT;
use crate::config::Plan;
use crate::evidence::{WeightedEvidence, log_weighted_mean};
use crate::route::RouteKey;
use std::borrow::Cow;

/// Share of a verdict's evidence, in logs, from which on a single pair keeps a candidate from being
/// called healthy. Tests `engine::promotion` count what that costs healthy candidates.
const LEANING: f64 = 0.25;

/// Exchanges of the candidate in the pair's category that it takes as well.
const LEAST_LEANING: u64 = 3;

/// Which pair of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PairIndex {
    /// The index of its route; none for the pair over all routes.
    pub(super) route: Option<usize>,
    /// The number of its question.
    pub(super) question: usize,
    /// Its index among the pairs of the body's paths, where it is one of them.
    pub(super) path: Option<usize>,
}

impl PairIndex {
    /// The pair.
    pub(super) fn pair(self, comparison: &Comparison) -> Option<&Pair> {
        let Some(route) = self.route else {
            return comparison.pooled.get(self.question);
        };
        let route = comparison.routes.get(route)?;
        match self.path {
            Some(path) => route.bodies.pairs.get(path).map(|found| &found.pair),
            None => route.pairs.get(self.question),
        }
    }

    /// The key of its route; for the pair over all routes, that of all routes of the destination.
    pub(super) fn key(self, destination: &str, comparison: &Comparison) -> Option<RouteKey> {
        match self.route {
            None => Some(RouteKey::all(destination)),
            Some(route) => comparison.routes.get(route).map(|route| route.key.clone()),
        }
    }
}

/// Every pair's evidence with its weight.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    pairs: Vec<(PairIndex, WeightedEvidence)>,
    /// Weight of the routes that were dropped.
    forfeited: f64,
}

impl Shares {
    /// All pairs. A fault of one route is found by that route's pair; one that all routes share by
    /// the pair over all of them, in which they add up.
    pub(super) fn of(comparison: &Comparison, plan: &Plan) -> Self {
        let parts = comparison.weights.questions();
        let routes = &comparison.routes;
        let mut pairs = Vec::with_capacity((routes.len() + 1) * plan.questions.len());
        let pooling = if comparison.pooled.is_empty() {
            0.0
        } else {
            POOLED_WEIGHT
        };
        let mut add = |route: Option<usize>, weight: f64, of_route: &[Pair]| {
            for (question, (part, pair)) in parts.iter().zip(of_route).enumerate() {
                // A question on paths has a pair for each path, which get its weight.
                let of_paths = plan
                    .questions
                    .get(question)
                    .is_some_and(|(_, question)| is_path_question(question));
                if of_paths {
                    continue;
                }
                let index = PairIndex {
                    route,
                    question,
                    path: None,
                };
                let mut log_evidence = pair.harm.log_evidence();
                if log_evidence > 0.0 && pair.is_certainly_small(plan, question) {
                    log_evidence = 0.0;
                }
                let evidence = WeightedEvidence {
                    weight: weight * part,
                    log_evidence,
                };
                pairs.push((index, evidence));
            }
        };
        add(None, pooling, &comparison.pooled);
        for (index, route) in routes.iter().enumerate() {
            add(Some(index), (1.0 - pooling) * route.part, &route.pairs);
        }
        for (route_index, route) in routes.iter().enumerate() {
            // Questions on paths have no pair over all routes: the routes have the whole weight.
            let weight = route.part;
            for (path, found) in route.bodies.pairs.iter().enumerate() {
                let part = parts.get(found.question).copied().unwrap_or(0.0);
                let index = PairIndex {
                    route: Some(route_index),
                    question: found.question,
                    path: Some(path),
                };
                let evidence = WeightedEvidence {
                    weight: weight * part * found.weight(),
                    log_evidence: found.pair.harm.log_evidence(),
                };
                pairs.push((index, evidence));
            }
        }
        Self {
            pairs,
            forfeited: comparison.weights.forfeited(),
        }
    }

    /// The pairs as they count for the verdict. Where the baseline's own halves differ, a pair has
    /// to differ by that much more than the tolerance. Leaving evidence out keeps the mean an
    /// e-value.
    pub(super) fn held_back(
        &self,
        plan: &Plan,
        comparison: &Comparison,
        placebo: &Placebo,
    ) -> Cow<'_, Self> {
        let between_halves: Vec<Option<f64>> = (0..plan.questions.len())
            .map(|question| placebo.odds_ratio(plan, question))
            .collect();
        if between_halves.iter().all(Option::is_none) {
            return Cow::Borrowed(self);
        }
        let mut held = self.clone();
        for (index, share) in &mut held.pairs {
            let seen = between_halves.get(index.question).copied().flatten();
            if let Some(seen) = seen
                && let Some(pair) = index.pair(comparison)
            {
                let lower = pair.interval.interval(plan.false_alarm).lower;
                if lower.is_none_or(|lower| lower < pair.harm.tolerance() * seen) {
                    share.log_evidence = share.log_evidence.min(0.0);
                }
            }
        }
        Cow::Owned(held)
    }

    /// The weighted mean of all pairs' e-values, as a log in nats.
    pub(super) fn log_evidence(&self) -> f64 {
        let gone = WeightedEvidence {
            weight: self.forfeited,
            log_evidence: f64::NEG_INFINITY,
        };
        log_weighted_mean(self.pairs.iter().map(|share| share.1).chain([gone]))
    }

    /// The pair that speaks loudest against the candidate by itself, where it has [`LEANING`] of the
    /// evidence that a verdict takes. The mean over all pairs may have far less: the others dilute it.
    /// It takes [`LEAST_LEANING`] exchanges: one session can add less than that, and must not hold back
    /// a release.
    pub(super) fn leaning(&self, comparison: &Comparison, threshold: f64) -> Option<PairIndex> {
        let inside = |index: &PairIndex| {
            index
                .pair(comparison)
                .map_or(0, |pair| pair.candidate.inside)
        };
        self.pairs
            .iter()
            .filter(|(_, share)| share.log_evidence >= LEANING * threshold)
            .filter(|(index, _)| inside(index) >= LEAST_LEANING)
            .max_by(|(_, one), (_, other)| one.log_evidence.total_cmp(&other.log_evidence))
            .map(|(index, _)| *index)
    }

    pub(super) fn as_slice(&self) -> &[(PairIndex, WeightedEvidence)] {
        &self.pairs
    }
}

/// Route, category and log e-value in nats of each pair, without a route where it is over all of
/// them; at most 0 where the placebo holds a pair back.
pub(super) fn pair_evidence<'a>(
    plan: &Plan,
    comparison: &'a Comparison,
    placebo: &Placebo,
) -> Vec<(Option<&'a RouteKey>, &'static str, f64)> {
    let all = Shares::of(comparison, plan);
    let counting = all.held_back(plan, comparison, placebo);
    let mut found = Vec::new();
    let mut of_paths: Vec<(usize, usize, Vec<WeightedEvidence>)> = Vec::new();
    for &(index, share) in &counting.pairs {
        let (Some(number), Some(path)) = (index.route, index.path) else {
            found.push((index.route, index.question, share.log_evidence));
            continue;
        };
        let weight = comparison
            .routes
            .get(number)
            .and_then(|route| route.bodies.pairs.get(path))
            .map_or(0.0, PathPair::weight);
        let evidence = WeightedEvidence { weight, ..share };
        match of_paths
            .iter_mut()
            .find(|known| (known.0, known.1) == (number, index.question))
        {
            Some(known) => known.2.push(evidence),
            None => of_paths.push((number, index.question, vec![evidence])),
        }
    }
    // A category that is asked of many paths is one e-value: the mean over them.
    found.extend(
        of_paths
            .into_iter()
            .map(|(route, question, paths)| (Some(route), question, log_weighted_mean(paths))),
    );
    found
        .into_iter()
        .filter_map(|(route, question, evidence)| {
            let (_, question) = plan.questions.get(question)?;
            let key = match route {
                None => None,
                Some(route) => Some(&comparison.routes.get(route)?.key),
            };
            Some((key, question.name, evidence))
        })
        .collect()
}
