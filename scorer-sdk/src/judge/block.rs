//! How a gathered block of one route is judged: which questions can be put to it, and what each
//! answer says.

use super::answers::{Answers, Tallied};
use super::arm::Arm;
use super::change::{Change, ChangeBlock};
use super::gathered::{Gathered, Trials};
use super::judged::Judged;
use super::pair::{Pair, Together};
use super::past::{Past, inside};
use super::recent::Recent;
use super::trial::{Trial, counts_cases};
use super::units::{Places, Units};
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
    let mut ready = Vec::with_capacity(plan.questions.len());
    for (number, (signal, question)) in plan.questions.iter().enumerate() {
        if expected.get(number).copied().unwrap_or(false) {
            continue;
        }
        if let Some(asked) = past.ask(plan, *signal, question) {
            ready.push(Ready {
                number,
                signal: *signal,
                asked,
                quantile: quantile(plan, past, *signal, question.rule),
            });
        }
    }
    ready
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
    let halves = [0, 1].map(|side| Tallied::of(halves.side(side)));
    for number in 0..plan.questions.len() {
        let [first, second] = halves
            .each_ref()
            .map(|half| half.answers(number, counts_cases(plan, number)));
        if let Some(laws) = judged.second_half.get_mut(number) {
            laws.extend(second.blocks(&first));
        }
        if let Some(laws) = judged.first_half.get_mut(number) {
            laws.extend(first.blocks(&second));
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
    let [of_baseline, of_candidate] =
        [Arm::Baseline, Arm::Candidate].map(|arm| trials.side(arm as usize));
    let of_baseline = Tallied::of(of_baseline);
    let of_candidate: Vec<(&Trial, Places)> = of_candidate
        .iter()
        .map(|trial| (trial, units.places(trial)))
        .collect();
    for question in questions {
        let number = question.number;
        let (Some(pair), Some(laws)) = (pairs.get_mut(number), judged.laws.get_mut(number)) else {
            continue;
        };
        let is_sampled = counts_cases(plan, number);
        let mut blocks = Answers::allowed(&of_candidate, number, is_sampled, units)
            .blocks(&of_baseline.answers(number, is_sampled));
        let Some(first) = blocks.first_mut() else {
            continue;
        };
        first.shift = question.shift(compared).map(Box::new);
        let of_shift = units
            .shift()
            .filter(|_| plan.duration() == Some(question.signal))
            .and_then(|shift| past.log_odds_of_shift(question.signal, &question.asked, shift));
        if let (Some(shifts), Some(log_odds)) = (judged.shifts.get_mut(number), of_shift) {
            shifts.add(log_odds, first.candidate.total);
        }
        let tolerance = units.tolerance(plan, number, sessions_apart, of_shift);
        pair.set_tolerance(tolerance, units.gain_limit(plan, number));
        let blocks = Together::of(blocks);
        pair.update_all(&blocks);
        pair.see(|seen| seen.add(question, compared));
        laws.append(blocks);
    }
}

/// Adds, per question, the exchanges of baseline and candidate that are in the category: to `counted`
/// and, with those that were asked, to `recent`.
pub(super) fn count(
    questions: &[Ready],
    gathered: &Gathered,
    counted: &mut [[u64; 2]],
    recent: &mut Recent,
) {
    for question in questions {
        let Some(counted) = counted.get_mut(question.number) else {
            continue;
        };
        for (arm, sum) in counted.iter_mut().enumerate() {
            let Some(counts) = gathered.side(arm).get(question.signal) else {
                continue;
            };
            let inside = counts.total_where(|code| question.asked.is_bad(code));
            *sum = sum.saturating_add(inside);
            recent.add(question.number, arm, inside, counts.total());
        }
    }
}

/// How many of the random part of these trials are in a category.
fn rate(trials: &[Trial], question: usize) -> Rate {
    let mut rate = Rate::default();
    let of_random_part = trials.iter().filter(|trial| !trial.is_case);
    for inside in of_random_part.filter_map(|trial| trial.answer(question)) {
        rate.total += 1;
        rate.inside += u64::from(inside);
    }
    rate
}

/// Judges a guard's block, in which the candidate is alone, against the past of its reference.
pub(super) fn judge_against_reference(
    questions: &[Ready],
    past: &Past,
    (trials, compared): (&Trials, &Gathered),
    pairs: &mut [Pair],
) {
    for question in questions {
        let (Some(pair), Some(of_baseline)) = (
            pairs.get_mut(question.number),
            past.arm(Arm::Baseline).get(question.signal),
        ) else {
            continue;
        };
        let candidate = rate(trials.side(Arm::Candidate as usize), question.number);
        let (bound, reference) = reference_rate(of_baseline, &question.asked);
        if reference.total > 0 && candidate.total > 0 {
            let law = |odds_ratio| {
                reference_log_probability(candidate.total, candidate.inside, bound, odds_ratio)
            };
            pair.update(&law, None, [candidate, Rate::default()]);
            pair.baseline = reference;
            pair.see(|seen| seen.add_against(question, past, compared));
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
    (bound, Rate::new(inside as u64, total as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sampling;
    use crate::judge::trial::bit;

    /// Draws of a worker: its sampling, each version's requests in a block, and the chance that one
    /// is in the category. As many again fail without being in it.
    struct Worker {
        sampling: Sampling,
        requests: [u32; 2],
        rate: f64,
    }

    /// The trials of one block, baseline first; the odds of the candidate are `odds_ratio` times
    /// the baseline's.
    fn trials(workers: &[Worker], odds_ratio: f64, random: &mut fastrand::Rng) -> [Vec<Trial>; 2] {
        let mut sides = [Vec::new(), Vec::new()];
        for worker in workers {
            let odds = worker.rate / (1.0 - worker.rate) * odds_ratio;
            for ((side, requests), rate) in sides
                .iter_mut()
                .zip(worker.requests)
                .zip([worker.rate, odds / (1.0 + odds)])
            {
                for _ in 0..requests {
                    let inside = random.f64() < rate;
                    let failed = inside || random.f64() < worker.rate;
                    let mut one_in = |number: u16| random.u16(..number) == 0;
                    let looked_at = one_in(worker.sampling.looks_one_in);
                    let is_case = !looked_at && one_in(worker.sampling.cases_one_in) && failed;
                    if looked_at || is_case && inside {
                        side.push(Trial {
                            asked: bit(0),
                            inside: if inside { bit(0) } else { 0 },
                            is_case,
                            odds: worker.sampling.odds(),
                            ..Trial::default()
                        });
                    }
                }
            }
        }
        sides
    }

    /// The mean of the likelihood ratio of `odds_ratio` times `tried` against the truth, over many
    /// blocks, and the standard error of that mean. The mean is 1 where the law is the right one.
    fn mean_ratio(workers: &[Worker], odds_ratio: f64, is_sampled: bool) -> (f64, f64) {
        const BLOCKS: u32 = 20_000;
        let mut random = fastrand::Rng::with_seed(11);
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..BLOCKS {
            let [baseline, candidate] = trials(workers, odds_ratio, &mut random);
            let of = |trials: &[Trial]| Tallied::of(trials).answers(0, is_sampled);
            let blocks = of(&candidate).blocks(&of(&baseline));
            let ratio: f64 = blocks
                .iter()
                .map(|block| {
                    let law = |odds_ratio| block.law.log_probability(odds_ratio);
                    law(1.5 * odds_ratio) - law(odds_ratio)
                })
                .sum();
            sum += ratio.exp();
            squares += (2.0 * ratio).exp();
        }
        let count = f64::from(BLOCKS);
        let mean = sum / count;
        (mean, ((squares / count - mean * mean) / count).sqrt())
    }

    fn sampled(looks_one_in: u16, cases_one_in: u16) -> Sampling {
        Sampling {
            looks_one_in,
            cases_one_in,
        }
    }

    #[test]
    fn fishers_law_holds_with_the_same_odds_ratio_whatever_part_is_looked_at() {
        for (looks, cases) in [(1, 1), (7, 1), (50, 1), (50, 10), (7, 100)] {
            for odds_ratio in [1.0, 1.5] {
                let worker = Worker {
                    sampling: sampled(looks, cases),
                    requests: [360, 90],
                    rate: 0.05,
                };
                let (mean, error) = mean_ratio(&[worker], odds_ratio, true);
                let apart = (mean - 1.0).abs();
                assert!(
                    apart < 4.0 * error,
                    "1 in {looks}, cases 1 in {cases}, {odds_ratio}: {mean} ± {error}"
                );
            }
        }
    }

    #[test]
    fn workers_that_sample_differently_and_have_other_shares_are_not_put_into_one_law() {
        let workers = || {
            [
                Worker {
                    sampling: sampled(50, 1),
                    requests: [800, 200],
                    rate: 0.05,
                },
                Worker {
                    sampling: Sampling::ALL,
                    requests: [190, 10],
                    rate: 0.05,
                },
            ]
        };
        let (mean, error) = mean_ratio(&workers(), 1.0, true);
        assert!((mean - 1.0).abs() < 4.0 * error, "{mean} ± {error}");
        // As one law, the worker with more candidate requests makes the candidate look bad.
        let (mean, _) = mean_ratio(&workers(), 1.0, false);
        assert!(mean > 1.5, "{mean}");
    }

    #[test]
    fn what_is_told_is_the_rate_of_all_exchanges() {
        let worker = [Worker {
            sampling: sampled(50, 1),
            requests: [100_000, 100_000],
            rate: 0.05,
        }];
        let mut random = fastrand::Rng::with_seed(3);
        let [baseline, candidate] = trials(&worker, 2.0, &mut random);
        let of = |trials: &[Trial]| Tallied::of(trials).answers(0, true);
        let block = of(&candidate).blocks(&of(&baseline)).remove(0);
        for (told, rate) in [(block.baseline, 0.05), (block.candidate, 0.095)] {
            let share = told.inside as f64 / told.total as f64;
            assert!((share / rate - 1.0).abs() < 0.08, "{share} and not {rate}");
        }
    }
}
