//! A block that is being gathered: what two sides did since the last judgement.

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
const SMALL_BLOCK_TICKS: u32 = 10;

/// Exchanges of two sides, per side and signal: baseline and candidate, or the halves of a placebo.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    pub(super) counts: [Vec<Counts>; 2],
    pub(super) ticks: u32,
}

impl Gathered {
    pub(super) fn new(signals: usize) -> Self {
        Self {
            counts: [
                vec![Counts::default(); signals],
                vec![Counts::default(); signals],
            ],
            ticks: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counts.iter().flatten().all(Counts::is_empty)
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

    /// Exchanges of a side, by the signal that saw most of them.
    pub(super) fn exchanges(&self, side: usize) -> u64 {
        self.side(side).iter().map(Counts::total).max().unwrap_or(0)
    }

    pub(super) fn has(&self, side: usize) -> bool {
        self.side(side).iter().any(|counts| !counts.is_empty())
    }

    /// Whether it may still wait for its other side. The border depends on sides and time alone,
    /// never on outcomes.
    pub(super) fn may_wait(&self) -> bool {
        let longest = if self.exchanges(0) + self.exchanges(1) < SMALLEST_BLOCK {
            LONGEST_BLOCK_TICKS
        } else {
            LONG_BLOCK_TICKS
        };
        self.ticks < longest
    }

    /// Whether it is too small to be judged yet.
    pub(super) fn is_small(&self) -> bool {
        self.exchanges(0) + self.exchanges(1) < SMALLEST_BLOCK && self.ticks < SMALL_BLOCK_TICKS
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.u32(self.ticks);
        self.counts
            .iter()
            .flatten()
            .for_each(|counts| counts.encode(writer));
    }

    pub(super) fn decode(reader: &mut Reader<'_>, signals: usize) -> Result<Self, CodecError> {
        let mut gathered = Self::new(signals);
        gathered.ticks = reader.u32()?;
        for counts in gathered.counts.iter_mut().flatten() {
            *counts = Counts::decode(reader)?;
        }
        Ok(gathered)
    }
}
