//! A blue/green switch: a healthy one is left alone in bad weather, a bad one is suspect. The
//! counts are printed: run with `--nocapture` to see them; `serin-eval rates` has the table.

use scorer_sdk::simulation::study::Runs;
use scorer_sdk::simulation::study::switch::{Switches, Weather, switches};
use scorer_sdk::simulation::{Harm, plan};

fn run(weather: Weather, harm: &Harm, runs: u64) -> Switches {
    let plan = plan(r#"{"warm_up": "30s"}"#).unwrap();
    let runs = Runs {
        runs,
        seed: 60_000,
        threads: 2,
    };
    let found = switches(&plan, weather, harm, runs);
    println!("{weather:?}, {harm:?}: {found:?}");
    assert_eq!(found.anomalous, 0, "it informs and does not act");
    found
}

#[test]
fn a_healthy_switch_is_left_alone_in_weather_that_the_past_knows() {
    for weather in Weather::ALL {
        let most = match weather {
            // What has never been cannot be told from the version; a cold start has a test.
            Weather::FirstOutages | Weather::ColdStart(_) => continue,
            _ => 0,
        };
        let found = run(weather, &Harm::default(), 12);
        assert!(found.suspect <= most, "{weather:?}: {found:?}");
    }
}

#[test]
fn cold_starts_are_left_alone() {
    for seconds in [60, 300] {
        let found = run(Weather::ColdStart(seconds), &Harm::default(), 8);
        assert!(found.suspect <= 1, "{seconds}: {found:?}");
    }
}

#[test]
fn a_bad_switch_is_suspect_within_minutes() {
    for (harm, seconds) in [
        (Harm::errors(99.0), 60),
        (Harm::errors(5.0), 120),
        (Harm::slower(2.0), 180),
    ] {
        let found = run(Weather::Calm, &harm, 5);
        assert!(found.seconds <= seconds, "{harm:?}: {found:?}");
        assert_eq!(found.at_end, found.runs, "{harm:?}");
    }
}

#[test]
fn gross_failures_are_suspect_whatever_the_weather_was() {
    for weather in [Weather::Swings, Weather::SlowSwings, Weather::NightAndDay] {
        let found = run(weather, &Harm::errors(99.0), 5);
        assert_eq!(found.suspect, found.runs, "{weather:?}");
    }
}
