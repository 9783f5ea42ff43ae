//! How the weight of a verdict is given out: to routes and to questions, before their evidence is
//! seen, so that the weighted mean stays an e-value.

use super::destination::Destination;
use super::mix::Mix;
use super::pair::Pair;
use super::route::{Arm, Route};
use crate::config::Plan;
use crate::evidence::route_weight;
use crate::route::RouteKey;

/// Ticks without an exchange after which a route gives up its place when there are too many.
const IDLE_TICKS: u32 = 600;
/// Part of the routes' weight that is kept for routes that come after the candidate; the routes that
/// are known share the rest, one half evenly and one half by their traffic.
const NEW_ROUTES: f64 = 0.1;
/// Part of its weight that a question keeps whose signal the baseline has not shown yet.
const UNSEEN_WEIGHT: f64 = 0.1;

impl Destination {
    /// Forgets the evidence, and gives out the weights of the routes by what the baseline has shown.
    pub(super) fn restart(&mut self, plan: &Plan) {
        self.routes
            .sort_by(|one, other| other.baseline_weight().total_cmp(&one.baseline_weight()));
        let known: f64 = self.routes.iter().map(Route::baseline_weight).sum();
        let count = self.routes.len() as f64;
        for (rank, route) in self.routes.iter_mut().enumerate() {
            route.part = if known > 0.0 {
                let even = 1.0 / count;
                let by_traffic = route.baseline_weight() / known;
                (1.0 - NEW_ROUTES) * (even + by_traffic) / 2.0
            } else {
                route_weight(rank)
            };
            route.restart(plan);
        }
        self.next_rank = if known > 0.0 {
            0
        } else {
            self.routes.len() as u32
        };
        self.new_part = if known > 0.0 { NEW_ROUTES } else { 1.0 };
        self.forfeited = 0.0;
        self.weights = self.weights(plan);
        self.mix = Mix::default();
        self.pooled = match plan.reject.reference {
            Some(_) => Vec::new(),
            None => plan
                .questions
                .iter()
                .map(|(_, question)| Pair::new(question))
                .collect(),
        };
    }

    /// Gives out the weights of the questions, by what the baseline has shown before the candidate
    /// came: a signal of which nothing is known, as where nobody reports fan-out, keeps a little.
    fn weights(&self, plan: &Plan) -> Vec<f64> {
        let known = |signal: usize| {
            self.routes
                .iter()
                .any(|route| route.knows(Arm::Baseline, signal))
        };
        let nothing_known = !(0..plan.signals.len()).any(known);
        let weights: Vec<f64> = plan
            .questions
            .iter()
            .map(|(signal, question)| {
                question.weight
                    * if nothing_known || known(*signal) {
                        1.0
                    } else {
                        UNSEEN_WEIGHT
                    }
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }

    pub(super) fn add_route(&mut self, plan: &Plan, key: RouteKey) -> Option<usize> {
        // One more than the workers tell apart, for what they share under `{other}`.
        if self.routes.len() > plan.max_routes {
            let idle = self
                .routes
                .iter()
                .position(|route| route.idle_ticks > IDLE_TICKS)?;
            let gone = self.routes.swap_remove(idle);
            self.forfeited += gone.part;
        }
        let part = self.new_part * route_weight(self.next_rank as usize);
        self.routes.push(Route::new(plan, key, part));
        self.next_rank = self.next_rank.saturating_add(1);
        Some(self.routes.len() - 1)
    }
}
