//! How large a difference is: the Mantel–Haenszel score of one yes/no question over many blocks.
//!
//! Given the margins of a block (`c` and `s` exchanges of candidate and baseline, `t` of the
//! `n = c + s` in the category), the candidate's count `x` has mean `c·t/n` and variance
//! `c·s·t·(n−t)/(n²·(n−1))` where the versions are alike. The sums over blocks
//!
//! `U = Σ (x − c·t/n)`, `V = Σ variance`, `W = Σ c·s/n`
//!
//! give the log odds ratio as `U/V` and the difference of the shares as `U/W` (Mantel and Haenszel,
//! 1959; Cochran, 1954). A surge or a changing traffic share cancels block by block, as in the
//! harm test.
//!
//! `U` is a martingale with variance `V`, and the probability that `|U|` is ever beyond
//! `√((V+η)·(2·ln(1/α) + ln((V+η)/η)))` is about `α`, however often one looks: Robbins' normal
//! mixture, asymptotic in the number of exchanges (Waudby-Smith et al., "Time-uniform central limit
//! theory and asymptotic confidence sequences", arXiv 2103.06476). `η` keeps a dozen exchanges the
//! least that can exclude anything.

use crate::wire::codec::{CodecError, Reader, Writer};

/// The `η` of the boundary: it is tightest at a variance of ten to twenty times this.
const MIXING_VARIANCE: f64 = 8.0;

/// How much two versions that are alike may differ because they got other hosts and sessions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Absolute log odds ratio up to which a difference may come from hosts and sessions alone.
    /// More requests of the same hosts and sessions do not reduce it. 0 where all are alike.
    pub log_odds: f64,
    /// Variance of a count in multiples of that of independent requests, 1 or more: requests that
    /// come in bursts have a larger one.
    pub dispersion: f64,
}

impl Default for Spread {
    /// Independent requests.
    fn default() -> Self {
        Self {
            log_odds: 0.0,
            dispersion: 1.0,
        }
    }
}

impl Spread {
    /// The band in log odds; 0 for what is no finite number from 0 up.
    fn band(&self) -> f64 {
        if self.log_odds.is_finite() {
            self.log_odds.max(0.0)
        } else {
            0.0
        }
    }

    /// The dispersion; 1 for what is no finite number from 1 up.
    #[must_use]
    pub fn divisor(&self) -> f64 {
        if self.dispersion.is_finite() {
            self.dispersion.max(1.0)
        } else {
            1.0
        }
    }
}

/// Candidate and baseline exchanges of a block, those in the category and all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contrasted {
    /// Exchanges of the candidate in the category.
    pub candidate_in: u64,
    /// All exchanges of the candidate.
    pub candidate: u64,
    /// Exchanges of the baseline in the category.
    pub baseline_in: u64,
    /// All exchanges of the baseline.
    pub baseline: u64,
}

/// The weight `c·s/n` of a block with these exchanges of candidate and baseline: `W` is its sum.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn block_weight(candidate: u64, baseline: u64) -> f64 {
    let (c, s) = (candidate as f64, baseline as f64);
    c * s / (c + s).max(1.0)
}

/// `U` and `V` of one question over many blocks.
///
/// Single precision is enough: a sum of 10⁸ still counts steps of 8, and steps grow with it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Contrast {
    score: f32,
    variance: f32,
}

impl Contrast {
    /// What one block shows.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "counts are far below 2^53, and see the precision above"
    )]
    pub fn of(block: Contrasted) -> Self {
        let (c, s) = (block.candidate as f64, block.baseline as f64);
        let n = c + s;
        let t = block.candidate_in as f64 + block.baseline_in as f64;
        if n < 2.0 || t > n {
            return Self::default();
        }
        Self {
            score: (block.candidate_in as f64 - c * t / n) as f32,
            variance: (c * s * t * (n - t) / (n * n * (n - 1.0))) as f32,
        }
    }

    /// Adds the sums of other blocks.
    pub fn merge(&mut self, other: &Self) {
        self.score += other.score;
        self.variance += other.variance;
    }

    /// The log odds ratio; `None` while nothing tells.
    #[must_use]
    pub fn log_odds(&self) -> Option<f64> {
        (self.variance > 0.0).then(|| f64::from(self.score) / f64::from(self.variance))
    }

    /// `U`: how many more of the candidate's exchanges are in the category than its part.
    #[must_use]
    pub fn score(&self) -> f64 {
        f64::from(self.score)
    }

    /// The ends of `U` that are not ruled out at confidence `1 − alpha`, over both sides and all
    /// looks: what is left when boundary and band are taken off and put on.
    #[must_use]
    pub fn limits(&self, alpha: f64, spread: &Spread) -> [f64; 2] {
        let width = self.width(alpha, spread);
        [self.score() - width, self.score() + width]
    }

    /// Whether a difference is established at confidence `1 − alpha`, over all looks.
    #[must_use]
    pub fn is_established(&self, alpha: f64, spread: &Spread) -> bool {
        self.score().abs() > self.width(alpha, spread)
    }

    fn width(&self, alpha: f64, spread: &Spread) -> f64 {
        let information = f64::from(self.variance);
        let variance = information * spread.divisor() + MIXING_VARIANCE;
        let alpha = alpha.clamp(f64::MIN_POSITIVE, 1.0);
        let bound = (variance * (-2.0 * alpha.ln() + (variance / MIXING_VARIANCE).ln())).sqrt();
        bound + spread.band() * information
    }

    /// Appends the state, 8 bytes.
    pub fn encode(&self, writer: &mut Writer) {
        writer.f32(self.score);
        writer.f32(self.variance);
    }

    /// Reads what [`Contrast::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], and [`CodecError::Unknown`] for what is not a finite number or a
    /// negative variance.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let read = Self {
            score: reader.f32()?,
            variance: reader.f32()?,
        };
        if !read.score.is_finite() || !read.variance.is_finite() || read.variance < 0.0 {
            return Err(CodecError::Unknown {
                what: "contrast",
                value: u64::from(read.score.to_bits()),
            });
        }
        Ok(read)
    }
}
