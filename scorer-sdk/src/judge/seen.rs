//! What is behind a pair's rates, over the same blocks: the tokens of both versions and the cuts.
//!
//! A reason says how many and what. Both are of one time, since the difference began until the last
//! block that was judged, and stand still with the evidence once there is a verdict.

use super::arm::Arm;
use super::block::Ready;
use super::gathered::Gathered;
use super::past::Past;
use crate::signal::Asked;
use crate::sketch::Counts;
use crate::sketch::names::MAX_NAME_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Most required parts of a list that are kept.
const MAX_REQUIRED: usize = 64;

/// Tokens and cuts behind a pair's rates.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// Codes of baseline and candidate. Of the candidate those that were in the category by the cuts of
    /// their block, but for lists, whose parts are told with how often they were there.
    pub(super) tokens: [Counts; 2],
    /// Of a question about a quantile, the lowest and the highest cut; of one about a range, its last
    /// ends.
    pub(super) cuts: Option<[u16; 2]>,
    /// Parts that lists must have, by the last block.
    pub(super) required: Vec<String>,
}

impl Seen {
    /// Takes a block that was judged. `compared` has the tokens of its exchanges.
    #[inline(never)]
    pub(super) fn add(&mut self, question: &Ready, compared: &Gathered) {
        let of = |arm: Arm| compared.side(arm as usize).get(question.signal);
        let (baseline, candidate) = (of(Arm::Baseline), of(Arm::Candidate));
        match &question.asked {
            Asked::Above(cut) => {
                let [lowest, highest] = self.cuts.unwrap_or([*cut; 2]);
                self.cuts = Some([lowest.min(*cut), highest.max(*cut)]);
            }
            Asked::Outside(low, high) => {
                self.cuts = Some([*low, *high]);
                self.count(Arm::Candidate, candidate, &|code| {
                    question.asked.is_bad(code)
                });
            }
            Asked::Lacks { required, .. } => {
                self.required = required.iter().take(MAX_REQUIRED).cloned().collect();
                self.count(Arm::Baseline, baseline, &|_| true);
                self.count(Arm::Candidate, candidate, &|_| true);
            }
            Asked::Fixed(rule) => self.count(Arm::Candidate, candidate, rule),
            Asked::NotIn(_) => {
                self.count(Arm::Baseline, baseline, &|_| true);
                self.count(Arm::Candidate, candidate, &|code| {
                    question.asked.is_bad(code)
                });
            }
        }
    }

    /// Takes a guard's block, whose baseline is the past of its reference.
    pub(super) fn add_against(&mut self, question: &Ready, past: &Past, compared: &Gathered) {
        self.add(question, compared);
        if !matches!(question.asked, Asked::Lacks { .. } | Asked::NotIn(_)) {
            return;
        }
        if let (Some(past), [baseline, _]) = (
            past.arm(Arm::Baseline).get(question.signal),
            &mut self.tokens,
        ) {
            baseline.clear();
            past.iter()
                .for_each(|(code, count)| baseline.add(code, count as u32));
        }
    }

    #[inline(never)]
    fn count(&mut self, arm: Arm, block: Option<&Counts>, is_kept: &dyn Fn(u16) -> bool) {
        if let (Some(sum), Some(block)) = (self.tokens.get_mut(arm as usize), block) {
            block
                .iter()
                .filter(|(code, _)| is_kept(*code))
                .for_each(|(code, count)| sum.add(code, count));
        }
    }

    #[inline(never)]
    pub(super) fn encode(&self, writer: &mut Writer) {
        self.tokens.iter().for_each(|counts| counts.encode(writer));
        writer.option(self.cuts.as_ref(), |cuts, writer| {
            cuts.iter().for_each(|cut| writer.u16(*cut));
        });
        writer.list(&self.required, |part, writer| writer.text(part));
    }

    #[inline(never)]
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            tokens: [Counts::decode(reader)?, Counts::decode(reader)?],
            cuts: reader.option(|reader| Ok([reader.u16()?, reader.u16()?]))?,
            required: reader.list(MAX_REQUIRED, |reader| {
                reader.text(MAX_NAME_BYTES).map(str::to_owned)
            })?,
        })
    }
}
