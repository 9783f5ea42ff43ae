//! How many requests a bad candidate gets until the verdict, by the whole engine: six equally busy
//! routes, all signals, 200 requests a second, a base error rate of 1%. The candidate is bad from
//! its first request. The table is printed: run with `--nocapture` to see it.

mod evidence_random;
mod traffic;

use evidence_random::median;
use scorer_sdk::Verdict;
use traffic::{Harm, NONE, World};

const REQUESTS: usize = 200;
/// Seeds of each cell.
const RUNS: u64 = 41;
const SHARES: [f64; 3] = [0.05, 0.2, 0.5];
/// A rollout is given up after so many seconds.
const LONGEST: usize = 1_000;

/// Candidate requests, on all routes, until the verdict.
fn until_verdict(seed: u64, share: f64, harm: Harm) -> u64 {
    let mut world = World::new(seed);
    world.share = share;
    world.harm = harm;
    for _ in 0..LONGEST {
        let decision = world.tick(REQUESTS);
        if decision.verdict == Verdict::Anomalous {
            return decision.exchanges_at_verdict;
        }
    }
    u64::MAX
}

/// Prints a row; the median at each share must not exceed what is allowed, half as much again as
/// was measured first.
fn row(label: &str, harm: Harm, allowed: [u64; 3]) {
    let found = SHARES.map(|share| {
        median(
            (0..RUNS)
                .map(|run| until_verdict(7_000 + run, share, harm))
                .collect(),
        )
    });
    let [five, twenty, fifty] = found;
    println!(
        "| {label} | {} | {five} | {twenty} | {fifty} |",
        harm.routes
    );
    for (found, allowed) in found.iter().zip(allowed) {
        assert!(*found <= allowed, "{label}: {found:?} above {allowed:?}");
    }
}

#[test]
fn errors_on_all_routes_are_found_in_time() {
    let harm = |error_odds| Harm { error_odds, ..NONE };
    row("errors, odds ratio 5", harm(5.0), [550, 800, 1_900]);
    row("errors, odds ratio 25", harm(25.0), [90, 200, 450]);
}

#[test]
fn errors_on_one_route_are_found_in_time() {
    let harm = |error_odds| Harm {
        error_odds,
        routes: 1,
        ..NONE
    };
    row("errors, odds ratio 5", harm(5.0), [4_200, 5_700, 13_500]);
    row("errors, odds ratio 25", harm(25.0), [400, 600, 1_300]);
}

#[test]
fn slowness_on_all_routes_is_found_in_time() {
    let harm = |slower| Harm { slower, ..NONE };
    row("1.5 times as slow", harm(1.5), [350, 650, 1_200]);
    row("twice as slow", harm(2.0), [120, 350, 750]);
}

#[test]
fn slowness_on_one_route_is_found_in_time() {
    let harm = |slower| Harm {
        slower,
        routes: 1,
        ..NONE
    };
    row("1.5 times as slow", harm(1.5), [2_700, 3_500, 4_800]);
    row("twice as slow", harm(2.0), [480, 780, 1_500]);
}
