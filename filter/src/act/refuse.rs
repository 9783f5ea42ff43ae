//! Refusals: the caller's proxy is told to ask again elsewhere.

use crate::host::Host;
use hashbrown::HashMap;
use scorer_sdk::telemetry::REJECT_HEADER;

/// Distinct reasons of refusal that are counted apart by one worker between two ticks.
const MAX_REASONS: usize = 64;

/// What one worker has refused since the last tick, by reason.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: HashMap<String, u64>,
}

impl Refusals {
    /// Answers in the application's place, and says why.
    pub fn refuse(&mut self, host: &impl Host, reason: &str, grpc: bool) {
        host.refuse(REJECT_HEADER.name, reason, grpc);
        if self.counts.len() < MAX_REASONS || self.counts.contains_key(reason) {
            *self.counts.entry(reason.to_owned()).or_insert(0) += 1;
        }
    }

    /// Takes the refusals since the last call, by reason.
    pub fn take(&mut self) -> impl Iterator<Item = (String, u64)> {
        self.counts.drain()
    }
}
