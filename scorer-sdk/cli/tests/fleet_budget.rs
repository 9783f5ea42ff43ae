//! One chance of a false alarm for all: proxies that judge healthy traffic alone and together reach a
//! false verdict in at most `false_alarm` of the rollouts.

use fastrand::Rng;
use scorer_sdk::judge::PairEvidence;
use scorer_sdk::{Engine, Exchange, Plan, Verdict};
use serin_cli::fleet_evidence::log_mean;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const PROXIES: usize = 4;
/// Large, so that two hundred rollouts would show a share that is too large.
const FALSE_ALARM: f64 = 0.2;
const ROUTES: [&str; 3] = ["/a", "/b", "/c"];

/// After how many seconds the first proxy, and all together, condemned the candidate.
#[derive(Debug, Default, Clone, Copy)]
struct Outcome {
    by_one: Option<u64>,
    by_all: Option<u64>,
}

/// A rollout behind all proxies: `healthy` and `candidate` are the shares of failures.
fn rollout(seed: u64, healthy: f64, candidate: f64) -> Outcome {
    let config = format!(
        r#"{{"baseline": "v1", "candidate": "v2", "warm_up": "0s", "false_alarm": {FALSE_ALARM},
        "fleet": {{"cluster": "serve-verdict", "proxies": {PROXIES}}}}}"#
    );
    let plan = Arc::new(Plan::from_json(&config).unwrap());
    let enough = -plan.fleet_false_alarm().ln();
    let mut random = Rng::with_seed(seed);
    let mut proxies: Vec<Engine> = (0..PROXIES as u64)
        .map(|number| Engine::new(Arc::clone(&plan), number))
        .collect();
    let mut outcome = Outcome::default();
    for second in 0..60 {
        let now = Duration::from_secs(1_700_000_000 + second);
        let mut single: BTreeMap<(String, &str), f64> = BTreeMap::new();
        let mut pooled: BTreeMap<&str, f64> = BTreeMap::new();
        for proxy in &mut proxies {
            for _ in 0..40 {
                let is_new = random.f64() < 0.4;
                let share = if is_new { candidate } else { healthy };
                proxy.observe(&Exchange {
                    destination: "shop",
                    method: "GET",
                    path: ROUTES[random.usize(0..ROUTES.len())],
                    version: if is_new { "v2" } else { "v1" },
                    status: Some(if random.f64() < share { 500 } else { 200 }),
                    duration_us: Some(random.u64(2_000..9_000)),
                    ..Exchange::default()
                });
            }
            let decisions = proxy.tick(now);
            let is_found = decisions
                .iter()
                .any(|decision| decision.verdict == Verdict::Anomalous);
            if is_found {
                outcome.by_one.get_or_insert(second);
            }
            for PairEvidence {
                route,
                category,
                nats,
                ..
            } in proxy.judge().pair_evidence()
            {
                let sum = match route {
                    Some(route) => single.entry((route.label(), category)).or_default(),
                    None => pooled.entry(category).or_default(),
                };
                *sum += nats;
            }
        }
        let fleet = log_mean(single.into_values(), pooled.into_values(), ROUTES.len());
        if fleet >= enough {
            outcome.by_all.get_or_insert(second);
        }
    }
    outcome
}

#[test]
fn a_healthy_candidate_is_condemned_by_one_or_all_no_more_often_than_promised() {
    const ROLLOUTS: u64 = 200;
    // The same share of failures, and the most that is tolerated: odds of 1.5 to 1.
    for (candidate, what) in [(0.05, "alike"), (0.0732, "at the tolerance")] {
        let outcomes: Vec<Outcome> = (0..ROLLOUTS)
            .map(|seed| rollout(seed, 0.05, candidate))
            .collect();
        let count =
            |of: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| of(outcome)).count();
        let by_one = count(|outcome| outcome.by_one.is_some());
        let by_all = count(|outcome| outcome.by_all.is_some());
        let wrong = count(|outcome| outcome.by_one.or(outcome.by_all).is_some());
        println!("of {ROLLOUTS} rollouts {what}: {by_one} condemned by one, {by_all} by all");
        // Three standard deviations above the promise.
        let expected = FALSE_ALARM * ROLLOUTS as f64;
        let most = expected + 3.0 * (expected * (1.0 - FALSE_ALARM)).sqrt();
        assert!((wrong as f64) < most, "{wrong} of {ROLLOUTS}");
        let half = expected / 2.0;
        let most = half + 3.0 * half.sqrt();
        assert!((by_one as f64) < most, "{by_one} by one of {ROLLOUTS}");
        assert!((by_all as f64) < most, "{by_all} by all of {ROLLOUTS}");
    }
}

#[test]
fn all_together_find_sooner_what_one_alone_finds() {
    let outcomes: Vec<Outcome> = (0..20).map(|seed| rollout(seed, 0.02, 0.08)).collect();
    let seconds = |of: fn(&Outcome) -> Option<u64>| {
        let sum: u64 = outcomes
            .iter()
            .map(|outcome| of(outcome).unwrap_or(60))
            .sum();
        sum as f64 / outcomes.len() as f64
    };
    let by_one = seconds(|outcome| outcome.by_one);
    let by_all = seconds(|outcome| outcome.by_all);
    println!("seconds until found: {by_one:.1} by the first of all proxies, {by_all:.1} together");
    assert!(by_all < by_one, "{by_one} {by_all}");
}
