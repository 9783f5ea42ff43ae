//! Candidate requests until the verdict, beside the limit.

use super::{Bench, percent, texts};
use scorer_sdk::simulation::Harm;
use scorer_sdk::simulation::study::power::{Speed, cell, speed};
use serin_cli::document::{Plot, Series, Table};

/// Parts of the work: cells.
pub(super) const STEPS: u64 = (15 + 8) * 6 + 2 * 8 * 3 + 2 * 3;

const SHARES: [f64; 6] = [0.01, 0.05, 0.2, 0.5, 0.8, 0.99];
const FEW_SHARES: [f64; 3] = [0.05, 0.2, 0.5];
const ODDS_RATIOS: [f64; 5] = [2.0, 3.0, 5.0, 10.0, 25.0];
/// Those in the plot: each has two lines, and colours must not repeat.
const PLOTTED: [f64; 3] = [2.0, 5.0, 25.0];
const BASE_RATES: [f64; 3] = [0.001, 0.01, 0.1];
const FACTORS: [f64; 4] = [1.2, 1.5, 2.0, 5.0];
/// Where the limit is below this number of ticks, the number of ticks counts.
const FEW_TICKS: f64 = 4.0;
/// Share of the requests that a slow tail concerns.
const TAIL: f64 = 0.1;

/// One cell: its text and, where it was run, its speed.
fn one(
    bench: &mut Bench<'_>,
    routes: usize,
    base_rate: f64,
    share: f64,
    harm: Harm,
) -> (String, Option<Speed>) {
    let late = harm.onset != scorer_sdk::simulation::Onset::Start;
    let (scenario, limit) = cell(&bench.plan, routes, base_rate, share, harm);
    let found = if limit.is_finite() {
        // A late onset has the healthy requests on top.
        let requests = limit / share + if late { 5_000.0 / share } else { 0.0 };
        bench
            .runs_of(requests)
            .map(|runs| speed(&bench.plan, &scenario, limit, runs))
    } else {
        None
    };
    bench.step();
    let text = match &found {
        None if !limit.is_finite() => "tolerated".to_owned(),
        None => format!("not run, limit {limit:.0}"),
        Some(speed) => match speed.median() {
            Some(median) if limit < FEW_TICKS * speed.per_tick => format!(
                "{median} ({:.1}, {:.0} ticks)",
                speed.ratio(),
                (median as f64 / speed.per_tick).ceil()
            ),
            Some(median) => format!("{median} ({:.1})", speed.ratio()),
            None => format!("none, limit {limit:.0}"),
        },
    };
    (text, found)
}

/// All tables and plots on speed.
pub(super) fn tables(bench: &mut Bench<'_>, tables: &mut Vec<Table>, plots: &mut Vec<Plot>) {
    let note = "In brackets: multiples of the least that a test needs which knows what is wrong, \
                compares side by side and does not trust the past. A look comes once a tick, and a \
                tick has 40 requests or more here. Where the limit is less than four ticks the \
                ticks are given too: what one tick may add to the evidence is limited, so that \
                three are the least for failures and five for slowness.";
    tables.push(errors(bench, note, plots));
    tables.push(latency(bench, note));
    for (title, routes, hit) in [
        (
            "Candidate requests until the verdict: all of six routes are bad",
            6,
            6,
        ),
        (
            "Candidate requests until the verdict: one of six routes is bad",
            6,
            1,
        ),
    ] {
        tables.push(several_routes(bench, title, routes, hit));
    }
    tables.push(late(bench));
}

fn share_columns(first: &str, shares: &[f64]) -> Vec<String> {
    let mut columns = vec![first.to_owned()];
    columns.extend(
        shares
            .iter()
            .map(|share| format!("{} share", percent(*share))),
    );
    columns
}

