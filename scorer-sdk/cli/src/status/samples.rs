//! What samples say, whoever's they are: sums, and which proxies only guard.

use super::source::Proxy;
use crate::metrics_text::Sample;
use std::collections::BTreeMap;

/// Whether a proxy is a guard and no comparer.
pub(super) fn is_guard(proxy: &Proxy) -> bool {
    let mut roles = proxy
        .samples
        .iter()
        .filter(|sample| sample.metric == "serin_heartbeat_seconds")
        .map(|sample| sample.label("role"))
        .peekable();
    roles.peek().is_some() && roles.all(|role| role == "guard")
}

/// The samples of all guards, or of all others.
pub(super) fn samples_of(proxies: &[Proxy], guards: bool) -> impl Iterator<Item = &Sample> {
    proxies
        .iter()
        .filter(move |proxy| is_guard(proxy) == guards)
        .flat_map(|proxy| &proxy.samples)
}

/// The samples of these proxies that are about a destination.
pub(super) fn about<'a>(
    proxies: &'a [&'a Proxy],
    destination: &'a str,
) -> impl Iterator<Item = &'a Sample> + 'a {
    proxies
        .iter()
        .flat_map(|proxy| &proxy.samples)
        .filter(move |sample| sample.label("destination") == destination)
}

/// The sum of a counter over its labels.
pub(super) fn total<'a>(samples: impl IntoIterator<Item = &'a Sample>, metric: &str) -> u64 {
    let samples = samples.into_iter();
    saturating_sum(samples.filter(|sample| sample.metric == metric).map(count))
}

/// The sum of counts, at most the largest number: what a page says is not bounded.
#[must_use]
pub fn saturating_sum(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// The value of a counter. What a page says is not bounded, so that sums have to be.
pub(super) fn count(sample: &Sample) -> u64 {
    sample.value.max(0.0) as u64
}

/// Exchanges by destination and version, over all routes.
#[must_use]
pub fn exchanges<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for sample in samples {
        if sample.metric == "serin_exchanges_total" && !sample.label("destination").is_empty() {
            let sum = counts
                .entry(sample.label("destination").to_owned())
                .or_default()
                .entry(sample.label("version").to_owned())
                .or_insert(0_u64);
            *sum = sum.saturating_add(count(sample));
        }
    }
    counts
}
