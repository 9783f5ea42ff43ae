//! How the weight of a verdict is given out: to routes and to questions, before their evidence is
//! seen, so that the weighted mean stays an e-value.

use super::arm::Arm;
use super::route::Route;
use crate::config::Plan;
use crate::evidence::route_weight;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Part of the weight that goes to the pairs over all routes; the rest is for single routes.
pub(super) const POOLED_WEIGHT: f64 = 0.5;
/// Part of the routes' weight that is kept for routes that come after the candidate. The known
/// routes share the rest, one half evenly and one half by their traffic.
const NEW_ROUTES: f64 = 0.1;
/// Part of its weight that a question keeps whose signal the baseline has not shown yet.
const UNSEEN_WEIGHT: f64 = 0.1;

/// What has been given out in this rollout. Each route keeps its own part.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    /// Per question, its part; they sum to 1.
    questions: Vec<f64>,
    /// Routes that have come since the weights were given out, and the part that they share.
    next_rank: u32,
    new_part: f64,
    /// Weight of the routes that were dropped: it stays given out.
    forfeited: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            questions: Vec::new(),
            next_rank: 0,
            new_part: 1.0,
            forfeited: 0.0,
        }
    }
}

impl Weights {
    /// Gives out the weights by what the baseline has shown so far. `routes` are in the order of
    /// their traffic.
    pub(super) fn give_out(plan: &Plan, routes: &mut [Route]) -> Self {
        let weight = |route: &Route| route.past.weight(Arm::Baseline);
        let known: f64 = routes.iter().map(weight).sum();
        let count = routes.len() as f64;
        for (rank, route) in routes.iter_mut().enumerate() {
            route.part = if known > 0.0 {
                let even = 1.0 / count;
                let by_traffic = weight(route) / known;
                (1.0 - NEW_ROUTES) * (even + by_traffic) / 2.0
            } else {
                route_weight(rank)
            };
        }
        let (next_rank, new_part) = if known > 0.0 {
            (0, NEW_ROUTES)
        } else {
            (routes.len() as u32, 1.0)
        };
        Self {
            questions: of_questions(plan, routes),
            next_rank,
            new_part,
            forfeited: 0.0,
        }
    }

    /// The part of a route that has just come.
    pub(super) fn for_new_route(&mut self) -> f64 {
        let part = self.new_part * route_weight(self.next_rank as usize);
        self.next_rank = self.next_rank.saturating_add(1);
        part
    }

    /// Keeps the part of a route that is dropped from being given out again.
    pub(super) fn forfeit(&mut self, part: f64) {
        self.forfeited += part;
    }

    /// Per question, its part; none before weights were given out.
    pub(super) fn questions(&self) -> &[f64] {
        &self.questions
    }

    /// The weight of the routes that were dropped.
    pub(super) fn forfeited(&self) -> f64 {
        self.forfeited
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.list(&self.questions, |part, writer| writer.f64(*part));
        writer.u32(self.next_rank);
        writer.f64(self.new_part);
        writer.f64(self.forfeited);
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let part = |reader: &mut Reader<'_>| Ok(reader.f64()?.clamp(0.0, 1.0));
        Ok(Self {
            questions: reader.list(plan.questions.len(), part)?,
            next_rank: reader.u32()?,
            new_part: part(reader)?,
            forfeited: part(reader)?,
        })
    }
}

/// The parts of the questions, by what the baseline has shown before the candidate came. A signal
/// that it has not shown, as where nobody reports fan-out, keeps a little.
fn of_questions(plan: &Plan, routes: &[Route]) -> Vec<f64> {
    let known = |signal: usize| {
        routes
            .iter()
            .any(|route| route.past.knows(Arm::Baseline, signal))
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
