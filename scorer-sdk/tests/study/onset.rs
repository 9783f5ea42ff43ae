//! How far off the told onset of a late regression is, in ticks. The quantiles are printed: run with
//! `--nocapture` to see them.

use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::onset::{Onsets, onsets};
use scorer_sdk::simulation::{Harm, Scenario, plan};

fn found(harm: Harm, runs: u64) -> Onsets {
    let label = format!("errors x{}, slower x{}", harm.error_odds, harm.slower);
    let mut scenario = Scenario::default();
    scenario.candidate.harm = harm;
    let runs = Runs {
        runs,
        seed: 9_000,
        threads: 1,
    };
    let onsets = onsets(&plan("{}").unwrap(), &scenario, runs);
    let errors = [0.05, 0.25, 0.5, 0.75, 0.95].map(|quantile| onsets.error(quantile));
    let delay = onsets.delays.get(onsets.delays.len() / 2);
    println!(
        "{label}: {} found, {} not; ticks to the verdict {delay:?}; error at 5, 25, 50, 75, 95%: {errors:?}",
        onsets.errors.len(),
        onsets.without,
    );
    onsets
}

#[test]
fn the_onset_of_a_late_regression_is_told_to_a_few_ticks() {
    for harm in [Harm::errors(25.0), Harm::slower(1.5)] {
        let onsets = found(harm, 8);
        assert!(onsets.without <= 1, "{onsets:?}");
        assert!(onsets.within(10) >= 0.7, "{onsets:?}");
    }
}

#[test]
#[ignore = "the table in the documentation: 200 rollouts take minutes"]
fn the_table_of_200_rollouts() {
    for harm in [
        Harm::errors(5.0),
        Harm::errors(25.0),
        Harm::slower(1.3),
        Harm::slower(1.5),
        Harm::slower(2.0),
    ] {
        found(harm, 40);
    }
}
