//! Healthy rollouts are left alone where requests share a pod, a session, a client or a cold start,
//! and bad ones are found there. The counts are printed: run with `--nocapture` to see them;
//! `serin-eval real-traffic` does more of the same.

use scorer_sdk::Plan;
use scorer_sdk::simulation::law::binomial_bound;
use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::real_traffic::{
    alarms, attacked, attacks, bad, found, healthy, warm_but_slow,
};
use std::sync::Arc;

const RUNS: Runs = Runs {
    runs: 4,
    seed: 4_000,
    threads: 2,
};

fn default_plan() -> Arc<Plan> {
    Arc::new(Plan::from_json("{}").unwrap())
}

#[test]
fn healthy_rollouts_are_left_alone_on_traffic_as_it_is() {
    let plan = default_plan();
    let mut broken = Vec::new();
    let (mut sum, mut runs) = (0, 0);
    for row in healthy() {
        let came_of = alarms(&plan, &row, RUNS);
        println!("{}: {came_of:?}", row.name);
        sum += came_of.alarms;
        runs += came_of.runs;
        if came_of.is_broken() {
            broken.push((row.name, came_of));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    // Four runs of a row allow one alarm; all rows together allow far fewer than that.
    let bound = binomial_bound(runs, plan.false_alarm);
    assert!(sum <= bound, "{sum} of {runs}, allowed {bound}");
}

#[test]
fn a_slow_candidate_is_found_where_pods_are_alike() {
    let plan = default_plan();
    let alike = "2 times as slow, pods differ by 0, 10 and 1";
    let kind = bad().into_iter().find(|it| it.row.name == alike).unwrap();
    let came_of = found(&plan, &kind, RUNS);
    println!("{came_of:?}");
    assert_eq!(came_of.found, RUNS.runs);
}

#[test]
fn a_candidate_that_stays_slow_is_found_soon_after_it_is_warm() {
    let plan = default_plan();
    for kind in warm_but_slow() {
        let came_of = found(&plan, &kind, RUNS);
        println!("{}: {came_of:?}", kind.row.name);
        let in_time = came_of.seconds.is_some_and(|seconds| seconds <= 90);
        assert!(in_time, "{}: {came_of:?}", kind.row.name);
    }
}

#[test]
fn one_client_with_a_tenth_of_the_traffic_needs_10_000_requests_to_have_a_candidate_condemned() {
    let plan = default_plan();
    let attack = attacks().remove(0);
    let came_of = attacked(&plan, &attack, RUNS);
    println!("{}: {came_of:?}", attack.name);
    let too_few = came_of.fewest.filter(|requests| *requests <= 10_000);
    assert_eq!(too_few, None, "{}: {came_of:?}", attack.name);
}
