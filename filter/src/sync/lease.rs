//! The lease: which worker leads, and until when.

use crate::host::Host;
use core::time::Duration;
use scorer_sdk::wire::codec::{Reader, Writer};

/// A lease is good for this many ticks.
const LEASE_TICKS: u32 = 3;
/// A lease is good for at least this long.
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// A lease as it stands in shared data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lease {
    owner: u64,
    expires_ms: u64,
    /// When the holder was configured: a newer config takes the lease from an older one.
    configured_ms: u64,
}

impl Lease {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            owner: reader.u64().ok()?,
            expires_ms: reader.u64().ok()?,
            configured_ms: reader.u64().ok()?,
        })
    }

    fn write(self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.owner);
        writer.u64(self.expires_ms);
        writer.u64(self.configured_ms);
        writer.into_bytes()
    }
}

/// One worker that stands for election.
#[derive(Debug, Clone)]
pub struct Contender {
    key: String,
    owner: u64,
    configured_ms: u64,
    /// Time between two ticks.
    tick: Duration,
}

impl Contender {
    /// The worker `owner`, whose config came at `configured` (since the Unix epoch). The lease is
    /// under `key` in shared data.
    #[must_use]
    pub fn new(key: String, owner: u64, configured: Duration, tick: Duration) -> Self {
        Self {
            key,
            owner,
            configured_ms: configured.as_millis() as u64,
            tick,
        }
    }

    /// Renews or takes the lease. Whether this worker held it before already.
    ///
    /// A new holder leads from its second tick on: the first value of a key can only be written and
    /// not swapped in, and workers tick in the same millisecond, so two may write the first lease.
    /// `busy` says that this worker answers requests: it leaves a free lease to an idle worker
    /// (Envoy's main thread) for a tick.
    pub fn hold(&self, host: &impl Host, now: Duration, busy: bool) -> bool {
        let now_ms = now.as_millis() as u64;
        let shared = host.shared(&self.key);
        let length = SHORTEST_LEASE.max(self.tick.saturating_mul(LEASE_TICKS));
        // A lease far beyond its length is nobody's: damaged, or from before the clock was set back.
        let latest_ms = now_ms.saturating_add(10 * length.as_millis() as u64);
        let lease = Lease::read(&shared.bytes).filter(|lease| lease.expires_ms <= latest_ms);
        // Configs of the future are from before that as well, and older than all others.
        let age = |configured_ms| (configured_ms <= latest_ms, configured_ms);
        let mine = age(self.configured_ms);
        let tick_ms = self.tick.as_millis() as u64;
        let held = lease.is_some_and(|lease| lease.owner == self.owner);
        let free = match lease {
            None => !busy || !mine.0 || now_ms > self.configured_ms.saturating_add(2 * tick_ms),
            Some(lease) if lease.owner == self.owner => true,
            Some(lease) if age(lease.configured_ms) < mine => true,
            Some(lease) => {
                let grace = if busy { tick_ms } else { 0 };
                lease.expires_ms.saturating_add(grace) < now_ms
            }
        };
        if !free {
            return false;
        }
        let renewed = Lease {
            owner: self.owner,
            expires_ms: now_ms.saturating_add(length.as_millis() as u64),
            configured_ms: self.configured_ms,
        };
        host.swap_shared(&self.key, &renewed.write(), shared.swap) && held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Duration = Duration::from_secs(1_700_000_000);

    fn contender(owner: u64, configured: Duration) -> Contender {
        Contender::new("lease".to_owned(), owner, configured, SECOND)
    }

    #[test]
    fn one_leads_from_its_second_tick_on_and_another_when_the_lease_has_run_out() {
        let host = FakeHost::default();
        let (first, second) = (contender(1, START), contender(2, START));
        assert!(!first.hold(&host, START, false));
        assert!(first.hold(&host, START + SECOND, false));
        assert!(!second.hold(&host, START + SECOND, false));
        // The lease is good until four seconds after the start.
        assert!(!second.hold(&host, START + 5 * SECOND, false));
        assert!(second.hold(&host, START + 6 * SECOND, false));
        assert!(!first.hold(&host, START + 6 * SECOND, false));
    }

    #[test]
    fn a_busy_worker_leaves_a_free_lease_to_an_idle_one_and_a_newer_config_takes_it() {
        let host = FakeHost::default();
        let (busy, newer) = (contender(1, START), contender(2, START + SECOND));
        assert!(!busy.hold(&host, START + 2 * SECOND, true));
        assert!(host.shared("lease").bytes.is_empty());
        assert!(!busy.hold(&host, START + 3 * SECOND, true));
        assert!(busy.hold(&host, START + 4 * SECOND, true));
        assert!(!newer.hold(&host, START + 4 * SECOND, true));
        assert!(newer.hold(&host, START + 5 * SECOND, true));
        assert!(!busy.hold(&host, START + 5 * SECOND, true));
    }

    #[test]
    fn after_the_clock_was_set_back_somebody_leads_and_a_new_config_takes_over() {
        for busy in [false, true] {
            let host = FakeHost::default();
            let (first, second) = (contender(1, START), contender(2, START));
            first.hold(&host, START, false);
            assert!(first.hold(&host, START + SECOND, false));
            let back = START - 3_600 * SECOND;
            // Its old lease is nobody's; the one it writes now is its own.
            first.hold(&host, back, busy);
            assert!(first.hold(&host, back + SECOND, busy));
            assert!(!second.hold(&host, back + SECOND, busy));
            let newer = contender(3, back + 2 * SECOND);
            assert!(!newer.hold(&host, back + 2 * SECOND, false));
            assert!(newer.hold(&host, back + 3 * SECOND, false));
            assert!(!first.hold(&host, back + 3 * SECOND, busy));
        }
    }
}
