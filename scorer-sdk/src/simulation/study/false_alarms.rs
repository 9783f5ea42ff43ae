//! How often is a healthy rollout called anomalous, when it is looked at in every tick?
//!
//! Twelve routes, the busiest with ten times the traffic of the least busy one; all signals;
//! 20,000 candidate requests.

use super::Runs;
use crate::config::Plan;
use crate::simulation::law::binomial_bound;
use crate::simulation::{
    Bursts, Harm, Latency, Outage, Rollout, Scenario, Service, Share, SharedChange, Swing,
};
use std::sync::Arc;

/// Candidate requests in a rollout.
pub const CANDIDATE_REQUESTS: u64 = 20_000;

/// A healthy rollout under some shared change.
#[derive(Debug, Clone, PartialEq)]
pub struct Healthy {
    /// What it is about, for people.
    pub name: &'static str,
    /// The scenario.
    pub scenario: Scenario,
}

/// A service of twelve routes that differ in traffic, errors, latency and size.
#[must_use]
pub fn twelve_routes() -> Service {
    let mut service = Service::with_routes(12);
    for (index, route) in (0_i32..).zip(&mut service.routes) {
        route.traffic = 0.8_f64.powi(index);
        route.error_rate = match index % 3 {
            0 => 0.01,
            1 => 0.001,
            _ => 0.03,
        };
        route.latency = Latency {
            median_us: 5_000.0 * f64::from(1 + index),
            sigma: if index % 2 == 0 { 0.4 } else { 0.8 },
        };
        route.response_bytes = 300.0 * f64::from(1 + index);
    }
    service
}

/// The healthy rollouts that are run. `ρ` of errors and of latency are the plan's.
#[must_use]
pub fn healthy(plan: &Plan) -> Vec<Healthy> {
    let tolerance = |name: &str| {
        let question = plan.questions.iter().find(|(_, it)| it.name == name);
        question.map_or(1.0, |(_, question)| question.tolerance)
    };
    let mut plain = Scenario {
        service: twelve_routes(),
        ..Scenario::default()
    };
    plain.load.requests = 500.0;
    let swinging = SharedChange {
        errors: Some(Swing {
            factor: 4.0,
            period: 90.0,
        }),
        latency: Some(Swing {
            factor: 1.7,
            period: 130.0,
        }),
        outages: vec![Outage {
            ticks: 300..330,
            error_odds: 20.0,
            slower: 3.0,
        }],
        ..SharedChange::default()
    };
    let bursts = SharedChange {
        bursts: Some(Bursts {
            chance: 0.01,
            share: 0.5,
            slower: 10.0,
            error_odds: 1.0,
        }),
        ..SharedChange::default()
    };
    let harmed = |harm: Harm| {
        let mut scenario = plain.clone();
        scenario.candidate.harm = harm;
        scenario
    };
    let mut stepped = Scenario {
        share: Share::steps(CANDIDATE_REQUESTS / 4),
        ..plain.clone()
    };
    // At 1% the same number of candidate requests takes ten times as long.
    stepped.load.requests *= 2.0;
    vec![
        Healthy {
            name: "nothing happens",
            scenario: plain.clone(),
        },
        Healthy {
            name: "error rate and latency swing, and a shared outage",
            scenario: Scenario {
                shared_change: swinging,
                ..plain.clone()
            },
        },
        Healthy {
            name: "pods stall, one tick of a hundred each",
            scenario: Scenario {
                shared_change: bursts,
                ..plain.clone()
            },
        },
        Healthy {
            name: "share goes 1%, 5%, 25%, 50%",
            scenario: stepped,
        },
        Healthy {
            name: "errors exactly at the tolerance",
            scenario: harmed(Harm::errors(tolerance("error"))),
        },
        Healthy {
            name: "latency exactly at the tolerance",
            scenario: harmed(Harm {
                slow_odds: tolerance("slow_p95"),
                ..Harm::default()
            }),
        },
    ]
}

/// What came of one kind of healthy rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alarms {
    /// Rollouts that were called anomalous.
    pub alarms: u64,
    /// Rollouts that were suspect at least once.
    pub suspects: u64,
    /// All rollouts.
    pub runs: u64,
    /// The most alarms that a judge which keeps its promise has, but for one case in a thousand.
    pub bound: u64,
}

/// Runs one kind of healthy rollout. `plan` gives the promised bound.
#[must_use]
pub fn alarms(plan: &Arc<Plan>, scenario: &Scenario, runs: Runs) -> Alarms {
    let ends = runs.map(|seed| {
        let end = Rollout::new(Arc::clone(plan), scenario.clone(), seed).run(CANDIDATE_REQUESTS);
        (end.is_anomalous(), end.was_suspect)
    });
    let count =
        |part: fn(&(bool, bool)) -> bool| ends.iter().filter(|end| part(end)).count() as u64;
    Alarms {
        alarms: count(|end| end.0),
        suspects: count(|end| end.1),
        runs: runs.runs,
        bound: binomial_bound(runs.runs, plan.false_alarm),
    }
}
