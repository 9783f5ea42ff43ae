//! A trial: one exchange, with the answers to the questions that were put to it.

use super::block::Ready;
use crate::config::Plan;
use crate::count::rows::{NO_TOKEN, RowFacts};
use crate::exchange::NO_ODDS;
use crate::wire::codec::{CodecError, Reader, Writer};

/// One exchange as the judge sees it.
///
/// Where workers sample ([`crate::Sampling`]), a trial is of the random part or a case. A case is asked
/// only what it answers with yes. For each question separately, all that answer with yes are then
/// judged with one chance and all others with another, neither of which depends on the version: given
/// how many of each version are judged, Fisher's law holds with the odds ratio that it has for all. Only
/// trials of the same chances are of one law: [`Trial::odds`] tells them apart.
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
    /// Whether it is a case.
    pub(super) is_case: bool,
    /// Whether it tells more of an exchange that has another trial.
    pub(super) is_further: bool,
    /// How many times as likely a failed exchange is to be judged as another, in sixteenths.
    pub(super) odds: u16,
}

impl Default for Trial {
    fn default() -> Self {
        Self {
            host: 0,
            session: 0,
            asked: 0,
            inside: 0,
            is_case: false,
            is_further: false,
            odds: NO_ODDS,
        }
    }
}

/// Whether cases count for a question.
pub(super) fn counts_cases(plan: &Plan, question: usize) -> bool {
    plan.case_questions() & bit(question) != 0
}

/// The share of the exchanges in a category among those that are judged, where one of them is `odds`
/// times as likely to be as another, in sixteenths.
pub(super) fn sampled_rate(rate: f64, odds: u16) -> f64 {
    if odds == NO_ODDS {
        return rate;
    }
    let inside = rate * f64::from(odds) / f64::from(NO_ODDS);
    inside / (inside + 1.0 - rate).max(f64::MIN_POSITIVE)
}

/// The bit of a question.
pub(super) fn bit(question: usize) -> u64 {
    // A plan has no more questions than bits.
    1_u64.checked_shl(question as u32).unwrap_or(0)
}

impl Trial {
    /// Puts the questions to a row. `columns` gives, per signal, the column of its token.
    pub(super) fn of(
        plan: &Plan,
        facts: RowFacts,
        tokens: &[u16],
        columns: &[Option<usize>],
        questions: &[Ready],
    ) -> Self {
        let mut trial = Self {
            host: facts.host,
            session: facts.session,
            is_case: facts.is_case,
            is_further: facts.is_further,
            odds: facts.odds,
            ..Self::default()
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
        if trial.is_case {
            // A failure that is not in a category would count as one that was let off.
            trial.inside &= plan.case_questions();
            trial.asked = trial.inside;
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
        writer.u8(u8::from(self.is_case));
        writer.u8(u8::from(self.is_further));
        writer.u16(self.odds);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            host: reader.u32()?,
            session: reader.u32()?,
            asked: reader.u64()?,
            inside: reader.u64()?,
            is_case: reader.u8()? == 1,
            is_further: reader.u8()? == 1,
            odds: reader.u16()?.max(NO_ODDS),
        })
    }
}
