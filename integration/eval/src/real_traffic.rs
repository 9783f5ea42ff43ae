//! `serin-eval real-traffic`: is a healthy rollout left alone where requests share a pod, a
//! session, a client or a cold start, and is a bad one found there?
//!
//! Runs [`scorer_sdk::simulation::study::real_traffic`] and lays it out. The same options give the
//! same document, on any number of threads.

use crate::rows::{Options, few};
use anyhow::Result;
use scorer_sdk::Plan;
use scorer_sdk::simulation::study::real_traffic::{
    Alarms, Attacked, Found, Row, alarms, attacked, attacks, bad, found, healthy, warm_but_slow,
};
use serde_json::{Value, json};
use serin_cli::document::{Document, Table};
use std::sync::Arc;

/// Rollouts of each healthy kind, where nothing else is asked for.
const RUNS: u64 = 200;
/// The same for a quick look.
const QUICK_RUNS: u64 = 10;

/// What was found.
#[derive(Debug, Clone)]
pub struct Measured {
    /// For people.
    pub document: Document,
    /// For programs: each healthy row with its counts.
    pub healthy: Value,
    /// Each bad candidate with what came of it.
    pub bad: Value,
    /// Each attack with what came of it.
    pub attacks: Value,
    /// Healthy rows with more alarms than chance allows.
    pub broken: Vec<String>,
}

/// Runs all rows that are asked for. `step` is told how many are done, and of how many.
///
/// # Errors
/// When no row has a name that contains `row`, or the default config does not compile, which is a
/// mistake in this program.
pub fn run(options: &Options, step: &mut dyn FnMut(u64, u64)) -> Result<Measured> {
    let plan = Arc::new(Plan::from_json("{}")?);
    let wanted = |row: &Row| options.wants(&row.name);
    let healthy: Vec<Row> = healthy().into_iter().filter(wanted).collect();
    let bad: Vec<_> = bad().into_iter().filter(|it| wanted(&it.row)).collect();
    let warming: Vec<_> = warm_but_slow()
        .into_iter()
        .filter(|it| wanted(&it.row))
        .collect();
    let attacks: Vec<_> = attacks()
        .into_iter()
        .filter(|it| options.wants(&it.name))
        .collect();
    let all = (healthy.len() + bad.len() + warming.len() + attacks.len()) as u64;
    anyhow::ensure!(all > 0, "no row's name contains \"{}\"", options.row);
    let runs = options.runs(RUNS, QUICK_RUNS);
    let few_runs = few(runs, 5);
    let mut done = 0;
    let mut step = || {
        done += 1;
        step(done, all);
    };
    let healthy: Vec<(String, Alarms)> = healthy
        .into_iter()
        .map(|row| {
            let came_of = alarms(&plan, &row, runs);
            step();
            (row.name, came_of)
        })
        .collect();
    let mut search = |rows: Vec<scorer_sdk::simulation::study::real_traffic::Bad>| {
        rows.into_iter()
            .map(|row| {
                let came_of = found(&plan, &row, few_runs);
                step();
                (row.row.name, came_of)
            })
            .collect::<Vec<(String, Found)>>()
    };
    let (bad, warming) = (search(bad), search(warming));
    let attacks: Vec<(String, Attacked)> = attacks
        .into_iter()
        .map(|attack| {
            let came_of = attacked(&plan, &attack, few_runs);
            step();
            (attack.name, came_of)
        })
        .collect();
    let broken = healthy.iter().filter(|(_, came_of)| came_of.is_broken());
    Ok(Measured {
        broken: broken.map(|(name, _)| name.clone()).collect(),
        healthy: healthy.iter().map(alarms_json).collect(),
        bad: bad.iter().chain(&warming).map(found_json).collect(),
        attacks: attacks.iter().map(attacked_json).collect(),
        document: document(options, &healthy, &bad, &warming, &attacks),
    })
}

fn document(
    options: &Options,
    healthy: &[(String, Alarms)],
    bad: &[(String, Found)],
    warming: &[(String, Found)],
    attacks: &[(String, Attacked)],
) -> Document {
    let tables = [
        healthy_table(healthy),
        bad_table(bad),
        warming_table(warming),
        attack_table(attacks),
    ];
    Document {
        title: "Rollouts on traffic as it is".to_owned(),
        command: options.command("real-traffic"),
        paragraphs: vec![
            "The default config, looked at every second. 20 minutes at 60 requests a second with \
             10% on the candidate, or 14 minutes at 30 with 20%; ten pods and two where nothing \
             else is said. Before that the baseline is alone for five minutes, so that its pods are \
             warm and the candidate's are not."
                .to_owned(),
        ],
        tables: tables
            .into_iter()
            .filter(|table| !table.rows.is_empty())
            .collect(),
        plots: Vec::new(),
    }
}

