//! All pairs of a destination, each with its share of the weight, and the mean over them.

use super::body::{PathPair, is_path_question};
use super::destination::Destination;
use super::pair::Pair;
use crate::config::Plan;
use crate::evidence::{WeightedEvidence, log_weighted_mean};
use crate::route::RouteKey;

/// Part of the weight that goes to the pairs over all routes; the rest is for single routes.
pub(super) const POOLED_WEIGHT: f64 = 0.5;

/// A pair's place: its route, or none for the pair over all routes, and its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) route: Option<usize>,
    pub(super) question: usize,
    /// Its place among the pairs of the body's paths, where it is one of them.
    pub(super) path: Option<usize>,
}

/// A pair's evidence with its weight.
pub(super) type Shares = Vec<(Place, WeightedEvidence)>;

impl Destination {
    /// All pairs. A fault of one route is found by that route's pair; one that all routes share by
    /// the pair over all of them, in which they add up.
    pub(super) fn shares(&self, plan: &Plan) -> Shares {
        let mut shares = Vec::with_capacity((self.routes.len() + 1) * plan.questions.len());
        let pooling = if self.pooled.is_empty() {
            0.0
        } else {
            POOLED_WEIGHT
        };
        let mut add = |route: Option<usize>, weight: f64, pairs: &[Pair]| {
            for (question, (part, pair)) in self.weights.iter().zip(pairs).enumerate() {
                let evidence = WeightedEvidence {
                    weight: weight * part,
                    log_evidence: pair.harm.log_evidence(),
                };
                let index = Place {
                    route,
                    question,
                    path: None,
                };
                // Asked of paths, whose pairs have its weight.
                let of_paths = plan
                    .questions
                    .get(question)
                    .is_some_and(|(_, question)| is_path_question(question));
                if !of_paths {
                    shares.push((index, evidence));
                }
            }
        };
        add(None, pooling, &self.pooled);
        for (index, route) in self.routes.iter().enumerate() {
            let weight = (1.0 - pooling) * route.part;
            add(Some(index), weight, &route.pairs);
        }
        for (route_index, route) in self.routes.iter().enumerate() {
            // Paths are not asked over all routes: the routes have the whole weight.
            let weight = route.part;
            for (path, found) in route.bodies.pairs.iter().enumerate() {
                let part = self.weights.get(found.question).copied().unwrap_or(0.0);
                let index = Place {
                    route: Some(route_index),
                    question: found.question,
                    path: Some(path),
                };
                let evidence = WeightedEvidence {
                    weight: weight * part * found.weight(),
                    log_evidence: found.pair.harm.log_evidence(),
                };
                shares.push((index, evidence));
            }
        }
        shares
    }

    /// The pairs as they count for the verdict: where the baseline's own halves differ, a pair has
    /// to clear what they differ by on top of the tolerance. Leaving evidence out keeps the mean an
    /// e-value.
    pub(super) fn counting(&self, plan: &Plan, shares: &Shares) -> Shares {
        let between_halves: Vec<Option<f64>> = (0..plan.questions.len())
            .map(|question| self.placebo.odds_ratio(plan, question))
            .collect();
        shares
            .iter()
            .map(|(index, share)| {
                let mut share = *share;
                let seen = between_halves.get(index.question).copied().flatten();
                if let Some(seen) = seen
                    && let Some(pair) = self.pair(*index)
                {
                    let lower = pair.interval.interval(plan.false_alarm).lower;
                    if lower.is_none_or(|lower| lower < pair.harm.tolerance() * seen) {
                        share.log_evidence = share.log_evidence.min(0.0);
                    }
                }
                (*index, share)
            })
            .collect()
    }

    /// The weighted mean of all pairs' e-values, as a log in nats.
    pub(super) fn evidence(&self, shares: &Shares) -> f64 {
        let gone = WeightedEvidence {
            weight: self.forfeited,
            log_evidence: f64::NEG_INFINITY,
        };
        log_weighted_mean(shares.iter().map(|share| share.1).chain([gone]))
    }

    pub(super) fn pair(&self, index: Place) -> Option<&Pair> {
        let Some(route) = index.route else {
            return self.pooled.get(index.question);
        };
        let route = self.routes.get(route)?;
        match index.path {
            Some(path) => route.bodies.pairs.get(path).map(|found| &found.pair),
            None => route.pairs.get(index.question),
        }
    }

    pub(super) fn key(&self, index: Place) -> Option<RouteKey> {
        match index.route {
            None => Some(RouteKey::all(&self.name)),
            Some(route) => self.routes.get(route).map(|route| route.key.clone()),
        }
    }

    /// Log e-values of the pairs of single routes, with the candidate; at most 0 where the placebo
    /// holds a pair back.
    pub(super) fn pair_evidence(&self, plan: &Plan) -> Vec<(&RouteKey, &str, &'static str, f64)> {
        let shares = self.shares(plan);
        let mut found = Vec::new();
        let mut of_paths: Vec<(usize, usize, Vec<WeightedEvidence>)> = Vec::new();
        for (index, share) in self.counting(plan, &shares) {
            let Some(number) = index.route else { continue };
            match index.path {
                None => found.push((number, index.question, share.log_evidence)),
                Some(path) => {
                    let weight = self
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
            }
        }
        // A category that is asked of many paths is one e-value: the mean over them.
        found.extend(
            of_paths
                .into_iter()
                .map(|(route, question, paths)| (route, question, log_weighted_mean(paths))),
        );
        found
            .into_iter()
            .filter_map(|(route, question, evidence)| {
                let (_, question) = plan.questions.get(question)?;
                let key = &self.routes.get(route)?.key;
                Some((key, self.candidate(), question.name, evidence))
            })
            .collect()
    }
}
