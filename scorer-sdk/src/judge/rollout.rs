//! A rollout: one candidate of a destination, from its first exchange to its replacement.

use super::phase::Phase;
use crate::limits::MAX_VERSION_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};

/// What of the running share and of the baseline's failures is kept from tick to tick.
const KEEP: f64 = 0.8;
/// A share has changed when its odds have changed by this factor, and not by chance.
const CHANGED_ODDS: f64 = 1.5;
/// Standard deviations that chance does not explain.
const CHANGED_DEVIATIONS: f64 = 4.0;
/// What an error calls the counts.
const COUNT: &str = "decayed count";

#[derive(Debug, Clone, Default)]
pub(super) struct Rollout {
    pub(super) candidate: String,
    pub(super) phase: Phase,
    pub(super) started_ms: u64,
    pub(super) phase_ms: u64,
    pub(super) verdict_ms: u64,
    pub(super) exchanges: [u64; 2],
    pub(super) judged: u64,
    pub(super) exchanges_at_verdict: u64,
    /// Verdicts so far: each probation has half of the chance for a false alarm of the one before.
    pub(super) verdicts: u32,
    /// Decayed exchanges of the candidate and of both, for the running share.
    pub(super) share: [f64; 2],
    /// Decayed failures and exchanges of the baseline: requests are not steered to a baseline that
    /// fails itself.
    pub(super) baseline_failures: [f64; 2],
    pub(super) hold_ticks: u32,
    /// Whether its first seconds are over, in which it is counted and not judged.
    pub(super) warm: bool,
}

impl Rollout {
    /// Takes a tick's exchanges of the candidate and of both; whether the share has changed
    /// suddenly: its odds by half, and by more than four standard deviations.
    pub(super) fn share_changed(&mut self, candidate: f64, both: f64) -> bool {
        let [candidate_sum, both_sum] = self.share;
        let changed = both_sum > 0.0 && both > 0.0 && {
            let before = candidate_sum / both_sum;
            let now = candidate / both;
            let pooled = (candidate_sum + candidate) / (both_sum + both);
            let spread = (pooled * (1.0 - pooled) * (1.0 / both + 1.0 / both_sum)).sqrt();
            // Half an exchange on each side keeps the odds finite.
            let odds = |part: f64, all: f64| (part + 0.5) / (all - part + 0.5);
            let ratio = odds(candidate, both) / odds(candidate_sum, both_sum);
            (now - before).abs() > CHANGED_DEVIATIONS * spread
                && !(1.0 / CHANGED_ODDS..=CHANGED_ODDS).contains(&ratio)
        };
        self.share = if changed {
            [candidate, both]
        } else {
            [candidate_sum * KEEP + candidate, both_sum * KEEP + both]
        };
        changed
    }

    /// Takes a tick's failures and exchanges of the baseline.
    pub(super) fn note_baseline(&mut self, failures: f64, exchanges: f64) {
        let [failure_sum, exchange_sum] = self.baseline_failures;
        self.baseline_failures = [
            failure_sum * KEEP + failures,
            exchange_sum * KEEP + exchanges,
        ];
    }

    /// Whether most of what the baseline was asked of late has failed.
    pub(super) fn baseline_is_failing(&self) -> bool {
        let [failures, exchanges] = self.baseline_failures;
        exchanges >= 5.0 && failures > exchanges / 2.0
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.text(&self.candidate);
        writer.u8(self.phase as u8);
        for value in [self.started_ms, self.phase_ms, self.verdict_ms, self.judged] {
            writer.u64(value);
        }
        self.exchanges.iter().for_each(|value| writer.u64(*value));
        writer.u64(self.exchanges_at_verdict);
        writer.u32(self.verdicts);
        for value in self.share.iter().chain(&self.baseline_failures) {
            writer.f64(*value);
        }
        writer.u32(self.hold_ticks);
        writer.u8(u8::from(self.warm));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            candidate: reader.text(MAX_VERSION_BYTES)?.to_owned(),
            phase: match reader.u8()? {
                0 => Phase::Watching,
                1 => Phase::Condemned,
                2 => Phase::Probation,
                value => {
                    return Err(CodecError::Unknown {
                        what: "phase",
                        value: u64::from(value),
                    });
                }
            },
            started_ms: reader.u64()?,
            phase_ms: reader.u64()?,
            verdict_ms: reader.u64()?,
            judged: reader.u64()?,
            exchanges: [reader.u64()?, reader.u64()?],
            exchanges_at_verdict: reader.u64()?,
            verdicts: reader.u32()?,
            share: [reader.finite(COUNT)?, reader.finite(COUNT)?],
            baseline_failures: [reader.finite(COUNT)?, reader.finite(COUNT)?],
            hold_ticks: reader.u32()?,
            warm: reader.u8()? == 1,
        })
    }
}
