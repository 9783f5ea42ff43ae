//! How many exchanges of one side are in each category.
//!
//! A trial holds its answers as bits, one for each question. [`Tallied`] counts all questions at once:
//! a plane holds one bit of 64 counters, and adding a word to them takes a few operations, however
//! many questions there are.

use super::pair::JudgedBlock;
use super::trial::{Trial, bit};
use super::units::{Places, Units};
use crate::exchange::NO_ODDS;
use crate::judge::verdict::Rate;

/// Bits of a counter: a side holds fewer trials than it can count.
const PLANES: usize = 32;

/// How many exchanges of one side are in a category, per stratum: trials that had the same chances to
/// be judged.
#[derive(Debug, Default)]
pub(super) struct Answers(Vec<(u16, Rate)>);

impl Answers {
    /// Adds answers. `is_sampled` says whether failures had another chance than the rest.
    fn add(&mut self, odds: u16, is_sampled: bool, [inside, total]: [u64; 2]) {
        let odds = if is_sampled { odds } else { NO_ODDS };
        let index = match self.0.iter().position(|known| known.0 == odds) {
            Some(index) => index,
            None => {
                self.0.push((odds, Rate::default()));
                self.0.len() - 1
            }
        };
        if let Some((_, rate)) = self.0.get_mut(index) {
            rate.total += total;
            rate.inside += inside;
        }
    }

    /// Those of the candidate without the trials of a unit that has too many in the category.
    pub(super) fn allowed(
        trials: &[(&Trial, Places)],
        question: usize,
        is_sampled: bool,
        units: &mut Units,
    ) -> Self {
        let mut answers = Self::default();
        for (trial, places) in trials {
            if let Some(inside) = trial.answer(question)
                && units.allows((trial, *places), question, inside, is_sampled)
            {
                answers.add(trial.odds, is_sampled, [u64::from(inside), 1]);
            }
        }
        answers
    }

    /// A block for each stratum that both sides have. Given their margins these are independent.
    pub(super) fn blocks(&self, baseline: &Self) -> Vec<JudgedBlock> {
        let both = self.0.iter().filter_map(|(odds, candidate)| {
            let known = baseline.0.iter().find(|known| known.0 == *odds)?;
            Some(JudgedBlock::new(*candidate, known.1, *odds))
        });
        both.collect()
    }
}

/// One counter for each bit of a word.
#[derive(Debug, Clone, Copy, Default)]
struct Counters([u64; PLANES]);

impl Counters {
    /// Counts the bits that are set.
    fn add(&mut self, bits: u64) {
        let mut carry = bits;
        for plane in &mut self.0 {
            if carry == 0 {
                break;
            }
            let both = *plane & carry;
            *plane ^= carry;
            carry = both;
        }
    }

    /// The counter of one bit.
    fn of(&self, bit: u64) -> u64 {
        let highest_first = self.0.iter().rev();
        highest_first.fold(0, |sum, plane| (sum << 1) | u64::from(plane & bit != 0))
    }
}

/// Trials that had the same chances to be judged.
#[derive(Debug, Default)]
struct Stratum {
    odds: u16,
    asked: Counters,
    inside: Counters,
}

/// The answers of one side to all questions.
#[derive(Debug)]
pub(super) struct Tallied<'a> {
    trials: &'a [Trial],
    strata: Vec<Stratum>,
}

impl<'a> Tallied<'a> {
    pub(super) fn of(trials: &'a [Trial]) -> Self {
        let mut strata: Vec<Stratum> = Vec::new();
        for trial in trials {
            let index = match strata.iter().position(|known| known.odds == trial.odds) {
                Some(index) => index,
                None => {
                    strata.push(Stratum {
                        odds: trial.odds,
                        ..Stratum::default()
                    });
                    strata.len() - 1
                }
            };
            if let Some(stratum) = strata.get_mut(index) {
                stratum.asked.add(trial.asked);
                stratum.inside.add(trial.inside & trial.asked);
            }
        }
        Self { trials, strata }
    }

    /// Those to one question. `is_sampled` says whether failures had another chance than the rest.
    pub(super) fn answers(&self, question: usize, is_sampled: bool) -> Answers {
        let mut answers = Answers::default();
        if is_sampled && self.strata.len() > 1 {
            // Strata are told apart, and come in the order of their first answers.
            for trial in self.trials {
                if let Some(inside) = trial.answer(question) {
                    answers.add(trial.odds, true, [u64::from(inside), 1]);
                }
            }
            return answers;
        }
        let [inside, total] = self.counts(question, None);
        if let Some(stratum) = self.strata.first().filter(|_| total > 0) {
            answers.add(stratum.odds, is_sampled, [inside, total]);
        }
        answers
    }

    /// Exchanges in the category of a question, and those that it was put to: of the stratum with these
    /// odds, or of all.
    pub(super) fn counts(&self, question: usize, odds: Option<u16>) -> [u64; 2] {
        let bit = bit(question);
        let mut counts = [0; 2];
        for stratum in &self.strata {
            if odds.is_none_or(|odds| odds == stratum.odds) {
                let [inside, total] = &mut counts;
                *inside += stratum.inside.of(bit);
                *total += stratum.asked.of(bit);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers to a question, one trial after the other.
    fn one_by_one(trials: &[Trial], question: usize, is_sampled: bool) -> Answers {
        let mut answers = Answers::default();
        for trial in trials {
            if let Some(inside) = trial.answer(question) {
                answers.add(trial.odds, is_sampled, [u64::from(inside), 1]);
            }
        }
        answers
    }

    #[test]
    fn all_questions_at_once_come_to_what_each_by_itself_does() {
        let mut random = fastrand::Rng::with_seed(9);
        let sparse = |random: &mut fastrand::Rng| random.u64(..) & random.u64(..) & random.u64(..);
        let trials: Vec<Trial> = (0..3_000)
            .map(|_| Trial {
                asked: sparse(&mut random),
                inside: sparse(&mut random),
                odds: NO_ODDS << random.u16(0..4),
                ..Trial::default()
            })
            .collect();
        for count in [0, 1, 2, 5, 3_000] {
            let trials = &trials[..count];
            let tallied = Tallied::of(trials);
            for question in 0..64 {
                for is_sampled in [false, true] {
                    let expected = one_by_one(trials, question, is_sampled);
                    let found = tallied.answers(question, is_sampled);
                    assert_eq!(found.0, expected.0, "{count} trials, question {question}");
                }
                let [inside, total] = tallied.counts(question, None);
                let all = one_by_one(trials, question, false);
                let all = all.0.first().map_or(Rate::default(), |known| known.1);
                assert_eq!([inside, total], [all.inside, all.total]);
            }
        }
    }
}
