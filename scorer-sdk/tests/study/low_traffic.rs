//! One request a minute: nothing is forced, and it is said what is missing.

use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::low_traffic::said;
use scorer_sdk::simulation::{Harm, plan};

const RUNS: Runs = Runs {
    runs: 6,
    seed: 40,
    threads: 1,
};

#[test]
fn an_hour_of_one_request_a_minute_forces_no_verdict_and_says_what_is_missing() {
    let said = said(&plan("{}").unwrap(), &Harm::default(), &[1, 3], RUNS);
    for moment in &said {
        println!("{moment:?}");
        assert_eq!(moment.verdicts, [RUNS.runs, 0, 0, 0]);
        let [five, twenty_five] = moment.needed.map(Option::unwrap);
        assert!(
            five > twenty_five,
            "a smaller regression needs more requests"
        );
    }
}

#[test]
fn a_candidate_that_answers_nothing_is_found_even_so() {
    let dead = Harm::errors(1e6);
    let said = said(&plan("{}").unwrap(), &dead, &[3], RUNS);
    println!("{said:?}");
    assert_eq!(said[0].verdicts, [0, 0, 0, RUNS.runs]);
}
