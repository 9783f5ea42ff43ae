//! What a simulation hands out, and what waits for its end.

use core::time::Duration;
use std::collections::BTreeMap;

/// One simulated exchange: indices into the scenario's lists, and what was drawn. Small and owned;
/// [`Traffic::exchange`](super::Traffic::exchange) makes the facts of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record {
    /// When it ended, since the Unix epoch; records of a tick are in this order. With
    /// [`Reported::AtOnce`](super::Reported::AtOnce) a moment of the tick in which it began.
    pub at: Duration,
    /// Index of its route in the service.
    pub route: usize,
    /// Whether the candidate served it.
    pub candidate: bool,
    /// Which pod of that version.
    pub pod: usize,
    /// Hash of the client's session.
    pub session: u64,
    /// Number of the request, which its attempts share.
    pub request: u64,
    /// Response status.
    pub status: u16,
    /// The version's time in microseconds: up to the first byte where the answer is a stream.
    pub duration_us: u64,
    /// The whole time in microseconds.
    pub lasted_us: u64,
    /// Length of the request in bytes.
    pub request_bytes: u64,
    /// Length of the answer in bytes.
    pub response_bytes: u64,
    /// Whether it has the route's other content type.
    pub other_content_type: bool,
    /// Attempts that failed before this one.
    pub attempt: u32,
    /// Index of the answer's header names among those that were seen so far.
    pub(super) header_set: usize,
}

/// Exchanges that have not been reported yet, by the tick in which they will be.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight {
    by_tick: BTreeMap<u64, Vec<Record>>,
}

impl InFlight {
    /// Keeps a record until that tick.
    pub(super) fn keep(&mut self, until: u64, record: Record) {
        self.by_tick.entry(until).or_default().push(record);
    }

    /// Moves what is to be reported by that tick to `records`, in the order of time.
    pub(super) fn report(&mut self, tick: u64, records: &mut Vec<Record>) {
        while let Some(entry) = self.by_tick.first_entry() {
            if *entry.key() > tick {
                break;
            }
            records.append(&mut entry.remove());
        }
        records.sort_by_key(|record| record.at);
    }
}
