//! `serin-eval rates`: how often is a healthy rollout blamed, and how soon is a bad one found?
//!
//! Runs the studies of [`scorer_sdk::simulation::study`] and lays them out. The same options give
//! the same document, on any number of threads.

mod correlated;
mod false_alarms;
mod low_traffic;
mod past;
mod power;
mod switch;

use anyhow::Result;
use scorer_sdk::Plan;
use scorer_sdk::simulation::plan;
use scorer_sdk::simulation::study::Runs;
use serin_cli::document::{Document, Plot, Table};
use std::sync::Arc;

/// Rollouts of each kind for the false alarms, where nothing else is asked for.
const RUNS: u64 = 60;
/// The same for a quick look.
const QUICK_RUNS: u64 = 8;
/// Simulated requests that one cell of a table may take; rarer regressions get fewer runs.
const REQUESTS: f64 = 25e6;
const QUICK_REQUESTS: f64 = 0.8e6;

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Rollouts of each kind for the false alarms; the other studies take a part of it.
    pub runs: Option<u64>,
    /// Seed of the first rollout.
    pub seed: u64,
    /// Whether to take fewer runs and leave out the cells that take longest.
    pub quick: bool,
    /// Threads.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            runs: None,
            seed: 1,
            quick: false,
            threads: 2,
        }
    }
}

/// What a study works with: the plan, the options, and whom to tell how far it is.
struct Bench<'a> {
    plan: Arc<Plan>,
    without_placebo: Arc<Plan>,
    options: &'a Options,
    done: u64,
    steps: u64,
    step: &'a mut dyn FnMut(u64, u64),
}

impl Bench<'_> {
    /// `numerator / denominator` of the runs, 5 at least.
    fn runs(&self, numerator: u64, denominator: u64) -> Runs {
        let usual = if self.options.quick { QUICK_RUNS } else { RUNS };
        let runs = self.options.runs.unwrap_or(usual);
        Runs {
            runs: (runs.saturating_mul(numerator) / denominator).max(5),
            seed: self.options.seed,
            threads: self.options.threads,
        }
    }

    /// Two fifths of the runs, fewer where each takes `requests` requests; `None` where not even
    /// five fit.
    fn runs_of(&self, requests: f64) -> Option<Runs> {
        let most = if self.options.quick {
            QUICK_REQUESTS
        } else {
            REQUESTS
        };
        // Beyond the limit by two thirds, as most are.
        let fit = (most / (1.7 * requests)) as u64;
        let wanted = self.runs(2, 5);
        (fit >= 5).then_some(Runs {
            // An odd number has a middle.
            runs: wanted.runs.min(fit) | 1,
            ..wanted
        })
    }

    /// Notes that a part is done.
    fn step(&mut self) {
        self.done += 1;
        (self.step)(self.done.min(self.steps), self.steps);
    }
}

/// Runs all studies. `step` is told how many parts are done, and of how many.
///
/// # Errors
/// When a built-in config does not compile, which is a mistake in this program.
pub fn rates(options: &Options, step: &mut dyn FnMut(u64, u64)) -> Result<Document> {
    let mut bench = Bench {
        plan: plan("{}")?,
        without_placebo: plan(r#"{"placebo": false}"#)?,
        options,
        done: 0,
        steps: false_alarms::STEPS
            + power::STEPS
            + past::STEPS
            + correlated::STEPS
            + low_traffic::STEPS
            + switch::STEPS,
        step,
    };
    let mut tables: Vec<Table> = Vec::new();
    let mut plots: Vec<Plot> = Vec::new();
    tables.push(false_alarms::table(&mut bench));
    power::tables(&mut bench, &mut tables, &mut plots);
    past::tables(&mut bench, &mut tables, &mut plots);
    correlated::tables(&mut bench, &mut tables);
    tables.push(low_traffic::table(&mut bench));
    switch::tables(&mut bench, &mut tables)?;
    Ok(Document {
        title: "Error rates and speed on simulated rollouts".to_owned(),
        command: command(options),
        paragraphs: vec![
            "The default config without warm-up, α = 0.01, looked at in every tick. The \
             traffic is simulated from a seed; what is true is known."
                .to_owned(),
        ],
        tables,
        plots,
    })
}

/// The command line that makes it again.
fn command(options: &Options) -> String {
    let mut text = "serin-eval rates".to_owned();
    if let Some(runs) = options.runs {
        text.push_str(&format!(" --runs {runs}"));
    }
    if options.seed != 1 {
        text.push_str(&format!(" --seed {}", options.seed));
    }
    if options.quick {
        text.push_str(" --quick");
    }
    text
}

/// Column names and cells, as texts.
fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A share as per cent.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}
