//! NAB (numenta/NAB): 58 series with windows of anomalies, and scores of many detectors.
//!
//! [`source`] reads the series, [`score`] has NAB's rules, [`gaussian`] is one of its own detectors,
//! whose published scores check the rules, [`serin`] is the drift detector. NAB finds the one
//! threshold of a detector on the series that it is then scored on. So that nothing hides in that,
//! settings are chosen on a random half of the series, and the other half is scored with the
//! settings and the threshold of the first.

pub mod gaussian;
pub mod score;
pub mod serin;
pub mod source;

use anyhow::{Result, ensure};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use score::{Best, PROFILES, Profile};
use serde_json::{Value, json};
use serin_cli::document::{Document, Table};
use source::Series;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows between two alarms of the clock, of which the best is chosen like Serin's settings.
const CLOCKS: [usize; 4] = [50, 100, 200, 400];
/// What NAB has published, on the profiles in their order.
const PUBLISHED: [(&str, [f64; 3]); 4] = [
    ("ARTime", [74.85, 65.15, 80.36]),
    ("Numenta HTM", [70.10, 63.12, 74.32]),
    ("relative entropy", [54.64, 47.60, 58.84]),
    ("windowed Gaussian", [39.65, 20.87, 47.41]),
];

/// How a detector did on some of the series.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The detector.
    pub detector: &'static str,
    /// Which series: all, the half that settings were chosen on, or the other.
    pub series: &'static str,
    /// NAB's profile.
    pub profile: &'static str,
    /// Score, threshold and counts.
    pub best: Best,
}

impl Score {
    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "detector": self.detector,
            "series": self.series,
            "profile": self.profile,
            "score": self.best.score,
            "caught": self.best.caught,
            "windows": self.best.windows,
            "false_positives": self.best.false_positives,
            "threshold": self.best.threshold,
        })
    }
}

/// A detector's scores of all rows of all series, one list for each of its settings.
struct Runs {
    detector: &'static str,
    settings: Vec<(String, Vec<Vec<f64>>)>,
}

/// Scores the detectors on the series below `folder`. `seed` says which half the settings are
/// chosen on.
///
/// # Errors
/// When the series cannot be read.
pub fn nab(folder: &Path, seed: u64) -> Result<(Vec<Score>, Document)> {
    let series = source::read(folder)?;
    ensure!(series.len() > 1, "one series has no two halves");
    let mut order: Vec<usize> = (0..series.len()).collect();
    order.shuffle(&mut SmallRng::seed_from_u64(seed));
    let (half, other) = order.split_at(order.len() / 2);

    let mut scores = Vec::new();
    let mut chosen = Vec::new();
    let mut kinds = Table::default();
    for runs in runs(&series) {
        let Some((name, rows)) = best_on(half, &series, &runs) else {
            continue;
        };
        chosen.push(vec![runs.detector.to_owned(), name.clone()]);
        for profile in &PROFILES {
            let on_half = score::best(&pick(half, &series, rows), profile);
            let all = score::best(&pick(&order, &series, rows), profile);
            let taken = score::at(&pick(other, &series, rows), profile, on_half.threshold);
            for (which, best) in [("all", all), ("chosen on", on_half), ("held out", taken)] {
                scores.push(Score {
                    detector: runs.detector,
                    series: which,
                    profile: profile.name,
                    best,
                });
            }
            if runs.detector == SERIN && profile == &PROFILES[0] {
                kinds = table_of_kinds(&series, rows, profile, all.threshold);
            }
        }
    }
    let document = document(&scores, chosen, kinds, seed);
    Ok((scores, document))
}

const SERIN: &str = "Serin";

