//! One client that behaves unlike all others, beside the usual requests.

use super::crowd::{Request, Routing};
use super::random::{exponential, poisson};
use fastrand::Rng;
use std::ops::Range;

/// One client that behaves unlike all others. Its requests come on top of the load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoneClient {
    /// Mean number of requests in a second while it is active.
    pub per_second: f64,
    /// When it is active.
    pub when: When,
    /// Which version it reaches.
    pub reaches: Reaches,
    /// How many sessions it has, used in turn; 0 counts as 1.
    pub sessions: usize,
    /// Whether each session leads to one pod.
    pub one_pod: bool,
    /// Status of all its answers, whoever serves it; `None` for that of any request.
    pub status: Option<u16>,
    /// Index of the route that it asks for.
    pub route: usize,
    /// Odds of its failures, in multiples of others'.
    pub error_odds: f64,
    /// Durations of its requests, in multiples of others'.
    pub slower: f64,
    /// Lengths of its requests and answers, in multiples of others'.
    pub size: f64,
}

impl Default for LoneClient {
    /// One request a second all the time, on one session; like anybody else's.
    fn default() -> Self {
        Self {
            per_second: 1.0,
            when: When::Always,
            reaches: Reaches::ByShare,
            sessions: 1,
            one_pod: false,
            status: None,
            route: 0,
            error_odds: 1.0,
            slower: 1.0,
            size: 1.0,
        }
    }
}

/// When a client is active.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// All the time, also while the baseline is alone.
    Always,
    /// In these ticks of the rollout.
    Ticks(Range<u64>),
    /// Now and then, each time with new sessions.
    Bursts {
        /// Mean number of seconds from the end of one burst to the next.
        every: f64,
        /// Seconds that one lasts.
        lasts: f64,
    },
}

/// Which version a client reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaches {
    /// Each session stays with a version, by the share at its first request.
    ByShare,
    /// The candidate, once it is there.
    Candidate,
}

/// A session of such a client.
#[derive(Debug, Clone, Copy)]
struct Session {
    id: u64,
    candidate: bool,
    pod: Option<usize>,
}

/// Such a client while a simulation runs.
#[derive(Debug, Clone)]
pub(super) struct LoneState {
    sessions: Vec<Session>,
    next: usize,
    /// The burst that is on or comes next, in seconds of the rollout.
    burst: Option<(f64, f64)>,
    /// Whether the candidate was there when the sessions were opened.
    with_candidate: bool,
}

impl LoneState {
    pub(super) fn new() -> Self {
        Self {
            sessions: Vec::new(),
            next: 0,
            burst: None,
            with_candidate: false,
        }
    }

    /// Its requests in the tick from `now` on, which is `length` seconds long; `tick` is `None`
    /// while the baseline is alone.
    pub(super) fn requests(
        &mut self,
        client: &LoneClient,
        (now, length): (f64, f64),
        tick: Option<u64>,
        routing: Routing<'_>,
        random: &mut Rng,
    ) -> Vec<Request> {
        let (begin, active) = self.active(client, now, length, tick, random);
        if active <= 0.0 {
            return Vec::new();
        }
        // Whoever was there before the candidate is assigned anew when it comes.
        if self.with_candidate != tick.is_some() {
            self.with_candidate = tick.is_some();
            self.sessions.clear();
        }
        let count = poisson(random, client.per_second * active);
        (0..count)
            .map(|number| {
                let session = self.session(client, tick.is_some(), routing, random);
                let step = active * (number as f64 + 0.5) / count as f64;
                Request {
                    error_odds: client.error_odds,
                    slower: client.slower,
                    size: client.size,
                    bound: Some(session.candidate),
                    pod: session.pod,
                    status: client.status,
                    ..Request::new(begin + step, client.route, session.id)
                }
            })
            .collect()
    }

    /// From when on it is active in this tick, and for how many seconds.
    fn active(
        &mut self,
        client: &LoneClient,
        now: f64,
        length: f64,
        tick: Option<u64>,
        random: &mut Rng,
    ) -> (f64, f64) {
        match &client.when {
            When::Always => (now, length),
            When::Ticks(ticks) if tick.is_some_and(|tick| ticks.contains(&tick)) => (now, length),
            When::Ticks(_) => (now, 0.0),
            When::Bursts { every, lasts } => {
                let (begin, end) = self.burst.filter(|(_, end)| *end > now).unwrap_or_else(|| {
                    self.sessions.clear();
                    let begin = now + exponential(random, *every);
                    (begin, begin + lasts)
                });
                self.burst = Some((begin, end));
                let first = begin.max(now);
                (first, end.min(now + length) - first)
            }
        }
    }

    /// The session whose turn it is.
    fn session(
        &mut self,
        client: &LoneClient,
        candidate_is_there: bool,
        routing: Routing<'_>,
        random: &mut Rng,
    ) -> Session {
        if self.sessions.len() < client.sessions.max(1) {
            let candidate = match client.reaches {
                Reaches::ByShare => random.f64() < routing.share,
                Reaches::Candidate => candidate_is_there,
            };
            self.sessions.push(Session {
                id: random.u64(..),
                candidate,
                pod: client.one_pod.then(|| routing.choose(candidate, random)),
            });
        }
        self.next = (self.next + 1) % self.sessions.len();
        match self.sessions.get(self.next) {
            Some(session) => *session,
            // There is one at least.
            None => Session {
                id: 0,
                candidate: false,
                pod: None,
            },
        }
    }
}
