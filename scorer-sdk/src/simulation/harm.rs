//! What a version does worse than a healthy one, where, and from when on.

use std::ops::Range;

/// What a version does worse. The default does nothing worse.
#[derive(Debug, Clone, PartialEq)]
pub struct Harm {
    /// Odds of a failure, in multiples of a healthy version's.
    pub error_odds: f64,
    /// All durations, in multiples of a healthy version's.
    pub slower: f64,
    /// Odds of taking longer than any given time, in multiples of a healthy version's, from 1 up:
    /// the same odds ratio at every cut, which `slower` does not have.
    pub slow_odds: f64,
    /// Some requests that are slow on top of that.
    pub tail: Option<Tail>,
    /// Lengths of the answers, in multiples of a healthy version's.
    pub size: f64,
    /// A response header that is no longer sent.
    pub lost_header: Option<String>,
    /// On which of the service's routes, by their index; `None` for all.
    pub routes: Option<Range<usize>>,
    /// From when on.
    pub onset: Onset,
}

impl Default for Harm {
    fn default() -> Self {
        Self {
            error_odds: 1.0,
            slower: 1.0,
            slow_odds: 1.0,
            tail: None,
            size: 1.0,
            lost_header: None,
            routes: None,
            onset: Onset::Start,
        }
    }
}

impl Harm {
    /// Failures at `odds` times the odds.
    #[must_use]
    pub fn errors(odds: f64) -> Self {
        Self {
            error_odds: odds,
            ..Self::default()
        }
    }

    /// All requests take `factor` times as long.
    #[must_use]
    pub fn slower(factor: f64) -> Self {
        Self {
            slower: factor,
            ..Self::default()
        }
    }

    /// A share of the requests, from 0 to 1, takes `factor` times as long.
    #[must_use]
    pub fn slow_tail(share: f64, factor: f64) -> Self {
        Self {
            tail: Some(Tail {
                share,
                slower: factor,
            }),
            ..Self::default()
        }
    }

    /// On these routes only, by their index.
    #[must_use]
    pub fn on_routes(mut self, routes: Range<usize>) -> Self {
        self.routes = Some(routes);
        self
    }

    /// From the version's request number `requests` on.
    #[must_use]
    pub fn after_requests(mut self, requests: u64) -> Self {
        self.onset = Onset::AfterRequests(requests);
        self
    }

    /// Whether it is there at this moment.
    pub(super) fn has_begun(&self, requests: u64, tick: u64) -> bool {
        match self.onset {
            Onset::Start => true,
            Onset::AfterRequests(after) => requests >= after,
            Onset::AfterTicks(after) => tick >= after,
        }
    }

    pub(super) fn concerns(&self, route: usize) -> bool {
        self.routes
            .as_ref()
            .is_none_or(|routes| routes.contains(&route))
    }
}

/// Slowness of some requests only.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Share of the requests, from 0 to 1, whatever their duration would have been.
    pub share: f64,
    /// Their durations, in multiples.
    pub slower: f64,
}

/// From when on a version is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Onset {
    /// From its first request.
    #[default]
    Start,
    /// After this number of requests to it.
    AfterRequests(u64),
    /// After this number of ticks of the rollout.
    AfterTicks(u64),
}
