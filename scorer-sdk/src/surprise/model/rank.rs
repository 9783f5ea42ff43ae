//! What a value's probability is, what terms add up to, and how the sum ranks in the past.

use super::Model;
use crate::surprise::behaviour::Behaviour;
use crate::surprise::{MAX_TERM_BITS, Stage, Term, Value};

/// Exchanges that a route needs until its own past weighs as much as its destination's.
const ROUTE_PRIOR: f64 = 20.0;

impl Model {
    /// The probability from the route's table, backed off to that of all other routes. The route's
    /// own counts are no second witness, so they are taken out of the destination's. A route may be
    /// unlike all others, so half of what it backs off to is the uniform law.
    fn probability(&self, known: Option<&Behaviour>, value: &Value) -> f64 {
        let token = value.token;
        let uniform = 1.0 / f64::from(value.alphabet.max(1));
        let all = self.all.table(value.feature);
        let own = known.and_then(|known| known.table(value.feature));
        let others = match (all, own) {
            (None, _) => uniform,
            (Some(all), None) => all.probability(token, uniform),
            (Some(all), Some(own)) => all.probability_without(own, token, uniform),
        };
        let parent = f64::midpoint(others, uniform);
        own.map_or(parent, |own| own.probability(token, parent))
    }

    pub(super) fn term(&self, known: Option<&Behaviour>, value: &Value) -> Term {
        let probability = self.probability(known, value);
        Term {
            feature: value.feature,
            token: value.token,
            probability,
            bits: bits(probability),
            values: 1,
        }
    }

    /// The mean of the bits on the route, drawn towards the destination's where the route's past is
    /// short.
    pub(super) fn mean(&self, known: Option<&Behaviour>, stage: Stage) -> f64 {
        let sum = self.sum(stage);
        let all = if sum.counted > 0.0 {
            sum.bits / sum.counted
        } else {
            0.0
        };
        let (sum, count) = known.map_or((0.0, 0.0), |known| known.past(stage).sum());
        (sum + ROUTE_PRIOR * all) / (count + ROUTE_PRIOR)
    }

    /// One minus the share of exchanges that are as strange or stranger. With `a` of `n` in the
    /// destination's past that share is `(a + 1)/(n + 1)`, the rank of the new one among all
    /// (conformal prediction). The route's own is backed off to it, and counts the new one as far as
    /// the route has a past.
    pub(super) fn percentile(
        &self,
        known: Option<&Behaviour>,
        stage: Stage,
        bits: f64,
        excess: f64,
    ) -> f64 {
        let (above, total) = self.all.past(stage).at_least(excess);
        let all = (above + 1.0) / (total + 1.0);
        let (above, count) = known.map_or((0.0, 0.0), |known| known.past(stage).at_least(bits));
        let itself = count / (count + ROUTE_PRIOR);
        let share = (above + itself + ROUTE_PRIOR * all) / (count + itself + ROUTE_PRIOR);
        1.0 - share.clamp(1.0 / (total + 1.0), 1.0)
    }
}

pub(super) fn bits(probability: f64) -> f64 {
    (-libm::log2(probability)).clamp(0.0, MAX_TERM_BITS)
}

/// One term for each group. The odds against its values add up: `1/P = 1 + Σ (1/P_i − 1)`. So one
/// strange value keeps its bits however many usual ones stand beside it, and values that are strange
/// together, for one cause, add little; a group of more values has a larger `S`, but so has the past
/// that it is ranked in.
pub(super) fn groups(mut grouped: Vec<(u16, Term)>) -> Vec<Term> {
    crate::order::sort_by(&mut grouped, |one, other| one.0.cmp(&other.0));
    grouped
        .chunk_by(|a, b| a.0 == b.0)
        .filter_map(|members| {
            let strangest = members
                .iter()
                .max_by(|a, b| a.1.bits.total_cmp(&b.1.bits))?;
            let odds: f64 = members
                .iter()
                .map(|item| libm::exp2(item.1.bits) - 1.0)
                .sum();
            Some(Term {
                bits: bits(1.0 / (1.0 + odds)),
                values: u16::try_from(members.len()).unwrap_or(u16::MAX),
                ..strangest.1
            })
        })
        .collect()
}
