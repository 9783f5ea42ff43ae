//! What the samples of a page say: values, candidates, sums.

use crate::metrics_text::Sample;
use scorer_sdk::Verdict;
use scorer_sdk::telemetry::{self, Metric, label};
use std::collections::BTreeMap;

/// The destinations with their candidates. One that was replaced keeps gauges of 0; so the one that
/// has a threshold is meant.
#[must_use]
pub fn candidates(samples: &[Sample]) -> Vec<(&str, &str)> {
    let mut found: BTreeMap<&str, (&str, f64)> = BTreeMap::new();
    for sample in of(samples, &telemetry::ROLLOUT_THRESHOLD) {
        let this = (sample.label(label::VERSION), sample.value);
        let kept = found
            .entry(sample.label(label::DESTINATION))
            .or_insert(this);
        if this.1 > kept.1 {
            *kept = this;
        }
    }
    found
        .into_iter()
        .map(|(destination, (candidate, _))| (destination, candidate))
        .collect()
}

/// The samples of one metric.
pub fn of<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
    metric: &Metric,
) -> impl Iterator<Item = &'a Sample> {
    let name = metric.name;
    samples
        .into_iter()
        .filter(move |sample| sample.metric == name)
}

/// The value of a destination's and version's metric; 0 where there is none.
#[must_use]
pub fn value(samples: &[Sample], metric: &Metric, destination: &str, version: &str) -> f64 {
    of(samples, metric)
        .find(|sample| {
            sample.label(label::DESTINATION) == destination
                && sample.label(label::VERSION) == version
        })
        .map_or(0.0, |sample| sample.value)
}

/// The verdict that a gauge stands for.
fn verdict(number: f64) -> Verdict {
    Verdict::from_number(number as u8).unwrap_or_default()
}

/// Whether Envoy adds the gauges of two processes up, as it does during a hot restart: then 1 + 1
/// is no suspicion, and no gauge says what it says else.
#[must_use]
pub fn is_sum<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> bool {
    of(samples, &telemetry::PROCESSES).any(|sample| sample.value > 1.0)
}

/// What a proxy thinks of a candidate; learning where its gauges are sums.
#[must_use]
pub fn verdict_on(samples: &[Sample], destination: &str, candidate: &str) -> Verdict {
    if is_sum(samples) {
        return Verdict::Learning;
    }
    verdict(value(samples, &telemetry::VERDICT, destination, candidate))
}

/// Whether the samples are those of a proxy that guards and does not compare.
#[must_use]
pub fn only_guards(samples: &[Sample]) -> bool {
    let mut roles = of(samples, &telemetry::HEARTBEAT)
        .map(|sample| sample.label(label::ROLE))
        .peekable();
    roles.peek().is_some() && roles.all(|role| role == telemetry::GUARD)
}

/// The sum of a counter over its labels.
#[must_use]
pub fn total<'a>(samples: impl IntoIterator<Item = &'a Sample>, metric: &Metric) -> u64 {
    saturating_sum(of(samples, metric).map(count))
}

/// The sum of counts, at most the largest number: what a page says is not bounded.
#[must_use]
pub fn saturating_sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// The value of a counter. What a page says is not bounded, so that sums have to be.
#[must_use]
pub fn count(sample: &Sample) -> u64 {
    sample.value.max(0.0) as u64
}

/// Exchanges by destination and version, over all routes.
#[must_use]
pub fn exchanges<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for sample in of(samples, &telemetry::EXCHANGES) {
        if !sample.label(label::DESTINATION).is_empty() {
            let sum = counts
                .entry(sample.label(label::DESTINATION).to_owned())
                .or_default()
                .entry(sample.label(label::VERSION).to_owned())
                .or_insert(0_u64);
            *sum = sum.saturating_add(count(sample));
        }
    }
    counts
}

/// What a gauge of a candidate says when it is 1.
pub const NOTES: [(Metric, &str); 8] = [
    (
        telemetry::HELD_BY_PLACEBO,
        "The verdict is held back: the baseline's own hosts or sessions differ as much.",
    ),
    (
        telemetry::UNBALANCED,
        "The versions get different requests: requests are not assigned at random.",
    ),
    (
        telemetry::BASELINE_FAILING,
        "Most of the baseline's recent requests failed, so Serin steers nothing to it.",
    ),
    (
        telemetry::WARMING_UP,
        "The candidate is warming up: its latency is not judged yet.",
    ),
    (
        telemetry::DIFFERS,
        "The versions behave differently, for better or worse.",
    ),
    (
        telemetry::AGAINST_PAST,
        "The candidate has taken over the traffic and is worse than the baseline's past. This is not a comparison side by side.",
    ),
    (
        telemetry::MUTE,
        "The candidate gets requests but answers none.",
    ),
    (
        telemetry::IDLE,
        "The candidate no longer gets requests, while others do.",
    ),
];
