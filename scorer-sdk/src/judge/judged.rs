//! What was judged in one tick, over all routes of a destination.

use super::change::ChangeBlock;
use super::pair::Together;
use crate::config::Plan;

/// Judged blocks, per question.
pub(super) type Laws = Vec<Together>;

fn no_laws(plan: &Plan) -> Laws {
    plan.questions.iter().map(|_| Together::default()).collect()
}

/// What the tolerated shift of the durations is worth on the routes, weighted by their exchanges.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shifts {
    sum: f64,
    weight: f64,
}

impl Shifts {
    /// Adds the natural log of the odds ratio on a route with that many exchanges.
    pub(super) fn add(&mut self, log_odds: f64, exchanges: u64) {
        self.sum += log_odds * exchanges as f64;
        self.weight += exchanges as f64;
    }

    pub(super) fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

/// What the routes of a destination judged in one tick.
#[derive(Debug)]
pub(super) struct Judged {
    /// Candidate exchanges in the judged blocks.
    pub(super) candidate_exchanges: u64,
    /// Ticks over which the longest of the judged blocks was gathered.
    pub(super) ticks: u32,
    /// The blocks of candidate and baseline.
    pub(super) laws: Laws,
    /// Those of the baseline's second half against its first.
    pub(super) second_half: Laws,
    /// Those of its first half against its second.
    pub(super) first_half: Laws,
    /// Per question about durations, what the tolerated shift is worth.
    pub(super) shifts: Vec<Shifts>,
    /// Whether each of its halves had exchanges.
    pub(super) seen_halves: [bool; 2],
    /// Per signal, how far the arms are apart.
    pub(super) changes: Vec<ChangeBlock>,
}

impl Judged {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            candidate_exchanges: 0,
            ticks: 0,
            laws: no_laws(plan),
            second_half: no_laws(plan),
            first_half: no_laws(plan),
            shifts: vec![Shifts::default(); plan.questions.len()],
            seen_halves: [false; 2],
            changes: vec![ChangeBlock::default(); plan.signals.len()],
        }
    }
}
