//! The mailbox: how workers hand their counts to the leader, through shared data.
//!
//! - `workers`: the list of owners by slot. A worker takes a free slot by compare-and-swap and uses
//!   it once a later tick finds it still there (the first value of a key cannot be swapped in, only
//!   written, so two workers may take the same slot of an empty list; one of them then finds out).
//! - `delta/N`: what the owner of slot N has counted and the leader has not acknowledged, each
//!   delta with a number of its own. Merging one twice is impossible: the state knows the last
//!   number per owner.
//! - `lease`: who merges, until when.
//! - `state`: acknowledged numbers and the judge, swapped as one.
//! - `verdict`: what every worker has to know ([`crate::sync::publication`]).
//!
//! All keys begin with a version and the name of the plugin: every plugin of a proxy shares one
//! namespace.

use crate::host::{Host, Shared};
use core::time::Duration;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};
use std::collections::VecDeque;

/// Version of all layouts here; part of every key.
const VERSION: u16 = 5;
/// Most workers; Envoy starts one per hardware thread.
const MAX_WORKERS: usize = 256;
/// Deltas that may wait for an acknowledgement; then the tally keeps counting by itself.
const MAX_WAITING: usize = 8;
/// Deltas that are read from one slot: streams that outlive their config hand in one each.
const MAX_READ: usize = 1_024;
/// A worker that was silent for longer is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// How often an idle worker says that it is there.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// A compare-and-swap is tried this often.
const ATTEMPTS: usize = 4;

/// The keys of one plugin.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Keys under the name of a plugin.
    #[must_use]
    pub fn new(plugin: &str) -> Self {
        Self {
            prefix: format!("serin/{VERSION}/{plugin}/"),
        }
    }

    fn workers(&self) -> String {
        format!("{}workers", self.prefix)
    }

    fn delta(&self, slot: usize) -> String {
        format!("{}delta/{slot}", self.prefix)
    }

    /// Who merges.
    #[must_use]
    pub fn lease(&self) -> String {
        format!("{}lease", self.prefix)
    }

    /// The judge's state.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{}state", self.prefix)
    }

    /// What every worker has to know.
    #[must_use]
    pub fn verdict(&self) -> String {
        format!("{}verdict", self.prefix)
    }
}

/// The last merged number per owner.
pub type Acknowledged = Vec<(u64, u64)>;

/// Writes acknowledged numbers.
pub fn encode_acknowledged(acknowledged: &Acknowledged, writer: &mut Writer) {
    writer.list(acknowledged, |(owner, number), writer| {
        writer.u64(*owner);
        writer.u64(*number);
    });
}

/// Reads acknowledged numbers.
///
/// # Errors
/// When the bytes are not such a list.
pub fn decode_acknowledged(reader: &mut Reader<'_>) -> Result<Acknowledged, CodecError> {
    reader.list(MAX_WORKERS, |reader| Ok((reader.u64()?, reader.u64()?)))
}

fn acknowledged_by(acknowledged: &Acknowledged, owner: u64) -> u64 {
    acknowledged
        .iter()
        .find(|known| known.0 == owner)
        .map_or(0, |known| known.1)
}

/// Owners by slot; 0 is a free one.
fn read_workers(host: &impl Host, keys: &Keys) -> (Vec<u64>, Option<u32>) {
    let Shared { bytes, swap } = host.shared(&keys.workers());
    let mut reader = Reader::new(&bytes);
    let mut owners = Vec::new();
    let count = reader.length(MAX_WORKERS).unwrap_or(0);
    for _ in 0..count {
        owners.push(reader.u64().unwrap_or(0));
    }
    (owners, swap)
}

fn swap_workers(host: &impl Host, keys: &Keys, owners: &[u64], swap: Option<u32>) -> bool {
    let mut writer = Writer::new();
    writer.list(owners, |owner, writer| writer.u64(*owner));
    host.swap_shared(&keys.workers(), &writer.into_bytes(), swap)
}

/// A worker's own side of the mailbox.
#[derive(Debug)]
pub struct Outbox {
    keys: Keys,
    owner: u64,
    slot: Option<usize>,
    confirmed: bool,
    next_number: u64,
    waiting: VecDeque<(u64, Delta)>,
    last_write: Duration,
}

impl Outbox {
    /// An outbox for the worker with the name `owner`, unlike any other's.
    #[must_use]
    pub fn new(keys: Keys, owner: u64) -> Self {
        Self {
            keys,
            owner: owner.max(1),
            slot: None,
            confirmed: false,
            next_number: 1,
            waiting: VecDeque::new(),
            last_write: Duration::ZERO,
        }
    }

    /// Forgets what was merged.
    pub fn acknowledge(&mut self, acknowledged: &Acknowledged) {
        let number = acknowledged_by(acknowledged, self.owner);
        while self.waiting.front().is_some_and(|front| front.0 <= number) {
            self.waiting.pop_front();
        }
    }

    /// Whether another delta may be added now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Puts a delta, if there is one, into the mailbox with all that wait.
    pub fn publish(&mut self, host: &impl Host, delta: Delta, now: Duration) {
        let fresh = self.add(delta);
        if self.slot.is_none() && self.waiting.is_empty() {
            // Envoy's main thread sees no requests and needs no slot.
            return;
        }
        if !self.confirm(host, fresh) || (!fresh && now < self.last_write.saturating_add(HEARTBEAT))
        {
            return;
        }
        self.write(host, now);
    }

