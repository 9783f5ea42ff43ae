//! The change test: does anything differ at all between the arms?
//!
//! For one route and one signal, over its tokens (4.2 of the design). With `c_k` and `s_k` the
//! block's counts, `C` and `S` their sums, and `θ_a`, `θ_b` fitted on earlier blocks, a block bets
//! `Σ c_k ln(θ_a,k/p0_k) + s_k ln(θ_b,k/p0_k)` with `p0_k = (C·θ_a,k + S·θ_b,k)/(C+S)`
//! (Turner, Ly, Grünwald, arXiv 2106.02693).
//!
//! Its mean is at most 1 for any common distribution `P` of the block: with
//! `A = E_P[θ_a/p0]` and `B = E_P[θ_b/p0]` it is `A^C·B^S`, and the weighted mean of `A` and `B`
//! is 1. So the θ need not even sum to 1; they must only be fixed before the block is seen.

use super::harm::BLOCK_GAIN_LIMIT;
use super::mixture::Mixture;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Exchanges, distributed as the baseline's, that are added to the candidate's past: the bet grows
/// as the candidate's own past outweighs them. Measured from 2 to 100: the medians until the alarm are
/// nearly flat from 50 on.
const SHRINKAGE: f64 = 50.0;
/// Exchanges that are added to every token.
const PRIOR: f64 = 0.5;

/// How often a token came in one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenBlock {
    /// Exchanges of the candidate with this token.
    pub candidate: u64,
    /// Exchanges of the baseline with this token.
    pub baseline: u64,
}

/// How often a token came in all blocks before this one, decayed as the owner sees fit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TokenPast {
    /// Decayed exchanges of the candidate with this token.
    pub candidate: f64,
    /// Decayed exchanges of the baseline with this token.
    pub baseline: f64,
}

/// The e-process of one (route, signal) pair.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ChangeTest {
    mixture: Mixture<1>,
}

impl ChangeTest {
    /// Judges one block and gives each token's share of its gain in nats, in the order of `block`.
    /// The shares sum to the gain before the cap of [`BLOCK_GAIN_LIMIT`].
    ///
    /// `block` and `past` are matched by position, the token's stable index. A token that is new
    /// in this block lies beyond the end of `past`; `past` must not know anything of the block,
    /// its length included.
    pub fn update(&mut self, block: &[TokenBlock], past: &[TokenPast]) -> Vec<f64> {
        let shares = change_shares(block, past);
        let candidate_exchanges = block
            .iter()
            .fold(0u64, |sum, token| sum.saturating_add(token.candidate));
        self.update_by(shares.iter().sum(), candidate_exchanges);
        shares
    }

    /// Judges one block, or blocks of several routes together, by their gain in nats: the sum of
    /// their [`change_shares`]. Given the pasts the blocks of a tick are independent, so that the
    /// joint gain is the sum. A gain that is divided by a number from 1 up bets less and stays
    /// valid: by Jensen's inequality the mean of `exp(gain/d)` is at most 1 as well.
    pub fn update_by(&mut self, gain: f64, candidate_exchanges: u64) {
        self.mixture
            .update([gain], BLOCK_GAIN_LIMIT, candidate_exchanges);
    }

    /// The log e-value in nats; 0 before the first block.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.mixture.log_evidence()
    }

    /// Candidate exchanges that have been judged.
    #[must_use]
    pub fn candidate_exchanges(&self) -> u64 {
        self.mixture.candidate_exchanges()
    }

    /// Forgets all blocks.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Appends the state, 16 bytes.
    pub fn encode(&self, writer: &mut Writer) {
        self.mixture.encode(writer);
    }

    /// Reads what [`ChangeTest::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], and [`CodecError::Unknown`] for what is not a finite number.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            mixture: Mixture::decode(reader)?,
        })
    }
}

/// Each token's share of a block's gain in nats, in the order of `block` and before any cap, as
/// [`ChangeTest::update`] takes block and past.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn change_shares(block: &[TokenBlock], past: &[TokenPast]) -> Vec<f64> {
    let past_candidate: f64 = past.iter().map(|token| usable(token.candidate)).sum();
    // Every known token has a prior, and one more stands for those that are not known.
    let past_baseline: f64 = past
        .iter()
        .map(|token| usable(token.baseline) + PRIOR)
        .sum::<f64>()
        + PRIOR;
    let candidate: f64 = block.iter().map(|token| token.candidate as f64).sum();
    let baseline: f64 = block.iter().map(|token| token.baseline as f64).sum();
    let candidate_part = candidate / (candidate + baseline).max(1.0);
    let no_past = TokenPast::default();
    block
        .iter()
        .enumerate()
        .map(|(index, counts)| {
            let past = past.get(index).unwrap_or(&no_past);
            let theta_b = (usable(past.baseline) + PRIOR) / past_baseline;
            let theta_a =
                (usable(past.candidate) + SHRINKAGE * theta_b) / (past_candidate + SHRINKAGE);
            let common = candidate_part * theta_a + (1.0 - candidate_part) * theta_b;
            counts.candidate as f64 * (theta_a / common).ln()
                + counts.baseline as f64 * (theta_b / common).ln()
        })
        .collect()
}

/// A decayed count; 0 where it is not a finite number from 0 up.
fn usable(count: f64) -> f64 {
    if count.is_finite() {
        count.max(0.0)
    } else {
        0.0
    }
}
