//! Workers that look at a part of heavy traffic: is a healthy rollout still left alone, and what does
//! it cost until a bad one is found?
//!
//! The random part is one exchange in k; of the others every failure is a case. So a rare failure is
//! found after as many requests as before, and what only the random part tells, such as slowness,
//! after about k times as many.

use super::Runs;
use super::real_traffic::{Alarms, Geometry, Row, healthy_under_load, sampled_alarms};
use crate::config::Plan;
use crate::exchange::Sampling;
use crate::simulation::law::median;
use crate::simulation::{Harm, Load, Rollout, Scenario, Share};
use std::sync::Arc;

/// What part of the exchanges is looked at: one in so many.
pub const ONE_IN: [u16; 3] = [1, 7, 50];

/// Ten minutes at 420 requests a second, a tenth for the candidate: at one in 50 the candidate has
/// less than one in a second that is looked at.
pub const HEAVY: Geometry = Geometry {
    load: 420.0,
    share: 0.1,
    seconds: 600,
};

/// How workers sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Looks {
    /// For people.
    pub name: String,
    /// One for each worker; a session stays with one.
    pub workers: Vec<Sampling>,
}

/// One worker that looks at one exchange in `looks` and at one in `cases` of the failures beside.
#[must_use]
pub fn one_in(looks: u16, cases: u16) -> Looks {
    let name = match cases {
        1 => format!("1 in {looks}"),
        _ => format!("1 in {looks}, cases 1 in {cases}"),
    };
    let sampling = Sampling {
        looks_one_in: looks,
        cases_one_in: cases,
    };
    Looks {
        name,
        workers: vec![sampling],
    }
}

/// The ways to sample that are tried: [`ONE_IN`], thinned cases, and two workers of which one samples
/// and one does not.
#[must_use]
pub fn ways() -> Vec<Looks> {
    let mut ways: Vec<Looks> = ONE_IN.map(|looks| one_in(looks, 1)).into();
    ways.push(one_in(50, 10));
    let mut unlike = one_in(50, 1);
    unlike.name = "two workers, all and 1 in 50".to_owned();
    unlike.workers.push(Sampling::ALL);
    ways.push(unlike);
    ways
}

/// The healthy rollouts.
#[must_use]
pub fn healthy() -> Vec<Row> {
    healthy_under_load(HEAVY)
}

/// How often a healthy rollout is blamed by workers that sample.
#[must_use]
pub fn alarms(plan: &Arc<Plan>, row: &Row, looks: &Looks, runs: Runs) -> Alarms {
    sampled_alarms(plan, row, &looks.workers, runs)
}

/// A bad candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Bad {
    /// What is bad, for people.
    pub name: &'static str,
    /// Share of the baseline's requests that fail.
    pub error_rate: f64,
    /// What the candidate does worse.
    pub harm: Harm,
}

/// Failures that are rare, usual and frequent, and slow answers.
#[must_use]
pub fn bad() -> Vec<Bad> {
    vec![
        Bad {
            name: "0.1% fail, odds ratio 5",
            error_rate: 0.001,
            harm: Harm::errors(5.0),
        },
        Bad {
            name: "1% fail, odds ratio 5",
            error_rate: 0.01,
            harm: Harm::errors(5.0),
        },
        Bad {
            name: "10% fail, odds ratio 3",
            error_rate: 0.1,
            harm: Harm::errors(3.0),
        },
        Bad {
            name: "all 1.5 times as slow",
            error_rate: 0.01,
            harm: Harm::slower(1.5),
        },
        Bad {
            name: "2% of the answers 10 times as slow",
            error_rate: 0.01,
            harm: Harm::slow_tail(0.02, 10.0),
        },
    ]
}

/// 1,000 requests a second, 5% of them for the candidate.
fn scenario(bad: &Bad) -> Scenario {
    let mut scenario = Scenario {
        share: Share::Constant(0.05),
        load: Load {
            requests: 1_000.0,
            ..Load::default()
        },
        learning: 100_000,
        ..Scenario::default()
    };
    for route in &mut scenario.service.routes {
        route.error_rate = bad.error_rate;
    }
    scenario.candidate.harm = bad.harm.clone();
    scenario
}

/// What came of a bad candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Rollouts in which it was found.
    pub found: u64,
    /// All rollouts.
    pub runs: u64,
    /// Candidate requests until then, in the median; `None` where fewer than half were found.
    pub requests: Option<u64>,
    /// Those of them that were looked at in full and judged.
    pub judged: Option<u64>,
    /// Seconds until then.
    pub seconds: Option<u64>,
}

/// How soon a bad candidate is found, within `seconds` of its rollout.
#[must_use]
pub fn found(plan: &Arc<Plan>, bad: &Bad, looks: &Looks, seconds: u64, runs: Runs) -> Found {
    let ends = runs.map(|seed| {
        let workers = looks.workers.clone();
        let mut rollout = Rollout::sampled(Arc::clone(plan), scenario(bad), workers, seed);
        let end = rollout.run_while(|rollout| rollout.traffic().rollout_ticks() < seconds);
        end.is_anomalous().then(|| {
            [
                end.candidate_requests,
                end.decision.judged_exchanges,
                rollout.traffic().rollout_ticks(),
            ]
        })
    });
    let part = |part: fn(&[u64; 3]) -> u64| {
        let values = ends
            .iter()
            .map(|end| end.as_ref().map_or(u64::MAX, part))
            .collect();
        Some(median(values)).filter(|median| *median < u64::MAX)
    };
    Found {
        found: ends.iter().flatten().count() as u64,
        runs: runs.runs,
        requests: part(|[requests, _, _]| *requests),
        judged: part(|[_, judged, _]| *judged),
        seconds: part(|[_, _, seconds]| *seconds),
    }
}
