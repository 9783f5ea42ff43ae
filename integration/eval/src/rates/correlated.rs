//! Requests that are not independent, without and with the placebo.

use super::{Bench, texts};
use scorer_sdk::simulation::law::median;
use scorer_sdk::simulation::study::correlated::{bad_code, outcome, same_code};
use scorer_sdk::simulation::study::power::speed;
use serin_cli::document::Table;

/// Parts of the work.
pub(super) const STEPS: u64 = 11 + 6;
/// Candidate requests after which a bad candidate is given up.
const PATIENCE: f64 = 1_500.0;

/// False verdicts, and the price in speed.
pub(super) fn tables(bench: &mut Bench<'_>, tables: &mut Vec<Table>) {
    let runs = bench.runs(2, 5);
    let mut rows = Vec::new();
    for kind in same_code() {
        let without = outcome(&bench.without_placebo, &kind.scenario, runs);
        let with = outcome(&bench.plan, &kind.scenario, runs);
        rows.push(vec![
            kind.name.to_owned(),
            format!("{} of {}", without.anomalous, without.runs),
            format!("{} of {}", with.anomalous, with.runs),
            with.held.to_string(),
            with.spoke.to_string(),
        ]);
        bench.step();
    }
    tables.push(Table {
        title: "Requests that are not independent, the same code in both versions".to_owned(),
        columns: texts(&[
            "what is so",
            "anomalous without the placebo",
            "anomalous with it",
            "verdict held back",
            "placebo spoke",
        ]),
        rows,
        notes: vec![
            "10,000 candidate requests, a share of 20%, ten pods for each version where nothing \
             else is said; a slow pod takes three times as long."
                .to_owned(),
            "If only the candidate has a bad pod, nothing in stable can tell it from a bad \
             version."
                .to_owned(),
        ],
    });
    let mut rows = Vec::new();
    for kind in bad_code() {
        let text = |plan| {
            // The patience of `speed` is fifteen limits.
            let found = speed(plan, &kind.scenario, PATIENCE, runs);
            let in_time: Vec<u64> = found
                .requests
                .iter()
                .copied()
                .filter(|requests| *requests < u64::MAX)
                .collect();
            match found.median() {
                Some(requests) => requests.to_string(),
                None if in_time.is_empty() => "none".to_owned(),
                None => format!(
                    "{} in {} of {}",
                    median(in_time.clone()),
                    in_time.len(),
                    runs.runs
                ),
            }
        };
        rows.push(vec![
            kind.name.to_owned(),
            text(&bench.without_placebo),
            text(&bench.plan),
        ]);
        bench.step();
    }
    tables.push(Table {
        title: "What the placebo costs: candidate requests until the verdict".to_owned(),
        columns: texts(&["the candidate is bad", "without the placebo", "with it"]),
        rows,
        notes: vec!["Medians; given up after 22,500.".to_owned()],
    });
}
