//! How far off is the time at which a difference is said to have begun?
//!
//! The candidate is healthy for ten minutes and turns bad at a tick that each run draws. The error is
//! the onset that the verdict tells ([`Found::onset_ms`](crate::judge::verdict::Found)) less the true
//! one, in ticks.

use super::Runs;
use crate::config::Plan;
use crate::simulation::harm::Onset;
use crate::simulation::{Rollout, Scenario};
use std::sync::Arc;

/// Ticks for which the candidate is healthy at least, and as many more at most.
pub const HEALTHY_TICKS: u64 = 600;
/// Ticks after the onset until which a verdict has to come.
const PATIENCE: u64 = 1_200;

/// What came of late regressions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Onsets {
    /// The told onset less the true one in ticks, of each run that had a verdict after it, in rising order.
    pub errors: Vec<i64>,
    /// Ticks from the true onset to the verdict, of the same runs, in rising order.
    pub delays: Vec<u64>,
    /// Runs without a verdict in time, or with one before the onset.
    pub without: u64,
}

impl Onsets {
    /// The share of the runs, 0 to 1, whose error is at most so many ticks either way.
    #[must_use]
    pub fn within(&self, ticks: u64) -> f64 {
        let near = self.errors.iter().filter(|it| it.unsigned_abs() <= ticks);
        near.count() as f64 / self.errors.len().max(1) as f64
    }

    /// The error at a quantile, 0 to 1; none without runs.
    #[must_use]
    pub fn error(&self, quantile: f64) -> Option<i64> {
        let last = self.errors.len().checked_sub(1)?;
        let index = (quantile * last as f64).round() as usize;
        self.errors.get(index).copied()
    }
}

/// Runs a scenario whose candidate does its harm from a late tick on.
#[must_use]
pub fn onsets(plan: &Arc<Plan>, scenario: &Scenario, runs: Runs) -> Onsets {
    let tick_ms = scenario.load.tick.as_millis().max(1) as i64;
    let found = runs.map(|seed| {
        let onset = HEALTHY_TICKS + fastrand::Rng::with_seed(seed).u64(0..HEALTHY_TICKS);
        let mut scenario = scenario.clone();
        scenario.candidate.harm.onset = Onset::AfterTicks(onset);
        let mut rollout = Rollout::new(Arc::clone(plan), scenario, seed);
        let begun = rollout.traffic().now();
        let end = rollout.run_while(|rollout| rollout.traffic().rollout_ticks() < onset + PATIENCE);
        let delay = rollout.traffic().rollout_ticks().checked_sub(onset)?;
        let told = end.decision.found?;
        let began_ms = begun.as_millis() as i64 + onset as i64 * tick_ms;
        Some(((told.onset_ms as i64 - began_ms) / tick_ms, delay))
    });
    let mut onsets = Onsets {
        without: found.iter().filter(|run| run.is_none()).count() as u64,
        ..Onsets::default()
    };
    for (error, delay) in found.into_iter().flatten() {
        onsets.errors.push(error);
        onsets.delays.push(delay);
    }
    onsets.errors.sort_unstable();
    onsets.delays.sort_unstable();
    onsets
}
