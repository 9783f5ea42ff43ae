//! `serin-eval looks`: workers that look at a part of heavy traffic. Is a healthy rollout still left
//! alone, and how much longer does it take until a bad one is found?
//!
//! Runs [`scorer_sdk::simulation::study::looks`] and lays it out. The same options give the same
//! document, on any number of threads.

use crate::rows::{Options, few};
use anyhow::Result;
use scorer_sdk::Plan;
use scorer_sdk::simulation::plan;
use scorer_sdk::simulation::study::looks::{
    Bad, Found, Looks, ONE_IN, alarms, bad, found, healthy, one_in, ways,
};
use scorer_sdk::simulation::study::real_traffic::{Alarms, Row};
use serde_json::{Value, json};
use serin_cli::document::{Document, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rollouts of each kind and way to sample, where nothing else is asked for.
const RUNS: u64 = 40;
/// The same for a quick look.
const QUICK_RUNS: u64 = 5;
/// The promised bound of the default config.
const ALPHA: f64 = 0.01;
/// Seconds after which a bad candidate is given up.
const SECONDS: u64 = 600;

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// The tables.
    pub document: Document,
    /// Per healthy row, what came of each way to sample.
    pub healthy: Value,
    /// Per bad candidate and way to sample, how soon it was found.
    pub bad: Value,
    /// Ways to sample with more false alarms than chance allows.
    pub broken: Vec<String>,
}

