//! The clients: independent requests, or long sessions that differ.

use super::random::normals;
use fastrand::Rng;

/// The clients of a service.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Clients {
    /// Each request comes from another client.
    #[default]
    Independent,
    /// Sessions of many requests.
    Sessions(Sessions),
}

/// Sessions of heavy-tailed length, each with its own odds of failure and its own slowness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sessions {
    /// How many are active at a time; each request is of one of them, chosen evenly.
    pub active: usize,
    /// Least number of requests in a session.
    pub shortest: f64,
    /// Tail index of the number of requests (Pareto): the mean is `shortest·tail/(tail − 1)`, and
    /// at 2 or less the variance is infinite.
    pub tail: f64,
    /// Standard deviation of the natural log of a session's odds of failure.
    pub error_spread: f64,
    /// Standard deviation of the natural log of a session's durations.
    pub latency_spread: f64,
    /// Chance that a session's next request is for the route of its last.
    pub repeats: f64,
    /// Whether a session stays with the version that it met first.
    pub sticky: bool,
}

impl Default for Sessions {
    /// 200 at a time, 20 requests or more and 60 on average, some of them hundreds; one in six has
    /// 2.7 times the odds of failure.
    fn default() -> Self {
        Self {
            active: 200,
            shortest: 20.0,
            tail: 1.5,
            error_spread: 1.0,
            latency_spread: 0.2,
            repeats: 0.5,
            sticky: true,
        }
    }
}

/// What clients or proxies do when a request fails.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Retries {
    /// Most further attempts, at once, each to any version unless the session is sticky.
    pub most: u32,
    /// Chance that a further attempt fails for the same cause, whoever serves it; else it has the
    /// usual chance.
    pub same_cause: f64,
}

/// A session that is on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Session {
    pub(super) id: u64,
    pub(super) left: u64,
    pub(super) error_odds: f64,
    pub(super) slower: f64,
    pub(super) candidate: bool,
    pub(super) route: Option<usize>,
}

impl Session {
    pub(super) fn draw(sessions: &Sessions, share: f64, random: &mut Rng) -> Self {
        let (error, latency) = normals(random);
        // By inversion; a session ends after a million requests at the latest.
        let length = sessions.shortest * random.f64().max(1e-12).powf(-1.0 / sessions.tail);
        Self {
            id: random.u64(..),
            left: length.clamp(1.0, 1e6) as u64,
            error_odds: (sessions.error_spread * error).exp(),
            slower: (sessions.latency_spread * latency).exp(),
            candidate: random.f64() < share,
            route: None,
        }
    }
}
