//! Requests that are not independent: sessions that stay with a version, bad pods, retries. The
//! counts are printed: run with `--nocapture` to see them.

use scorer_sdk::simulation::law::binomial_bound;
use scorer_sdk::simulation::plan;
use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::correlated::{Outcome, outcome, same_code};

const RUNS: Runs = Runs {
    runs: 20,
    seed: 300,
    threads: 1,
};

fn came_of(name: &str, config: &str) -> Outcome {
    let kind = same_code().into_iter().find(|it| it.name == name).unwrap();
    let outcome = outcome(&plan(config).unwrap(), &kind.scenario, RUNS);
    println!("{name}, {config}: {outcome:?}");
    outcome
}

#[test]
fn the_placebo_is_quiet_where_requests_are_independent() {
    let outcome = came_of("independent requests", "{}");
    let bound = binomial_bound(RUNS.runs, 0.01);
    assert!(outcome.anomalous <= bound && outcome.spoke <= bound);
}

#[test]
fn sessions_do_no_harm_where_the_version_is_drawn_for_each_request() {
    let outcome = came_of("sessions, a version drawn for each request", "{}");
    assert!(outcome.anomalous <= binomial_bound(RUNS.runs, 0.01));
}

#[test]
fn retries_for_the_same_cause_carry_no_verdict() {
    let outcome = came_of("two retries that mostly fail for the same cause", "{}");
    assert!(outcome.anomalous <= binomial_bound(RUNS.runs, 0.01));
}

#[test]
fn a_slow_pod_of_stable_makes_the_placebo_speak_and_the_candidate_is_not_blamed() {
    let outcome = came_of("stable has one slow pod of ten", "{}");
    assert!(outcome.anomalous <= binomial_bound(RUNS.runs, 0.01));
    assert_eq!(outcome.spoke, RUNS.runs);
}

#[test]
fn slow_pods_of_both_versions_carry_no_verdict_with_or_without_the_placebo() {
    let name = "stable has one slow pod of ten, the candidate one of four";
    let bound = binomial_bound(RUNS.runs, 0.01);
    for config in [r#"{"placebo": false}"#, "{}"] {
        assert!(came_of(name, config).anomalous <= bound);
    }
}
