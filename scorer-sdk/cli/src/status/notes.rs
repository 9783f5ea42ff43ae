//! What is to be said of a rollout beside its verdict.

use super::samples::about;
use super::source::Proxy;
use crate::report::scrape::value;
use std::collections::{BTreeMap, BTreeSet};

/// What a gauge of a candidate has to say when it is 1.
pub const NOTES: [(&str, &str); 5] = [
    (
        "serin_held_by_placebo",
        "The verdict is held back: the baseline differs from itself by as much.",
    ),
    (
        "serin_unbalanced",
        "The versions do not get the same requests: chance does not assign them.",
    ),
    (
        "serin_baseline_failing",
        "Most of what the baseline was asked of late has failed: nothing is steered to it.",
    ),
    (
        "serin_warming_up",
        "The candidate is in its first seconds, which are not judged.",
    ),
    (
        "serin_differs",
        "The versions behave differently, for better or worse.",
    ),
];

/// What is to be said beside the verdict.
pub(super) fn notes(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<String> {
    let mut notes = Vec::new();
    for (metric, sentence) in NOTES {
        let say = proxies
            .iter()
            .filter(|proxy| value(&proxy.samples, metric, destination, candidate) > 0.0)
            .count();
        match say {
            0 => {}
            _ if proxies.len() == 1 => notes.push(sentence.to_owned()),
            _ => notes.push(format!("{sentence} ({say} of {} proxies)", proxies.len())),
        }
    }
    let causes: BTreeSet<&str> = about(proxies, destination)
        .filter(|sample| sample.metric == "serin_cause" && sample.value > 0.0)
        .filter_map(|sample| cause(sample.label("cause")))
        .collect();
    notes.extend(causes.into_iter().map(str::to_owned));
    let mut findings: BTreeMap<String, f64> = BTreeMap::new();
    for sample in about(proxies, destination).filter(|sample| sample.value > 0.0) {
        let (text, size) = match sample.metric.as_str() {
            "serin_placebo_odds_ratio" => (
                format!(
                    "placebo: the baseline's halves differ in {}, odds ratio",
                    sample.label("category")
                ),
                sample.value / 1e3,
            ),
            "serin_balance" => (
                format!("balance: {} not alike, nats", sample.label("signal")),
                sample.value / 1e3,
            ),
            metric if metric.starts_with("serin_drift") && !metric.ends_with("_total") => {
                let labels: Vec<&str> =
                    ["version", "arm", "route", "signal", "measure", "category"]
                        .iter()
                        .map(|name| sample.label(name))
                        .filter(|value| !value.is_empty())
                        .collect();
                (
                    format!("drift ({metric}): {}", labels.join(" ")),
                    sample.value,
                )
            }
            _ => continue,
        };
        let most = findings.entry(text).or_insert(size);
        *most = most.max(size);
    }
    notes.extend(
        findings
            .into_iter()
            .take(20)
            .map(|(text, size)| format!("{text} {}", crate::report::number::short(size))),
    );
    notes
}

/// What a drift comes from, beside what the verdict says already.
fn cause(name: &str) -> Option<&'static str> {
    match name {
        "shared" => {
            Some("Drift: both versions have left their past; it is usage or what they share.")
        }
        "version_and_shared" => Some(
            "Drift: both versions have left their past, and the candidate is worse on top of it.",
        ),
        "baseline_moved" => Some("Drift: the versions differ because the baseline has changed."),
        "baseline_alone" => Some("Drift: the baseline alone has left its past."),
        "candidate_alone" => Some("Drift: the candidate alone has left its past."),
        _ => None,
    }
}
