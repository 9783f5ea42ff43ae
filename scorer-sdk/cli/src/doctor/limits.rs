//! The checks of what passes: is there traffic, of two versions, that can be compared?

use super::Finding;
use super::gather::Facts;
use crate::bodies::{self, Unseen};
use crate::number::short;
use crate::output::grouped;
use crate::samples::{exchanges, saturating_sum};
use crate::status::source::Kind;
use scorer_sdk::telemetry::{self, Metric, label};
use std::collections::{BTreeMap, BTreeSet};

/// Exchanges of both versions from which on some should have been judged.
const SHOULD_BE_JUDGED: u64 = 1_000;
/// Share of requests of no known version from which on it is said.
const UNKNOWN: f64 = 0.05;
/// Destinations that are named.
const NAMED: usize = 5;

type Exchanges = BTreeMap<String, BTreeMap<String, u64>>;

fn seen(facts: &Facts) -> Exchanges {
    exchanges(facts.proxies.iter().flat_map(|proxy| &proxy.samples))
}

fn sum(facts: &Facts, metric: &Metric) -> f64 {
    facts.of(metric).map(|sample| sample.value.max(0.0)).sum()
}

/// How many exchanges there were, and how many of them were only glanced at.
fn looked_at(facts: &Facts, known: f64) -> String {
    let [unlooked, cases] =
        [&telemetry::NOT_LOOKED_AT, &telemetry::CASES].map(|metric| sum(facts, metric));
    if unlooked + cases == 0.0 {
        return format!("{} exchanges", grouped(known as u64));
    }
    let [known, unlooked, cases] = [known, unlooked, cases].map(|count| grouped(count as u64));
    format!(
        "Serin looked at {known} exchanges, glanced at {unlooked} more (looks_per_second), and \
         {cases} more that failed were looked at when they were over"
    )
}

/// Whether requests pass, and their destinations are known.
pub(super) fn traffic(facts: &Facts) -> Vec<Finding> {
    let check = "traffic";
    // A page whose names still hold labels shows no counts that could be read.
    let readable = facts.merged.is_empty() || facts.kind == Some(Kind::Admin);
    if !readable || !facts.proxies.iter().any(|proxy| !proxy.samples.is_empty()) {
        return Vec::new();
    }
    let known = sum(facts, &telemetry::EXCHANGES);
    let unknown = sum(facts, &telemetry::UNATTRIBUTED);
    let repair = "Istio: the destination needs subsets in a DestinationRule, or pods with version \
                  labels; plain Envoy: list every cluster in versions.destinations; answers that \
                  the proxy gives itself count here, too";
    vec![if known == 0.0 && unknown == 0.0 {
        Finding::warn(
            check,
            "no exchange has ended yet",
            "send some requests through this proxy; if there were any, check that the filter is \
             on the listener that they pass",
        )
    } else if known == 0.0 {
        Finding::fail(
            check,
            format!(
                "{} requests, but none to a destination that Serin knows",
                grouped(unknown as u64)
            ),
            repair,
        )
    } else if unknown > UNKNOWN * (known + unknown) {
        Finding::warn(
            check,
            format!(
                "{} requests of no known version, beside {} of known ones",
                grouped(unknown as u64),
                grouped(known as u64)
            ),
            repair,
        )
    } else {
        Finding::ok(check, looked_at(facts, known))
    }]
}

/// Whether both versions are seen.
pub(super) fn arms(facts: &Facts) -> Vec<Finding> {
    let check = "arms";
    let mut findings = Vec::new();
    let seen = seen(facts);
    let mut both = Vec::new();
    let mut roles = facts
        .of(&telemetry::HEARTBEAT)
        .map(|sample| sample.label(label::ROLE));
    // A guard sees its own version only, as it has to.
    if roles.next() == Some("guard") && roles.all(|role| role == "guard") {
        return Vec::new();
    }
    for (destination, versions) in &seen {
        let mut names = versions.iter().filter(|(_, count)| **count > 0);
        let (Some((version, _)), None) = (names.next(), names.next()) else {
            both.push(destination.as_str());
            continue;
        };
        if destination == "inbound" {
            continue;
        }
        if findings.len() >= NAMED {
            continue;
        }
        let clusters: Vec<&str> = facts
            .clusters
            .keys()
            .filter(|cluster| cluster.contains(destination.as_str()))
            .map(String::as_str)
            .collect();
        findings.push(match clusters.as_slice() {
            [first, second, ..] => Finding::warn(
                check,
                format!(
                    "{first} and {second} both get requests, but Serin knows one version of \
                     {destination}: {version}"
                ),
                "list each cluster under its own version in versions.destinations; in Istio, give \
                 the pods different version labels, or the versions different subsets",
            ),
            _ => Finding::warn(
                check,
                format!(
                    "{destination}: only {version} has had requests, so no rollout is under way"
                ),
                "send a share of the traffic to the candidate; if it has some already, both \
                 versions have the same name: check the version labels of the pods",
            ),
        });
    }
    if !both.is_empty() {
        both.truncate(NAMED);
        findings.push(Finding::ok(
            check,
            format!("more than one version of {}", both.join(", ")),
        ));
    }
    findings
}

