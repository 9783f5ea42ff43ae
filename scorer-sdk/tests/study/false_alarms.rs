//! Healthy rollouts are left alone: twelve routes, all signals, looked at in every tick for 20,000
//! candidate requests. The counts are printed: run with `--nocapture` to see them; `serin-eval
//! rates` does more of the same.

use scorer_sdk::simulation::plan;
use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::false_alarms::{alarms, healthy};

/// Rollouts of each kind.
const RUNS: u64 = 24;

fn left_alone(name: &str) {
    let plan = plan("{}").unwrap();
    let kind = healthy(&plan)
        .into_iter()
        .find(|it| it.name == name)
        .unwrap();
    let runs = Runs {
        runs: RUNS,
        seed: 90_000,
        threads: 1,
    };
    let found = alarms(&plan, &kind.scenario, runs);
    println!("{name}: {found:?}");
    assert!(found.alarms <= found.bound, "{name}: {found:?}");
}

#[test]
fn a_healthy_rollout_is_left_alone() {
    left_alone("nothing happens");
}

#[test]
fn shared_change_that_hits_both_versions_is_not_blamed_on_one() {
    left_alone("error rate and latency swing, and a shared outage");
}

#[test]
fn pods_that_stall_by_chance_carry_no_verdict() {
    left_alone("pods stall, one tick of a hundred each");
}

#[test]
fn steps_of_the_share_carry_no_verdict() {
    left_alone("share goes 1%, 5%, 25%, 50%");
}

#[test]
fn a_candidate_whose_errors_are_just_tolerated_is_left_alone() {
    left_alone("errors exactly at the tolerance");
}

#[test]
fn a_candidate_whose_latency_is_just_tolerated_is_left_alone() {
    left_alone("latency exactly at the tolerance");
}

#[test]
fn a_candidate_well_beyond_the_tolerance_is_not_left_alone() {
    // The same traffic with a bad candidate: the counts above are no accident of the set-up.
    let plan = plan("{}").unwrap();
    let mut scenario = healthy(&plan).swap_remove(1).scenario;
    scenario.candidate.harm.error_odds = 5.0;
    let runs = Runs {
        runs: 5,
        seed: 1,
        threads: 1,
    };
    assert_eq!(alarms(&plan, &scenario, runs).alarms, 5);
}
