//! What would trust in the stable version's past gain where the candidate has most of the traffic,
//! and what would it risk?
//!
//! Side by side, few baseline requests are left to compare with. A test that takes the baseline's
//! remembered rate for known needs none of them; but it charges to the candidate whatever has
//! changed since. Both tests here are the harm test of one category on the same traffic, without
//! other categories and routes.

use super::Runs;
use crate::evidence::{Block, HarmTest, Law, reference_log_probability};
use crate::simulation::law::{SideBySide, median};
use crate::simulation::{Harm, Outage, Scenario, Service, Share, Traffic};

/// Tolerated odds ratio of failures.
const TOLERANCE: f64 = 1.5;
/// The chance for a false alarm.
const ALPHA: f64 = 0.01;
/// Candidate requests of a healthy rollout.
const HEALTHY: u64 = 20_000;
/// What is kept of the past from tick to tick: a half-life of ten minutes.
const KEEP: f64 = 0.998_845;

/// What both tests did at one share and odds ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The candidate's share of the traffic.
    pub share: f64,
    /// The odds ratio of failures.
    pub odds_ratio: f64,
    /// The side-by-side limit, in candidate requests.
    pub limit: f64,
    /// Candidate requests until the side-by-side test had enough evidence, in the median.
    pub side_by_side: u64,
    /// The same for the test that trusts the past.
    pub trusting: u64,
}

/// False alarms of both tests in healthy rollouts in which, for a minute, both versions fail twice
/// as often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Risk {
    /// Of the side-by-side test.
    pub side_by_side: u64,
    /// Of the test that trusts the past.
    pub trusting: u64,
    /// Rollouts.
    pub runs: u64,
}

fn scenario(share: f64) -> Scenario {
    let mut scenario = Scenario {
        service: Service::with_routes(1),
        share: Share::Constant(share),
        learning: 20_000,
        ..Scenario::default()
    };
    scenario.load.requests = 100.0;
    scenario
}

/// Requests and failures of one arm.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    all: u64,
    failed: u64,
}

/// Both tests on the same traffic.
struct Tests {
    traffic: Traffic,
    side_by_side: HarmTest,
    trusting: HarmTest,
    /// Decayed failures and requests of the baseline.
    past: (f64, f64),
}

impl Tests {
    fn new(scenario: Scenario, seed: u64) -> Self {
        let mut tests = Self {
            traffic: Traffic::new(scenario, seed),
            side_by_side: HarmTest::new(TOLERANCE),
            trusting: HarmTest::new(TOLERANCE),
            past: (0.5, 1.0),
        };
        while tests.traffic.is_learning() {
            tests.tick();
        }
        tests
    }

    fn tick(&mut self) {
        self.traffic.advance();
        let (mut baseline, mut candidate) = (Count::default(), Count::default());
        for record in self.traffic.records() {
            let arm = if record.candidate {
                &mut candidate
            } else {
                &mut baseline
            };
            arm.all += 1;
            arm.failed += u64::from(record.status >= 500);
        }
        let law = Law::new(&Block {
            candidate: candidate.all,
            baseline: baseline.all,
            candidate_in: candidate.failed,
            baseline_in: baseline.failed,
        });
        self.side_by_side
            .update(|ratio| law.log_probability(ratio), candidate.all);
        let (failed, all) = &mut self.past;
        let rate = *failed / *all;
        self.trusting.update(
            |ratio| reference_log_probability(candidate.all, candidate.failed, rate, ratio),
            candidate.all,
        );
        *failed = KEEP * *failed + baseline.failed as f64;
        *all = KEEP * *all + baseline.all as f64;
    }
}

/// How soon both tests find failures at `odds_ratio` where the candidate has `share`.
#[must_use]
pub fn compare(share: f64, odds_ratio: f64, runs: Runs) -> Comparison {
    let limit = SideBySide {
        base_rate: 0.01,
        odds_ratio,
        tolerance: TOLERANCE,
        share,
    }
    .candidate_requests(ALPHA);
    let mut scenario = scenario(share);
    scenario.candidate.harm = Harm::errors(odds_ratio);
    let enough = -ALPHA.ln();
    let most = (15.0 * limit) as u64;
    let found = runs.map(|seed| {
        let mut tests = Tests::new(scenario.clone(), seed);
        let (mut side_by_side, mut trusting) = (u64::MAX, u64::MAX);
        while side_by_side.max(trusting) == u64::MAX {
            tests.tick();
            let requests = tests.traffic.candidate_requests();
            if tests.side_by_side.log_evidence() >= enough {
                side_by_side = side_by_side.min(requests);
            }
            if tests.trusting.log_evidence() >= enough {
                trusting = trusting.min(requests);
            }
            if requests > most {
                break;
            }
        }
        (side_by_side, trusting)
    });
    Comparison {
        share,
        odds_ratio,
        limit,
        side_by_side: median(found.iter().map(|it| it.0).collect()),
        trusting: median(found.iter().map(|it| it.1).collect()),
    }
}

/// How often both tests call a healthy candidate bad, where both versions fail `factor` times as
/// often (in odds) for a minute of the rollout.
#[must_use]
pub fn risk(share: f64, factor: f64, runs: Runs) -> Risk {
    let mut scenario = scenario(share);
    scenario.shared_change.outages.push(Outage {
        ticks: 40..100,
        error_odds: factor,
        slower: 1.0,
    });
    let enough = -ALPHA.ln();
    let found = runs.map(|seed| {
        let mut tests = Tests::new(scenario.clone(), seed);
        let mut alarms = (false, false);
        while tests.traffic.candidate_requests() < HEALTHY {
            tests.tick();
            alarms.0 |= tests.side_by_side.log_evidence() >= enough;
            alarms.1 |= tests.trusting.log_evidence() >= enough;
        }
        alarms
    });
    Risk {
        side_by_side: found.iter().filter(|it| it.0).count() as u64,
        trusting: found.iter().filter(|it| it.1).count() as u64,
        runs: runs.runs,
    }
}
