//! The state of rollouts, for people and for programs.

use super::fleet::{Fleet, Pair, Rollout};
use crate::document::{Document, Table};
use crate::number::{of_enough, one_in, percent};
use crate::output::{BAD, BOLD, DIM, UNSURE, grouped, plain, styled, verdict_style};
use crate::report::clock::date;
use crate::report::terminal::to_terminal;
use scorer_sdk::{Plan, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Routes that are shown of one rollout.
const ROUTES: usize = 5;
/// Problems that are shown.
const PROBLEMS: usize = 20;
/// All signals: what their categories mean is said even where the defaults leave them out.
const ALL_SIGNALS: &str = r#"{"body": {}, "signals": {"fan_out": true, "next_call": true},
    "session": {"from": "connection"}}"#;

/// What goes with the proxies' metrics.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Time of the look in seconds since the Unix epoch.
    pub at: f64,
    /// URLs that did not answer, with the reason.
    pub unreachable: Vec<(String, String)>,
    /// Exchanges of the last seconds by destination and version; all since the proxies started
    /// where there were too few.
    pub recent: BTreeMap<String, BTreeMap<String, u64>>,
}

/// What the exchanges of each category do, for people.
fn meanings() -> BTreeMap<&'static str, &'static str> {
    match Plan::from_json(ALL_SIGNALS) {
        Ok(plan) => plan
            .questions
            .iter()
            .map(|(_, question)| (question.name, question.meaning))
            .collect(),
        Err(_) => BTreeMap::new(),
    }
}

fn proxies(count: usize) -> String {
    match count {
        1 => "1 proxy".to_owned(),
        _ => format!("{count} proxies"),
    }
}

/// The verdict, and how many proxies have come to it.
fn verdict(rollout: &Rollout) -> String {
    let verdict = rollout.verdict();
    let alike = rollout
        .opinions
        .iter()
        .filter(|opinion| opinion.verdict == verdict)
        .count();
    match (rollout.opinions.len(), alike) {
        (1, _) => verdict.name().to_owned(),
        (_, 0) => format!("{verdict}, together"),
        (all, alike) => format!("{verdict} ({alike} of {all})"),
    }
}

/// The most evidence of one proxy, and how much is enough; a dash where no proxy's is known.
fn evidence(rollout: &Rollout) -> String {
    let enough = rollout.threshold();
    if enough > 0.0 {
        of_enough(rollout.evidence(), enough)
    } else {
        "–".to_owned()
    }
}

/// Versions with the candidate last.
fn versions(rollout: &Rollout) -> String {
    match rollout.others.as_slice() {
        [] => rollout.candidate.clone(),
        others => format!("{} → {}", others.join(", "), rollout.candidate),
    }
}

fn requests(rollout: &Rollout) -> String {
    let count = |version: &String| grouped(rollout.exchanges.get(version).copied().unwrap_or(0));
    let all: Vec<String> = rollout
        .others
        .iter()
        .chain([&rollout.candidate])
        .map(count)
        .collect();
    all.join(" / ")
}

fn table(fleet: &Fleet, around: &Around) -> Table {
    let together = fleet
        .rollouts
        .iter()
        .any(|rollout| rollout.together.is_some());
    let mut columns = vec!["destination", "versions", "verdict", "evidence"];
    if together {
        columns.push("together");
    }
    columns.extend(["requests", "share", "judged"]);
    let row = |rollout: &Rollout| {
        let share = around
            .recent
            .get(&rollout.destination)
            .and_then(|recent| rollout.share(recent))
            .or_else(|| rollout.share(&rollout.exchanges));
        let mut cells = vec![
            rollout.destination.clone(),
            versions(rollout),
            verdict(rollout),
            evidence(rollout),
        ];
        if together {
            let together = rollout.together.map(one_in);
            cells.push(together.unwrap_or_else(|| "–".to_owned()));
        }
        cells.extend([
            requests(rollout),
            share.map_or_else(|| "–".to_owned(), percent),
            grouped(rollout.judged),
        ]);
        cells
    };
    Table {
        title: String::new(),
        columns: columns.into_iter().map(str::to_owned).collect(),
        rows: fleet.rollouts.iter().map(row).collect(),
        notes: Vec::new(),
    }
}

/// All of it for a terminal.
#[must_use]
pub fn text(fleet: &Fleet, around: &Around) -> String {
    let mut text = format!(
        "{} {}\n",
        styled(BOLD, &proxies(fleet.proxies.len())),
        styled(DIM, &format!("at {}", date(around.at)))
    );
    if !fleet.rollouts.is_empty() {
        text.push_str(&to_terminal(&Document {
            tables: vec![table(fleet, around)],
            ..Document::default()
        }));
    }
    let meanings = meanings();
    for rollout in &fleet.rollouts {
        detail(&mut text, rollout, &meanings);
    }
    waiting(&mut text, fleet);
    if !fleet.acted.is_empty() {
        let acted: Vec<String> = fleet
            .acted
            .iter()
            .map(|(what, count)| format!("{} {what}", grouped(*count)))
            .collect();
        let _ = writeln!(text, "\nrequests: {}", acted.join(", "));
    }
    let unreachable = around
        .unreachable
        .iter()
        .map(|(_, error)| styled(BAD, &plain(error)));
    let problems = fleet
        .problems
        .iter()
        .map(|problem| styled(UNSURE, &plain(problem)));
    let lines: Vec<String> = unreachable.chain(problems).take(PROBLEMS).collect();
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    text
}

