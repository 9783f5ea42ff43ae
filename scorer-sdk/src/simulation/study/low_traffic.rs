//! One request a minute: what is said, and is nothing forced?

use super::Runs;
use crate::config::Plan;
use crate::judge::verdict::Verdict;
use crate::simulation::law::median;
use crate::simulation::{Harm, Load, Rollout, Scenario, Service, Share};
use std::sync::Arc;

/// Odds ratios whose need of requests is read off the decision.
pub const TOLD: [f64; 2] = [5.0, 25.0];

/// A service with two routes, one request a minute, half of them for the candidate.
#[must_use]
pub fn scenario(harm: Harm) -> Scenario {
    let mut scenario = Scenario {
        service: Service::with_routes(2),
        share: Share::Constant(0.5),
        load: Load {
            requests: 1.0 / 60.0,
            ..Load::default()
        },
        // Three days of stable alone.
        learning: 3 * 24 * 60,
        ..Scenario::default()
    };
    scenario.candidate.harm = harm;
    scenario
}

/// What is said at one moment, over all runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    /// Hours since the candidate came.
    pub hours: u64,
    /// Candidate requests so far, in the median.
    pub candidate_requests: u64,
    /// How many of them were judged, in the median: a block waits only so long for its other arm.
    pub judged: u64,
    /// Rollouts with each verdict, in the order of [`Verdict::ALL`].
    pub verdicts: [u64; 4],
    /// Evidence in nats: the median.
    pub evidence: f64,
    /// The largest number of candidate requests in a rollout that has not yet judged enough for a
    /// verdict.
    pub learning_requests: u64,
    /// Candidate requests that are said to be needed still for each of [`TOLD`], in the median;
    /// `None` where nothing is said.
    pub needed: [Option<u64>; 2],
}

/// One rollout at one moment.
struct Moment {
    requests: u64,
    judged: u64,
    verdict: Verdict,
    evidence: f64,
    needed: [Option<u64>; 2],
}

/// What is said after each number of hours, which rise.
#[must_use]
pub fn said(plan: &Arc<Plan>, harm: &Harm, hours: &[u64], runs: Runs) -> Vec<Said> {
    let rollouts = runs.map(|seed| one(plan, harm, hours, seed));
    hours
        .iter()
        .enumerate()
        .map(|(index, hours)| {
            let moments: Vec<&Moment> = rollouts
                .iter()
                .filter_map(|rollout| rollout.get(index))
                .collect();
            summary(*hours, &moments)
        })
        .collect()
}

fn one(plan: &Arc<Plan>, harm: &Harm, hours: &[u64], seed: u64) -> Vec<Moment> {
    let mut rollout = Rollout::new(Arc::clone(plan), scenario(harm.clone()), seed);
    let begun = rollout.traffic().now();
    hours
        .iter()
        .map(|hours| {
            while (rollout.traffic().now() - begun).as_secs() < 3_600 * hours - 1 {
                rollout.advance();
            }
            let decision = rollout.tick();
            let needed = |odds_ratio: f64| {
                let found = decision
                    .needed
                    .iter()
                    .find(|it| it.odds_ratio == odds_ratio);
                found.map(|needed| needed.requests)
            };
            Moment {
                requests: rollout.traffic().candidate_requests(),
                judged: decision.judged_exchanges,
                verdict: decision.verdict,
                evidence: decision.evidence,
                needed: TOLD.map(needed),
            }
        })
        .collect()
}

fn summary(hours: u64, moments: &[&Moment]) -> Said {
    let mut said = Said {
        hours,
        candidate_requests: median(moments.iter().map(|it| it.requests).collect()),
        judged: median(moments.iter().map(|it| it.judged).collect()),
        ..Said::default()
    };
    for moment in moments {
        if let Some(count) = said.verdicts.get_mut(usize::from(moment.verdict.number())) {
            *count += 1;
        }
        if moment.verdict == Verdict::Learning {
            said.learning_requests = said.learning_requests.max(moment.requests);
        }
    }
    let mut evidence: Vec<f64> = moments.iter().map(|it| it.evidence).collect();
    evidence.sort_by(f64::total_cmp);
    said.evidence = evidence.get(evidence.len() / 2).copied().unwrap_or(0.0);
    for (index, needed) in said.needed.iter_mut().enumerate() {
        let told: Vec<u64> = moments
            .iter()
            .filter_map(|it| it.needed.get(index).copied().flatten())
            .collect();
        *needed = (!told.is_empty()).then(|| median(told));
    }
    said
}
