//! A blue/green switch: past against now.

use super::{Bench, texts};
use scorer_sdk::simulation::study::switch::{Switches, Weather, switches};
use scorer_sdk::simulation::{Harm, plan};
use serin_cli::document::Table;

/// Weathers in which bad switches are looked at.
const BAD_IN: [Weather; 3] = [Weather::Calm, Weather::Swings, Weather::NightAndDay];
const HARMS: usize = 4;

/// Parts of the work.
pub(super) const STEPS: u64 = (Weather::ALL.len() + BAD_IN.len() * HARMS) as u64;

fn harms() -> [(&'static str, Harm); HARMS] {
    [
        (
            "failures at 99 times the odds (1% → 50%)",
            Harm::errors(99.0),
        ),
        ("failures at 5 times the odds (1% → 5%)", Harm::errors(5.0)),
        ("twice as slow", Harm::slower(2.0)),
        ("1.5 times as slow", Harm::slower(1.5)),
    ]
}

/// Healthy switches that were suspect, and how soon bad ones were.
///
/// # Errors
/// When the built-in config does not compile, which is a mistake in this program.
pub(super) fn tables(bench: &mut Bench<'_>, tables: &mut Vec<Table>) -> anyhow::Result<()> {
    let plan = plan(r#"{"warm_up": "30s"}"#)?;
    let of = |count: u64, found: &Switches| format!("{count} of {}", found.runs);
    let runs = bench.runs(1, 1);
    let mut rows = Vec::new();
    for weather in Weather::ALL {
        let found = switches(&plan, weather, &Harm::default(), runs);
        rows.push(vec![
            weather.name(),
            of(found.suspect, &found),
            of(found.at_end, &found),
            of(found.anomalous, &found),
        ]);
        bench.step();
    }
    tables.push(Table {
        title: "Past against now: healthy switches from 0 to 100%".to_owned(),
        columns: texts(&[
            "a healthy switch in which",
            "ever suspect",
            "suspect after ten minutes",
            "anomalous",
        ]),
        rows,
        notes: vec![
            "Half an hour of stable alone, then ten minutes of the new version alone, 60 requests \
             a second on twelve routes."
                .to_owned(),
        ],
    });
    let runs = bench.runs(1, 3);
    let mut rows = Vec::new();
    for weather in BAD_IN {
        for (name, harm) in harms() {
            let found = switches(&plan, weather, &harm, runs);
            let seconds = match found.seconds {
                u64::MAX => "none".to_owned(),
                seconds => seconds.to_string(),
            };
            rows.push(vec![
                name.to_owned(),
                weather.name(),
                of(found.suspect, &found),
                seconds,
            ]);
            bench.step();
        }
    }
    tables.push(Table {
        title: "Past against now: seconds until a bad switch is suspect".to_owned(),
        columns: texts(&[
            "the new version",
            "a switch in which",
            "suspect within ten minutes",
            "seconds, median",
        ]),
        rows,
        notes: Vec::new(),
    });
    Ok(())
}
