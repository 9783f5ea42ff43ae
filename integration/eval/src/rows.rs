//! What `serin-eval real-traffic` and `serin-eval looks` are told: which rows, and how many rollouts.

use scorer_sdk::simulation::study::Runs;

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Rollouts of each healthy kind; the others take a part of it, 5 at least.
    pub runs: Option<u64>,
    /// Seed of the first rollout.
    pub seed: u64,
    /// Whether to take fewer runs.
    pub quick: bool,
    /// Only rows whose name contains this; all where it is empty.
    pub row: String,
    /// Threads.
    pub threads: usize,
}

impl Options {
    /// As many rollouts as are asked for: `usual`, or `quick` for a quick look, where no number is.
    pub(crate) fn runs(&self, usual: u64, quick: u64) -> Runs {
        Runs {
            runs: self.runs.unwrap_or(if self.quick { quick } else { usual }),
            seed: self.seed,
            threads: self.threads,
        }
    }

    /// Whether a row is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.contains(&self.row)
    }

    /// The command line that makes it again.
    pub(crate) fn command(&self, name: &str) -> String {
        let mut text = format!("serin-eval {name}");
        if let Some(runs) = self.runs {
            text.push_str(&format!(" --runs {runs}"));
        }
        if self.seed != 1 {
            text.push_str(&format!(" --seed {}", self.seed));
        }
        if self.quick {
            text.push_str(" --quick");
        }
        if !self.row.is_empty() {
            text.push_str(&format!(" --row \"{}\"", self.row));
        }
        text
    }
}

/// A part of the rollouts, one in `part` and 5 at least; an odd number, which has a middle.
pub(crate) fn few(runs: Runs, part: u64) -> Runs {
    Runs {
        runs: (runs.runs / part).max(5) | 1,
        ..runs
    }
}
