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

use super::slot;
use crate::host::{Host, Shared};
use core::time::Duration;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::wire::codec::{CodecError, Damage, Reader, Writer};
use std::collections::VecDeque;

/// Version of all layouts here; part of every key.
const VERSION: u16 = 6;
/// Most workers; Envoy starts one per hardware thread.
const MAX_WORKERS: usize = 256;
/// Deltas that may wait for an acknowledgement; then the tally keeps counting by itself.
const MAX_WAITING: usize = 8;
/// A worker that was silent for longer, or left no slot that can be read, is gone.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// How often a worker without fresh counts writes its slot: an idle one says that it is there, and
/// what was damaged is mended.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Counts that have waited for this many ticks to be merged, and for so long, are late: another
/// worker has had the time to take the lease of one that is gone.
const LATE_TICKS: u32 = 10;
const LATE: Duration = Duration::from_secs(10);
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

    /// Where path trees have collapsed.
    #[must_use]
    pub fn templates(&self) -> String {
        format!("{}templates", self.prefix)
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
    waiting: VecDeque<Waiting>,
    last_write: Duration,
    /// Bytes of the last write: the next one has about as many.
    room: usize,
    /// Exchanges that found no room here since the last call of [`Outbox::take_lost`].
    lost: u64,
}

/// A delta that was not merged yet, as far as its worker knows.
#[derive(Debug)]
struct Waiting {
    number: u64,
    delta: Delta,
    /// Since when, from the Unix epoch on.
    since: Duration,
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
            room: 0,
            lost: 0,
        }
    }

    /// Forgets what was merged.
    pub fn acknowledge(&mut self, acknowledged: &Acknowledged) {
        let number = acknowledged_by(acknowledged, self.owner);
        if number >= self.next_number {
            // Damaged data has it that more was merged than was ever handed in, and so whatever
            // comes next would pass for merged. Under another name it does not.
            self.waiting.clear();
            self.slot = None;
            self.rename();
            return;
        }
        while self
            .waiting
            .front()
            .is_some_and(|front| front.number <= number)
        {
            self.waiting.pop_front();
        }
    }

    /// Whether counts have waited for the leader for too long. `tick` is the time between two ticks.
    #[must_use]
    pub fn is_late(&self, now: Duration, tick: Duration) -> bool {
        let most = LATE.max(tick.saturating_mul(LATE_TICKS));
        self.waiting
            .front()
            .is_some_and(|front| now.saturating_sub(front.since) > most)
    }

    /// Exchanges that found no room here since the last call, and so are not judged.
    pub fn take_lost(&mut self) -> u64 {
        core::mem::take(&mut self.lost)
    }

    /// Whether another delta may be added now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// Puts a delta, if there is one, into the mailbox with all that wait.
    pub fn publish(&mut self, host: &impl Host, delta: Delta, now: Duration) {
        let fresh = self.add(delta, now);
        if self.slot.is_none() && self.waiting.is_empty() {
            // Envoy's main thread sees no requests and needs no slot.
            return;
        }
        let is_due = fresh || now.abs_diff(self.last_write) >= HEARTBEAT;
        if self.confirm(host, fresh) && is_due {
            self.write(host, now);
        }
    }

    /// Puts everything into the mailbox, because no later tick will come.
    pub fn flush(&mut self, host: &impl Host, delta: Delta, now: Duration) {
        let fresh = self.add(delta, now);
        if self.waiting.is_empty() {
            return;
        }
        // A slot that was taken just now has to do without its confirmation.
        self.confirm(host, fresh);
        self.write(host, now);
    }

    /// Lets a delta wait, if there is anything in it and a slot can hold it; whether it does.
    fn add(&mut self, delta: Delta, now: Duration) -> bool {
        if delta.is_empty() {
            return false;
        }
        if self.waiting.len() >= slot::MAX_DELTAS {
            self.lost = self.lost.saturating_add(delta.exchanges());
            return false;
        }
        self.waiting.push_back(Waiting {
            number: self.next_number,
            delta,
            since: now,
        });
        self.next_number += 1;
        true
    }

    fn write(&mut self, host: &impl Host, now: Duration) {
        let Some(slot) = self.slot else {
            return;
        };
        let waiting = self.waiting.iter();
        let waiting = waiting.map(|waiting| (waiting.number, &waiting.delta));
        let bytes = slot::write((self.owner, self.room), now, waiting);
        self.room = bytes.len();
        host.swap_shared(&self.keys.delta(slot), &bytes, None);
        self.last_write = now;
    }

    /// Takes another name, under which nothing was merged yet.
    fn rename(&mut self) {
        self.confirmed = false;
        self.owner = self.owner.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1);
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
            self.rename();
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
    /// What could not be read. It is acknowledged where its number is known, so that its worker can
    /// go on; else the worker writes its slot again.
    pub damage: Damage,
}

/// The owners whose slots hold nothing of theirs, and since when.
#[derive(Debug, Default)]
pub struct Unheard(Vec<(u64, Duration)>);

/// Collects what was not merged yet.
#[must_use]
pub fn collect(
    host: &impl Host,
    keys: &Keys,
    acknowledged: &Acknowledged,
    unheard: &mut Unheard,
    now: Duration,
) -> Collected {
    let mut collected = Collected::default();
    let (owners, _) = read_workers(host, keys);
    let before = core::mem::take(&mut unheard.0);
    for (slot, owner) in owners
        .into_iter()
        .enumerate()
        .filter(|(_, owner)| *owner != 0)
    {
        let merged = acknowledged_by(acknowledged, owner);
        let content = match slot::read(&host.shared(&keys.delta(slot)).bytes, owner, merged) {
            Ok(content) => content,
            Err(error) => {
                collected.damage.note(error);
                None
            }
        };
        let silent_since = match &content {
            Some(content) => Duration::from_millis(content.written_ms),
            None => {
                let known = before.iter().find(|known| known.0 == owner);
                let since = known.map_or(now, |known| known.1);
                unheard.0.push((owner, since));
                since
            }
        };
        let content = content.unwrap_or_default();
        collected.damage.add(content.damage);
        if content.deltas.is_empty() && now.abs_diff(silent_since) > GONE_AFTER {
            collected.gone.push((slot, owner));
            continue;
        }
        collected
            .acknowledged
            .push((owner, content.last_number.max(merged)));
        collected.deltas.extend(content.deltas);
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
