//! One request a minute.

use super::{Bench, texts};
use scorer_sdk::simulation::Harm;
use scorer_sdk::simulation::study::low_traffic::said;
use serin_cli::document::Table;

/// Parts of the work.
pub(super) const STEPS: u64 = 3;

/// What is said after one hour to three days.
pub(super) fn table(bench: &mut Bench<'_>) -> Table {
    let runs = bench.runs(1, 20);
    let hours: &[u64] = if bench.options.quick {
        &[1, 6]
    } else {
        &[1, 6, 24, 72]
    };
    let mut rows = Vec::new();
    for (name, harm) in [
        ("healthy", Harm::default()),
        ("failures, odds ratio 25", Harm::errors(25.0)),
        ("everything fails", Harm::errors(1e9)),
    ] {
        for moment in said(&bench.plan, &harm, hours, runs) {
            let [learning, healthy, suspect, anomalous] = moment.verdicts;
            let needed = |needed: Option<u64>| needed.map_or("-".to_owned(), |it| it.to_string());
            let [five, twenty_five] = moment.needed.map(needed);
            rows.push(vec![
                name.to_owned(),
                format!("{} h", moment.hours),
                moment.candidate_requests.to_string(),
                moment.judged.to_string(),
                learning.to_string(),
                healthy.to_string(),
                suspect.to_string(),
                anomalous.to_string(),
                format!("{:.1}", moment.evidence),
                five,
                twenty_five,
            ]);
        }
        bench.step();
    }
    Table {
        title: "One request a minute, half of them for the candidate".to_owned(),
        columns: texts(&[
            "candidate",
            "after",
            "candidate requests",
            "judged",
            "learning",
            "healthy",
            "suspect",
            "anomalous",
            "evidence",
            "still needed at 5 times",
            "still needed at 25 times",
        ]),
        rows,
        notes: vec![format!(
            "{} rollouts each; medians. Evidence is in nats, and 4.6 are enough. Healthy means \
                 200 judged requests with nothing against the candidate.",
            runs.runs
        )],
    }
}
