//! The judge: merges deltas into the state at each tick and decides.
//!
//! Only one judge works at a time: the one in the worker that holds the lease. [`Judge::encode`]
//! writes its whole state, so that another worker can continue from there.
//!
//! | file | question |
//! | --- | --- |
//! | `destination.rs` | what happens in a tick? |
//! | `versions.rs`, `volumes.rs` | which versions are compared? |
//! | `rollout.rs`, `phase.rs` | when is judged, and what follows from the evidence? |
//! | `comparison.rs`, `route.rs`, `places.rs`, `mix.rs`, `weights.rs` | what do the routes know, and what does each weigh? |
//! | `trial.rs`, `gathered.rs`, `block.rs`, `past.rs`, `body.rs`, `pair.rs`, `seen.rs` | how does a block become evidence? |
//! | `units/` | how much do hosts and sessions differ, and may one of them decide? |
//! | `placebo.rs`, `halves.rs` | do the baseline's own halves differ? |
//! | `watch.rs` | how does drift learn of a tick? |
//! | `recent.rs` | how often is each category true just now? |
//! | `examples.rs` | which exchanges of the candidate are in a category? |
//! | `change.rs` | do the versions differ on a signal, and by how much? |
//! | `past_alarm.rs` | is a version that is alone worse than the past of the one before? |
//! | `recall.rs`, `remembered.rs` | what does another proxy go on with? |
//! | `silence.rs` | does a version answer nothing, or get nothing? |
//! | `found.rs` | what was known when the verdict fell? |
//! | `shares.rs`, `reasons.rs`, `differences.rs`, `needed.rs`, `explain.rs` | what does the evidence come to, and why? |
//! | `decision.rs`, `verdict/`, `timing.rs`, `inspect.rs` | what is told? |

mod answers;
mod arm;
mod baseline_health;
mod block;
mod body;
mod change;
mod comparison;
mod decision;
mod destination;
mod differences;
mod examples;
mod explain;
mod fingerprint;
mod found;
mod gathered;
mod halves;
pub mod inspect;
mod judged;
mod mix;
mod moment;
mod needed;
mod pair;
mod past;
mod past_alarm;
mod phase;
mod placebo;
mod places;
mod reasons;
mod recall;
mod recent;
mod remembered;
mod rollout;
mod route;
mod seen;
mod shares;
mod silence;
pub mod timing;
mod trial;
mod units;
pub mod verdict;
mod versions;
mod volumes;
mod watch;
mod weights;

use crate::config::Plan;
use crate::count::delta::{Delta, Overflow, RouteDelta};
use crate::judge::verdict::{Decision, FleetWord};
use crate::limits::MAX_DESTINATIONS;
use crate::memory::Memory;
use crate::route::RouteKey;
use crate::sketch::buckets;
use crate::wire::codec::{CodecError, Damage, Reader, Writer};
use core::time::Duration;
use destination::Destination;
use fingerprint::fingerprint;
use std::sync::Arc;

pub use recall::Recalled;
pub use remembered::RememberedRollout;

/// Version of the encoded state; another version's state is not read and learning starts anew.
pub const STATE_VERSION: u16 = 9;
/// The first destinations, whose drift is watched: each takes up to 90 KiB of the state.
const MAX_WATCHED: usize = 32;

/// What one pair says of a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairEvidence<'a> {
    /// The service.
    pub destination: &'a str,
    /// The version that is judged; empty where there is none.
    pub candidate: &'a str,
    /// The route; none for the pair over all routes together.
    pub route: Option<&'a RouteKey>,
    /// The category.
    pub category: &'static str,
    /// Log e-value in nats that the candidate is worse; negative when it favours the candidate.
    pub nats: f64,
}

/// Merges deltas and decides.
pub struct Judge {
    plan: Arc<Plan>,
    destinations: Vec<Destination>,
    overflow: Overflow,
    merged: u64,
    /// Whether destinations wait for a memory; not part of the state.
    waits_for_memories: bool,
}

