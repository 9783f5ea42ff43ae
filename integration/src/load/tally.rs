//! What became of the requests.

use std::collections::BTreeMap;

use hyper::StatusCode;

use crate::shop::Route;

/// Counts since the start of the load. `sent = answered + failed + under way`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests sent.
    pub sent: u64,
    /// Complete answers.
    pub answered: u64,
    /// Answers by the first digit of their status: 2 → count.
    pub by_class: BTreeMap<u16, u64>,
    /// Requests without a complete answer: timeouts and broken connections.
    pub failed: u64,
    /// Those of `failed` that took longer than the timeout.
    pub timeouts: u64,
    /// Arrivals that were not sent, because too many requests were under way.
    pub held_back: u64,
    /// Failures by route.
    pub failed_by_route: BTreeMap<Route, u64>,
    /// Answers by the version that gave them; those of the proxy itself stand under "".
    pub by_version: BTreeMap<String, VersionTally>,
    /// Text of the last failure other than a timeout.
    pub last_failure: Option<String>,
}

/// The answers of one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionTally {
    /// Complete answers.
    pub answered: u64,
    /// Answers with 5xx.
    pub errors: u64,
    /// Answers by route.
    pub by_route: BTreeMap<Route, u64>,
}

impl Tally {
    /// Answers with 5xx.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.class(5)
    }

    /// Answers of one status class, 1 to 5.
    #[must_use]
    pub fn class(&self, class: u16) -> u64 {
        self.by_class.get(&class).copied().unwrap_or(0)
    }

    /// What users did not get: 5xx or no answer.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.errors() + self.failed
    }

    /// Requests under way.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        self.sent - self.answered - self.failed
    }

    /// One version's answers; all zero for a version that gave none.
    #[must_use]
    pub fn version(&self, version: &str) -> VersionTally {
        self.by_version.get(version).cloned().unwrap_or_default()
    }

    pub(super) fn answered(&mut self, route: Route, status: StatusCode, version: &str) {
        self.answered += 1;
        *self.by_class.entry(status.as_u16() / 100).or_default() += 1;
        let of_version = match self.by_version.get_mut(version) {
            Some(known) => known,
            None => self.by_version.entry(version.to_owned()).or_default(),
        };
        of_version.answered += 1;
        of_version.errors += u64::from(status.is_server_error());
        *of_version.by_route.entry(route).or_default() += 1;
    }

    pub(super) fn timed_out(&mut self, route: Route) {
        self.failed += 1;
        self.timeouts += 1;
        *self.failed_by_route.entry(route).or_default() += 1;
    }

    pub(super) fn broke(&mut self, route: Route, error: &anyhow::Error) {
        self.failed += 1;
        *self.failed_by_route.entry(route).or_default() += 1;
        self.last_failure = Some(format!("{route}: {error:#}"));
    }
}