fn errors(bench: &mut Bench<'_>, note: &str, plots: &mut Vec<Plot>) -> Table {
    let mut rows = Vec::new();
    let mut series = Vec::new();
    for odds_ratio in ODDS_RATIOS {
        for base_rate in BASE_RATES {
            let mut row = vec![format!("{odds_ratio} times, from {}", percent(base_rate))];
            let (mut measured, mut limits) = (Vec::new(), Vec::new());
            for share in SHARES {
                let (text, found) = one(bench, 1, base_rate, share, Harm::errors(odds_ratio));
                row.push(text);
                if let Some(speed) = found {
                    limits.push([100.0 * share, speed.limit]);
                    measured.extend(speed.median().map(|median| [100.0 * share, median as f64]));
                }
            }
            rows.push(row);
            if base_rate == 0.01 && PLOTTED.contains(&odds_ratio) {
                series.push(Series {
                    name: format!("odds ratio {odds_ratio}"),
                    points: measured,
                });
                series.push(Series {
                    name: format!("odds ratio {odds_ratio}, limit"),
                    points: limits,
                });
            }
        }
    }
    plots.push(Plot {
        title: "Candidate requests until the verdict, where 1% of stable's requests fail"
            .to_owned(),
        x_label: "candidate's share of the traffic, per cent".to_owned(),
        y_label: "candidate requests, median".to_owned(),
        logarithmic_x: true,
        logarithmic_y: true,
        series,
        ..Plot::default()
    });
    Table {
        title: "Candidate requests until the verdict: failures on one route".to_owned(),
        columns: share_columns("odds of a failure", &SHARES),
        rows,
        notes: vec![note.to_owned()],
    }
}

fn latency(bench: &mut Bench<'_>, note: &str) -> Table {
    let mut rows = Vec::new();
    for factor in FACTORS {
        for (name, harm) in [
            ("all requests", Harm::slower(factor)),
            ("one in ten", Harm::slow_tail(TAIL, factor)),
        ] {
            let mut row = vec![format!("{name}, {factor} times")];
            for share in SHARES {
                row.push(one(bench, 1, 0.01, share, harm.clone()).0);
            }
            rows.push(row);
        }
    }
    Table {
        title: "Candidate requests until the verdict: slowness on one route".to_owned(),
        columns: share_columns("as slow", &SHARES),
        rows,
        notes: vec![
            note.to_owned(),
            "Log-normal latency, σ 0.5. The limit is that of the best of the three slow \
             categories; tolerated: no category's odds ratio is above 2."
                .to_owned(),
        ],
    }
}

fn several_routes(bench: &mut Bench<'_>, title: &str, routes: usize, hit: usize) -> Table {
    let mut harms: Vec<(String, Harm)> = ODDS_RATIOS
        .iter()
        .map(|ratio| (format!("failures, {ratio} times"), Harm::errors(*ratio)))
        .collect();
    for factor in [1.5, 2.0, 5.0] {
        harms.push((format!("{factor} times as slow"), Harm::slower(factor)));
    }
    let mut rows = Vec::new();
    for (name, harm) in harms {
        let mut row = vec![name];
        for share in FEW_SHARES {
            row.push(one(bench, routes, 0.01, share, harm.clone().on_routes(0..hit)).0);
        }
        rows.push(row);
    }
    Table {
        title: title.to_owned(),
        columns: share_columns("what is bad", &FEW_SHARES),
        rows,
        notes: vec![
            "Requests of all routes count, including those of good routes; 1% of stable's requests fail."
                .to_owned(),
        ],
    }
}

fn late(bench: &mut Bench<'_>) -> Table {
    let mut rows = Vec::new();
    for share in FEW_SHARES {
        let (_, early) = one(bench, 1, 0.01, share, Harm::errors(5.0));
        let (_, late) = one(
            bench,
            1,
            0.01,
            share,
            Harm::errors(5.0).after_requests(5_000),
        );
        let median = |speed: &Option<Speed>| speed.as_ref().and_then(Speed::median);
        let text = |median: Option<u64>| median.map_or("-".to_owned(), |it| it.to_string());
        let (early, late) = (median(&early), median(&late));
        rows.push(vec![
            percent(share),
            text(early),
            text(late),
            match (early, late) {
                (Some(early), Some(late)) => format!("{:.1}", late as f64 / early as f64),
                _ => "-".to_owned(),
            },
        ]);
    }
    Table {
        title: "A regression that begins after 5,000 healthy candidate requests".to_owned(),
        columns: texts(&[
            "share",
            "from the start",
            "from the late onset",
            "times as long",
        ]),
        rows,
        notes: vec!["Failures at an odds ratio of 5, from 1%.".to_owned()],
    }
}
