//! A bad candidate whose pods differ or warm up: how soon is it found?

use super::{Geometry, Row, SHORT, USUAL, plain, pods};
use crate::config::Plan;
use crate::simulation::law::median;
use crate::simulation::study::Runs;
use crate::simulation::{ColdStart, Harm, PodLife, Rollout, Scenario};
use std::sync::Arc;

/// Standard deviations of the natural log of the pods' speeds.
const SPREADS: [f64; 4] = [0.0, 0.05, 0.15, 0.3];
/// How many times as slow the candidate is.
const FACTORS: [f64; 3] = [1.5, 2.0, 3.0];
/// Seconds in which a candidate like a JVM warms up, as a time constant.
const WARMS_UP: f64 = 60.0;
/// How many of them pass until 5% of the excess is left.
const WARM_AFTER: f64 = 3.0;

/// A bad candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Bad {
    /// The rollout.
    pub row: Row,
    /// Seconds of the rollout from which on its pods are warm.
    pub warm_after: u64,
}

/// What came of one kind of bad candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Rollouts in which it was found.
    pub found: u64,
    /// All rollouts.
    pub runs: u64,
    /// Candidate requests until then, in the median; `None` where fewer than half were found.
    pub requests: Option<u64>,
    /// Seconds from when its pods were warm until then, in the median; 0 for before.
    pub seconds: Option<u64>,
}

fn slower(geometry: Geometry, factor: f64, life: PodLife, counts: (usize, usize)) -> Scenario {
    let (stable, canary) = counts;
    let mut scenario = pods(plain(geometry), stable, canary);
    scenario.baseline.life = life.clone();
    scenario.candidate.life = life;
    scenario.candidate.harm = Harm::slower(factor);
    scenario
}

/// Candidates that are slower than stable, beside pods that differ.
#[must_use]
pub fn bad() -> Vec<Bad> {
    let mut all = Vec::new();
    for (geometry, length) in [(USUAL, ""), (SHORT, "14 minutes: ")] {
        for counts in [(10, 1), (10, 3)] {
            let (stable, canary) = counts;
            for spread in SPREADS {
                for factor in FACTORS {
                    let life = PodLife {
                        speed_spread: spread,
                        ..PodLife::default()
                    };
                    let row = Row {
                        name: format!(
                            "{length}{factor} times as slow, pods differ by {spread}, {stable} and {canary}"
                        ),
                        scenario: slower(geometry, factor, life, counts),
                        ticks: geometry.seconds,
                    };
                    all.push(Bad { row, warm_after: 0 });
                }
            }
        }
    }
    all
}

/// Candidates like a JVM: three times as slow at first, and twice as slow as stable once warm.
#[must_use]
pub fn warm_but_slow() -> Vec<Bad> {
    let life = PodLife {
        cold_start: Some(ColdStart {
            slower: 3.0,
            time_constant: WARMS_UP,
        }),
        ..PodLife::default()
    };
    [(10, 1), (10, 2)]
        .map(|counts| {
            let (stable, canary) = counts;
            Bad {
                row: Row {
                    name: format!("twice as slow once warm, {stable} and {canary}"),
                    scenario: slower(USUAL, 2.0, life.clone(), counts),
                    ticks: USUAL.seconds,
                },
                warm_after: (WARM_AFTER * WARMS_UP) as u64,
            }
        })
        .into()
}

/// Runs one kind of bad candidate.
#[must_use]
pub fn found(plan: &Arc<Plan>, bad: &Bad, runs: Runs) -> Found {
    let ends = runs.map(|seed| {
        let mut rollout = Rollout::new(Arc::clone(plan), bad.row.scenario.clone(), seed);
        let end = rollout.run_while(|rollout| rollout.traffic().rollout_ticks() < bad.row.ticks);
        let seconds = rollout.traffic().rollout_ticks();
        end.is_anomalous().then_some((
            end.candidate_requests,
            seconds.saturating_sub(bad.warm_after),
        ))
    });
    let part = |part: fn((u64, u64)) -> u64| {
        let values = ends.iter().map(|end| end.map_or(u64::MAX, part));
        Some(median(values.collect())).filter(|median| *median < u64::MAX)
    };
    Found {
        found: ends.iter().flatten().count() as u64,
        runs: runs.runs,
        requests: part(|end| end.0),
        seconds: part(|end| end.1),
    }
}
