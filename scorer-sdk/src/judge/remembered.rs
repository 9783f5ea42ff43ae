//! A rollout in which a verdict has fallen, as another proxy goes on with it.

use super::found::FoundState;
use super::phase::Phase;
use crate::wire::codec::{CodecError, Reader, Writer};

/// A rollout in which a verdict has fallen: since when, and what was found then. Its evidence is not
/// part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RememberedRollout {
    pub(super) phase: Phase,
    pub(super) started_ms: u64,
    pub(super) phase_ms: u64,
    pub(super) verdict_ms: u64,
    pub(super) verdicts: u32,
    pub(super) exchanges_at_verdict: u64,
    pub(super) found: Option<FoundState>,
}

impl RememberedRollout {
    /// Appends it.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.u8(self.phase as u8);
        for value in [
            self.started_ms,
            self.phase_ms,
            self.verdict_ms,
            self.exchanges_at_verdict,
        ] {
            writer.u64(value);
        }
        writer.u32(self.verdicts);
        writer.option(self.found.as_ref(), FoundState::encode);
    }

    /// Reads what [`RememberedRollout::encode`] wrote.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let number = reader.u8()?;
        let phase = Phase::from_number(number).filter(|phase| *phase != Phase::Watching);
        Ok(Self {
            phase: phase.ok_or(CodecError::Unknown {
                what: "phase",
                value: u64::from(number),
            })?,
            started_ms: reader.u64()?,
            phase_ms: reader.u64()?,
            verdict_ms: reader.u64()?,
            exchanges_at_verdict: reader.u64()?,
            verdicts: reader.u32()?,
            found: reader.option(FoundState::decode)?,
        })
    }
}
