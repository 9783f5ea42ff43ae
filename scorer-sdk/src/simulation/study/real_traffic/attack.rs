//! A client that wants a healthy candidate condemned: how many requests does it take?

use super::{USUAL, plain};
use crate::config::Plan;
use crate::exchange::Sampling;
use crate::simulation::law::median;
use crate::simulation::study::Runs;
use crate::simulation::{LoneClient, Reaches, Rollout, Scenario, When};
use std::sync::Arc;

/// Requests of the attacker after which it gives up.
const PATIENCE: u64 = 20_000;

/// An attack.
#[derive(Debug, Clone, PartialEq)]
pub struct Attack {
    /// What it is, for people.
    pub name: String,
    /// The scenario; its lone client is the attacker.
    pub scenario: Scenario,
}

/// What came of an attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attacked {
    /// Rollouts whose candidate was condemned.
    pub condemned: u64,
    /// All rollouts.
    pub runs: u64,
    /// Requests of the attacker until then, in the median; `None` where fewer than half were.
    pub requests: Option<u64>,
    /// The same in the rollout where it took the fewest.
    pub fewest: Option<u64>,
}

/// Attackers with a tenth of the traffic that know which version answers: they send what is not
/// there to the candidate alone.
#[must_use]
pub fn attacks() -> Vec<Attack> {
    [1, 10]
        .map(|sessions| Attack {
            name: format!("404s for the candidate on {sessions} session(s)"),
            scenario: Scenario {
                lone_clients: vec![LoneClient {
                    per_second: USUAL.load / 9.0,
                    // It leaves the baseline alone, so that nothing is learned about it.
                    when: When::Ticks(0..u64::MAX),
                    reaches: Reaches::Candidate,
                    sessions,
                    status: Some(404),
                    ..LoneClient::default()
                }],
                ..plain(USUAL)
            },
        })
        .into()
}

/// Runs one attack, which begins when the candidate comes.
#[must_use]
pub fn attacked(plan: &Arc<Plan>, attack: &Attack, runs: Runs) -> Attacked {
    sampled_attack(plan, attack, &[], runs)
}

/// As [`attacked`], behind workers that look at a part of the exchanges.
#[must_use]
pub fn sampled_attack(
    plan: &Arc<Plan>,
    attack: &Attack,
    workers: &[Sampling],
    runs: Runs,
) -> Attacked {
    let found = runs.map(|seed| {
        let scenario = attack.scenario.clone();
        let mut rollout = Rollout::sampled(Arc::clone(plan), scenario, workers.to_vec(), seed);
        let before = rollout.traffic().lone_requests();
        let end =
            rollout.run_while(|rollout| rollout.traffic().lone_requests() - before < PATIENCE);
        let sent = rollout.traffic().lone_requests() - before;
        end.is_anomalous().then_some(sent)
    });
    let middle = median(found.iter().map(|sent| sent.unwrap_or(u64::MAX)).collect());
    Attacked {
        condemned: found.iter().flatten().count() as u64,
        runs: runs.runs,
        requests: Some(middle).filter(|middle| *middle < u64::MAX),
        fewest: found.iter().flatten().min().copied(),
    }
}
