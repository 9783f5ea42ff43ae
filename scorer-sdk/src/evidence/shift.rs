//! How much slower: the factor between a quantile of the candidate and the baseline's, with a
//! confidence sequence.
//!
//! Values are log buckets ([`buckets`]), 16 to a power of two. A block comes with a cut `b`, the
//! code of the baseline's quantile in the past. The factor is the `f` for which as large a part of
//! the candidate's values lies above `f·edge(b)` as of the baseline's above `edge(b)`. For each of a
//! few offsets `k` the block compares "candidate above `b + k`" with "baseline above `b`": a
//! [`Contrast`]. Its score falls as `k` grows and is about zero at the factor; the offsets at
//! which it is established to be positive lie below the factor, those at which it is established
//! to be negative above. That is a test inverted, so the interval holds at all looks as far as the
//! factor stands still, whatever the rest of the distributions looks like.
//!
//! Only one end can be wrong at a time and only the offsets next to the factor count, so that the
//! grid costs no confidence. Between two offsets the ends are interpolated in `ln f`.

use super::contrast::{Contrast, Contrasted, Spread, block_weight};
use crate::sketch::{Counts, buckets};
use crate::wire::codec::{CodecError, Reader, Writer};

/// Where the candidate's cut is tried, in buckets from the baseline's: factors from about 1/16 to
/// 16, and close together near 1.
const OFFSETS: [i16; 41] = [
    -64, -56, -48, -40, -32, -28, -24, -20, -16, -14, -12, -10, -8, -7, -6, -5, -4, -3, -2, -1, 0,
    1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64,
];
/// Buckets to a power of two.
const MANTISSAS: usize = 16;

/// A factor with its confidence sequence. 1 is no difference; what is not known is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Factor {
    /// The most likely factor; none where it is above 16 or below 1/16.
    pub estimate: Option<f64>,
    /// The lower end, at most 16; none where smaller factors than 1/16 are not ruled out.
    pub lower: Option<f64>,
    /// The upper end, at least 1/16; none where larger factors than 16 are not ruled out.
    pub upper: Option<f64>,
}

/// The contrasts of all offsets, over many blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileShift {
    contrasts: [Contrast; OFFSETS.len()],
    /// Weight of the blocks by the position of their cut between two powers of two: a bucket is
    /// from 3.1% to 6.25% wide, depending on it.
    cuts: [f32; MANTISSAS],
    /// Sum of the cuts, each times its block's weight.
    levels: f32,
}

impl Default for QuantileShift {
    fn default() -> Self {
        Self {
            contrasts: [Contrast::default(); OFFSETS.len()],
            cuts: [0.0; MANTISSAS],
            levels: 0.0,
        }
    }
}

