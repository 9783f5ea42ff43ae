//! Studies: many simulated rollouts, and what came of them.
//!
//! Each file is one question. All take [`Runs`], so that the same code is a quick test and a long
//! study; the seed of each run is the first one plus its number.

pub mod correlated;
pub mod false_alarms;
pub mod looks;
pub mod low_traffic;
pub mod onset;
pub mod past;
pub mod power;
pub mod real_traffic;
pub mod switch;

use std::sync::atomic::{AtomicU64, Ordering};

/// How many runs there are, and from which seed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runs {
    /// Number of runs.
    pub runs: u64,
    /// Seed of the first.
    pub seed: u64,
    /// Threads to run them on; the answers do not depend on it.
    pub threads: usize,
}

impl Runs {
    /// The answers of `run` to the seeds, in their order.
    pub fn map<T: Send>(&self, run: impl Fn(u64) -> T + Sync) -> Vec<T> {
        let next = AtomicU64::new(0);
        let work = || {
            let mut answers = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.runs {
                    return answers;
                }
                answers.push((number, run(self.seed.wrapping_add(number))));
            }
        };
        let mut answers: Vec<(u64, T)> = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..self.threads.max(1))
                .map(|_| scope.spawn(work))
                .collect();
            let mut answers = work();
            for helper in helpers {
                match helper.join() {
                    Ok(more) => answers.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            answers
        });
        answers.sort_by_key(|(number, _)| *number);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// In how many runs the answer is yes.
    pub fn count(&self, run: impl Fn(u64) -> bool + Sync) -> u64 {
        self.map(run).into_iter().filter(|yes| *yes).count() as u64
    }
}