/// Whether what both versions did is compared.
pub(super) fn judging(facts: &Facts) -> Vec<Finding> {
    let check = "judging";
    let seen = seen(facts);
    let mut judged: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    let warming: BTreeSet<&str> = facts
        .of(&telemetry::WARMING_UP)
        .filter(|sample| sample.value > 0.0)
        .map(|sample| sample.label(label::DESTINATION))
        .collect();
    // A candidate that was replaced keeps gauges of 0.
    for sample in facts
        .of(&telemetry::ROLLOUT_THRESHOLD)
        .filter(|sample| sample.value > 0.0)
    {
        judged.insert(
            (
                sample.label(label::DESTINATION),
                sample.label(label::VERSION),
            ),
            0.0,
        );
    }
    for sample in facts.of(&telemetry::JUDGED_EXCHANGES) {
        let key = (
            sample.label(label::DESTINATION),
            sample.label(label::VERSION),
        );
        if let Some(count) = judged.get_mut(&key) {
            *count += sample.value;
        }
    }
    let mut findings = Vec::new();
    for ((destination, candidate), count) in judged.into_iter().take(NAMED) {
        let versions = seen.get(destination);
        let own = versions.and_then(|versions| versions.get(candidate));
        let own = own.copied().unwrap_or(0);
        let others = versions.into_iter().flatten();
        let others = others.filter(|(version, _)| *version != candidate);
        let others = saturating_sum(others.map(|(_, count)| *count));
        findings.push(if warming.contains(destination) {
            Finding::ok(
                check,
                format!("{destination} {candidate} is warming up: its latency is not judged yet"),
            )
        } else if count == 0.0 && own.min(others) >= SHOULD_BE_JUDGED {
            Finding::fail(
                check,
                format!(
                    "{destination}: {} requests of {candidate} and {} of others, and none was \
                     compared",
                    grouped(own),
                    grouped(others)
                ),
                "requests are compared within a route: check that both versions serve the same \
                 ones at the same time, and routes.templates for paths with names in them",
            )
        } else {
            Finding::ok(
                check,
                format!(
                    "{destination}: {} requests of {candidate} were compared",
                    grouped(count as u64)
                ),
            )
        });
    }
    findings.extend(without_a_candidate(facts, &seen));
    findings
}

/// Destinations with two versions of which none was ever taken for the candidate.
fn without_a_candidate(facts: &Facts, seen: &Exchanges) -> Vec<Finding> {
    // A rollout that is over leaves the gauge behind, at 0, and the counts of both its versions.
    let compared: BTreeSet<&str> = facts
        .of(&telemetry::ROLLOUT_THRESHOLD)
        .map(|sample| sample.label(label::DESTINATION))
        .collect();
    let mut findings = Vec::new();
    for (destination, versions) in seen {
        let known: Vec<&str> = versions
            .iter()
            .filter(|(_, count)| **count >= SHOULD_BE_JUDGED)
            .map(|(version, _)| version.as_str())
            .collect();
        // Guards without a snapshot only count, whatever runs behind them.
        if known.len() < 2 || destination == "inbound" || compared.contains(destination.as_str()) {
            continue;
        }
        findings.push(Finding::warn(
            "judging",
            format!("{destination}: Serin takes no version for the candidate"),
            format!(
                "check baseline and candidate in the config against the versions seen: {}",
                known.join(", ")
            ),
        ));
    }
    findings.truncate(NAMED);
    findings
}

