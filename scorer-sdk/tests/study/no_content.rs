//! Answers without content: a candidate whose clients' caches work better sends more 304s, and no
//! fewer headers, no smaller bodies and no other types.

use fastrand::Rng;
use scorer_sdk::simulation::law::binomial_bound;
use scorer_sdk::{Engine, Exchange, Plan, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// Rollouts with a seed each.
const RUNS: u64 = 60;
/// Share of the baseline's answers that have no content: enough to be no unusual status, too little to
/// change what nearly all answers have.
const OF_BASELINE: f64 = 0.003;
const OF_CANDIDATE: f64 = 0.03;

/// Whether a rollout ends with a verdict against the candidate. `status` is that of the answers without
/// content.
fn is_condemned(seed: u64, status: u16) -> bool {
    let plan = Plan::from_json(r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#);
    let mut engine = Engine::new(Arc::new(plan.unwrap()), seed);
    let mut random = Rng::with_seed(seed);
    for second in 0..120 {
        for _ in 0..100 {
            let is_candidate = second >= 40 && random.f64() < 0.3;
            let share = if is_candidate {
                OF_CANDIDATE
            } else {
                OF_BASELINE
            };
            let is_empty = random.f64() < share;
            let headers: &[&str] = if is_empty {
                &["etag"]
            } else {
                &["content-type", "etag", "x-total-count"]
            };
            engine.observe(&Exchange {
                destination: "shop",
                method: "GET",
                path: "/items",
                version: if is_candidate { "v2" } else { "v1" },
                status: Some(if is_empty { status } else { 200 }),
                duration_us: Some(5_000 + random.u64(..5_000)),
                response_bytes: Some(if is_empty { 0 } else { 900 + random.u64(..200) }),
                content_type: if is_empty { "" } else { "application/json" },
                header_names: Some(&headers.to_vec()),
                ..Exchange::default()
            });
        }
        let decisions = engine.tick(Duration::from_secs(1_700_000_000 + second));
        if decisions[0].verdict == Verdict::Anomalous {
            return true;
        }
    }
    false
}

#[test]
fn more_answers_that_nothing_has_changed_are_no_regression() {
    let condemned = |status| (0..RUNS).filter(|seed| is_condemned(*seed, status)).count() as u64;
    let (not_modified, empty) = (condemned(304), condemned(200));
    println!("condemned: {not_modified} of {RUNS} for 304s, {empty} for empty 200s");
    assert!(
        not_modified <= binomial_bound(RUNS, 0.01),
        "{not_modified} of {RUNS}"
    );
    // The same answers as 200s have lost what nearly all of the baseline's have.
    assert!(
        empty >= RUNS * 9 / 10,
        "{empty} of {RUNS}: this tests nothing"
    );
}
