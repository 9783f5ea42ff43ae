//! What if requests are not independent: sessions that stay with a version, bad pods, retries?
//!
//! Then the harm test's law does not hold, and two versions that are the same code can differ. The
//! placebo is there to notice.

use super::Runs;
use crate::config::Plan;
use crate::simulation::{
    Clients, Deployment, Harm, PodFault, Retries, Rollout, Scenario, Sessions, Share,
};
use std::sync::Arc;

/// Candidate requests in a rollout.
const CANDIDATE_REQUESTS: u64 = 10_000;

/// A rollout whose versions are the same code, and whose requests are not independent.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlated {
    /// What it is about, for people.
    pub name: &'static str,
    /// The scenario.
    pub scenario: Scenario,
}

fn slow_pod(slower: f64) -> PodFault {
    PodFault {
        pod: 0,
        error_odds: 1.0,
        slower,
    }
}

/// The rollouts that are run.
#[must_use]
pub fn same_code() -> Vec<Correlated> {
    let plain = Scenario {
        baseline: Deployment::new("v1", 10),
        candidate: Deployment::new("v2", 10),
        share: Share::Constant(0.2),
        ..Scenario::default()
    };
    let sessions = |sessions: Sessions| Scenario {
        clients: Clients::Sessions(sessions),
        ..plain.clone()
    };
    let one_host = |mut scenario: Scenario| {
        scenario.baseline.pods = 1;
        scenario.candidate.pods = 1;
        scenario
    };
    let pods = |baseline: Option<PodFault>, candidate: Option<PodFault>, candidate_pods: usize| {
        let mut scenario = plain.clone();
        scenario.baseline.faults.extend(baseline);
        scenario.candidate.faults.extend(candidate);
        scenario.candidate.pods = candidate_pods;
        scenario
    };
    let sticky = Sessions::default();
    let few = Sessions {
        active: 30,
        tail: 1.1,
        error_spread: 1.5,
        ..sticky
    };
    vec![
        Correlated {
            name: "independent requests",
            scenario: plain.clone(),
        },
        Correlated {
            name: "sessions, a version drawn for each request",
            scenario: sessions(Sessions {
                sticky: false,
                ..few
            }),
        },
        Correlated {
            name: "200 sessions that stay with a version",
            scenario: sessions(sticky),
        },
        Correlated {
            name: "30 long sessions that stay with a version",
            scenario: sessions(few),
        },
        Correlated {
            name: "the same 30, one host for each version",
            scenario: one_host(sessions(few)),
        },
        Correlated {
            name: "stable has one slow pod of ten",
            scenario: pods(Some(slow_pod(3.0)), None, 10),
        },
        Correlated {
            name: "one slow pod of ten in both versions",
            scenario: pods(Some(slow_pod(3.0)), Some(slow_pod(3.0)), 10),
        },
        Correlated {
            name: "stable has one slow pod of ten, the candidate one of four",
            scenario: pods(Some(slow_pod(3.0)), Some(slow_pod(3.0)), 4),
        },
        Correlated {
            name: "only the candidate has one slow pod of ten",
            scenario: pods(None, Some(slow_pod(3.0)), 10),
        },
        Correlated {
            name: "two retries that mostly fail for the same cause",
            scenario: Scenario {
                retries: Retries {
                    most: 2,
                    same_cause: 0.7,
                    ..Retries::default()
                },
                ..plain.clone()
            },
        },
        Correlated {
            name: "the same retries, in 200 sessions that stay",
            scenario: Scenario {
                retries: Retries {
                    most: 2,
                    same_cause: 0.7,
                    ..Retries::default()
                },
                ..sessions(sticky)
            },
        },
    ]
}

/// What came of one kind of rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Rollouts that were called anomalous.
    pub anomalous: u64,
    /// Rollouts in which the placebo ever held back a verdict.
    pub held: u64,
    /// Rollouts in which the placebo spoke.
    pub spoke: u64,
    /// All rollouts.
    pub runs: u64,
}

/// Runs a scenario for 10,000 candidate requests.
#[must_use]
pub fn outcome(plan: &Arc<Plan>, scenario: &Scenario, runs: Runs) -> Outcome {
    let ends = runs
        .map(|seed| Rollout::new(Arc::clone(plan), scenario.clone(), seed).run(CANDIDATE_REQUESTS));
    let mut sum = Outcome {
        runs: runs.runs,
        ..Outcome::default()
    };
    for end in &ends {
        sum.anomalous += u64::from(end.is_anomalous());
        sum.held += u64::from(end.was_held);
        sum.spoke += u64::from(end.placebo_spoke);
    }
    sum
}

/// A bad candidate beside what makes the placebo speak: what does the placebo cost?
#[must_use]
pub fn bad_code() -> Vec<Correlated> {
    let all = same_code();
    let harmed = |name: &'static str, of: &str, harm: Harm| {
        let found = all.iter().find(|it| it.name == of);
        let mut scenario = found.map(|it| it.scenario.clone()).unwrap_or_default();
        scenario.candidate.harm = harm;
        Correlated { name, scenario }
    };
    let (plain, pod, sticky) = (
        "independent requests",
        "stable has one slow pod of ten",
        "200 sessions that stay with a version",
    );
    vec![
        harmed("errors, odds ratio 5", plain, Harm::errors(5.0)),
        harmed("all requests twice as slow", plain, Harm::slower(2.0)),
        harmed(
            "errors, odds ratio 5, and a slow pod in stable",
            pod,
            Harm::errors(5.0),
        ),
        harmed(
            "all requests twice as slow, and a slow pod in stable",
            pod,
            Harm::slower(2.0),
        ),
        harmed(
            "all requests five times as slow, and a slow pod in stable",
            pod,
            Harm::slower(5.0),
        ),
        harmed(
            "errors, odds ratio 5, sessions that stay",
            sticky,
            Harm::errors(5.0),
        ),
    ]
}
