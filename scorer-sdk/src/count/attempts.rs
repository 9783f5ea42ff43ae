//! Attempts of one request at one host: a retry is no trial of its own.

use crate::count::identity::identity;
use crate::exchange::{Ending, Exchange};
use crate::limits::MAX_ROWS;
use hashbrown::HashMap;

/// Attempts beyond this many say that the id stands for no single request: a caller repeats it.
const MOST_ATTEMPTS: u8 = 8;

type Seen = HashMap<u64, u8, foldhash::fast::FixedState>;

/// The requests that may be attempted again, with their host: of this tick and of the one before.
#[derive(Debug)]
pub(super) struct Attempts {
    current: Seen,
    before: Seen,
}

impl Attempts {
    /// None yet. `seed` keys the tables.
    pub(super) fn new(seed: u64) -> Self {
        let seen = || HashMap::with_hasher(foldhash::fast::FixedState::with_seed(seed));
        Self {
            current: seen(),
            before: seen(),
        }
    }

    /// A tick has passed.
    pub(super) fn tick(&mut self) {
        core::mem::swap(&mut self.current, &mut self.before);
        self.current.clear();
    }

    /// Notes an attempt; whether it is a trial of its own: the first at its host, or one of an id that
    /// comes too often to be a request's.
    #[inline]
    pub(super) fn is_trial(&mut self, exchange: &Exchange<'_>) -> bool {
        let Some(request) = exchange.request else {
            return true;
        };
        if exchange.ending == Ending::InFlight || self.current.len() >= MAX_ROWS {
            return true;
        }
        let attempt = request.rotate_left(1) ^ identity(exchange.upstream_host.as_bytes());
        let before = self.before.get(&attempt).copied().unwrap_or(0);
        let current = self.current.entry(attempt).or_insert(0);
        let earlier = current.saturating_add(before);
        *current = current.saturating_add(1);
        earlier == 0 || earlier >= MOST_ATTEMPTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;

    fn trials(attempts: &mut Attempts, request: u64, host: &str, times: usize) -> usize {
        let exchange = Exchange {
            request: Some(request),
            upstream_host: host,
            ..exchange()
        };
        (0..times).filter(|_| attempts.is_trial(&exchange)).count()
    }

    #[test]
    fn attempts_at_one_host_are_one_trial_for_two_ticks() {
        let mut attempts = Attempts::new(1);
        assert_eq!(trials(&mut attempts, 7, "10.0.0.1:80", 2), 1);
        assert_eq!(trials(&mut attempts, 7, "10.0.0.2:80", 1), 1);
        assert_eq!(trials(&mut attempts, 8, "10.0.0.1:80", 1), 1);
        attempts.tick();
        assert_eq!(trials(&mut attempts, 7, "10.0.0.1:80", 1), 0);
        attempts.tick();
        attempts.tick();
        assert_eq!(trials(&mut attempts, 7, "10.0.0.1:80", 1), 1);
    }

    #[test]
    fn an_id_that_a_caller_repeats_hides_no_failures() {
        let mut attempts = Attempts::new(1);
        for _ in 0..5 {
            let seen = trials(&mut attempts, 7, "10.0.0.1:80", 100);
            assert!(seen > 90, "{seen}");
            attempts.tick();
        }
    }
}