/// Whether like is compared with like.
pub(super) fn fairness(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let speaking = |metric: &Metric| {
        let names: BTreeSet<&str> = facts
            .of(metric)
            .filter(|sample| sample.value > 0.0)
            .map(|sample| sample.label(label::DESTINATION))
            .collect();
        names
    };
    for destination in speaking(&telemetry::UNBALANCED).into_iter().take(NAMED) {
        let signals: BTreeSet<&str> = facts
            .of(&telemetry::BALANCE)
            .filter(|sample| sample.value > 0.0 && sample.label(label::DESTINATION) == destination)
            .map(|sample| sample.label(label::SIGNAL))
            .collect();
        let signals: Vec<&str> = signals.into_iter().collect();
        findings.push(Finding::warn(
            "balance",
            format!(
                "{destination}: the versions get different requests ({})",
                signals.join(", ")
            ),
            "assign versions by weight alone: a header rule or a sticky cookie that prefers the \
             candidate makes versions differ that are alike; docs/tuning.md",
        ));
    }
    let mut placebo: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for sample in facts
        .of(&telemetry::PLACEBO_ODDS_RATIO)
        .filter(|sample| sample.value > 0.0)
    {
        let key = (
            sample.label(label::DESTINATION),
            sample.label(label::CATEGORY),
        );
        let most = placebo.entry(key).or_insert(0.0);
        *most = most.max(sample.value / 1e3);
    }
    let held = speaking(&telemetry::HELD_BY_PLACEBO);
    for ((destination, category), ratio) in placebo.iter().take(NAMED) {
        let consequence = if held.contains(destination) {
            "and Serin holds a verdict back"
        } else {
            "and a candidate has to differ by more"
        };
        findings.push(Finding::warn(
            "placebo",
            format!(
                "{destination}: stable's own halves differ in {category} by an odds ratio of {}, \
                 {consequence}",
                short(*ratio)
            ),
            "find the host of stable that differs, as a slow pod or node; docs/tuning.md",
        ));
    }
    for destination in held {
        if !placebo.keys().any(|(known, _)| *known == destination) {
            findings.push(Finding::warn(
                "placebo",
                format!(
                    "{destination}: Serin holds a verdict back, because stable's own hosts or sessions seem to differ"
                ),
                "wait for more traffic, or find the host of stable that differs; docs/tuning.md",
            ));
        }
    }
    findings
}

/// Whether bodies that were to be looked at were.
pub(super) fn bodies(facts: &Facts) -> Vec<Finding> {
    let check = "bodies";
    let unseen = bodies::unseen(facts.proxies.iter().flat_map(|proxy| &proxy.samples));
    if !unseen.is_empty() {
        let warn = |unseen: &Unseen| {
            let text = format!("{}: {}", unseen.destination, unseen.sentence());
            Finding::warn(check, text, unseen.repair())
        };
        return unseen.iter().take(NAMED).map(warn).collect();
    }
    match sum(facts, &telemetry::BODIES) {
        0.0 => Vec::new(),
        looked_at => {
            let text = format!("Serin looked at {} bodies", grouped(looked_at as u64));
            vec![Finding::ok(check, text)]
        }
    }
}

/// Whether a bounded table was full, and which setting makes room.
pub(super) fn tables(facts: &Facts) -> Vec<Finding> {
    let check = "tables";
    let mut full: BTreeMap<&str, f64> = BTreeMap::new();
    for sample in facts
        .of(&telemetry::OVERFLOW)
        .filter(|sample| sample.value > 0.0)
    {
        *full.entry(sample.label(label::TABLE)).or_insert(0.0) += sample.value;
    }
    if full.is_empty() {
        return match facts.of(&telemetry::EXCHANGES).next() {
            Some(_) => vec![Finding::ok(check, "no table was full")],
            None => Vec::new(),
        };
    }
    full.into_iter()
        .map(|(table, count)| {
            let count = grouped(count as u64);
            let (text, repair) = match table {
                "series" => (
                    format!("{count} updates of metrics exceeded max_series and were dropped"),
                    "write routes.templates so that there are fewer routes, or raise max_series",
                ),
                "routes" | "paths" => (
                    format!("{count} requests share the route {{other}}: table {table} is full"),
                    "write routes.templates for paths with ids or names in them, or raise \
                     routes.max",
                ),
                "versions" => (
                    format!("{count} requests belong to more versions than Serin tells apart"),
                    "name baseline and candidate in the config, and let old versions go",
                ),
                "destinations" => (
                    format!("{count} requests belong to more destinations than Serin tells apart"),
                    "put the filter where fewer services pass, or list those that matter in \
                     versions.destinations",
                ),
                "mailbox" => (
                    format!("{count} exchanges did not fit into the mailbox, so nobody judged them"),
                    "a config that is gone still has many streams that end: drain connections \
                     before more configs come",
                ),
                "in_flight" | "sessions" | "fan_outs" | "rows" => (
                    format!("{count} entries did not fit into the table {table}"),
                    "harmless if rare: Serin counts what does not fit and does not judge it; otherwise \
                     spread the load over more proxies",
                ),
                "names" => (
                    format!("{count} names of headers or content types did not fit"),
                    "harmless if rare; look for a client or an application that generates header names",
                ),
                "damaged" => (
                    format!("Serin could not read {count} parts of shared data"),
                    "once after an upgrade is expected; if it grows, report it with Envoy's log",
                ),
                other => (
                    format!("{count} entries did not fit into the table {other}"),
                    "see docs/reference-metrics.md",
                ),
            };
            Finding::warn(check, text, repair)
        })
        .collect()
}
