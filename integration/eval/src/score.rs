//! Who was right: outcomes of judges on cases of which the truth is known, as a table and as JSON.

use serde_json::{Value, json};
use serin_cli::document::Table;

/// When a judge looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Once, when all is over.
    Once,
    /// At the end of every minute.
    EveryMinute,
}

impl Mode {
    /// The name in tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Once => "once at the end",
            Self::EveryMinute => "every minute",
        }
    }
}

/// What a case really is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// The candidate is bad.
    Faulty,
    /// The candidate is as good as the baseline.
    Harmless,
}

/// What one judge said of one case.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// What is true.
    pub truth: Truth,
    /// Minutes from the candidate's start until it was failed; `None` when it was not.
    pub failed_after: Option<f64>,
}

/// How right a judge was in a mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Name of the judge.
    pub judge: String,
    /// When it looked.
    pub mode: Mode,
    /// Its outcomes.
    pub outcomes: Vec<Outcome>,
    /// Faulty cases that nobody could see, and that count as missed all the same.
    pub unseen: usize,
}

impl Score {
    fn failed(&self, truth: Truth) -> impl Iterator<Item = f64> + '_ {
        self.outcomes
            .iter()
            .filter(move |outcome| outcome.truth == truth)
            .filter_map(|outcome| outcome.failed_after)
    }

    fn all(&self, truth: Truth) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.truth == truth)
            .count()
    }

    /// Faulty candidates that were failed.
    #[must_use]
    pub fn caught(&self) -> usize {
        self.failed(Truth::Faulty).count()
    }

    /// Harmless candidates that were failed.
    #[must_use]
    pub fn false_alarms(&self) -> usize {
        self.failed(Truth::Harmless).count()
    }

    /// Part of the failed candidates that are faulty; `None` where none was failed.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        let (caught, wrong) = (self.caught() as f64, self.false_alarms() as f64);
        (caught + wrong > 0.0).then(|| caught / (caught + wrong))
    }

    /// Part of all faulty candidates that were failed; `None` where there is none.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        let faulty = (self.all(Truth::Faulty) + self.unseen) as f64;
        (faulty > 0.0).then(|| self.caught() as f64 / faulty)
    }

    /// The harmonic mean of precision and recall; `None` where nothing is faulty.
    #[must_use]
    pub fn f1(&self) -> Option<f64> {
        let all = (self.all(Truth::Faulty) + self.unseen) as f64;
        let (caught, wrong) = (self.caught() as f64, self.false_alarms() as f64);
        (all > 0.0).then(|| 2.0 * caught / (caught + wrong + all))
    }

    /// Median minutes until a faulty candidate was failed; `None` where none was.
    #[must_use]
    pub fn delay(&self) -> Option<f64> {
        let mut delays: Vec<f64> = self.failed(Truth::Faulty).collect();
        delays.sort_by(f64::total_cmp);
        let middle = delays.len() / 2;
        let upper = delays.get(middle).copied()?;
        if delays.len().is_multiple_of(2) {
            let lower = delays.get(middle.checked_sub(1)?).copied()?;
            return Some((lower + upper) / 2.0);
        }
        Some(upper)
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "judge": self.judge,
            "mode": self.mode.name(),
            "caught": self.caught(),
            "false": self.false_alarms(),
            "precision": self.precision(),
            "recall": self.recall(),
            "f1": self.f1(),
            "delay": self.delay(),
        })
    }
}

/// The scores as a table.
#[must_use]
pub fn table(title: &str, scores: &[Score]) -> Table {
    let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.2}"));
    let of = |count: usize, all: usize| format!("{count} of {all}");
    Table {
        title: title.to_owned(),
        columns: [
            "judge",
            "mode",
            "caught",
            "false",
            "precision",
            "recall",
            "F1",
            "delay (min)",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: scores
            .iter()
            .map(|score| {
                vec![
                    score.judge.clone(),
                    score.mode.name().to_owned(),
                    of(score.caught(), score.all(Truth::Faulty)),
                    of(score.false_alarms(), score.all(Truth::Harmless)),
                    share(score.precision()),
                    share(score.recall()),
                    share(score.f1()),
                    score
                        .delay()
                        .map_or_else(|| "–".to_owned(), |delay| format!("{delay:.1}")),
                ]
            })
            .collect(),
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(faulty: &[Option<f64>], harmless: &[Option<f64>], unseen: usize) -> Score {
        let outcomes = |truth, times: &[Option<f64>]| -> Vec<Outcome> {
            times
                .iter()
                .map(|failed_after| Outcome {
                    truth,
                    failed_after: *failed_after,
                })
                .collect()
        };
        Score {
            judge: "judge".to_owned(),
            mode: Mode::Once,
            outcomes: [
                outcomes(Truth::Faulty, faulty),
                outcomes(Truth::Harmless, harmless),
            ]
            .concat(),
            unseen,
        }
    }

    #[test]
    fn f1_counts_the_faulty_cases_that_nobody_could_see() {
        // 27 caught of 34 with rows of 51, 31 false: F1 .50.
        let faulty: Vec<Option<f64>> = (0..34).map(|index| (index < 27).then_some(1.0)).collect();
        let harmless: Vec<Option<f64>> =
            (0..162).map(|index| (index < 31).then_some(1.0)).collect();
        let score = score(&faulty, &harmless, 17);
        assert_eq!((score.caught(), score.false_alarms()), (27, 31));
        assert!((score.f1().unwrap() - 0.495).abs() < 0.001);
        assert!((score.precision().unwrap() - 27.0 / 58.0).abs() < 1e-12);
        assert!((score.recall().unwrap() - 27.0 / 51.0).abs() < 1e-12);
    }

    #[test]
    fn the_delay_is_the_median_of_the_caught() {
        assert_eq!(
            score(&[Some(3.0), None, Some(1.0)], &[], 0).delay(),
            Some(2.0)
        );
        assert_eq!(
            score(&[Some(3.0), Some(9.0), Some(1.0)], &[], 0).delay(),
            Some(3.0)
        );
        assert_eq!(score(&[None], &[Some(1.0)], 0).delay(), None);
    }

    #[test]
    fn nothing_failed_has_no_precision() {
        let score = score(&[None], &[None], 0);
        assert_eq!(score.precision(), None);
        assert_eq!(score.f1(), Some(0.0));
    }
}
