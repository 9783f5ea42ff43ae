//! How a gathered block of one route is judged: which questions can be put to it, and what each
//! answer says.

use super::gathered::Gathered;
use super::judged::Judged;
use super::pair::JudgedBlock;
use super::past::tokens;
use super::route::{Arm, Route};
use crate::config::Plan;
use crate::evidence::{TokenBlock, TokenPast, reference_log_probability};
use crate::judge::verdict::Rate;
use crate::signal::Asked;
use crate::sketch::{Counts, DecayedCounts};

/// z of the one-sided 99% bound with which a reference's rates are taken.
const REFERENCE_Z: f64 = 2.326;

impl Route {
    /// Judges the baseline's halves against each other. Their cuts may come from a past that has
    /// these exchanges in it already: it knows of both halves alike.
    pub(super) fn judge_halves(&mut self, plan: &Plan, judged: &mut Judged) {
        if self.halves.is_empty() {
            return;
        }
        self.halves.ticks += 1;
        let complete = self.halves.has(0) && self.halves.has(1);
        if (!complete && self.halves.may_wait()) || self.halves.is_small() {
            return;
        }
        if complete {
            for (number, asked) in self.questions(plan) {
                let rate_of = |half: usize| {
                    let (signal, _) = plan.questions.get(number)?;
                    Some(rate(&asked, self.halves.side(half).get(*signal)?))
                };
                let (Some(first), Some(second)) = (rate_of(0), rate_of(1)) else {
                    continue;
                };
                if let Some(laws) = judged.second_half.get_mut(number) {
                    laws.push(JudgedBlock::new(second, first));
                }
                if let Some(laws) = judged.first_half.get_mut(number) {
                    laws.push(JudgedBlock::new(first, second));
                }
            }
        }
        self.halves = Gathered::new(plan.signals.len());
    }

    /// The questions that can be put now and whose answers count, with their numbers.
    fn questions(&self, plan: &Plan) -> Vec<(usize, Asked)> {
        let [past, _] = &self.past;
        plan.questions
            .iter()
            .enumerate()
            .filter(|(number, _)| !self.expected.get(*number).copied().unwrap_or(false))
            .filter_map(|(number, (index, question))| {
                let signal = plan.signals.get(*index)?;
                let asked = Asked::freeze(
                    question,
                    signal.as_ref(),
                    past.get(*index)?,
                    self.names.get(*index)?,
                )?;
                Some((number, asked))
            })
            .collect()
    }

    pub(super) fn judge(&mut self, plan: &Plan, judged: &mut Judged) {
        for (number, asked) in self.questions(plan) {
            let Some((index, _)) = plan.questions.get(number) else {
                continue;
            };
            let [past, _] = &self.past;
            let (
                Some(pair),
                Some(counted),
                Some(laws),
                Some(past),
                Some(baseline),
                Some(candidate),
            ) = (
                self.pairs.get_mut(number),
                self.counted.get_mut(number),
                judged.laws.get_mut(number),
                past.get(*index),
                self.gathered.side(Arm::Baseline as usize).get(*index),
                self.gathered.side(Arm::Candidate as usize).get(*index),
            )
            else {
                continue;
            };
            let (baseline, candidate) = (rate(&asked, baseline), rate(&asked, candidate));
            let [baseline_count, candidate_count] = counted;
            *baseline_count += baseline.inside;
            *candidate_count += candidate.inside;
            if plan.reject.reference.is_some() {
                let (bound, reference) = reference_rate(past, &asked);
                if reference.total > 0 && candidate.total > 0 {
                    let law = |odds_ratio| {
                        reference_log_probability(
                            candidate.total,
                            candidate.inside,
                            bound,
                            odds_ratio,
                        )
                    };
                    pair.update(law, candidate, Rate::default());
                    pair.baseline = reference;
                }
                continue;
            }
            let block = JudgedBlock::new(candidate, baseline);
            pair.update(
                |odds_ratio| block.law.log_probability(odds_ratio),
                candidate,
                baseline,
            );
            laws.push(block);
        }
    }

    pub(super) fn judge_change(&mut self, plan: &Plan) {
        if plan.reject.reference.is_some() {
            return;
        }
        for (index, (signal, change)) in plan.signals.iter().zip(&mut self.changes).enumerate() {
            let group = |code| signal.group(code);
            let [past_baseline, past_candidate] = &self.past;
            let (Some(past_candidate), Some(past_baseline)) =
                (past_candidate.get(index), past_baseline.get(index))
            else {
                continue;
            };
            let past = tokens(
                past_candidate
                    .iter()
                    .map(|(code, count)| (group(code), f64::from(count))),
                past_baseline
                    .iter()
                    .map(|(code, count)| (group(code), f64::from(count))),
                Vec::new(),
            );
            let known = past.iter().map(|token| (token.0, [0.0; 2])).collect();
            let counts = |arm: Arm| {
                self.gathered
                    .side(arm as usize)
                    .get(index)
                    .into_iter()
                    .flat_map(Counts::iter)
                    .map(|(code, count)| (group(code), f64::from(count)))
            };
            let block = tokens(counts(Arm::Candidate), counts(Arm::Baseline), known);
            let block: Vec<TokenBlock> = block
                .into_iter()
                .map(|(_, [candidate, baseline])| TokenBlock {
                    candidate: candidate as u64,
                    baseline: baseline as u64,
                })
                .collect();
            let past: Vec<TokenPast> = past
                .into_iter()
                .map(|(_, [candidate, baseline])| TokenPast {
                    candidate,
                    baseline,
                })
                .collect();
            change.update(&block, &past);
        }
    }
}

/// The share of a reference that is in a category: its one-sided 99% upper bound (Wilson), so that
/// what was rare or never seen in few exchanges is not taken for impossible, and the counts.
fn reference_rate(past: &DecayedCounts, asked: &Asked) -> (f64, Rate) {
    let total = past.total();
    let inside: f64 = past
        .iter()
        .filter(|(code, _)| asked.is_bad(*code))
        .map(|(_, count)| f64::from(count))
        .sum();
    let z2 = REFERENCE_Z * REFERENCE_Z;
    let share = inside / total.max(1.0);
    let half = REFERENCE_Z
        * (share * (1.0 - share) / total.max(1.0) + z2 / (4.0 * total.max(1.0) * total.max(1.0)))
            .max(0.0)
            .sqrt();
    let bound = (share + z2 / (2.0 * total.max(1.0)) + half) / (1.0 + z2 / total.max(1.0));
    (
        bound,
        Rate {
            inside: inside as u64,
            total: total as u64,
        },
    )
}

/// How many of these exchanges are in the category.
fn rate(asked: &Asked, counts: &Counts) -> Rate {
    Rate {
        inside: counts.total_where(|code| asked.is_bad(code)),
        total: counts.total(),
    }
}
