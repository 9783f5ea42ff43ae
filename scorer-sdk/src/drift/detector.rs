//! e-detectors: the evidence that a series has changed at some time.
//!
//! An e-value `e` has mean at most 1 while nothing has changed, given all that came before. Each
//! bet `k` keeps two sums over possible times of the change. `C_k ← max(C_k, 1)·e_k` (CUSUM) is
//! the evidence for the likeliest one, and tells since when. `R_k ← (R_k + 1)·e_k`
//! (Shiryaev-Roberts) is the sum over all, and never smaller. Both are e-detectors, and so is a
//! mean over bets: the mean time until it reaches `A` is at least `A` ticks while nothing changes,
//! because `R − ticks` has no upward drift (Shin, Ramdas, Rinaldo, "E-detectors", arXiv
//! 2203.03532). The mean of the `R_k` decides. On normal noise the
//! level runs thirteen times as long as asked for, and would run much longer by the `C_k`.
//!
//! Evidence that is reset or capped is smaller, so both keep the promise.

use crate::evidence::log_add_exp;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Evidence that one bet alone may have beyond what is enough, in nats.
const MARGIN: f64 = 2.0;

/// One bet: its evidence, and what was observed since its CUSUM was last zero.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    /// `ln R`.
    log_evidence: f64,
    /// `ln C`.
    log_cusum: f64,
    since_s: f64,
    sum: f64,
    weight: f64,
}

/// A mixture of `BETS` e-detectors over one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EDetector<const BETS: usize> {
    runs: [Run; BETS],
}

/// The bet that has the most evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leader {
    /// Its index among the bets.
    pub bet: usize,
    /// When its CUSUM was last zero, in seconds: the estimate of when the change began.
    pub since_s: f64,
    /// Weighted mean of what was observed since then.
    pub observed: f64,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            log_evidence: f64::MIN,
            log_cusum: 0.0,
            since_s: 0.0,
            sum: 0.0,
            weight: 0.0,
        }
    }
}

impl<const BETS: usize> Default for EDetector<BETS> {
    fn default() -> Self {
        Self {
            runs: [Run::default(); BETS],
        }
    }
}

impl<const BETS: usize> EDetector<BETS> {
    /// Judges one tick at `now_s` seconds. `log_factors` are the log e-values of the bets; one that
    /// is not a number is left out. `value` was observed with `weight`, for the explanation. No bet
    /// keeps much more evidence than makes the mean `enough`, so that the end of a drift shows in
    /// bounded time.
    pub fn update(
        &mut self,
        now_s: f64,
        log_factors: &[f64; BETS],
        value: f64,
        weight: f64,
        enough: f64,
    ) {
        let ceiling = enough + log_bets::<BETS>() + MARGIN;
        for (run, factor) in self.runs.iter_mut().zip(log_factors) {
            if factor.is_nan() {
                continue;
            }
            if run.log_cusum <= 0.0 {
                *run = Run {
                    log_evidence: run.log_evidence,
                    since_s: now_s,
                    ..Run::default()
                };
            }
            let within = |log: f64| log.clamp(f64::MIN, ceiling);
            run.log_evidence = within(log_add_exp(run.log_evidence, 0.0) + factor);
            run.log_cusum = within(run.log_cusum.max(0.0) + factor);
            run.sum += value * weight;
            run.weight += weight;
        }
    }

    /// The log of the mean over the bets, in nats; 0 where it is less than that.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        let sum = self.runs.iter().fold(f64::NEG_INFINITY, |sum, run| {
            log_add_exp(sum, run.log_evidence)
        });
        (sum - log_bets::<BETS>()).max(0.0)
    }

    /// The bet with the most evidence; none without bets. A later one has to lead by a nat, so
    /// that the plainer explanation, which comes first, stands.
    #[must_use]
    pub fn leader(&self) -> Option<Leader> {
        let mut best: Option<(usize, &Run)> = None;
        for (bet, run) in self.runs.iter().enumerate() {
            if best.is_none_or(|(_, best)| run.log_evidence > best.log_evidence + 1.0) {
                best = Some((bet, run));
            }
        }
        let (bet, run) = best?;
        Some(Leader {
            bet,
            since_s: run.since_s,
            observed: if run.weight > 0.0 {
                run.sum / run.weight
            } else {
                0.0
            },
        })
    }

    /// Forgets all evidence.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Appends the state, 40 bytes a bet.
    pub fn encode(&self, writer: &mut Writer) {
        for run in &self.runs {
            for value in [
                run.log_evidence,
                run.log_cusum,
                run.since_s,
                run.sum,
                run.weight,
            ] {
                writer.f64(value);
            }
        }
    }

    /// Reads what [`EDetector::encode`] wrote.
    ///
    /// # Errors
    /// [`CodecError::Truncated`], and [`CodecError::Unknown`] for what is not a finite number.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut cusum = Self::default();
        for run in &mut cusum.runs {
            *run = Run {
                log_evidence: finite(reader)?,
                log_cusum: finite(reader)?,
                since_s: finite(reader)?,
                sum: finite(reader)?,
                weight: finite(reader)?,
            };
        }
        Ok(cusum)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few bets")]
fn log_bets<const BETS: usize>() -> f64 {
    (BETS as f64).ln()
}

/// Takes a finite number.
pub(super) fn finite(reader: &mut Reader<'_>) -> Result<f64, CodecError> {
    reader.finite("drift state")
}
