//! Late regressions: a mixture over the moment at which the candidate turned bad.
//!
//! Evidence that is counted from the first exchange sinks while the candidate is healthy and has
//! to climb back. So the stake is spread over starting times: `M ← M + w_n` at the n-th start and
//! `M ← M·factor` at each block. The weights sum to 1, and what has not started yet keeps its
//! weight as value; `M` and the rest together begin at 1 and have mean at most 1.

use super::combine::log_add_exp;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Candidate exchanges from one start to the next.
const STRIDE: u64 = 32;
/// The weight of the start at the first exchange; the later starts share the rest.
const FIRST_WEIGHT: f64 = 0.5;
/// Starts over which the later weights are nearly flat, before they fall like `1/n²`: 4,096
/// candidate exchanges. Measured from 20 to 1,000: a regression after 5,000 healthy exchanges is
/// caught soonest from 100 to 200, and 20 or 1,000 take 4 % longer (see `tests/evidence/harm.rs`).
const HORIZON: f64 = 128.0;

/// Which starts have been given out, counted in candidate exchanges.
///
/// Start 0, of weight 1/2, belongs to the first block. Start n ≥ 1 is due after 32·n candidate
/// exchanges and weighs `½·h/((n−1+h)(n+h))`, which telescopes: all starts after the n-th weigh
/// `½·h/(n+h)` together. Candidate exchanges and not ticks or requests, because evidence grows
/// with them whatever the traffic share is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Schedule {
    exchanges: u64,
}

impl Schedule {
    /// The log weight with which an [`Onset`] begins.
    #[must_use]
    pub fn first_log_weight() -> f64 {
        FIRST_WEIGHT.ln()
    }

    /// Counts the candidate exchanges of a block that has been judged and gives the log weight of
    /// the starts that have become due, to be added before the next block.
    pub fn advance(&mut self, candidate_exchanges: u64) -> Option<f64> {
        let before = self.exchanges / STRIDE;
        self.exchanges = self.exchanges.saturating_add(candidate_exchanges);
        let after = self.exchanges / STRIDE;
        if after == before {
            return None;
        }
        let (before, after) = (float(before), float(after));
        let weight = (1.0 - FIRST_WEIGHT) * HORIZON * (after - before)
            / ((before + HORIZON) * (after + HORIZON));
        Some(weight.ln())
    }

    /// The log weight of all starts that are still to come.
    #[must_use]
    pub fn log_unstarted(&self) -> f64 {
        ((1.0 - FIRST_WEIGHT) * HORIZON / (float(self.exchanges / STRIDE) + HORIZON)).ln()
    }

    /// Candidate exchanges that have been judged.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        self.exchanges
    }

    /// Appends the state, 8 bytes.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u64(self.exchanges);
    }

    /// Reads what [`Schedule::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            exchanges: reader.u64()?,
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "only the size matters")]
fn float(count: u64) -> f64 {
    count as f64
}

/// The mixture over starting times for one alternative; several may share a [`Schedule`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Onset {
    log_mass: f64,
}

impl Default for Onset {
    fn default() -> Self {
        Self {
            log_mass: Schedule::first_log_weight(),
        }
    }
}

impl Onset {
    /// Multiplies what has started by the block's factor, given in nats. A factor that is not a
    /// number is left out.
    pub fn advance(&mut self, log_factor: f64) {
        if !log_factor.is_nan() {
            self.log_mass = (self.log_mass + log_factor).clamp(f64::MIN, f64::MAX);
        }
    }

    /// Adds a start of the given weight, as [`Schedule::advance`] gives it.
    pub fn start(&mut self, log_weight: f64) {
        self.log_mass = log_add_exp(self.log_mass, log_weight);
    }

    /// The log e-value in nats: what has started and what has not. It begins at 0.
    #[must_use]
    pub fn log_evidence(&self, schedule: &Schedule) -> f64 {
        log_add_exp(self.log_mass, schedule.log_unstarted())
    }

    /// Appends the state, 8 bytes.
    pub fn encode(&self, writer: &mut Writer) {
        writer.f64(self.log_mass);
    }

    /// Reads what [`Onset::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], and [`CodecError::Unknown`] for what is not a finite number.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            log_mass: reader.finite("onset mass")?,
        })
    }
}
