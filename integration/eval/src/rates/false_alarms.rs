//! Healthy rollouts that were called anomalous.

use super::{Bench, texts};
use scorer_sdk::simulation::study::false_alarms::{CANDIDATE_REQUESTS, alarms, healthy};
use serin_cli::document::Table;

/// Parts of the work.
pub(super) const STEPS: u64 = 6;

/// A row for each kind of healthy rollout.
pub(super) fn table(bench: &mut Bench<'_>) -> Table {
    let runs = bench.runs(1, 1);
    let mut rows = Vec::new();
    for kind in healthy(&bench.plan) {
        let found = alarms(&bench.plan, &kind.scenario, runs);
        rows.push(vec![
            kind.name.to_owned(),
            found.runs.to_string(),
            found.alarms.to_string(),
            found.bound.to_string(),
            found.suspects.to_string(),
        ]);
        bench.step();
    }
    Table {
        title: "False alarms".to_owned(),
        columns: texts(&[
            "a healthy rollout in which",
            "rollouts",
            "called anomalous",
            "allowed by chance",
            "ever suspect",
        ]),
        rows,
        notes: vec![
            format!(
                "Each goes on for {CANDIDATE_REQUESTS} candidate requests on twelve routes, with all signals."
            ),
            "Allowed by chance: a judge that keeps its promise of 1% has more only once in a \
             thousand such rows (binomial law)."
                .to_owned(),
        ],
    }
}
