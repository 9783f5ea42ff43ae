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
        self.with_unstarted(schedule.log_unstarted())
    }

    /// The same, where [`Schedule::log_unstarted`] is known.
    pub(super) fn with_unstarted(&self, log_unstarted: f64) -> f64 {
        log_add_exp(self.log_mass, log_unstarted)
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

/// For each of `N` alternatives the best single start: the one from which on the blocks speak most for
/// the alternative. It says when a difference began.
///
/// ```text
/// (ĝ, n̂) = argmax over g, n of Σ_{i ≥ n} ln LR_g(block i)
/// ```
///
/// For one alternative `n̂` is where its CUSUM, `S ← max(S, 0) + ln LR`, was last below zero, so that
/// a sum and a time are all that is kept. This is the estimate of a generalised likelihood ratio
/// (Siegmund and Venkatraman, 1995). The weights of the starts are left out: they are for the stake,
/// and would pull the estimate to the first exchange. One alternative is not enough: its CUSUM falls
/// under a difference that is smaller, and begins again and again.
///
/// `simulation/study/onset.rs` measures how far it is off. Of 40 rollouts each at 200 requests a second
/// and a share of 10 %, in ticks of a second, late less true onset, median and quartiles: errors of
/// odds 5: 2 (0 to 4); of odds 25: 0 (−1 to 0); all requests 2 times as slow: 0 (−1 to 0); 1.5 times:
/// 0 (0 to 1); 1.3 times, which takes 145 ticks to find: 16 (2 to 40).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Starts<const N: usize> {
    /// Sum of the gains since the start, in nats, and the start: 0 until it is known.
    best: [(f32, u64); N],
}

impl<const N: usize> Default for Starts<N> {
    fn default() -> Self {
        Self {
            best: [(0.0, 0); N],
        }
    }
}

impl<const N: usize> Starts<N> {
    /// Takes a block: the gains of the alternatives in nats. One that is not a number is left out.
    pub fn advance(&mut self, gains: [f64; N]) {
        for ((sum, start), gain) in self.best.iter_mut().zip(gains) {
            if *sum <= 0.0 {
                (*sum, *start) = (0.0, 0);
            }
            if !gain.is_nan() {
                *sum = (*sum + gain as f32).clamp(f32::MIN, f32::MAX);
            }
        }
    }

    /// Says when the block began that was taken last, in any unit that counts time from above 0.
    pub fn began(&mut self, at: u64) {
        for (_, start) in &mut self.best {
            if *start == 0 {
                *start = at;
            }
        }
    }

    /// The most likely start over all alternatives; none while no block speaks for any.
    #[must_use]
    pub fn best(&self) -> Option<u64> {
        let speaking = self.best.iter().filter(|(sum, _)| *sum > 0.0);
        let best = speaking.max_by(|one, other| one.0.total_cmp(&other.0));
        best.map(|(_, start)| *start)
    }

    /// Appends the state, 12 bytes for each alternative.
    pub fn encode(&self, writer: &mut Writer) {
        for (sum, start) in &self.best {
            writer.f32(*sum);
            writer.u64(*start);
        }
    }

    /// Reads what [`Starts::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], and [`CodecError::Unknown`] for what is not a finite number.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut starts = Self::default();
        for (sum, start) in &mut starts.best {
            *sum = reader.f32()?;
            if !sum.is_finite() {
                return Err(CodecError::Unknown {
                    what: "gain since a start",
                    value: u64::from(sum.to_bits()),
                });
            }
            *start = reader.u64()?;
        }
        Ok(starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_start_is_the_one_of_the_alternative_with_most_behind_it() {
        let mut starts = Starts::<2>::default();
        assert_eq!(starts.best(), None);
        let blocks = [
            [-1.0, -3.0],
            [0.5, -0.5],
            [-2.0, -4.0],
            [1.0, 0.5],
            [1.0, 2.5],
        ];
        for (at, gains) in (1..).zip(blocks) {
            starts.advance(gains);
            starts.began(at);
        }
        // The first has 1 + 1 since block 4, the second 0.5 + 2.5 since then.
        assert_eq!(starts.best(), Some(4));
        starts.advance([f64::NAN, -9.0]);
        starts.advance([0.1, -9.0]);
        assert_eq!(starts.best(), Some(4));
        let mut writer = Writer::new();
        starts.encode(&mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(Starts::decode(&mut Reader::new(&bytes)), Ok(starts));
        for end in 0..bytes.len() {
            assert!(Starts::<2>::decode(&mut Reader::new(&bytes[..end])).is_err());
        }
    }

    #[test]
    fn the_same_start_is_found_by_trying_all() {
        let mut random = fastrand::Rng::with_seed(8);
        for _ in 0..200 {
            let gains: Vec<[f64; 3]> = (0..40)
                .map(|_| [(); 3].map(|()| (random.f64() - 0.55) * 4.0))
                .collect();
            let mut starts = Starts::default();
            for (at, gains) in (1..).zip(&gains) {
                starts.advance(*gains);
                starts.began(at);
            }
            let sum = |from: usize, alternative: usize| -> f64 {
                gains.iter().skip(from).map(|it| it[alternative]).sum()
            };
            let tried = (0..40).flat_map(|from| (0..3).map(move |it| (from, it)));
            let best =
                tried.max_by(|one, other| sum(one.0, one.1).total_cmp(&sum(other.0, other.1)));
            let (from, alternative) = best.unwrap();
            let expected = (sum(from, alternative) > 0.0).then_some(from as u64 + 1);
            assert_eq!(starts.best(), expected);
        }
    }
}
