//! How often each category is true just now on one route: whatever is decided, and whatever waits.
//!
//! A verdict stands on what was known when it fell. Whether the candidate is still as bad is told by
//! these rates alone: they take part in no decision.

use crate::config::Plan;
use crate::limits::MAX_QUESTIONS;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Seconds in which an exchange comes to count for half.
const HALF_LIFE_S: f64 = 30.0;
/// But no fewer decayed exchanges than this are left of either arm: what comes rarely is not
/// forgotten by time alone.
const LEAST_REMEMBERED: f64 = 50.0;
/// What an error calls the counts.
const COUNT: &str = "recent count";

/// Decayed exchanges of one arm that a question was put to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct RecentRate {
    pub(super) inside: f64,
    pub(super) total: f64,
}

impl RecentRate {
    /// The share that is in the category, 0 to 1; none without exchanges.
    pub(super) fn share(self) -> Option<f64> {
        (self.total > 0.0).then(|| self.inside / self.total)
    }
}

/// Per question, the recent rates of baseline and candidate.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Recent(Vec<[RecentRate; 2]>);

impl Recent {
    /// Lets a tick pass.
    pub(super) fn decay(&mut self, plan: &Plan) {
        let by_time = (-plan.tick.as_secs_f64() / HALF_LIFE_S).exp2();
        for rate in self.0.iter_mut().flatten() {
            let keep = by_time.max((LEAST_REMEMBERED / rate.total.max(1.0)).min(1.0));
            rate.inside *= keep;
            rate.total *= keep;
        }
    }

    /// Adds what one arm did in a tick.
    pub(super) fn add(&mut self, question: usize, arm: usize, inside: u64, total: u64) {
        if question >= MAX_QUESTIONS {
            return;
        }
        if self.0.len() <= question {
            self.0.resize(question + 1, Default::default());
        }
        if let Some(rate) = self.0.get_mut(question).and_then(|both| both.get_mut(arm)) {
            rate.inside += inside as f64;
            rate.total += total as f64;
        }
    }

    /// The rates of baseline and candidate; `None` while either is not known.
    pub(super) fn rates(&self, question: usize) -> Option<[RecentRate; 2]> {
        let both = *self.0.get(question)?;
        both.iter().all(|rate| rate.total >= 1.0).then_some(both)
    }

    /// Another candidate has come.
    pub(super) fn forget_candidate(&mut self) {
        for [_, candidate] in &mut self.0 {
            *candidate = RecentRate::default();
        }
    }

    /// The candidate has become the baseline.
    pub(super) fn promote(&mut self) {
        for [baseline, candidate] in &mut self.0 {
            *baseline = core::mem::take(candidate);
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.list(&self.0, |both, writer| {
            for rate in both {
                writer.f64(rate.inside);
                writer.f64(rate.total);
            }
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let rate = |reader: &mut Reader<'_>| {
            Ok(RecentRate {
                inside: reader.finite(COUNT)?,
                total: reader.finite(COUNT)?,
            })
        };
        let rates = reader.list(MAX_QUESTIONS, |reader| Ok([rate(reader)?, rate(reader)?]))?;
        Ok(Self(rates))
    }
}
