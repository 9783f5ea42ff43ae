//! The judge: merges deltas into the state at each tick and decides.
//!
//! One judge is at work at a time, whoever holds the lease; its whole state goes through
//! [`Judge::encode`], so that another can take over where it stopped.

mod block;
mod body;
mod decision;
mod destination;
mod explain;
mod gathered;
pub mod inspect;
mod judged;
mod mix;
mod needed;
mod pair;
mod past;
mod phase;
mod placebo;
mod rollout;
mod route;
mod shares;
pub mod verdict;
mod versions;
mod weights;

use crate::config::Plan;
use crate::count::delta::{Delta, Overflow};
use crate::count::halves::Halves;
use crate::judge::verdict::Decision;
use crate::limits::MAX_DESTINATIONS;
use crate::route::RouteKey;
use crate::sketch::buckets;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::time::Duration;
use destination::Destination;
use std::sync::Arc;

/// Version of the encoded state; another version's state is not read and learning starts anew.
pub const STATE_VERSION: u16 = 4;
/// Destinations whose drift is watched, the first ones: each takes up to 90 KiB of the state.
const MAX_WATCHED: usize = 32;

/// Merges deltas and decides.
pub struct Judge {
    plan: Arc<Plan>,
    destinations: Vec<Destination>,
    overflow: Overflow,
    merged: u64,
}

