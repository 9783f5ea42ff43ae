//! The candidate's share of the traffic over time.

/// Share of the requests that go to the candidate, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub enum Share {
    /// Always the same.
    Constant(f64),
    /// Steps: each pair is the first tick of the rollout, and the share from then on.
    ByTime(Vec<(u64, f64)>),
    /// Steps: each pair is a number of candidate requests, and the share once they have passed.
    ByRequests(Vec<(u64, f64)>),
}

impl Share {
    /// 1%, 5%, 25% and 50%, for `requests` candidate requests each.
    #[must_use]
    pub fn steps(requests: u64) -> Self {
        Self::ByRequests(vec![
            (0, 0.01),
            (requests, 0.05),
            (2 * requests, 0.25),
            (3 * requests, 0.5),
        ])
    }

    pub(super) fn at(&self, tick: u64, candidate_requests: u64) -> f64 {
        let step = |steps: &[(u64, f64)], now: u64| {
            steps
                .iter()
                .rev()
                .find(|(from, _)| *from <= now)
                .map_or(0.0, |(_, share)| *share)
        };
        match self {
            Self::Constant(share) => *share,
            Self::ByTime(steps) => step(steps, tick),
            Self::ByRequests(steps) => step(steps, candidate_requests),
        }
    }
}

impl Default for Share {
    fn default() -> Self {
        Self::Constant(0.1)
    }
}