fn runs(series: &[Series]) -> Vec<Runs> {
    let each = |scores: &dyn Fn(&Series) -> Vec<f64>| series.iter().map(scores).collect();
    let serin = serin::candidates()
        .into_iter()
        .map(|settings| {
            let name = format!(
                "run length {}, adopted after {} rows, rest of {}",
                settings.average_run_length, settings.adopt_after, settings.rest
            );
            (name, each(&|one| serin::scores(one, &settings)))
        })
        .collect();
    let clock = CLOCKS
        .iter()
        .map(|rows| {
            let alarms = |one: &Series| {
                let alarm = |index: usize| f64::from(u8::from(index.is_multiple_of(*rows)));
                (0..one.values.len()).map(alarm).collect()
            };
            (format!("every {rows} rows"), each(&alarms))
        })
        .collect();
    let gaussian = each(&|one| gaussian::scores(&one.values));
    vec![
        Runs {
            detector: SERIN,
            settings: serin,
        },
        Runs {
            detector: "windowed Gaussian",
            settings: vec![("as published".to_owned(), gaussian)],
        },
        Runs {
            detector: "a clock",
            settings: clock,
        },
    ]
}

/// The settings that score best on some of the series, on the standard profile.
fn best_on<'a>(
    indices: &[usize],
    series: &[Series],
    runs: &'a Runs,
) -> Option<&'a (String, Vec<Vec<f64>>)> {
    let score = |rows: &[Vec<f64>]| {
        let [standard, ..] = &PROFILES;
        score::best(&pick(indices, series, rows), standard).score
    };
    runs.settings
        .iter()
        .map(|settings| (settings, score(&settings.1)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(settings, _)| settings)
}

fn pick<'a>(
    indices: &[usize],
    series: &'a [Series],
    rows: &'a [Vec<f64>],
) -> Vec<(&'a Series, &'a [f64])> {
    indices
        .iter()
        .filter_map(|index| Some((series.get(*index)?, rows.get(*index)?.as_slice())))
        .collect()
}

fn table_of_kinds(
    series: &[Series],
    rows: &[Vec<f64>],
    profile: &Profile,
    threshold: f64,
) -> Table {
    let mut kinds: BTreeMap<&str, Vec<(&Series, &[f64])>> = BTreeMap::new();
    for (series, rows) in series.iter().zip(rows) {
        let kind = series.name.split('/').next().unwrap_or_default();
        kinds.entry(kind).or_default().push((series, rows));
    }
    let rows = kinds.iter().map(|(kind, series)| {
        let best = score::at(series, profile, threshold);
        vec![
            (*kind).to_owned(),
            series.len().to_string(),
            format!("{} of {}", best.caught, best.windows),
            best.false_positives.to_string(),
        ]
    });
    Table {
        title: "Serin by kind of series, standard profile, all series".to_owned(),
        columns: columns(["kind", "series", "windows caught", "false alarms"]),
        rows: rows.collect(),
        notes: Vec::new(),
    }
}

fn columns<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