impl Judge {
    /// A judge that knows nothing yet.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            destinations: Vec::new(),
            overflow: Overflow::default(),
            merged: 0,
        }
    }

    /// Takes a block of everything that was counted since the last tick. `now` is the time since
    /// the Unix epoch; it should not go backwards, and does no harm when it does.
    pub fn tick(&mut self, deltas: &[Delta], now: Duration) {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        for delta in deltas {
            self.overflow.add(&delta.overflow);
            for route in &delta.routes {
                let index = self
                    .destinations
                    .iter()
                    .position(|known| known.name == route.key.destination);
                let index = match index {
                    Some(index) => index,
                    None if self.destinations.len() < MAX_DESTINATIONS => {
                        let mut new = Destination::new(&route.key.destination);
                        // A guard sees one version's share alone: each step of a rollout would
                        // be a change of usage.
                        let is_watched = !self.plan.drift_window.is_zero()
                            && self.plan.reject.reference.is_none()
                            && self.destinations.len() < MAX_WATCHED;
                        new.watch = is_watched.then(Box::default);
                        self.destinations.push(new);
                        self.destinations.len() - 1
                    }
                    None => {
                        self.overflow.destinations += route
                            .versions
                            .iter()
                            .map(|version| version.exchanges)
                            .sum::<u64>();
                        continue;
                    }
                };
                self.merged += route
                    .versions
                    .iter()
                    .map(|version| version.exchanges)
                    .sum::<u64>();
                if let Some(destination) = self.destinations.get_mut(index) {
                    destination.inbox.push(route.clone());
                }
            }
        }
        for new in deltas.iter().flat_map(|delta| &delta.new_hosts) {
            let known = self
                .destinations
                .iter_mut()
                .find(|known| known.name == new.destination);
            if let Some(destination) = known {
                destination.new_hosts.push(new.clone());
            }
        }
        for destination in &mut self.destinations {
            destination.tick(&self.plan, &mut self.overflow, now_ms);
        }
    }

    /// What is decided about each destination.
    #[must_use]
    pub fn decisions(&self) -> Vec<Decision> {
        self.destinations
            .iter()
            .map(|destination| destination.decision(&self.plan))
            .collect()
    }

    /// Calls `visitor` with route, category, version and the number of judged exchanges in the
    /// category since the last call.
    pub fn drain_counts(&mut self, visitor: &mut dyn FnMut(&RouteKey, &'static str, &str, u64)) {
        for destination in &mut self.destinations {
            destination.drain_counts(&self.plan, visitor);
        }
    }

    /// Route, candidate, category and log e-value in nats of each pair of route and category.
    #[must_use]
    pub fn pair_evidence(&self) -> Vec<(&RouteKey, &str, &'static str, f64)> {
        self.destinations
            .iter()
            .flat_map(|destination| destination.pair_evidence(&self.plan))
            .collect()
    }

    /// How baselines are split for the placebo: what every [`crate::count::tally::Tally`] has to count by.
    #[must_use]
    pub fn halves(&self) -> Vec<Halves> {
        self.destinations
            .iter()
            .filter_map(|destination| destination.placebo.halves().cloned())
            .collect()
    }

    /// Destination, category and log e-value in nats of each placebo.
    #[must_use]
    pub fn placebo_evidence(&self) -> Vec<(&str, &'static str, f64)> {
        self.destinations
            .iter()
            .flat_map(|destination| {
                self.plan
                    .questions
                    .iter()
                    .zip(destination.placebo.all_evidence())
                    .map(|((_, question), evidence)| {
                        (destination.name.as_str(), question.name, evidence)
                    })
            })
            .collect()
    }

    /// Per route, the microseconds in flight from which on an exchange is slow: beyond the
    /// baseline's 99th percentile.
    #[must_use]
    pub fn slow_cuts(&self) -> Vec<(RouteKey, u64)> {
        self.destinations
            .iter()
            .flat_map(|destination| destination.slow_cuts(&self.plan))
            .map(|(key, code)| (key, buckets::upper_bound(code).saturating_add(1)))
            .collect()
    }

    /// Exchanges that were merged in, over all destinations and versions.
    #[must_use]
    pub fn merged(&self) -> u64 {
        self.merged
    }

    /// What did not fit a bounded table so far.
    #[must_use]
    pub fn overflow(&self) -> Overflow {
        self.overflow
    }

    /// Writes the whole state.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u16(STATE_VERSION);
        writer.u64(fingerprint(&self.plan));
        writer.u64(self.merged);
        self.overflow.encode(writer);
        writer.length(self.destinations.len());
        for destination in &self.destinations {
            destination.encode(writer);
        }
    }

    /// Reads a state. One that was written under other signals or tolerances cannot be continued.
    ///
    /// # Errors
    /// When the bytes are not a state of this version and plan.
    pub fn decode(plan: Arc<Plan>, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let version = reader.u16()?;
        if version != STATE_VERSION {
            return Err(CodecError::Unknown {
                what: "state version",
                value: u64::from(version),
            });
        }
        let found = reader.u64()?;
        if found != fingerprint(&plan) {
            return Err(CodecError::Unknown {
                what: "signals of the state",
                value: found,
            });
        }
        let mut judge = Self::new(Arc::clone(&plan));
        judge.merged = reader.u64()?;
        judge.overflow = Overflow::decode(reader)?;
        for _ in 0..reader.length(MAX_DESTINATIONS)? {
            judge.destinations.push(Destination::decode(&plan, reader)?);
        }
        Ok(judge)
    }
}

/// Stands for the signals, questions and tolerances: evidence gathered under others must not be
/// continued.
fn fingerprint(plan: &Plan) -> u64 {
    // FNV-1a: fixed for good, unlike a hash table's.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for signal in &plan.signals {
        add(signal.name().as_bytes());
    }
    for (_, question) in &plan.questions {
        add(question.name.as_bytes());
        add(&question.tolerance.to_le_bytes());
        add(&question.weight.to_le_bytes());
    }
    for expected in &plan.expected {
        add(expected.route.as_deref().unwrap_or("*").as_bytes());
        add(&expected.signal.to_le_bytes());
        add(expected.category.unwrap_or_default().as_bytes());
    }
    add(format!("{:?} {:?}", plan.body, plan.session).as_bytes());
    add(&[
        u8::from(plan.reject.reference.is_some()),
        u8::from(plan.placebo),
    ]);
    add(&plan.drift_window.as_millis().to_le_bytes());
    add(plan.rollout.as_deref().unwrap_or_default().as_bytes());
    hash
}
