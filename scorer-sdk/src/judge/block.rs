//! How a gathered block of one route is judged: which questions can be put to it, and what each
//! answer says.

use super::arm::Arm;
use super::gathered::Gathered;
use super::judged::Judged;
use super::pair::{JudgedBlock, Pair};
use super::past::{Past, inside, tokens};
use crate::config::Plan;
use crate::evidence::{ChangeTest, TokenBlock, TokenPast, reference_log_probability};
use crate::judge::verdict::Rate;
use crate::signal::Asked;
use crate::sketch::{Counts, DecayedCounts};

/// z of the one-sided 99% bound with which a reference's rates are taken.
const REFERENCE_Z: f64 = 2.326;

/// A question of the plan that can be put to a block now.
pub(super) struct Ready {
    /// Its number in the plan.
    number: usize,
    /// The index of its signal.
    signal: usize,
    /// Its cuts.
    asked: Asked,
}

impl Ready {
    /// How many of these exchanges, given per signal, are in the category.
    fn rate(&self, counts: &[Counts]) -> Option<Rate> {
        let counts = counts.get(self.signal)?;
        Some(Rate {
            inside: counts.total_where(|code| self.asked.is_bad(code)),
            total: counts.total(),
        })
    }
}

/// The questions that can be put to a block and whose answers count. `expected` says for each
/// question of the plan whether a yes was declared.
pub(super) fn questions(plan: &Plan, past: &Past, expected: &[bool]) -> Vec<Ready> {
    plan.questions
        .iter()
        .enumerate()
        .filter(|(number, _)| !expected.get(*number).copied().unwrap_or(false))
        .filter_map(|(number, (signal, question))| {
            Some(Ready {
                number,
                signal: *signal,
                asked: past.ask(plan, *signal, question)?,
            })
        })
        .collect()
}

/// Judges the baseline's halves against each other. The cuts may come from a past that already
/// holds these exchanges, because it holds those of both halves alike.
pub(super) fn judge_halves(questions: &[Ready], halves: &Gathered, judged: &mut Judged) {
    for question in questions {
        let (Some(first), Some(second)) =
            (question.rate(halves.side(0)), question.rate(halves.side(1)))
        else {
            continue;
        };
        if let Some(laws) = judged.second_half.get_mut(question.number) {
            laws.push(JudgedBlock::new(second, first));
        }
        if let Some(laws) = judged.first_half.get_mut(question.number) {
            laws.push(JudgedBlock::new(first, second));
        }
    }
}

/// Judges a block with both arms in it: each question's pair takes it, and so does `judged`, for the
/// pair over all routes. `counted` takes, per question, the exchanges of baseline and candidate
/// in the category.
pub(super) fn judge_pairs(
    questions: &[Ready],
    gathered: &Gathered,
    pairs: &mut [Pair],
    counted: &mut [[u64; 2]],
    judged: &mut Judged,
) {
    for question in questions {
        let (Some(pair), Some(counted), Some(laws), Some(baseline), Some(candidate)) = (
            pairs.get_mut(question.number),
            counted.get_mut(question.number),
            judged.laws.get_mut(question.number),
            question.rate(gathered.side(Arm::Baseline as usize)),
            question.rate(gathered.side(Arm::Candidate as usize)),
        ) else {
            continue;
        };
        *counted = [counted[0] + baseline.inside, counted[1] + candidate.inside];
        let block = JudgedBlock::new(candidate, baseline);
        pair.update(
            |odds_ratio| block.law.log_probability(odds_ratio),
            candidate,
            baseline,
        );
        laws.push(block);
    }
}

/// Judges a guard's block, in which the candidate is alone, against the past of its reference.
pub(super) fn judge_against_reference(
    questions: &[Ready],
    past: &Past,
    gathered: &Gathered,
    pairs: &mut [Pair],
    counted: &mut [[u64; 2]],
) {
    for question in questions {
        let (Some(pair), Some(counted), Some(past), Some(baseline), Some(candidate)) = (
            pairs.get_mut(question.number),
            counted.get_mut(question.number),
            past.arm(Arm::Baseline).get(question.signal),
            question.rate(gathered.side(Arm::Baseline as usize)),
            question.rate(gathered.side(Arm::Candidate as usize)),
        ) else {
            continue;
        };
        *counted = [counted[0] + baseline.inside, counted[1] + candidate.inside];
        let (bound, reference) = reference_rate(past, &question.asked);
        if reference.total > 0 && candidate.total > 0 {
            let law = |odds_ratio| {
                reference_log_probability(candidate.total, candidate.inside, bound, odds_ratio)
            };
            pair.update(law, candidate, Rate::default());
            pair.baseline = reference;
        }
    }
}

/// Judges whether the arms differ at all on each signal.
pub(super) fn judge_changes(
    plan: &Plan,
    past: &Past,
    gathered: &Gathered,
    changes: &mut [ChangeTest],
) {
    for (index, (signal, change)) in plan.signals.iter().zip(changes).enumerate() {
        let group = |code| signal.group(code);
        let Some([past_baseline, past_candidate]) = past.both(index) else {
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
            gathered
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

/// The share of a reference that is in a category, as its one-sided 99% upper bound (Wilson), and
/// its counts. The bound keeps what was rare, or never seen in few exchanges, from being taken for
/// impossible.
fn reference_rate(past: &DecayedCounts, asked: &Asked) -> (f64, Rate) {
    let total = past.total();
    let inside = inside(past, asked);
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
