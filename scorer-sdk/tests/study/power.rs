//! How many candidate requests pass until a bad candidate is found, in multiples of the fewest that
//! any test needs which does not trust the past. The ratios are printed: run with `--nocapture` to
//! see them; `serin-eval rates` has the whole table.
//!
//! A median is held against what is allowed by the binomial law: were it at most that, more than
//! half of the runs would take longer only by chance.

use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::power::{Speed, cell, speed};
use scorer_sdk::simulation::{Harm, plan};

const RUNS: Runs = Runs {
    runs: 31,
    seed: 7_000,
    threads: 1,
};

/// Runs one cell and prints it.
fn found(routes: usize, base_rate: f64, share: f64, harm: Harm) -> Speed {
    let plan = plan("{}").unwrap();
    let label = format!(
        "errors x{}, slower x{} {:?}, base {base_rate}, share {share}, {routes} routes",
        harm.error_odds, harm.slower, harm.tail
    );
    let (scenario, limit) = cell(&plan, routes, base_rate, share, harm);
    let speed = speed(&plan, &scenario, limit, RUNS);
    println!(
        "{label}: {:?} candidate requests, {:.2} times the limit",
        speed.median(),
        speed.ratio()
    );
    speed
}

/// The median has to be within `times` the limit, give or take `ticks` ticks.
fn assert_within(times: f64, ticks: f64, speed: &Speed) {
    let allowed = times * speed.limit + ticks * speed.per_tick;
    assert!(
        !speed.is_slower_than(allowed),
        "{:?} beyond {allowed}",
        speed.median()
    );
}

#[test]
fn errors_of_one_route_are_found_within_a_few_times_the_limit() {
    for share in [0.05, 0.2, 0.5, 0.8] {
        for odds_ratio in [3.0, 5.0, 10.0, 25.0] {
            assert_within(2.0, 2.0, &found(1, 0.01, share, Harm::errors(odds_ratio)));
        }
    }
}

#[test]
fn rare_errors_are_found_as_well() {
    for share in [0.2, 0.5] {
        assert_within(2.0, 2.0, &found(1, 0.001, share, Harm::errors(25.0)));
    }
}

#[test]
fn errors_that_all_routes_share_are_found_as_soon_as_those_of_one() {
    for share in [0.05, 0.5] {
        for odds_ratio in [5.0, 25.0] {
            assert_within(2.2, 3.0, &found(6, 0.01, share, Harm::errors(odds_ratio)));
        }
    }
}

#[test]
fn errors_of_one_route_of_six_are_found() {
    for share in [0.05, 0.5] {
        for odds_ratio in [5.0, 25.0] {
            let harm = Harm::errors(odds_ratio).on_routes(2..3);
            assert_within(2.7, 3.0, &found(6, 0.01, share, harm));
        }
    }
}

#[test]
fn slowness_is_found() {
    for share in [0.05, 0.2, 0.5] {
        assert_within(2.2, 3.0, &found(1, 0.01, share, Harm::slower(1.5)));
        assert_within(2.2, 3.0, &found(1, 0.01, share, Harm::slower(2.0)));
        assert_within(2.2, 3.0, &found(1, 0.01, share, Harm::slow_tail(0.1, 5.0)));
    }
}

#[test]
fn a_late_regression_is_found_within_two_and_a_half_times_an_early_one() {
    for share in [0.1, 0.5] {
        let early = found(1, 0.01, share, Harm::errors(5.0));
        let late = found(1, 0.01, share, Harm::errors(5.0).after_requests(5_000));
        let allowed = 2.5 * early.median().unwrap() as f64;
        assert!(!late.is_slower_than(allowed), "{:?}", late.median());
    }
}

/// What the margins of latency cost, for docs/tuning.md. The load is the same for all settings.
#[test]
#[ignore = "a table for the documents: half a minute on two cores"]
fn what_the_margins_of_latency_cost() {
    let runs = Runs {
        runs: 101,
        threads: 2,
        ..RUNS
    };
    let settings = [
        (
            "10%, 1 ms",
            r#"{"latency": {"margin": 0.1, "floor": "1ms"}}"#,
        ),
        (
            "15%, 3 ms",
            r#"{"latency": {"margin": 0.15, "floor": "3ms"}}"#,
        ),
        (
            "20%, 5 ms",
            r#"{"latency": {"margin": 0.2, "floor": "5ms"}}"#,
        ),
    ];
    let harms = [
        ("1.5 times slower", Harm::slower(1.5)),
        ("2 times slower", Harm::slower(2.0)),
        ("10% of requests 5 times slower", Harm::slow_tail(0.1, 5.0)),
    ];
    for (what, harm) in harms {
        for share in [0.05, 0.2, 0.5] {
            let (scenario, limit) = cell(&plan("{}").unwrap(), 1, 0.01, share, harm.clone());
            let medians = settings.map(|(name, config)| {
                let speed = speed(&plan(config).unwrap(), &scenario, limit, runs);
                (name, speed.median())
            });
            println!("{what}, share {share}: {medians:?}");
            let [narrow, .., wide] = medians.map(|(_, median)| median.unwrap() as f64);
            assert!(wide <= 1.15 * narrow, "{medians:?}");
        }
    }
}