fn document(scores: &[Score], chosen: Vec<Vec<String>>, kinds: Table, seed: u64) -> Document {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for group in scores.chunk_by(|a, b| a.detector == b.detector) {
        for which in ["all", "chosen on", "held out"] {
            let of = |score: &&Score| score.series == which;
            let mut row = vec![
                group.first().map_or("", |first| first.detector).to_owned(),
                which.to_owned(),
            ];
            row.extend(
                group
                    .iter()
                    .filter(of)
                    .map(|s| format!("{:.2}", s.best.score)),
            );
            if let Some(standard) = group.iter().find(of) {
                row.push(format!(
                    "{} of {}",
                    standard.best.caught, standard.best.windows
                ));
                row.push(standard.best.false_positives.to_string());
            }
            rows.push(row);
        }
    }
    for (detector, published) in PUBLISHED {
        let mut row = vec![format!("{detector}, published"), "all".to_owned()];
        row.extend(published.map(|score| format!("{score:.2}")));
        row.extend(["–", "–"].map(str::to_owned));
        rows.push(row);
    }
    Document {
        title: "Drift on the Numenta Anomaly Benchmark".to_owned(),
        command: format!("serin-eval nab DIR --seed {seed}"),
        paragraphs: vec![
            "0 is a detector without alarms, 100 a perfect one. All series: the threshold is found \
             on them, as NAB does it for every detector. Chosen on: a random half, on which \
             settings and threshold are chosen. Held out: the other half, with both taken over. The \
             form of the detector itself (how many bets, that it rests after a drift) was settled \
             while looking at scores, so it is held out of nothing."
                .to_owned(),
            "The clock sounds an alarm at a fixed interval and looks at no data. Its score is what \
             the rules give to regular alarms."
                .to_owned(),
        ],
        tables: vec![
            Table {
                title: "Scores".to_owned(),
                columns: columns([
                    "detector",
                    "series",
                    "standard",
                    "low FP rate",
                    "low FN rate",
                    "windows caught",
                    "false alarms",
                ]),
                rows,
                notes: vec![
                    "Windows and false alarms are those of the standard profile.".to_owned(),
                ],
            },
            kinds,
            Table {
                title: "Settings, the same for all series".to_owned(),
                columns: columns(["detector", "chosen"]),
                rows: chosen,
                notes: Vec::new(),
            },
        ],
        plots: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder as NAB's, with two series of noise that jump within a window.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("data/kind")).unwrap();
        fs::create_dir_all(folder.path().join("labels")).unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let time = |row: usize| {
            let (day, minute) = (1 + row / 288, row % 288 * 5);
            format!("2014-04-{day:02} {:02}:{:02}:00", minute / 60, minute % 60)
        };
        for name in ["one", "two"] {
            let mut text = "timestamp,value\n".to_owned();
            for row in 0..2_000 {
                let jump = if (1_500..1_600).contains(&row) {
                    9.0
                } else {
                    0.0
                };
                text.push_str(&format!("{},{}\n", time(row), random.f64() + jump));
            }
            fs::write(folder.path().join(format!("data/kind/{name}.csv")), text).unwrap();
        }
        let window = json!([[time(1_480), time(1_620)]]);
        let windows = json!({"kind/one.csv": window, "kind/two.csv": window});
        let path = folder.path().join("labels/combined_windows.json");
        fs::write(path, windows.to_string()).unwrap();
        folder
    }

    #[test]
    fn a_jump_in_noise_is_caught_in_series_that_nothing_was_chosen_on() {
        let folder = folder();
        let (scores, document) = nab(folder.path(), 1).unwrap();
        let of = |detector: &str| {
            let held = |s: &&Score| s.detector == detector && s.series == "held out";
            scores.iter().find(held).unwrap().best
        };
        assert_eq!((of(SERIN).caught, of(SERIN).windows), (1, 1));
        assert!(of(SERIN).score > 80.0 && of("a clock").score < 80.0);
        assert_eq!(scores.len(), 27);
        assert_eq!(document.tables[0].rows.len(), 13);
        for table in &document.tables {
            assert!(
                table
                    .rows
                    .iter()
                    .all(|row| row.len() == table.columns.len())
            );
        }
        assert_eq!(nab(folder.path(), 1).unwrap().0, scores);
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said_with_file_and_line() {
        let folder = folder();
        let path = folder.path().join("data/kind/two.csv");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(
            &path,
            text.replacen("2014-04-01 00:05:00,", "2014-04-01 00:05:00;", 1),
        )
        .unwrap();
        let error = format!("{:#}", nab(folder.path(), 1).unwrap_err());
        assert!(
            error.contains("kind/two.csv") && error.contains("line 3"),
            "{error}"
        );
        fs::remove_file(&path).unwrap();
        let error = format!("{:#}", nab(folder.path(), 1).unwrap_err());
        assert!(error.contains("kind/two.csv, which is missing"), "{error}");
        fs::remove_dir_all(folder.path().join("labels")).unwrap();
        let error = format!("{:#}", nab(folder.path(), 1).unwrap_err());
        assert!(error.contains("no combined_windows.json"), "{error}");
    }
}
