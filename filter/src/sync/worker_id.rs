//! A worker's name in the mailbox. No two workers of a process may have the same name: the counts of
//! one would pass for the other's and be lost.

use crate::host::Host;
use core::time::Duration;
use scorer_sdk::count::identity::mix;

/// How many workers this process has had, in shared data.
const KEY: &str = "serin/workers";
/// A compare-and-swap is tried this often: each failure is another worker's success.
const ATTEMPTS: usize = 1_000;

/// A name that no other worker has, now or after a restart.
///
/// The time alone is not enough: Envoy's clock has microseconds, and workers start together. So each
/// takes a number as well. Envoy's main thread makes its own worker first, when no other can take the
/// same number, and all others swap.
#[must_use]
pub fn of_worker(host: &impl Host, now: Duration, root_id: u32) -> u64 {
    let time = (now.as_nanos() as u64).rotate_left(17) ^ u64::from(root_id);
    time ^ mix(number(host))
}

fn number(host: &impl Host) -> u64 {
    for _ in 0..ATTEMPTS {
        let shared = host.shared(KEY);
        let before = shared.bytes.try_into().map_or(0, u64::from_le_bytes);
        let mine = before.wrapping_add(1);
        if host.swap_shared(KEY, &mine.to_le_bytes(), shared.swap) {
            return mine;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;
    use std::collections::BTreeSet;

    #[test]
    fn workers_that_start_in_one_moment_have_different_names() {
        let host = FakeHost::default();
        let now = Duration::from_secs(1_700_000_000);
        let names: BTreeSet<u64> = (0..1_000).map(|_| of_worker(&host, now, 2)).collect();
        assert_eq!(names.len(), 1_000);
    }
}
