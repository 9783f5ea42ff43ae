//! Workers that look at a part of heavy traffic leave healthy rollouts alone, and find rare failures as
//! soon as those that look at all. The counts are printed: run with `--nocapture` to see them;
//! `serin-eval looks` does more of the same.

use scorer_sdk::Plan;
use scorer_sdk::simulation::law::binomial_bound;
use scorer_sdk::simulation::plan;
use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::looks::{alarms, bad, found, healthy, one_in, ways};
use scorer_sdk::simulation::study::real_traffic::{attacks, sampled_attack};
use std::sync::Arc;

const RUNS: Runs = Runs {
    runs: 2,
    seed: 6_000,
    threads: 2,
};
/// Kinds of healthy rollouts in which failures share a cause.
const KINDS: [&str; 4] = [
    "shared outages",
    "300 sticky users",
    "any pod fails for 5 s once in 15 minutes",
    "half of all is 404, 300 sticky users",
];

#[test]
fn healthy_rollouts_are_left_alone_by_workers_that_look_at_a_part() {
    let plan = Arc::new(Plan::from_json("{}").unwrap());
    let (mut sum, mut runs) = (0, 0);
    for row in healthy() {
        if !KINDS.contains(&row.name.as_str()) {
            continue;
        }
        for looks in ways().iter().skip(1) {
            let came_of = alarms(&plan, &row, looks, RUNS);
            println!("{}, {}: {came_of:?}", row.name, looks.name);
            sum += came_of.alarms;
            runs += came_of.runs;
        }
    }
    assert_eq!(runs, 32);
    let bound = binomial_bound(runs, plan.false_alarm);
    assert!(sum <= bound, "{sum} of {runs}, allowed {bound}");
}

#[test]
fn a_rare_failure_is_found_as_soon_and_slow_answers_are_found_later() {
    let plan = plan("{}").unwrap();
    let runs = Runs { runs: 5, ..RUNS };
    let seconds = |name: &str, looks| {
        let kind = bad().into_iter().find(|it| it.name == name).unwrap();
        let came_of = found(&plan, &kind, &one_in(looks, 1), 300, runs);
        println!("{name}, 1 in {looks}: {came_of:?}");
        came_of.seconds.unwrap()
    };
    let [all, seventh] = [1, 7].map(|looks| seconds("0.1% fail, odds ratio 5", looks));
    assert!(4 * seventh <= 5 * all + 8, "{seventh} s beside {all} s");
    let [all, seventh] = [1, 7].map(|looks| seconds("all 1.5 times as slow", looks));
    assert!(seventh > 2 * all, "{seventh} s beside {all} s");
}

#[test]
fn one_client_whose_failures_are_all_kept_needs_10_000_requests_to_have_a_candidate_condemned() {
    let plan = Arc::new(Plan::from_json("{}").unwrap());
    let attack = attacks().remove(0);
    for looks in [7, 50] {
        let came_of = sampled_attack(&plan, &attack, &one_in(looks, 1).workers, RUNS);
        println!("{}, 1 in {looks}: {came_of:?}", attack.name);
        let too_few = came_of.fewest.filter(|requests| *requests <= 10_000);
        assert_eq!(too_few, None, "{}, 1 in {looks}: {came_of:?}", attack.name);
    }
}
