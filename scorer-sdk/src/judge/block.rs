//! How a gathered block of one route is judged: which questions can be put to it, and what each
//! answer says.

use super::arm::Arm;
use super::change::{Change, ChangeBlock};
use super::gathered::{Gathered, Trials};
use super::judged::Judged;
use super::pair::{JudgedBlock, Pair};
use super::past::{Past, inside};
use super::trial::Trial;
use super::units::Units;
use crate::config::Plan;
use crate::evidence::{QuantileShift, Spread, reference_log_probability};
use crate::judge::verdict::Rate;
use crate::route::RouteKey;
use crate::signal::{Asked, Rule};
use crate::sketch::DecayedCounts;

/// z of the one-sided 99% bound with which a reference's rates are taken.
const REFERENCE_Z: f64 = 2.326;

/// A question of the plan that can be put to an exchange now.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    /// Its number in the plan.
    pub(super) number: usize,
    /// The index of its signal.
    pub(super) signal: usize,
    /// Its cuts.
    pub(super) asked: Asked,
    /// The baseline's quantile without a margin, where the question is about one of a quantity.
    quantile: Option<u16>,
}

/// How many of these trials are in a category.
fn rate(trials: &[Trial], question: usize) -> Rate {
    let mut rate = Rate::default();
    for inside in trials.iter().filter_map(|trial| trial.answer(question)) {
        rate.total += 1;
        rate.inside += u64::from(inside);
    }
    rate
}

/// How many of the candidate's trials are in a category, those of a unit that has too many left out.
fn allowed_rate(trials: &[Trial], question: usize, units: &mut Units) -> Rate {
    let mut rate = Rate::default();
    for trial in trials {
        if let Some(inside) = trial.answer(question)
            && units.allows(trial, question, inside)
        {
            rate.total += 1;
            rate.inside += u64::from(inside);
        }
    }
    rate
}

impl Ready {
    /// The shift of the quantile that is asked about.
    fn shift(&self, compared: &Gathered) -> Option<QuantileShift> {
        let of = |arm: Arm| compared.side(arm as usize).get(self.signal);
        Some(QuantileShift::of(
            self.quantile?,
            of(Arm::Candidate)?,
            of(Arm::Baseline)?,
        ))
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
                quantile: quantile(plan, past, *signal, question.rule),
            })
        })
        .collect()
}

/// The baseline's quantile that a rule is about, for signals that measure a quantity.
fn quantile(plan: &Plan, past: &Past, signal: usize, rule: Rule) -> Option<u16> {
    let Rule::Above { quantile } = rule else {
        return None;
    };
    plan.signals.get(signal)?.quantity()?;
    past.arm(Arm::Baseline).get(signal)?.quantile(quantile)
}

/// Judges the baseline's halves against each other. The cuts may come from a past that already
/// holds these exchanges, because it holds those of both halves alike.
pub(super) fn judge_halves(plan: &Plan, halves: &Trials, judged: &mut Judged) {
    for number in 0..plan.questions.len() {
        let (first, second) = (rate(halves.side(0), number), rate(halves.side(1), number));
        if first.total == 0 || second.total == 0 {
            continue;
        }
        if let Some(laws) = judged.second_half.get_mut(number) {
            laws.push(JudgedBlock::new(second, first));
        }
        if let Some(laws) = judged.first_half.get_mut(number) {
            laws.push(JudgedBlock::new(first, second));
        }
    }
}

/// Judges a block with both arms in it: each question's pair takes it, and so does `judged`, for the
/// pair over all routes. `compared` has the tokens of the same exchanges, `sessions_apart`
/// says how unlike the versions' sessions are on the route.
pub(super) fn judge_pairs(
    plan: &Plan,
    (questions, past): (&[Ready], &Past),
    trials: &Trials,
    compared: &Gathered,
    (units, sessions_apart): (&mut Units, f64),
    pairs: &mut [Pair],
    judged: &mut Judged,
) {
    for question in questions {
        let number = question.number;
        let (Some(pair), Some(laws)) = (pairs.get_mut(number), judged.laws.get_mut(number)) else {
            continue;
        };
        let baseline = rate(trials.side(Arm::Baseline as usize), number);
        let candidate = allowed_rate(trials.side(Arm::Candidate as usize), number, units);
        if baseline.total == 0 || candidate.total == 0 {
            continue;
        }
        let mut block = JudgedBlock::new(candidate, baseline);
        block.shift = question.shift(compared).map(Box::new);
        let of_shift = units
            .shift()
            .filter(|_| plan.duration() == Some(question.signal))
            .and_then(|shift| past.log_odds_of_shift(question.signal, &question.asked, shift));
        if let (Some(shifts), Some(log_odds)) = (judged.shifts.get_mut(number), of_shift) {
            shifts.add(log_odds, candidate.total);
        }
        let tolerance = units.tolerance(plan, number, sessions_apart, of_shift);
        pair.set_tolerance(tolerance, units.gain_limit(plan, number));
        pair.update(
            |odds_ratio| block.law.log_probability(odds_ratio),
            candidate,
            baseline,
        );
        pair.add_shift(block.shift.as_deref());
        laws.push(block);
    }
}

/// Adds, per question, the exchanges of baseline and candidate that are in the category.
pub(super) fn count(questions: &[Ready], gathered: &Gathered, counted: &mut [[u64; 2]]) {
    for question in questions {
        let Some(counted) = counted.get_mut(question.number) else {
            continue;
        };
        for (arm, sum) in counted.iter_mut().enumerate() {
            *sum += gathered.side(arm).get(question.signal).map_or(0, |counts| {
                counts.total_where(|code| question.asked.is_bad(code))
            });
        }
    }
}

/// Judges a guard's block, in which the candidate is alone, against the past of its reference.
pub(super) fn judge_against_reference(
    questions: &[Ready],
    past: &Past,
    trials: &Trials,
    pairs: &mut [Pair],
) {
    for question in questions {
        let (Some(pair), Some(past)) = (
            pairs.get_mut(question.number),
            past.arm(Arm::Baseline).get(question.signal),
        ) else {
            continue;
        };
        let candidate = rate(trials.side(Arm::Candidate as usize), question.number);
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

/// Judges whether the arms differ at all on each signal, but for those on which that was declared;
/// `judged` takes the blocks for the tests over all routes.
pub(super) fn judge_changes(
    plan: &Plan,
    key: &RouteKey,
    past: &Past,
    gathered: &Gathered,
    spreads: &[Spread],
    changes: &mut [Change],
    judged: &mut Judged,
) {
    for (index, (signal, change)) in plan.signals.iter().zip(changes).enumerate() {
        if plan.is_expected_to_differ(key, index) {
            continue;
        }
        let Some(block) = ChangeBlock::of(index, signal.as_ref(), past, gathered) else {
            continue;
        };
        change.judge(&block, &spreads.get(index).copied().unwrap_or_default());
        if let (Some(all), Some(names)) = (judged.changes.get_mut(index), past.names().get(index)) {
            all.add(&block, names);
        }
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