impl Judge {
    /// A judge that knows nothing yet.
    #[must_use]
    #[inline(never)]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            destinations: Vec::new(),
            overflow: Overflow::default(),
            merged: 0,
            waits_for_memories: false,
        }
    }

    /// Lets each destination that has chosen no versions wait for a memory before it does, for at most
    /// [`PATIENCE`](crate::memory::PATIENCE).
    pub fn wait_for_memories(&mut self) {
        self.waits_for_memories = true;
        let known = self.destinations.iter_mut();
        known.for_each(Destination::wait_for_memory);
    }

    /// The destinations that wait for one.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.destinations
            .iter()
            .filter(|known| known.waits_for_memory())
            .map(|known| known.name.as_str())
    }

    /// Hands a destination the memory that it waits for, with the time when it was written, since the Unix
    /// epoch; none says that there is none. One that does not wait any more leaves it.
    #[inline(never)]
    pub fn remember(
        &mut self,
        destination: &str,
        memory: Option<(Memory, Duration)>,
        now: Duration,
    ) {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let memory = memory.map(|(memory, written)| (memory, ms(written)));
        let mut known = self.destinations.iter_mut();
        if let Some(known) = known.find(|known| known.name == destination) {
            known.remember(&self.plan, memory, ms(now));
        }
    }

    /// Hands what became of memories since the last call to `tell`, with the destinations.
    pub fn take_recalled(&mut self, tell: &mut dyn FnMut(&str, Recalled)) {
        for destination in &mut self.destinations {
            if let Some(recalled) = destination.recalled.take() {
                tell(&destination.name, recalled);
            }
        }
    }

    /// What another proxy may go on with; none while the destination has chosen no versions.
    #[must_use]
    #[inline(never)]
    pub fn memory(&self, destination: &str) -> Option<Memory> {
        let known = self
            .destinations
            .iter()
            .find(|known| known.name == destination);
        known?.remembered()
    }

    /// A number made of the plan's signals, tolerances and rollout: a memory is of use under the same one.
    #[must_use]
    pub fn layout(plan: &Plan) -> u64 {
        fingerprint(plan)
    }

    /// Takes a block of everything that was counted since the last tick. `now` is the time since
    /// the Unix epoch; it should not go backwards, and does no harm when it does.
    #[inline(never)]
    pub fn tick(&mut self, deltas: &[Delta], now: Duration) {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut inboxes: Vec<Vec<&RouteDelta>> = Vec::new();
        for delta in deltas {
            self.overflow.add(&delta.overflow);
            for route in &delta.routes {
                let Some(index) = self.deliver(route) else {
                    continue;
                };
                if inboxes.len() <= index {
                    inboxes.resize_with(self.destinations.len(), Vec::new);
                }
                if let Some(inbox) = inboxes.get_mut(index) {
                    inbox.push(route);
                }
            }
        }
        inboxes.resize_with(self.destinations.len(), Vec::new);
        for (destination, inbox) in self.destinations.iter_mut().zip(&inboxes) {
            destination.tick(&self.plan, inbox, &mut self.overflow, now_ms);
        }
    }

    /// Does what all proxies together say of a candidate, if that is the one that is compared. `now`
    /// is the time since the Unix epoch.
    #[inline(never)]
    pub fn heed(&mut self, destination: &str, candidate: &str, word: FleetWord, now: Duration) {
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut known = self.destinations.iter_mut();
        if let Some(known) = known.find(|known| known.name == destination) {
            known.heed(&self.plan, candidate, word, now_ms);
        }
    }

    /// The index of the destination of a worker's counts of one route, a new one if there is room.
    fn deliver(&mut self, route: &RouteDelta) -> Option<usize> {
        let exchanges: u64 = route.versions.iter().map(|version| version.exchanges).sum();
        let name = &route.key.destination;
        let index = match self
            .destinations
            .iter()
            .position(|known| known.name == *name)
        {
            Some(index) => index,
            None if self.destinations.len() < MAX_DESTINATIONS => {
                // A guard sees the share of one version only: each step of a rollout would look
                // like a change of usage.
                let is_watched = !self.plan.drift_window.is_zero()
                    && self.plan.reject.reference.is_none()
                    && self.destinations.len() < MAX_WATCHED;
                let mut destination = Destination::new(name, is_watched);
                if self.waits_for_memories {
                    destination.wait_for_memory();
                }
                self.destinations.push(destination);
                self.destinations.len() - 1
            }
            None => {
                self.overflow.destinations = self.overflow.destinations.saturating_add(exchanges);
                return None;
            }
        };
        self.merged = self.merged.saturating_add(exchanges);
        Some(index)
    }

    /// What is decided about each destination.
    #[must_use]
    #[inline(never)]
    pub fn decisions(&self) -> Vec<Decision> {
        self.destinations
            .iter()
            .map(|destination| decision::decision(&self.plan, destination))
            .collect()
    }

    /// Calls `visitor` with route, category, version and the number of judged exchanges in the
    /// category since the last call.
    #[inline(never)]
    pub fn drain_counts(&mut self, visitor: &mut dyn FnMut(&RouteKey, &'static str, &str, u64)) {
        for destination in &mut self.destinations {
            destination.drain_counts(&self.plan, visitor);
        }
    }

    /// The evidence of each pair of route and category, and of each category over all routes.
    #[must_use]
    #[inline(never)]
    pub fn pair_evidence(&self) -> Vec<PairEvidence<'_>> {
        self.destinations
            .iter()
            .flat_map(|destination| {
                let (comparison, placebo) = (&destination.comparison, &destination.placebo);
                shares::pair_evidence(&self.plan, comparison, placebo)
                    .into_iter()
                    .map(|(route, category, nats)| PairEvidence {
                        destination: &destination.name,
                        candidate: destination.candidate(),
                        route,
                        category,
                        nats,
                    })
            })
            .collect()
    }

    /// Destination, category and log e-value in nats of each placebo.
    #[must_use]
    #[inline(never)]
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
    #[inline(never)]
    pub fn slow_cuts(&self) -> Vec<(RouteKey, u64)> {
        self.destinations
            .iter()
            .flat_map(|destination| destination.comparison.slow_cuts(&self.plan))
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
    #[inline(never)]
    pub fn encode(&self, writer: &mut Writer) {
        writer.u16(STATE_VERSION);
        writer.u64(fingerprint(&self.plan));
        writer.u64(self.merged);
        self.overflow.encode(writer);
        writer.parts(&self.destinations, Destination::encode);
    }

    /// Reads a state, all of it. One that was written under other signals or tolerances cannot be
    /// continued.
    ///
    /// # Errors
    /// When the bytes are not a state of this version and plan, or one of its destinations cannot be
    /// read.
    pub fn decode(plan: Arc<Plan>, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut damage = Damage::default();
        let judge = Self::salvage(plan, reader, &mut damage)?;
        damage.refuse(judge)
    }

    /// Reads a state without the destinations that cannot be read: `damage` counts them, and
    /// learning starts anew for each.
    ///
    /// # Errors
    /// When the bytes are not a state of this version and plan.
    #[inline(never)]
    pub fn salvage(
        plan: Arc<Plan>,
        reader: &mut Reader<'_>,
        damage: &mut Damage,
    ) -> Result<Self, CodecError> {
        let version = reader.u16()?;
        if version != STATE_VERSION {
            return Err(CodecError::Unknown {
                what: "state version",
                value: u64::from(version),
            });
        }
        if reader.u64()? != fingerprint(&plan) {
            return Err(CodecError::OtherSettings);
        }
        Ok(Self {
            merged: reader.u64()?,
            overflow: Overflow::decode(reader)?,
            destinations: reader.parts(MAX_DESTINATIONS, damage, |reader| {
                Destination::decode(&plan, reader)
            })?,
            waits_for_memories: false,
            plan,
        })
    }
}