    /// Puts everything into the mailbox, because no later tick will come.
    pub fn flush(&mut self, host: &impl Host, delta: Delta, now: Duration) {
        let fresh = self.add(delta);
        if self.waiting.is_empty() {
            return;
        }
        // A slot that was taken just now has to do without its confirmation.
        self.confirm(host, fresh);
        self.write(host, now);
    }

    /// Lets a delta wait, if there is anything in it; whether there is.
    fn add(&mut self, delta: Delta) -> bool {
        let fresh = !delta.is_empty();
        if fresh {
            self.waiting.push_back((self.next_number, delta));
            self.next_number += 1;
        }
        fresh
    }

    fn write(&mut self, host: &impl Host, now: Duration) {
        let Some(slot) = self.slot else {
            return;
        };
        let mut writer = Writer::new();
        writer.u64(self.owner);
        writer.u64(now.as_millis() as u64);
        writer.length(self.waiting.len());
        for (number, delta) in &self.waiting {
            writer.u64(*number);
            delta.encode(&mut writer);
        }
        host.swap_shared(&self.keys.delta(slot), &writer.into_bytes(), None);
        self.last_write = now;
    }

    /// Whether the slot is this worker's for good; takes one otherwise. `fresh` says that the last
    /// delta was added just now and lies nowhere yet.
    fn confirm(&mut self, host: &impl Host, fresh: bool) -> bool {
        let (owners, _) = read_workers(host, &self.keys);
        let held = self
            .slot
            .is_some_and(|slot| owners.get(slot) == Some(&self.owner));
        if held {
            self.confirmed = true;
            return true;
        }
        if self.confirmed {
            // The slot was freed after a long silence, when all that it held had been merged.
            if fresh {
                self.waiting.drain(..self.waiting.len().saturating_sub(1));
            } else {
                self.waiting.clear();
            }
            self.confirmed = false;
            self.owner = self.owner.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1);
        }
        self.claim(host);
        false
    }

    fn claim(&mut self, host: &impl Host) {
        self.slot = None;
        for _ in 0..ATTEMPTS {
            let (mut owners, swap) = read_workers(host, &self.keys);
            let slot = owners
                .iter()
                .position(|owner| *owner == 0)
                .unwrap_or(owners.len());
            if slot >= MAX_WORKERS {
                return;
            }
            owners.resize(owners.len().max(slot + 1), 0);
            if let Some(free) = owners.get_mut(slot) {
                *free = self.owner;
            }
            if swap_workers(host, &self.keys, &owners, swap) {
                self.slot = Some(slot);
                return;
            }
        }
    }
}

/// What lies in the mailbox for the leader.
#[derive(Debug, Default)]
pub struct Collected {
    /// Deltas that were not merged yet.
    pub deltas: Vec<Delta>,
    /// What will have been merged with them.
    pub acknowledged: Acknowledged,
    /// Slots of workers that are gone and have nothing left to merge.
    gone: Vec<(usize, u64)>,
    /// Values that could not be read.
    pub damaged: u64,
}

/// Collects what was not merged yet.
#[must_use]
pub fn collect(
    host: &impl Host,
    keys: &Keys,
    acknowledged: &Acknowledged,
    now: Duration,
) -> Collected {
    let mut collected = Collected::default();
    let (owners, _) = read_workers(host, keys);
    for (slot, owner) in owners
        .into_iter()
        .enumerate()
        .filter(|(_, owner)| *owner != 0)
    {
        let merged = acknowledged_by(acknowledged, owner);
        let bytes = host.shared(&keys.delta(slot)).bytes;
        match read_slot(&bytes, owner, merged) {
            Ok(slot_content) => {
                let silent = slot_content
                    .written_ms
                    .saturating_add(GONE_AFTER.as_millis() as u64)
                    < now.as_millis() as u64;
                if silent && slot_content.deltas.is_empty() {
                    collected.gone.push((slot, owner));
                    continue;
                }
                collected
                    .acknowledged
                    .push((owner, slot_content.last_number.max(merged)));
                collected.deltas.extend(slot_content.deltas);
            }
            Err(_) => {
                // Another version's bytes, or none yet.
                collected.damaged += u64::from(!bytes.is_empty());
                collected.acknowledged.push((owner, merged));
            }
        }
    }
    collected
}

impl Collected {
    /// Frees the slots of the workers that are gone; to be called once the state is written.
    pub fn free_gone(&self, host: &impl Host, keys: &Keys) {
        if self.gone.is_empty() {
            return;
        }
        for _ in 0..ATTEMPTS {
            let (mut owners, swap) = read_workers(host, keys);
            for (slot, owner) in &self.gone {
                if let Some(known) = owners.get_mut(*slot).filter(|known| *known == owner) {
                    *known = 0;
                }
            }
            if swap_workers(host, keys, &owners, swap) {
                return;
            }
        }
    }
}

struct SlotContent {
    written_ms: u64,
    last_number: u64,
    deltas: Vec<Delta>,
}

fn read_slot(bytes: &[u8], owner: u64, merged: u64) -> Result<SlotContent, CodecError> {
    let mut reader = Reader::new(bytes);
    let found = reader.u64()?;
    let written_ms = reader.u64()?;
    let mut content = SlotContent {
        written_ms,
        last_number: 0,
        deltas: Vec::new(),
    };
    let count = reader.length(MAX_READ)?;
    if found != owner {
        // The slot has a new owner that has written nothing yet.
        return Err(CodecError::Unknown {
            what: "owner",
            value: found,
        });
    }
    for _ in 0..count {
        let number = reader.u64()?;
        let delta = Delta::decode(&mut reader)?;
        content.last_number = content.last_number.max(number);
        if number > merged {
            content.deltas.push(delta);
        }
    }
    reader.finish()?;
    Ok(content)
}
