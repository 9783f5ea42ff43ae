//! A block that is being gathered: what two sides did since the last judgement.

use super::trial::Trial;
use crate::sketch::{Counts, NameTable};
use crate::wire::codec::{CodecError, Reader, Writer};

/// A block may wait this many ticks for its other side.
const LONG_BLOCK_TICKS: u32 = 300;
/// A small block may wait longer: with a request a minute the other side may take an hour. A large
/// block may not, because it would compare the good minutes of one side with the bad minutes of the
/// other.
pub(super) const LONGEST_BLOCK_TICKS: u32 = 3_600;
/// A block of fewer exchanges waits for more: given how many of them were bad, few exchanges say
/// little about the versions.
const SMALLEST_BLOCK: u64 = 20;
/// A small block with both sides in it waits no longer than this many ticks.
pub(super) const SMALL_BLOCK_TICKS: u32 = 10;
/// Trials of one side that are kept while a block waits for the other: many more than the other will
/// have when it comes.
const MAX_WAITING: usize = 128;

/// Trials of two sides that wait for each other: baseline and candidate, or the halves of a placebo.
#[derive(Debug, Clone, Default)]
pub(super) struct Trials {
    sides: [Vec<Trial>; 2],
    /// Exchanges of the random part that came, those among them that were thinned away.
    came: [u64; 2],
    pub(super) ticks: u32,
}

impl Trials {
    /// The trials of one side.
    pub(super) fn side(&self, side: usize) -> &[Trial] {
        self.sides.get(side).map_or(&[], Vec::as_slice)
    }

    pub(super) fn add(&mut self, side: usize, trial: Trial) {
        if let (Some(trials), Some(came)) = (self.sides.get_mut(side), self.came.get_mut(side)) {
            *came = came.saturating_add(u64::from(!trial.is_case));
            trials.push(trial);
        }
    }

    /// Whether no exchange of the random part is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.exchanges() == 0
    }

    /// Whether both sides are in it.
    pub(super) fn is_complete(&self) -> bool {
        (0..self.sides.len()).all(|side| self.of_random_part(side) > 0)
    }

    /// Exchanges of one side without its cases.
    pub(super) fn of_random_part(&self, side: usize) -> u64 {
        let of_random_part = self.side(side).iter().filter(|trial| !trial.is_case);
        of_random_part.count() as u64
    }

    /// Exchanges of one side that are counted as judged: not its cases, and each once however many
    /// trials tell of it.
    pub(super) fn judged(&self, side: usize) -> u64 {
        let exchanges = self.side(side).iter();
        exchanges
            .filter(|trial| !trial.is_case && !trial.is_further)
            .count() as u64
    }

    /// Exchanges that came, without cases: these thin what waits, and when one comes is a matter of
    /// outcomes.
    fn exchanges(&self) -> u64 {
        let [baseline, candidate] = self.came;
        baseline.saturating_add(candidate)
    }

    /// Whether it may still wait for its other side. The border depends on sides and time alone,
    /// never on outcomes.
    pub(super) fn may_wait(&self) -> bool {
        let longest = if self.exchanges() < SMALLEST_BLOCK {
            LONGEST_BLOCK_TICKS
        } else {
            LONG_BLOCK_TICKS
        };
        self.ticks < longest
    }

    /// Whether it is too small to be judged yet.
    pub(super) fn is_small(&self) -> bool {
        self.exchanges() < SMALLEST_BLOCK && self.ticks < SMALL_BLOCK_TICKS
    }

    /// Thins what waits: every second one of a side that has too many, the oldest and the newest
    /// alike.
    pub(super) fn wait(&mut self) {
        for side in &mut self.sides {
            while side.len() > MAX_WAITING {
                let mut number = 0;
                side.retain(|_| {
                    number += 1;
                    number % 2 == 0
                });
            }
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.u32(self.ticks);
        self.came.iter().for_each(|came| writer.u64(*came));
        for side in &self.sides {
            writer.list(side, Trial::encode);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            ticks: reader.u32()?,
            came: [reader.u64()?, reader.u64()?],
            sides: [
                reader.list(MAX_WAITING, Trial::decode)?,
                reader.list(MAX_WAITING, Trial::decode)?,
            ],
        })
    }
}

/// What both arms showed since the last judgement, per arm and signal: what the past will learn.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    pub(super) counts: [Vec<Counts>; 2],
}

impl Gathered {
    pub(super) fn new(signals: usize) -> Self {
        Self {
            counts: [
                vec![Counts::default(); signals],
                vec![Counts::default(); signals],
            ],
        }
    }

    /// The candidate has become the baseline.
    pub(super) fn promote(&mut self) {
        self.counts.reverse();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.iter().flatten().all(Counts::is_empty)
    }

    /// Takes all that `other` has over, which is then empty.
    pub(super) fn take(&mut self, other: &mut Self) {
        let sums = self.counts.iter_mut().flatten();
        for (sum, counts) in sums.zip(other.counts.iter_mut().flatten()) {
            if sum.is_empty() {
                core::mem::swap(sum, counts);
            } else {
                counts.iter().for_each(|(code, count)| sum.add(code, count));
                counts.clear();
            }
        }
    }

    /// Counts a token of one side.
    pub(super) fn count(&mut self, side: usize, signal: usize, code: u16) {
        let counts = self.counts.get_mut(side);
        if let Some(counts) = counts.and_then(|side| side.get_mut(signal)) {
            counts.add(code, 1);
        }
    }

    /// Takes over `other`'s counts of one signal.
    pub(super) fn take_signal(&mut self, signal: usize, other: &Self) {
        for (side, other) in self.counts.iter_mut().zip(&other.counts) {
            if let (Some(counts), Some(other)) = (side.get_mut(signal), other.get(signal)) {
                counts.clone_from(other);
            }
        }
    }

    /// The counts of one side, per signal.
    pub(super) fn side(&self, side: usize) -> &[Counts] {
        self.counts.get(side).map_or(&[], Vec::as_slice)
    }

    /// Adds what a worker counted on one side. Its codes stand for `theirs`, those of the block for
    /// `own`; both are per signal.
    pub(super) fn add(
        &mut self,
        side: usize,
        counts: &[Counts],
        theirs: &[NameTable],
        own: &mut [NameTable],
    ) {
        let sums = self.counts.get_mut(side).into_iter().flatten();
        for (((counts, sum), own), theirs) in counts.iter().zip(sums).zip(own).zip(theirs) {
            for (code, count) in counts.iter() {
                let code = match theirs.name(code) {
                    Some(name) => own.code(name),
                    None => code,
                };
                sum.add(code, count);
            }
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.counts
            .iter()
            .flatten()
            .for_each(|counts| counts.encode(writer));
    }

    pub(super) fn decode(reader: &mut Reader<'_>, signals: usize) -> Result<Self, CodecError> {
        let mut gathered = Self::new(signals);
        for counts in gathered.counts.iter_mut().flatten() {
            *counts = Counts::decode(reader)?;
        }
        Ok(gathered)
    }
}
