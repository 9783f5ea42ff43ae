//! The series that a process has: what `max_series` caps.
//!
//! Envoy never forgets a series. Configs come and go, and every worker counts for itself, so a cap of
//! each would be none. All workers under all configs share one set: hashes of names in shared data,
//! in buckets, so that a new series reads and writes a small part of it.

use super::metrics::Id;
use crate::host::Host;
use core::cell::RefCell;
use hashbrown::{HashMap, HashSet};
use scorer_sdk::count::identity::identity;
use scorer_sdk::telemetry;
use std::rc::Rc;

/// Series that are made in any case may exceed the cap by so many: sixteen for each destination that
/// is counted.
pub const MOST_BEYOND: usize = 16 * scorer_sdk::limits::MAX_DESTINATIONS;
/// Keys that the set is spread over.
const BUCKETS: u64 = 64;
/// Most names that are read from one bucket: what else there is, somebody else has written.
const MAX_IN_BUCKET: usize = 8_192;
/// A compare-and-swap is tried this often.
const ATTEMPTS: usize = 16;
/// How many series the process has.
const COUNT_KEY: &str = "serin/series";

/// The series that one virtual machine knows of.
#[derive(Debug, Default)]
pub struct Series {
    /// The proxy's numbers of the series that were made here. They outlive configs, as the machine
    /// does.
    ids: HashMap<String, u32>,
    /// Hashes of the names that the process has, as far as they were read.
    names: HashSet<u64>,
    /// How many the process has, when it was last asked.
    count: usize,
    /// Whether all names were read when the process had as many as the cap. Others are refused
    /// from then on without a look.
    is_complete: bool,
}

/// Shared by all that one virtual machine reports.
pub type Shared = Rc<RefCell<Series>>;

impl Series {
    /// The proxy's number of a series, which is made if it is new and there is room within `limit`.
    pub fn id(&mut self, host: &impl Host, metric: Id, name: &str, limit: usize) -> Option<u32> {
        if let Some(id) = self.ids.get(name) {
            return Some(*id);
        }
        if !self.admit(host, metric, identity(name.as_bytes()), limit) {
            return None;
        }
        let id = host.define_metric(metric.kind, name);
        self.ids.insert(name.to_owned(), id);
        Some(id)
    }

    fn admit(&mut self, host: &impl Host, metric: Id, name: u64, limit: usize) -> bool {
        let is_capped = metric.series == telemetry::Series::Capped;
        let most = match is_capped {
            true => limit,
            false => limit.saturating_add(MOST_BEYOND),
        };
        if self.names.contains(&name) {
            return true;
        }
        if is_capped && self.is_complete && self.count >= most {
            return false;
        }
        for _ in 0..ATTEMPTS {
            let key = bucket(name);
            let shared = host.shared(&key);
            self.read(&shared.bytes);
            if self.names.contains(&name) {
                return true;
            }
            if self.has_full(host, most) {
                return false;
            }
            let mut bytes = shared.bytes;
            bytes.truncate(bytes.len() / 8 * 8);
            bytes.extend_from_slice(&name.to_le_bytes());
            if bytes.len() <= 8 * MAX_IN_BUCKET && host.swap_shared(&key, &bytes, shared.swap) {
                self.names.insert(name);
                count_one(host);
                return true;
            }
        }
        // Others were faster each time, or the bucket is full of what is not Serin's.
        !is_capped
    }

    /// Whether the process has `most` series.
    fn has_full(&mut self, host: &impl Host, most: usize) -> bool {
        let count = host.shared(COUNT_KEY).bytes.try_into();
        let count = count.map_or(0, u64::from_le_bytes);
        self.count = usize::try_from(count).unwrap_or(usize::MAX);
        // The number may have been damaged, and then what was read counts.
        self.count = self.count.max(self.names.len());
        if self.count < most {
            return false;
        }
        if !self.is_complete {
            for number in 0..BUCKETS {
                self.read(&host.shared(&bucket(number)).bytes);
            }
            self.is_complete = true;
        }
        true
    }

    fn read(&mut self, bytes: &[u8]) {
        let names = bytes.as_chunks::<8>().0.iter().take(MAX_IN_BUCKET);
        self.names
            .extend(names.map(|name| u64::from_le_bytes(*name)));
    }
}

/// The key of the bucket that a name is in.
fn bucket(name: u64) -> String {
    format!("{COUNT_KEY}/{}", name % BUCKETS)
}

fn count_one(host: &impl Host) {
    for _ in 0..ATTEMPTS {
        let shared = host.shared(COUNT_KEY);
        let before = shared.bytes.try_into().map_or(0, u64::from_le_bytes);
        let after = before.saturating_add(1).to_le_bytes();
        if host.swap_shared(COUNT_KEY, &after, shared.swap) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;
    use scorer_sdk::telemetry::{Kind, Series as Cap};

    const CAPPED: Id = Id {
        name: "serin_x",
        kind: Kind::Counter,
        series: Cap::Capped,
    };
    const ALWAYS: Id = Id {
        series: Cap::Always,
        ..CAPPED
    };

    #[test]
    fn all_workers_share_the_cap_and_a_series_of_one_is_free_for_the_others() {
        let host = FakeHost::default();
        let mut workers: Vec<Series> = (0..4).map(|_| Series::default()).collect();
        for (number, worker) in workers.iter_mut().enumerate() {
            for series in 0..20 {
                // Half of them are everybody's.
                let owner = if series % 2 == 0 { 9 } else { number };
                let name = format!("{owner}.{series}");
                worker.id(&host, CAPPED, &name, 25);
            }
        }
        assert_eq!(host.0.borrow().metrics.len(), 25);
        for worker in &mut workers {
            assert!(worker.id(&host, CAPPED, "9.4", 25).is_some());
            assert!(worker.id(&host, CAPPED, "9.5", 25).is_none());
        }
        // A higher limit makes room for all.
        for worker in &mut workers {
            assert!(worker.id(&host, CAPPED, "9.5", 26).is_some());
            assert!(worker.id(&host, CAPPED, "9.7", 26).is_none());
        }
    }

    #[test]
    fn what_is_made_in_any_case_has_a_bound_as_well() {
        let host = FakeHost::default();
        let mut series = Series::default();
        for number in 0..MOST_BEYOND + 200 {
            series.id(&host, ALWAYS, &number.to_string(), 100);
        }
        assert_eq!(host.0.borrow().metrics.len(), MOST_BEYOND + 100);
        assert!(series.id(&host, CAPPED, "capped", 100).is_none());
    }

    #[test]
    fn damaged_numbers_neither_lift_the_cap_nor_end_the_verdicts() {
        let host = FakeHost::default();
        let mut series = Series::default();
        for number in 0..20 {
            series.id(&host, CAPPED, &number.to_string(), 20);
            assert!(host.swap_shared(COUNT_KEY, b"short", None));
        }
        assert!(series.id(&host, CAPPED, "more", 20).is_none());
        for number in 0..BUCKETS {
            let bytes = vec![7; 8 * MAX_IN_BUCKET + 5];
            assert!(host.swap_shared(&bucket(number), &bytes, None));
        }
        assert!(series.id(&host, ALWAYS, "verdict", 20).is_some());
    }
}
