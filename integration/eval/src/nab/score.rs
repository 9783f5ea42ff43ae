//! NAB's scoring rules, written anew from their description (Lavin and Ahmad, "Evaluating
//! real-time anomaly detection algorithms: the Numenta Anomaly Benchmark", ICMLA 2015) and from
//! what its tools do.
//!
//! A detector gives every row a score, and rows at or above a threshold are alarms. The first 15 %
//! of a series, at most 750 rows, do not count. Of each window the best alarm counts: worth
//! `σ(y)/σ(−1)` with `σ(y) = 2/(1 + e^{5y}) − 1`, where `y` goes from −1 at the left edge to nearly
//! 0 at the right one. Each alarm outside costs: the full weight of a false positive before any
//! window, else `σ(y)` of it, where `y` is the distance from the last window in its lengths. A
//! window without alarms costs the weight of a false negative. One threshold for all series, the
//! best, as NAB finds it for every detector; then 0 is what a detector without alarms gets, and 100
//! what a perfect one gets.

use super::source::Series;

/// Part of a series that does not count, and the most rows of it.
const PROBATION: f64 = 0.15;
const LONGEST_PROBATION: f64 = 750.0;
/// Window lengths behind a window from which a false positive costs all.
const FAR: f64 = 3.0;

/// What mistakes cost; an early alarm in a window is worth 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// NAB's name of it.
    pub name: &'static str,
    /// Cost of a false positive.
    pub false_positive: f64,
    /// Cost of a missed window.
    pub false_negative: f64,
}

/// NAB's profiles.
pub const PROFILES: [Profile; 3] = [
    Profile {
        name: "standard",
        false_positive: 0.11,
        false_negative: 1.0,
    },
    Profile {
        name: "reward_low_FP_rate",
        false_positive: 0.22,
        false_negative: 1.0,
    },
    Profile {
        name: "reward_low_FN_rate",
        false_positive: 0.11,
        false_negative: 2.0,
    },
];

/// Rows at the start of a series that do not count.
#[must_use]
pub fn probation(rows: usize) -> usize {
    (PROBATION * rows as f64).floor().min(LONGEST_PROBATION) as usize
}

/// The row of a detector's best threshold on a profile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Rows that score at least this are alarms.
    pub threshold: f64,
    /// NAB's score, from 100 (perfect) over 0 (no alarms) downwards.
    pub score: f64,
    /// Windows with an alarm.
    pub caught: usize,
    /// All windows.
    pub windows: usize,
    /// Alarms outside windows.
    pub false_positives: usize,
}

/// One row that counts.
struct Row {
    score: f64,
    worth: f64,
    /// Its window among those of all series.
    window: Option<usize>,
}

/// The best threshold over all series, and what is scored with it.
#[must_use]
pub fn best(series: &[(&Series, &[f64])], profile: &Profile) -> Best {
    let rows = rows(series, profile);
    let mut best = Sum::new(series, &rows, profile).best(f64::INFINITY);
    let mut sum = Sum::new(series, &rows, profile);
    let mut left = rows.iter().peekable();
    while let Some(row) = left.next() {
        sum.add(row);
        // Equal scores share a threshold.
        if left.peek().is_none_or(|next| next.score != row.score) {
            let here = sum.best(row.score);
            if here.score > best.score {
                best = here;
            }
        }
    }
    best
}

/// What is scored with a given threshold.
#[must_use]
pub fn at(series: &[(&Series, &[f64])], profile: &Profile, threshold: f64) -> Best {
    let rows = rows(series, profile);
    let mut sum = Sum::new(series, &rows, profile);
    for row in rows.iter().take_while(|row| row.score >= threshold) {
        sum.add(row);
    }
    sum.best(threshold)
}

/// Alarms, from the highest score downwards, and what they add up to.
struct Sum<'a> {
    profile: &'a Profile,
    /// The best worth in each window; none before its first alarm or where it cannot have one.
    windows: Vec<Option<f64>>,
    countable: Vec<bool>,
    false_positives: usize,
    cost: f64,
}

impl<'a> Sum<'a> {
    fn new(series: &[(&Series, &[f64])], rows: &[Row], profile: &'a Profile) -> Self {
        let all = series.iter().map(|(series, _)| series.windows.len()).sum();
        let mut countable = vec![false; all];
        for row in rows {
            if let Some(countable) = row.window.and_then(|window| countable.get_mut(window)) {
                *countable = true;
            }
        }
        Self {
            profile,
            windows: vec![None; all],
            countable,
            false_positives: 0,
            cost: 0.0,
        }
    }

    fn add(&mut self, row: &Row) {
        match row.window {
            Some(window) => {
                if let Some(best) = self.windows.get_mut(window) {
                    *best = Some(best.map_or(row.worth, |best| best.max(row.worth)));
                }
            }
            None => {
                self.false_positives += 1;
                self.cost += row.worth;
            }
        }
    }

    fn best(&self, threshold: f64) -> Best {
        let windows = self.windows.len() as f64;
        let raw: f64 = self
            .windows
            .iter()
            .zip(&self.countable)
            .map(|(best, countable)| match best {
                Some(worth) => *worth,
                None if *countable => -self.profile.false_negative,
                None => 0.0,
            })
            .sum::<f64>()
            + self.cost;
        let missed = self.countable.iter().filter(|yes| **yes).count() as f64;
        let null = -self.profile.false_negative * missed;
        Best {
            threshold,
            score: 100.0 * (raw - null) / (windows - null).max(f64::MIN_POSITIVE),
            caught: self.windows.iter().flatten().count(),
            windows: self.windows.len(),
            false_positives: self.false_positives,
        }
    }
}