impl QuantileShift {
    /// What one block shows. `cut` is the code of the baseline's quantile, from earlier blocks.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a weight, of which only the size matters"
    )]
    pub fn of(cut: u16, candidate: &Counts, baseline: &Counts) -> Self {
        let mut shift = Self::default();
        let (candidates, baselines) = (candidate.total(), baseline.total());
        if candidates == 0 || baselines == 0 {
            return shift;
        }
        let baseline_in = baseline.total_where(|code| code > cut);
        // From the highest offset down, each candidate's exchange is counted once.
        let mut codes: Vec<(u16, u32)> = candidate.iter().collect();
        let mut candidate_in = 0;
        for (offset, contrast) in OFFSETS.iter().zip(&mut shift.contrasts).rev() {
            let edge = cut.saturating_add_signed(*offset);
            while let Some((_, count)) = codes.pop_if(|(code, _)| *code > edge) {
                candidate_in += u64::from(count);
            }
            *contrast = Contrast::of(Contrasted {
                candidate_in,
                candidate: candidates,
                baseline_in,
                baseline: baselines,
            });
        }
        let weight = block_weight(candidates, baselines);
        if let Some(sum) = shift.cuts.get_mut(usize::from(cut) % MANTISSAS) {
            *sum = weight as f32;
        }
        shift.levels = (weight * buckets::upper_bound(cut) as f64) as f32;
        shift
    }

    /// Adds what other blocks have shown.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.contrasts.iter_mut().zip(&other.contrasts) {
            sum.merge(more);
        }
        for (sum, more) in self.cuts.iter_mut().zip(&other.cuts) {
            *sum += more;
        }
        self.levels += other.levels;
    }

    /// The baseline's quantile, in the unit of the values: the mean over the blocks. `None` before
    /// the first.
    #[must_use]
    pub fn level(&self) -> Option<f64> {
        let weight: f64 = self.cuts.iter().map(|weight| f64::from(*weight)).sum();
        (weight > 0.0).then(|| f64::from(self.levels) / weight)
    }

    /// The upper end of the factor at confidence `1 − alpha`, over all looks: [`Factor::upper`].
    #[must_use]
    pub fn upper(&self, alpha: f64, spread: &Spread) -> Option<f64> {
        self.last_crossing(|contrast| contrast.limits(alpha, spread)[1])
    }

    /// The factor at confidence `1 − alpha`, over all looks.
    #[must_use]
    pub fn factor(&self, alpha: f64, spread: &Spread) -> Factor {
        let above = |contrast: &Contrast| contrast.limits(alpha, spread)[0];
        Factor {
            estimate: self
                .contrasts
                .last()
                .filter(|last| last.score() <= 0.0)
                .and_then(|_| self.crossing(Contrast::score)),
            lower: self.crossing(above),
            upper: self.upper(alpha, spread),
        }
    }

    /// Where a value that falls with the offset is no longer positive, as a factor: the last offset's
    /// where it always is, none where it is not positive at the first.
    fn crossing(&self, value: impl Fn(&Contrast) -> f64) -> Option<f64> {
        let mut before: Option<(f64, f64)> = None;
        for (offset, contrast) in OFFSETS.iter().zip(&self.contrasts) {
            let (at, value) = (self.log_factor(*offset), value(contrast));
            if value <= 0.0 {
                return before.map(|before| between(before, (at, value)).exp());
            }
            before = Some((at, value));
        }
        before.map(|(at, _)| at.exp())
    }

    /// The same from the other end: where a value is negative from there on; the first offset's
    /// where it always is, none where it is not negative at the last.
    fn last_crossing(&self, value: impl Fn(&Contrast) -> f64) -> Option<f64> {
        let mut after: Option<(f64, f64)> = None;
        for (offset, contrast) in OFFSETS.iter().zip(&self.contrasts).rev() {
            let (at, value) = (self.log_factor(*offset), value(contrast));
            if value >= 0.0 {
                return after.map(|after| between((at, value), after).exp());
            }
            after = Some((at, value));
        }
        after.map(|(at, _)| at.exp())
    }

    /// The natural log of the factor at an offset, in the mean over the cuts of all blocks.
    fn log_factor(&self, offset: i16) -> f64 {
        // The edge above a bucket is the lower end of the next. In the middle of the range every
        // power of two looks alike; only below 16 units buckets have equal widths instead.
        let edge = |code: u16| buckets::lower_bound(code.saturating_add(1)) as f64;
        let (mut sum, mut total) = (0.0, 0.0);
        // Most cuts of a route lie in a few places, and logarithms cost time in each tick.
        for (mantissa, weight) in (0u16..).zip(self.cuts).filter(|cut| cut.1 > 0.0) {
            let cut = 320 + mantissa;
            let factor = edge(cut.saturating_add_signed(offset)) / edge(cut);
            sum += f64::from(weight) * factor.ln();
            total += f64::from(weight);
        }
        if total > 0.0 {
            sum / total
        } else {
            f64::from(offset) / MANTISSAS as f64 * core::f64::consts::LN_2
        }
    }

    /// Forgets all blocks.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Appends the state, 396 bytes.
    pub fn encode(&self, writer: &mut Writer) {
        for contrast in &self.contrasts {
            contrast.encode(writer);
        }
        for weight in self.cuts {
            writer.f32(weight);
        }
        writer.f32(self.levels);
    }

    /// Reads what [`QuantileShift::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], and [`CodecError::Unknown`] for what is not a finite number or a
    /// negative weight.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut shift = Self::default();
        for contrast in &mut shift.contrasts {
            *contrast = Contrast::decode(reader)?;
        }
        for weight in shift.cuts.iter_mut().chain([&mut shift.levels]) {
            *weight = reader.f32()?;
            if !weight.is_finite() || *weight < 0.0 {
                return Err(CodecError::Unknown {
                    what: "weight of a cut",
                    value: u64::from(weight.to_bits()),
                });
            }
        }
        Ok(shift)
    }
}

/// Where the line through two points, the second not above and the first not below zero, is zero.
fn between((at, value): (f64, f64), (next_at, next): (f64, f64)) -> f64 {
    let fall = value - next;
    if fall > 0.0 {
        at + (next_at - at) * (value / fall).clamp(0.0, 1.0)
    } else {
        at
    }
}