fn detail(text: &mut String, rollout: &Rollout, meanings: &BTreeMap<&str, &str>) {
    let verdict = rollout.verdict();
    let headline = format!(
        "{}: {} is {verdict}",
        plain(&rollout.destination),
        plain(&rollout.candidate)
    );
    let _ = writeln!(text, "\n{}", styled(verdict_style(verdict), &headline));
    if let Some(when) = &rollout.when {
        let _ = writeln!(text, "  {}", plain(&when.sentence(&rollout.candidate)));
        if let Some(rates) = when.rates(&rollout.candidate) {
            let _ = writeln!(text, "  {}", plain(&rates));
        }
    }
    let strongest: Vec<&Pair> = rollout
        .pairs
        .iter()
        .filter(|pair| pair.evidence > 0.0)
        .take(ROUTES)
        .collect();
    for pair in strongest {
        let meaning = meanings.get(pair.category.as_str()).copied();
        let _ = writeln!(
            text,
            "  {}  {}  by itself {}: {} of {}'s and {} other requests{}",
            plain(&pair.route),
            styled(BOLD, &plain(&pair.category)),
            one_in(pair.evidence),
            grouped(pair.candidate),
            plain(&rollout.candidate),
            grouped(pair.others),
            meaning
                .map(|meaning| format!(" {meaning}"))
                .unwrap_or_default()
        );
    }
    if verdict >= Verdict::Suspect && rollout.pairs.iter().any(|pair| pair.evidence > 0.0) {
        let _ = writeln!(
            text,
            "  {}",
            styled(
                DIM,
                "the log of the proxy names the headers, the fields and some of the requests"
            )
        );
    }
    if rollout.opinions.len() > 1 && verdict >= Verdict::Suspect {
        let known = rollout
            .opinions
            .iter()
            .filter(|opinion| opinion.threshold > 0.0);
        for opinion in known.take(ROUTES) {
            let _ = writeln!(
                text,
                "  {}: {}, {}",
                plain(&opinion.proxy),
                opinion.verdict,
                of_enough(opinion.evidence, opinion.threshold)
            );
        }
    }
    if verdict < Verdict::Anomalous && !rollout.needed.is_empty() {
        let needed: Vec<String> = rollout
            .needed
            .iter()
            .map(|(size, requests)| format!("{} for {size} times", grouped(*requests)))
            .collect();
        let _ = writeln!(
            text,
            "  {}",
            styled(
                DIM,
                &format!(
                    "requests to {} still needed to find failures at so many times the odds: {}",
                    plain(&rollout.candidate),
                    needed.join(", ")
                )
            )
        );
    }
    for note in &rollout.notes {
        let _ = writeln!(text, "  {}", styled(UNSURE, &plain(note)));
    }
}

fn waiting(text: &mut String, fleet: &Fleet) {
    for (destination, versions) in fleet.waiting.iter().take(PROBLEMS) {
        let versions: Vec<String> = versions
            .iter()
            .map(|(version, count)| format!("{} of {}", grouped(*count), plain(version)))
            .collect();
        let _ = writeln!(
            text,
            "\n{}: no candidate; requests: {}",
            styled(BOLD, &plain(destination)),
            versions.join(", ")
        );
    }
    if fleet.rollouts.is_empty() && fleet.waiting.is_empty() {
        let _ = writeln!(text, "\nno traffic yet to any destination that Serin knows");
    }
}

/// All of it for programs. Evidence is in nats.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    time: f64,
    proxies: &'a [String],
    unreachable: Vec<Unreachable<'a>>,
    rollouts: Vec<Standing<'a>>,
    without_candidate: &'a BTreeMap<String, BTreeMap<String, u64>>,
    requests: &'a BTreeMap<&'static str, u64>,
    problems: &'a [String],
}

/// A URL that did not answer.
#[derive(Debug, Serialize)]
struct Unreachable<'a> {
    url: &'a str,
    error: &'a str,
}

/// A rollout with what follows from the opinions on it.
#[derive(Debug, Serialize)]
struct Standing<'a> {
    #[serde(flatten)]
    rollout: &'a Rollout,
    verdict: Verdict,
    evidence: f64,
    threshold: f64,
    threshold_together: f64,
    anomalous_together: bool,
    share: Option<f64>,
}

impl<'a> Report<'a> {
    /// What is said of these proxies.
    #[must_use]
    pub fn new(fleet: &'a Fleet, around: &'a Around) -> Self {
        Self {
            time: around.at,
            proxies: &fleet.proxies,
            unreachable: around
                .unreachable
                .iter()
                .map(|(url, error)| Unreachable { url, error })
                .collect(),
            rollouts: fleet.rollouts.iter().map(Standing::new).collect(),
            without_candidate: &fleet.waiting,
            requests: &fleet.acted,
            problems: &fleet.problems,
        }
    }
}

impl<'a> Standing<'a> {
    fn new(rollout: &'a Rollout) -> Self {
        Self {
            rollout,
            verdict: rollout.verdict(),
            evidence: rollout.evidence(),
            threshold: rollout.threshold(),
            threshold_together: rollout.threshold_together(),
            anomalous_together: rollout.anomalous_together(),
            share: rollout.share(&rollout.exchanges),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_a_meaning() {
        let meanings = meanings();
        for category in [
            "error",
            "slow_p95",
            "lost_path",
            "unusual_fan_out",
            "strayed",
        ] {
            assert!(meanings.contains_key(category), "{category}: {meanings:?}");
        }
    }
}
