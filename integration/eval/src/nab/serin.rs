//! Serin's drift detector on a series, online: a row's score knows that row and those before it.

use super::source::Series;
use scorer_sdk::drift::{LevelDrift, Settings};
use std::time::Duration;

/// The settings that are tried, one of which is chosen for all series: how long a run without a
/// report, and how long a drift and the rest behind it. The memory is two weeks of five minutes.
#[must_use]
pub fn candidates() -> Vec<Settings> {
    let mut candidates = Vec::new();
    for average_run_length in [1e3, 1e4, 1e5] {
        for rows in [50, 100, 200] {
            candidates.push(Settings {
                average_run_length,
                memory: 4_032.0,
                adopt_after: rows,
                rest: rows,
                tolerance: 0.0,
            });
        }
    }
    candidates
}

/// The score of each row: the evidence for a drift in nats, 0 while one that was reported lasts.
#[must_use]
pub fn scores(series: &Series, settings: &Settings) -> Vec<f64> {
    let mut detector = LevelDrift::default();
    series
        .times_s
        .iter()
        .zip(&series.values)
        .map(|(time_s, value)| {
            let reported = detector.drift().is_some();
            let now = Duration::from_secs(u64::try_from(*time_s).unwrap_or_default());
            detector.update(now, *value, settings);
            if reported {
                0.0
            } else {
                detector.log_evidence()
            }
        })
        .collect()
}