/// Runs all rows. `step` is told how many are done, and of how many.
///
/// # Errors
/// When no row has the text in its name.
pub fn run(options: &Options, step: &mut dyn FnMut(u64, u64)) -> Result<Measured> {
    let usual = Arc::new(Plan::from_json("{}")?);
    let without_warm_up = plan("{}")?;
    let wanted = |name: &str| options.wants(name);
    let rows: Vec<Row> = healthy()
        .into_iter()
        .filter(|row| wanted(&row.name))
        .collect();
    let kinds: Vec<Bad> = bad().into_iter().filter(|kind| wanted(kind.name)).collect();
    let ways = ways();
    let all = (rows.len() * ways.len() + kinds.len() * ONE_IN.len()) as u64;
    anyhow::ensure!(all > 0, "no row's name contains \"{}\"", options.row);
    let runs = options.runs(RUNS, QUICK_RUNS);
    let few_runs = few(runs, 2);
    let mut done = 0;
    let mut step = || {
        done += 1;
        step(done, all);
    };
    let healthy: Vec<(String, Vec<Alarms>)> = rows
        .iter()
        .map(|row| {
            let came_of = ways.iter().map(|looks| {
                let came_of = alarms(&usual, row, looks, runs);
                step();
                came_of
            });
            (row.name.clone(), came_of.collect())
        })
        .collect();
    let bad: Vec<(&'static str, u16, Found)> = kinds
        .iter()
        .flat_map(|kind| ONE_IN.map(|looks| (kind, looks)))
        .map(|(kind, looks)| {
            let way = one_in(looks, 1);
            let came_of = found(&without_warm_up, kind, &way, SECONDS, few_runs);
            step();
            (kind.name, looks, came_of)
        })
        .collect();
    let sums = sums(&healthy, &ways);
    let broken = ways.iter().zip(&sums).filter(|(_, sum)| sum.is_broken());
    Ok(Measured {
        broken: broken.map(|(looks, _)| looks.name.clone()).collect(),
        healthy: healthy
            .iter()
            .flat_map(|(name, came_of)| healthy_json(name, &ways, came_of))
            .collect(),
        bad: bad.iter().map(bad_json).collect(),
        document: document(options, &ways, &healthy, &sums, &bad),
    })
}

/// What came of each way to sample over all rows.
fn sums(rows: &[(String, Vec<Alarms>)], ways: &[Looks]) -> Vec<Alarms> {
    (0..ways.len())
        .map(|way| {
            let of_way = || rows.iter().filter_map(|(_, came_of)| came_of.get(way));
            let runs = of_way().map(|came_of| came_of.runs).sum();
            Alarms {
                alarms: of_way().map(|came_of| came_of.alarms).sum(),
                suspects: of_way().map(|came_of| came_of.suspects).sum(),
                healthy: of_way().map(|came_of| came_of.healthy).sum(),
                runs,
                bound: scorer_sdk::simulation::law::binomial_bound(runs, ALPHA),
                categories: BTreeMap::new(),
            }
        })
        .collect()
}

fn document(
    options: &Options,
    ways: &[Looks],
    healthy: &[(String, Vec<Alarms>)],
    sums: &[Alarms],
    bad: &[(&'static str, u16, Found)],
) -> Document {
    let tables = [healthy_table(ways, healthy, sums), bad_table(bad)];
    Document {
        title: "Workers that look at a part of heavy traffic".to_owned(),
        command: options.command("looks"),
        paragraphs: vec![
            "One exchange in k is looked at in full, chosen by chance. Of the others only failures \
             are looked at, when they are over: all of them, or one in so many where cases are \
             thinned."
                .to_owned(),
        ],
        tables: tables
            .into_iter()
            .filter(|table| !table.rows.is_empty())
            .collect(),
        plots: Vec::new(),
    }
}

fn healthy_table(ways: &[Looks], rows: &[(String, Vec<Alarms>)], sums: &[Alarms]) -> Table {
    let cells = |name: &str, came_of: &[Alarms]| {
        let counts = came_of
            .iter()
            .map(|it| format!("{} ({})", it.alarms, it.suspects));
        core::iter::once(name.to_owned()).chain(counts).collect()
    };
    let mut lines: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, came_of)| cells(name, came_of))
        .collect();
    let bound = sums.first().map_or(0, |sum| sum.bound);
    let runs = sums.first().map_or(0, |sum| sum.runs);
    if lines.len() > 1 {
        lines.push(cells("all of these", sums));
    }
    let names = ways.iter().map(|looks| looks.name.clone());
    Table {
        title: "False alarms: the same code in both versions".to_owned(),
        columns: core::iter::once("what the traffic has".to_owned())
            .chain(names)
            .collect(),
        rows: lines,
        notes: vec![format!(
            "Rollouts that were called anomalous, and in brackets those that were ever suspect; {} \
             of each kind. The default config; 420 requests a second with 10% on the candidate for \
             ten minutes. All rows together: {runs} rollouts of each way to sample, of which a judge \
             that keeps its promise of 1% calls more than {bound} anomalous only once in a thousand \
             such tables.",
            rows.first()
                .and_then(|(_, came_of)| came_of.first())
                .map_or(0, |it| it.runs)
        )],
    }
}

fn bad_table(rows: &[(&'static str, u16, Found)]) -> Table {
    let text = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    let cells = |(name, looks, came_of): &(&'static str, u16, Found)| {
        vec![
            (*name).to_owned(),
            format!("1 in {looks}"),
            format!("{} of {}", came_of.found, came_of.runs),
            text(came_of.seconds),
            text(came_of.requests),
            text(came_of.judged),
        ]
    };
    Table {
        title: "A bad candidate".to_owned(),
        columns: [
            "the candidate",
            "looked at",
            "found",
            "seconds",
            "candidate requests",
            "of them looked at in full",
        ]
        .map(str::to_owned)
        .into(),
        rows: rows.iter().map(cells).collect(),
        notes: vec![
            "1,000 requests a second with 5% on the candidate, no warm-up. Until the verdict, in the \
             median; a dash where fewer than half were found within ten minutes."
                .to_owned(),
        ],
    }
}

fn healthy_json(name: &str, ways: &[Looks], came_of: &[Alarms]) -> Vec<Value> {
    ways.iter()
        .zip(came_of)
        .map(|(looks, came_of)| {
            json!({
                "row": name,
                "looked_at": looks.name,
                "rollouts": came_of.runs,
                "anomalous": came_of.alarms,
                "suspect": came_of.suspects,
                "reasons": came_of.categories,
            })
        })
        .collect()
}

fn bad_json((name, looks, came_of): &(&'static str, u16, Found)) -> Value {
    json!({
        "row": name,
        "one_in": looks,
        "rollouts": came_of.runs,
        "found": came_of.found,
        "seconds": came_of.seconds,
        "candidate_requests": came_of.requests,
        "judged": came_of.judged,
    })
}
