//! The samples of several proxies, chosen by role or destination.

use super::source::Proxy;
use crate::metrics_text::Sample;
use crate::samples::only_guards;
use scorer_sdk::telemetry::label;

/// Whether a proxy is a guard and no comparer.
pub(super) fn is_guard(proxy: &Proxy) -> bool {
    only_guards(&proxy.samples)
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
        .filter(move |sample| sample.label(label::DESTINATION) == destination)
}
