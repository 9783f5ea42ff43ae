//! How often is the candidate blamed where both versions are the same code?

use super::Row;
use crate::config::Plan;
use crate::exchange::Sampling;
use crate::judge::verdict::Verdict;
use crate::simulation::Rollout;
use crate::simulation::law::binomial_bound;
use crate::simulation::study::Runs;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What came of one kind of healthy rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarms {
    /// Rollouts that were called anomalous.
    pub alarms: u64,
    /// Rollouts that were suspect at least once.
    pub suspects: u64,
    /// Rollouts that were called healthy at the end: a delivery tool would have promoted them.
    pub healthy: u64,
    /// All rollouts.
    pub runs: u64,
    /// The most alarms that a judge which keeps its promise has, but for one case in a thousand.
    pub bound: u64,
    /// The category that each alarm names first, and how many do.
    pub categories: BTreeMap<&'static str, u64>,
}

impl Alarms {
    /// Whether there are more alarms than chance allows.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.alarms > self.bound
    }
}

/// Runs one kind of healthy rollout. `plan` gives the promised bound.
#[must_use]
pub fn alarms(plan: &Arc<Plan>, row: &Row, runs: Runs) -> Alarms {
    sampled_alarms(plan, row, &[], runs)
}

/// As [`alarms`], behind workers that look at a part of the exchanges.
#[must_use]
pub fn sampled_alarms(plan: &Arc<Plan>, row: &Row, workers: &[Sampling], runs: Runs) -> Alarms {
    let ends = runs.map(|seed| {
        let scenario = row.scenario.clone();
        let mut rollout = Rollout::sampled(Arc::clone(plan), scenario, workers.to_vec(), seed);
        rollout.run_while(|rollout| rollout.traffic().rollout_ticks() < row.ticks)
    });
    let mut sum = Alarms {
        alarms: 0,
        suspects: 0,
        healthy: 0,
        runs: runs.runs,
        bound: binomial_bound(runs.runs, plan.false_alarm),
        categories: BTreeMap::new(),
    };
    for end in &ends {
        sum.healthy += u64::from(end.decision.verdict == Verdict::Healthy);
        sum.suspects += u64::from(end.was_suspect);
        if end.is_anomalous() {
            sum.alarms += 1;
            let first = end.decision.reasons.first();
            let category = first.map_or("no reason", |reason| reason.category);
            *sum.categories.entry(category).or_default() += 1;
        }
    }
    sum
}
