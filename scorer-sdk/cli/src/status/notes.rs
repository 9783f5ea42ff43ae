//! What is to be said of a rollout beside its verdict.

use super::proxies::about;
use super::source::Proxy;
use crate::bodies::unseen;
use crate::metrics_text::Sample;
use crate::number::short;
use crate::samples::{NOTES, of, value};
use scorer_sdk::telemetry::{self, label};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be said beside the verdict.
pub(super) fn notes(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<String> {
    let mut notes = Vec::new();
    for (metric, sentence) in &NOTES {
        let say = proxies
            .iter()
            .filter(|proxy| value(&proxy.samples, metric, destination, candidate) > 0.0)
            .count();
        match say {
            0 => {}
            _ if proxies.len() == 1 => notes.push((*sentence).to_owned()),
            _ => notes.push(format!("{sentence} ({say} of {} proxies)", proxies.len())),
        }
    }
    let causes: BTreeSet<&str> = of(about(proxies, destination), &telemetry::CAUSE)
        .filter(|sample| sample.value > 0.0)
        .filter_map(|sample| cause(sample.label(label::CAUSE)))
        .collect();
    notes.extend(causes.into_iter().map(str::to_owned));
    let mut findings: BTreeMap<String, f64> = BTreeMap::new();
    for sample in about(proxies, destination).filter(|sample| sample.value > 0.0) {
        let Some((text, size)) = finding(sample) else {
            continue;
        };
        let most = findings.entry(text).or_insert(size);
        *most = most.max(size);
    }
    notes.extend(
        findings
            .into_iter()
            .take(20)
            .map(|(text, size)| format!("{text} {}", short(size))),
    );
    let samples: Vec<&Sample> = about(proxies, destination).collect();
    let unseen = unseen(samples.iter().copied());
    notes.extend(unseen.iter().take(5).map(|unseen| unseen.sentence() + "."));
    notes
}

/// What limits the comparison or has drifted, by this sample, with its size.
fn finding(sample: &Sample) -> Option<(String, f64)> {
    let metric = sample.metric.as_str();
    if metric == telemetry::PLACEBO_ODDS_RATIO.name {
        let category = sample.label(label::CATEGORY);
        return Some((
            format!("placebo: the baseline's halves differ in {category}, odds ratio"),
            sample.value / 1e3,
        ));
    }
    if metric == telemetry::BALANCE.name {
        let signal = sample.label(label::SIGNAL);
        return Some((
            format!("balance: the versions differ in {signal}, by chance at most 1 in"),
            (sample.value / 1e3).exp().min(1e9).floor(),
        ));
    }
    if metric != telemetry::DRIFT.name && metric != telemetry::DRIFT_EVIDENCE.name {
        return None;
    }
    let labels: Vec<&str> = [label::ARM, label::MEASURE]
        .iter()
        .map(|name| sample.label(name))
        .filter(|value| !value.is_empty())
        .collect();
    Some((
        format!("drift ({metric}): {}", labels.join(" ")),
        sample.value,
    ))
}

/// What a drift comes from, beside what the verdict says already.
fn cause(name: &str) -> Option<&'static str> {
    match name {
        "shared" => Some(
            "Drift: both versions differ from their past: usage or something they share has changed.",
        ),
        "version_and_shared" => {
            Some("Drift: both versions differ from their past, and the candidate is also worse.")
        }
        "baseline_moved" => Some("Drift: the versions differ because the baseline has changed."),
        "baseline_alone" => Some("Drift: only the baseline differs from its past."),
        "candidate_alone" => Some("Drift: only the candidate differs from its past."),
        _ => None,
    }
}
