//! What trust in the stable past would gain, and risk.

use super::{Bench, percent, texts};
use scorer_sdk::simulation::study::past::{compare, risk};
use serin_cli::document::{Plot, Series, Table};

/// Parts of the work.
pub(super) const STEPS: u64 = 2 * 4 + 4;

const SHARES: [f64; 4] = [0.5, 0.8, 0.95, 0.99];
const ODDS_RATIOS: [f64; 2] = [5.0, 25.0];

/// The gain, the risk, and a plot of the gain.
pub(super) fn tables(bench: &mut Bench<'_>, tables: &mut Vec<Table>, plots: &mut Vec<Plot>) {
    let runs = bench.runs(2, 5);
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for odds_ratio in ODDS_RATIOS {
        let (mut side, mut past) = (Vec::new(), Vec::new());
        for share in SHARES {
            let found = compare(share, odds_ratio, runs);
            let text = |requests: u64| match requests {
                u64::MAX => "none".to_owned(),
                requests => requests.to_string(),
            };
            rows.push(vec![
                odds_ratio.to_string(),
                percent(share),
                format!("{:.0}", found.limit),
                text(found.side_by_side),
                text(found.trusting),
            ]);
            for (points, requests) in [(&mut side, found.side_by_side), (&mut past, found.trusting)]
            {
                if requests < u64::MAX {
                    points.push([100.0 * share, requests as f64]);
                }
            }
            bench.step();
        }
        for (name, points) in [("side by side", side), ("trusting the past", past)] {
            series.push(Series {
                name: format!("odds ratio {odds_ratio}, {name}"),
                points,
            });
        }
    }
    tables.push(Table {
        title: "Trust in the stable past: what it would gain".to_owned(),
        columns: texts(&[
            "odds ratio",
            "share",
            "side-by-side limit",
            "side by side",
            "trusting the past",
        ]),
        rows,
        notes: vec![
            "Median of the candidate requests until one harm test alone has enough evidence; \
             failures from 1%."
                .to_owned(),
        ],
    });
    plots.push(Plot {
        title: "Trust in the stable past where the candidate has most of the traffic".to_owned(),
        x_label: "candidate's share of the traffic, per cent".to_owned(),
        y_label: "candidate requests, median".to_owned(),
        logarithmic_y: true,
        series,
        ..Plot::default()
    });
    let mut rows = Vec::new();
    for share in SHARES {
        let found = risk(share, 2.0, runs);
        let of = |alarms: u64| format!("{alarms} of {}", found.runs);
        rows.push(vec![
            percent(share),
            of(found.side_by_side),
            of(found.trusting),
        ]);
        bench.step();
    }
    tables.push(Table {
        title: "Trust in the stable past: what it would risk".to_owned(),
        columns: texts(&["share", "side by side", "trusting the past"]),
        rows,
        notes: vec![
            "False alarms in healthy rollouts in which both versions fail twice as often for a \
             minute. Serin compares side by side."
                .to_owned(),
        ],
    });
}
