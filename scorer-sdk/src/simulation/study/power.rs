//! How many candidate requests pass until a bad candidate is found, and how few could do?
//!
//! The limit is that of a test which knows what is wrong and how much, looks all the time and does
//! not trust the past: see [`SideBySide`].

use super::Runs;
use crate::config::Plan;
use crate::signal::latency::Latency as LatencySignal;
use crate::signal::{Direction, Signal};
use crate::simulation::law::{SideBySide, binomial_bound, median, normal_tail};
use crate::simulation::{Harm, Rollout, Route, Scenario, Service, Share};
use crate::sketch::buckets;
use std::sync::Arc;

/// A rollout is given up after this multiple of the limit and this number of ticks.
const PATIENCE: (f64, f64) = (15.0, 30.0);
/// Ticks over which the limit is spread, where the load can be chosen.
const TICKS: f64 = 30.0;

/// How soon a bad candidate was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Speed {
    /// Candidate requests from the onset to the verdict, in rising order; `u64::MAX` for a run that
    /// had none in time.
    pub requests: Vec<u64>,
    /// Candidate requests that the best test needs.
    pub limit: f64,
    /// Mean number of candidate requests in a tick: what cannot be told apart.
    pub per_tick: f64,
}

impl Speed {
    /// The median run; `None` when fewer than half of the runs had a verdict in time.
    #[must_use]
    pub fn median(&self) -> Option<u64> {
        Some(median(self.requests.clone())).filter(|median| *median < u64::MAX)
    }

    /// The median in multiples of the limit; infinite when there is none.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.median()
            .map_or(f64::INFINITY, |median| median as f64 / self.limit)
    }

    /// Runs that took more than this number of candidate requests.
    #[must_use]
    pub fn longer_than(&self, requests: f64) -> u64 {
        let more = |count: &&u64| **count as f64 > requests;
        self.requests.iter().filter(more).count() as u64
    }

    /// Whether these runs speak against a median of at most `requests`: then half of the runs at
    /// most would take longer, and as many as here do so by chance in one case of a thousand.
    #[must_use]
    pub fn is_slower_than(&self, requests: f64) -> bool {
        self.longer_than(requests) > binomial_bound(self.requests.len() as u64, 0.5)
    }
}

/// The odds ratio that `plan` tolerates in a category; 1 for an unknown one.
fn tolerance(plan: &Plan, category: &str) -> f64 {
    let found = plan.questions.iter().find(|(_, it)| it.name == category);
    found.map_or(1.0, |(_, question)| question.tolerance)
}

/// The share of a constant schedule; 0 for another.
fn constant_share(scenario: &Scenario) -> f64 {
    match scenario.share {
        Share::Constant(share) => share,
        _ => 0.0,
    }
}

/// The limit for a candidate, by the best of the categories `error` and `slow_…`. The routes that
/// its harm concerns have to be alike; the requests of the others tell nothing and count.
#[must_use]
pub fn limit(plan: &Plan, scenario: &Scenario) -> f64 {
    let (harm, share) = (&scenario.candidate.harm, constant_share(scenario));
    let routes = scenario.service.routes.iter().enumerate();
    let (mut all, mut concerned, mut example) = (0.0, 0.0, None);
    for (index, route) in routes {
        all += route.traffic;
        if harm.concerns(index) {
            concerned += route.traffic;
            example = Some(route);
        }
    }
    let Some(route) = example else {
        return f64::INFINITY;
    };
    let errors = SideBySide {
        base_rate: route.error_rate,
        odds_ratio: harm.error_odds,
        tolerance: tolerance(plan, "error"),
        share,
    };
    slow_categories(plan, route, harm, share)
        .into_iter()
        .map(|(_, question)| question)
        .chain([errors])
        .map(|question| question.candidate_requests(plan.false_alarm) * all / concerned)
        .fold(f64::INFINITY, f64::min)
}

/// The slow categories as yes/no questions, with their names.
#[must_use]
pub fn slow_categories(
    plan: &Plan,
    route: &Route,
    harm: &Harm,
    share: f64,
) -> Vec<(&'static str, SideBySide)> {
    let signal = LatencySignal::default();
    // Standard normal quantiles of the three cuts.
    [
        ("slow_p50", 0.0),
        ("slow_p95", 1.644_85),
        ("slow_p99", 2.326_35),
    ]
    .into_iter()
    .map(|(name, z)| {
        let quantile = route.latency.median_us * (route.latency.sigma * z).exp();
        let cut = signal.widen(buckets::code(quantile as u64), Direction::Up);
        let edge = buckets::upper_bound(cut) as f64;
        let slower = |factor: f64| {
            normal_tail((edge / factor / route.latency.median_us).ln() / route.latency.sigma)
        };
        let base_rate = slower(1.0);
        let (part, factor) = harm
            .tail
            .map_or((0.0, 1.0), |tail| (tail.share, tail.slower));
        let bad = (1.0 - part) * slower(harm.slower) + part * slower(harm.slower * factor);
        let odds = |rate: f64| rate / (1.0 - rate);
        let question = SideBySide {
            base_rate,
            odds_ratio: odds(bad) / odds(base_rate),
            tolerance: tolerance(plan, name),
            share,
        };
        (name, question)
    })
    .collect()
}

/// The scenario with a load at which the limit takes some thirty ticks: from 40 to 5,000 requests
/// a tick. What one tick may add to the evidence is limited, and fewer ticks would measure that.
#[must_use]
pub fn paced(mut scenario: Scenario, limit: f64) -> Scenario {
    let share = constant_share(&scenario);
    let requests = limit / share.max(1e-6) / TICKS;
    scenario.load.requests = if requests.is_finite() {
        requests.clamp(40.0, 5_000.0)
    } else {
        1_000.0
    };
    scenario
}

/// Runs a scenario until the verdict. `limit` is [`limit`] or another's.
#[must_use]
pub fn speed(plan: &Arc<Plan>, scenario: &Scenario, limit: f64, runs: Runs) -> Speed {
    let per_tick = scenario.load.requests * constant_share(scenario);
    let most = (PATIENCE.0 * limit + PATIENCE.1 * per_tick).min(1e9) as u64;
    let mut requests = runs.map(|seed| {
        let mut rollout = Rollout::new(Arc::clone(plan), scenario.clone(), seed);
        let end = rollout.run_while(|rollout| rollout.traffic().since_onset() < most);
        if end.is_anomalous() {
            end.since_onset
        } else {
            u64::MAX
        }
    });
    requests.sort_unstable();
    Speed {
        requests,
        limit,
        per_tick,
    }
}

/// A service of `routes` equal routes with this base rate of errors, whose candidate has `share` and
/// does `harm`, at a load that suits; and the limit.
#[must_use]
pub fn cell(plan: &Plan, routes: usize, base_rate: f64, share: f64, harm: Harm) -> (Scenario, f64) {
    let mut scenario = Scenario {
        service: Service::with_routes(routes),
        share: Share::Constant(share),
        ..Scenario::default()
    };
    for route in &mut scenario.service.routes {
        route.error_rate = base_rate;
    }
    scenario.candidate.harm = harm;
    let limit = limit(plan, &scenario);
    (paced(scenario, limit), limit)
}
