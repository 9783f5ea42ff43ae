//! What the harm test and the change test share: a mixture over alternatives, each of them a
//! mixture over starting times.

use super::combine::log_add_exp;
use super::onset::{Onset, Schedule};
use crate::wire::codec::{CodecError, Reader, Writer};

/// One [`Onset`] for each of `N` alternatives, on one [`Schedule`]. The evidence is their mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mixture<const N: usize> {
    schedule: Schedule,
    onsets: [Onset; N],
    /// What the onsets come to. It is asked for several times a tick, of all pairs, and changes with
    /// blocks only; not part of the state.
    log_evidence: f64,
}

impl<const N: usize> Default for Mixture<N> {
    fn default() -> Self {
        Self::of(Schedule::default(), [Onset::default(); N])
    }
}

impl<const N: usize> Mixture<N> {
    fn of(schedule: Schedule, onsets: [Onset; N]) -> Self {
        Self {
            log_evidence: log_mean(&schedule, &onsets),
            schedule,
            onsets,
        }
    }

    /// Judges a block with `candidate_exchanges` exchanges of the candidate. `gains` are the log
    /// factors of the alternatives in nats; one that is above `limit` counts as `limit`, and one
    /// that is not a number is left out.
    pub(super) fn update(&mut self, gains: [f64; N], limit: f64, candidate_exchanges: u64) {
        let due = self.schedule.advance(candidate_exchanges);
        for (onset, gain) in self.onsets.iter_mut().zip(gains) {
            // `f64::min` would turn a NaN into the limit.
            onset.advance(if gain > limit { limit } else { gain });
            if let Some(log_weight) = due {
                onset.start(log_weight);
            }
        }
        self.log_evidence = log_mean(&self.schedule, &self.onsets);
    }

    /// The log e-value in nats; 0 before the first block.
    pub(super) fn log_evidence(&self) -> f64 {
        self.log_evidence
    }

    /// Candidate exchanges that have been judged.
    pub(super) fn candidate_exchanges(&self) -> u64 {
        self.schedule.exchanges()
    }

    /// Appends the state, 8 bytes and 8 for each alternative.
    pub(super) fn encode(&self, writer: &mut Writer) {
        self.schedule.encode(writer);
        for onset in &self.onsets {
            onset.encode(writer);
        }
    }

    /// Reads what [`Mixture::encode`] wrote.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let schedule = Schedule::decode(reader)?;
        let mut onsets = [Onset::default(); N];
        for onset in &mut onsets {
            *onset = Onset::decode(reader)?;
        }
        Ok(Self::of(schedule, onsets))
    }
}

/// The log of the mean of the onsets' e-values, in nats.
fn log_mean(schedule: &Schedule, onsets: &[Onset]) -> f64 {
    let log_unstarted = schedule.log_unstarted();
    let mut log_sum = f64::NEG_INFINITY;
    let mut count = 0.0;
    for onset in onsets {
        log_sum = log_add_exp(log_sum, onset.with_unstarted(log_unstarted));
        count += 1.0;
    }
    log_sum - f64::ln(count)
}
