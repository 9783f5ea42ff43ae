//! The past of `S`, to rank a new one in.
//!
//! A histogram over log-linear buckets at least half a bit wide. A level of surprise is a
//! value like others: until it came in two epochs and from several clients it weighs next to
//! nothing, so that a flood of strange exchanges does not make them usual.

use super::table::{Table, Witness};
use crate::sketch::buckets;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Most levels: more than there are buckets up to [`MOST_BITS`].
const LEVELS: usize = 256;
/// Surprise above this counts as this.
const MOST_BITS: f64 = 8192.0;
const STEPS_PER_BIT: f64 = 2.0;

/// Decayed histogram of bits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Past {
    levels: Table,
    /// Sum of the bits, each level at its middle, when the epoch began.
    bits: f64,
    /// How many exchanges that was.
    of: f64,
}

fn level(bits: f64) -> u64 {
    let steps = bits.clamp(0.0, MOST_BITS) * STEPS_PER_BIT;
    u64::from(buckets::code(steps as u64))
}

impl Past {
    pub(super) fn count(&mut self, bits: f64, witness: Witness) {
        self.levels.count(level(bits), witness, LEVELS, true);
    }

    /// How many are as strange as this or stranger, and how many there are.
    pub(super) fn at_least(&self, bits: f64) -> (f64, f64) {
        let level = level(bits);
        let above = self
            .levels
            .iter()
            .filter(|item| item.0 >= level)
            .map(|item| item.1)
            .sum();
        (above, self.levels.total())
    }

    /// Sum of the bits and how many there were when the epoch began.
    pub(super) fn sum(&self) -> (f64, f64) {
        (self.bits, self.of)
    }

    fn sum_up(&mut self) {
        let middle = |code: u64| {
            let code = code as u16;
            (buckets::lower_bound(code) + buckets::upper_bound(code) + 1) as f64 / 2.0
        };
        let sum: f64 = self
            .levels
            .iter()
            .map(|(code, weight)| middle(code) * weight)
            .sum();
        self.bits = sum / STEPS_PER_BIT;
        self.of = self.levels.total();
    }

    pub(super) fn decay(&mut self, keep: f32) {
        self.levels.decay(keep);
        self.sum_up();
    }

    pub(super) fn merge(&mut self, other: &Self, epoch: u32, needed: u32) {
        self.levels
            .merge(&other.levels, epoch, needed, LEVELS, &mut { LEVELS });
        self.sum_up();
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.levels.encode(writer);
        writer.f64(self.bits);
        writer.f64(self.of);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let levels = Table::decode(reader, LEVELS)?;
        let (bits, of) = (reader.f64()?, reader.f64()?);
        match [bits, of].iter().find(|sum| !sum.is_finite()) {
            Some(sum) => Err(CodecError::Unknown {
                what: "sum of surprise",
                value: sum.to_bits(),
            }),
            None => Ok(Self { levels, bits, of }),
        }
    }
}