fn healthy_table(rows: &[(String, Alarms)]) -> Table {
    let cells = |(name, came_of): &(String, Alarms)| {
        let categories = came_of.categories.iter();
        let categories: Vec<String> = categories
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        vec![
            name.clone(),
            came_of.runs.to_string(),
            came_of.alarms.to_string(),
            came_of.bound.to_string(),
            came_of.suspects.to_string(),
            came_of.healthy.to_string(),
            categories.join(", "),
        ]
    };
    Table {
        title: "False alarms: the same code in both versions".to_owned(),
        columns: texts(&[
            "what the traffic has",
            "rollouts",
            "called anomalous",
            "allowed by chance",
            "ever suspect",
            "healthy at the end",
            "first reasons",
        ]),
        rows: rows.iter().map(cells).collect(),
        notes: vec![
            "Allowed by chance: a judge that keeps its promise of 1% has more only once in a \
             thousand such rows (binomial law)."
                .to_owned(),
        ],
    }
}

fn bad_table(rows: &[(String, Found)]) -> Table {
    let cells = |(name, came_of): &(String, Found)| {
        vec![
            name.clone(),
            format!("{} of {}", came_of.found, came_of.runs),
            text(came_of.requests),
        ]
    };
    Table {
        title: "A slow candidate beside pods that differ".to_owned(),
        columns: texts(&["the candidate is", "found", "candidate requests"]),
        rows: rows.iter().map(cells).collect(),
        notes: vec![
            "Pods differ: standard deviation of the natural log of their durations. Requests until \
             the verdict, in the median; a dash where fewer than half were found."
                .to_owned(),
        ],
    }
}

fn warming_table(rows: &[(String, Found)]) -> Table {
    let cells = |(name, came_of): &(String, Found)| {
        vec![
            name.clone(),
            format!("{} of {}", came_of.found, came_of.runs),
            text(came_of.seconds),
        ]
    };
    Table {
        title: "A candidate that is slow after it is warm".to_owned(),
        columns: texts(&["the candidate is", "found", "seconds after it is warm"]),
        rows: rows.iter().map(cells).collect(),
        notes: vec![
            "Fresh pods take three times as long, with a time constant of 60 s; warm is when 5% of \
             that is left, after 180 s. Medians; 0 for a verdict before that."
                .to_owned(),
        ],
    }
}

fn attack_table(rows: &[(String, Attacked)]) -> Table {
    let cells = |(name, came_of): &(String, Attacked)| {
        vec![
            name.clone(),
            format!("{} of {}", came_of.condemned, came_of.runs),
            text(came_of.requests),
            text(came_of.fewest),
        ]
    };
    Table {
        title: "A client with a tenth of the traffic that knows which version answers".to_owned(),
        columns: texts(&[
            "what it sends",
            "condemned",
            "its requests until then",
            "fewest",
        ]),
        rows: rows.iter().map(cells).collect(),
        notes: vec![
            "The candidate is healthy. Medians; it gives up after 20,000 requests.".to_owned(),
        ],
    }
}

fn alarms_json((name, came_of): &(String, Alarms)) -> Value {
    json!({
        "row": name,
        "rollouts": came_of.runs,
        "anomalous": came_of.alarms,
        "allowed": came_of.bound,
        "suspect": came_of.suspects,
        "healthy": came_of.healthy,
        "reasons": came_of.categories,
    })
}

fn found_json((name, came_of): &(String, Found)) -> Value {
    json!({
        "row": name,
        "rollouts": came_of.runs,
        "found": came_of.found,
        "candidate_requests": came_of.requests,
        "seconds_after_warm": came_of.seconds,
    })
}

fn attacked_json((name, came_of): &(String, Attacked)) -> Value {
    json!({
        "row": name,
        "rollouts": came_of.runs,
        "condemned": came_of.condemned,
        "requests": came_of.requests,
        "fewest_requests": came_of.fewest,
    })
}

fn text(number: Option<u64>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

fn texts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