/// All rows that count, the highest score first.
fn rows(series: &[(&Series, &[f64])], profile: &Profile) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut first_window = 0;
    for (series, scores) in series {
        let probation = probation(series.values.len());
        let mut windows = series.windows.iter().enumerate().peekable();
        let mut last: Option<(usize, usize)> = None;
        for (index, score) in scores.iter().take(series.values.len()).enumerate() {
            while let Some((_, window)) = windows.next_if(|(_, window)| index > window.1) {
                last = Some(*window);
            }
            let inside = windows.peek().filter(|(_, window)| index >= window.0);
            let (worth, window) = match (inside, last) {
                (Some((number, (from, to))), _) => {
                    let length = (to - from + 1) as f64;
                    let position = -((to - index + 1) as f64) / length;
                    let worth = sigmoid(position) / sigmoid(-1.0);
                    (worth, Some(first_window + number))
                }
                (None, Some((from, to))) => {
                    let position = (index - to) as f64 / (to - from) as f64;
                    let worth = if position > FAR {
                        -1.0
                    } else {
                        sigmoid(position)
                    };
                    (worth * profile.false_positive, None)
                }
                (None, None) => (-profile.false_positive, None),
            };
            if index >= probation {
                let score = if score.is_nan() {
                    f64::NEG_INFINITY
                } else {
                    *score
                };
                rows.push(Row {
                    score,
                    worth,
                    window,
                });
            }
        }
        first_window += series.windows.len();
    }
    rows.sort_by(|a, b| b.score.total_cmp(&a.score));
    rows
}

fn sigmoid(position: f64) -> f64 {
    2.0 / (1.0 + (5.0 * position).exp()) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(rows: usize, windows: &[(usize, usize)]) -> Series {
        Series {
            name: "kind/one.csv".to_owned(),
            times_s: (0..rows as i64).map(|row| row * 300).collect(),
            values: vec![0.0; rows],
            windows: windows.to_vec(),
        }
    }

    fn alarms(rows: usize, at: &[usize]) -> Vec<f64> {
        let mut scores = vec![0.0; rows];
        for index in at {
            scores[*index] = 1.0;
        }
        scores
    }

    #[test]
    fn an_alarm_at_the_left_edge_is_perfect_and_none_is_nothing() {
        let series = series(1_000, &[(400, 499), (700, 799)]);
        for profile in &PROFILES {
            let perfect = best(&[(&series, &alarms(1_000, &[400, 700]))], profile);
            assert!((perfect.score - 100.0).abs() < 1e-9);
            assert_eq!((perfect.caught, perfect.false_positives), (2, 0));
            let none = at(&[(&series, &alarms(1_000, &[]))], profile, 1.0);
            assert!(none.score.abs() < 1e-9);
        }
    }

    #[test]
    fn a_late_alarm_is_worth_less_and_the_earliest_of_a_window_counts() {
        let series = series(1_000, &[(400, 499)]);
        let of =
            |indices: &[usize]| at(&[(&series, &alarms(1_000, indices))], &PROFILES[0], 1.0).score;
        assert!(of(&[401]) > of(&[450]) && of(&[450]) > of(&[499]));
        assert!((of(&[450, 499]) - of(&[450])).abs() < 1e-9);
        // Halfway: y = -1/2, so the worth is .848/.987 and the miss is saved.
        let expected = 100.0 * (0.848_283_6 / 0.986_614_3 + 1.0) / 2.0;
        assert!((of(&[450]) - expected).abs() < 1e-4);
    }

    #[test]
    fn a_false_alarm_costs_less_right_behind_a_window_and_nothing_in_the_probation() {
        let series = series(1_000, &[(400, 499)]);
        let cost = |indices: &[usize]| {
            let found = at(&[(&series, &alarms(1_000, indices))], &PROFILES[0], 1.0);
            // Points of 100 over a range of 2.
            -found.score / 50.0
        };
        assert!((cost(&[300]) - 0.11).abs() < 1e-9);
        assert!((cost(&[900]) - 0.11).abs() < 1e-9);
        assert!(cost(&[500]) < 0.005);
        assert!(cost(&[0, 149]).abs() < 1e-9 && cost(&[150]) > 0.1);
        assert_eq!(probation(22_000), 750);
    }

    #[test]
    fn the_best_threshold_is_one_for_all_series() {
        let (one, two) = (series(1_000, &[(400, 499)]), series(1_000, &[(700, 799)]));
        let mut first = alarms(1_000, &[400]);
        // Stronger than anything in the second series, and wrong.
        first[300] = 2.0;
        let mut second = vec![0.0; 1_000];
        second[700] = 0.5;
        let found = best(&[(&one, &first), (&two, &second)], &PROFILES[0]);
        assert_eq!(
            (found.threshold, found.caught, found.false_positives),
            (0.5, 2, 1)
        );
        assert!((found.score - 100.0 * (4.0 - 0.11) / 4.0).abs() < 1e-9);
        // Where alarms only cost, the best is none.
        let wrong = best(&[(&one, &alarms(1_000, &[300]))], &PROFILES[0]);
        assert_eq!(wrong.score, 0.0);
        assert_eq!(wrong.threshold, f64::INFINITY);
    }
}
