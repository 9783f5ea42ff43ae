//! A trial: one exchange, with the answers to the questions that were put to it.

use super::block::Ready;
use crate::count::rows::{NO_TOKEN, RowFacts};
use crate::wire::codec::{CodecError, Reader, Writer};

/// One exchange as the judge sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trial {
    /// Stands for the host that answered; 0 where it is not known.
    pub(super) host: u32,
    /// Stands for the session; 0 where it is not known.
    pub(super) session: u32,
    /// Per question, one bit: whether it was put.
    pub(super) asked: u64,
    /// Per question, one bit: whether the answer was yes.
    pub(super) inside: u64,
}

/// The bit of a question.
pub(super) fn bit(question: usize) -> u64 {
    // A plan has no more questions than bits.
    1_u64.checked_shl(question as u32).unwrap_or(0)
}

impl Trial {
    /// Puts the questions to a row. `columns` gives, per signal, the column of its token.
    pub(super) fn of(
        facts: RowFacts,
        tokens: &[u16],
        columns: &[Option<usize>],
        questions: &[Ready],
    ) -> Self {
        let mut trial = Self {
            host: facts.host,
            session: facts.session,
            asked: 0,
            inside: 0,
        };
        for question in questions {
            let column = columns.get(question.signal).copied().flatten();
            let token = column.and_then(|column| tokens.get(column));
            if let Some(token) = token.filter(|token| **token != NO_TOKEN) {
                trial.asked |= bit(question.number);
                if question.asked.is_bad(*token) {
                    trial.inside |= bit(question.number);
                }
            }
        }
        trial
    }

    /// Whether a question was put, and whether the answer was yes.
    pub(super) fn answer(&self, question: usize) -> Option<bool> {
        let bit = bit(question);
        (self.asked & bit != 0).then_some(self.inside & bit != 0)
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.u32(self.host);
        writer.u32(self.session);
        writer.u64(self.asked);
        writer.u64(self.inside);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            host: reader.u32()?,
            session: reader.u32()?,
            asked: reader.u64()?,
            inside: reader.u64()?,
        })
    }
}
