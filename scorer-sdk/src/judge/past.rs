//! What the past of one route tells: how much was seen, how far the arms are apart, what is slow.

use super::route::{Arm, Route};
use crate::config::Plan;
use crate::signal::{Asked, Question, Rule, Signal};
use crate::sketch::DecayedCounts;

/// Decayed exchanges of each arm that are needed before two distributions are called far apart.
pub(super) const LEAST_FOR_DISTANCE: f64 = 50.0;

impl Route {
    /// Decayed exchanges of an arm, by the signal that saw most of them.
    pub(super) fn weight(&self, arm: Arm) -> f64 {
        self.past
            .get(arm as usize)
            .into_iter()
            .flatten()
            .map(DecayedCounts::total)
            .fold(0.0, f64::max)
    }

    /// Decayed exchanges of the baseline.
    pub(super) fn baseline_weight(&self) -> f64 {
        self.weight(Arm::Baseline)
    }

    /// Whether anything is known of an arm on a signal.
    pub(super) fn knows(&self, arm: Arm, signal: usize) -> bool {
        self.past
            .get(arm as usize)
            .and_then(|past| past.get(signal))
            .is_some_and(|past| past.total() > 0.0)
    }

    /// Total variation distance between the arms' pasts on a signal; 0 while too little is known.
    pub(super) fn distance(&self, index: usize, signal: &dyn Signal) -> f64 {
        let [baseline, candidate] = &self.past;
        let (Some(baseline), Some(candidate)) = (baseline.get(index), candidate.get(index)) else {
            return 0.0;
        };
        let (b, c) = (baseline.total(), candidate.total());
        if b.min(c) < LEAST_FOR_DISTANCE {
            return 0.0;
        }
        let group = |(code, count): (u16, f32)| (signal.group(code), f64::from(count));
        tokens(
            candidate.iter().map(group),
            baseline.iter().map(group),
            Vec::new(),
        )
        .iter()
        .map(|(_, [candidate, baseline])| (candidate / c - baseline / b).abs())
        .sum::<f64>()
            / 2.0
    }

    /// Decayed exchanges of the baseline in a category, and all.
    pub(super) fn baseline_rate(
        &self,
        plan: &Plan,
        signal: usize,
        question: &Question,
    ) -> Option<[f64; 2]> {
        let [baseline, _] = &self.past;
        let past = baseline.get(signal)?;
        let asked = Asked::freeze(
            question,
            plan.signals.get(signal)?.as_ref(),
            past,
            self.names.get(signal)?,
        )?;
        let bad = past
            .iter()
            .filter(|(code, _)| asked.is_bad(*code))
            .map(|(_, count)| f64::from(count))
            .sum();
        Some([bad, past.total()])
    }

    /// The code above the highest quantile that is asked of the baseline's durations, the 99th
    /// percentile of the built-in signal, widened by the margin.
    pub(super) fn slow_cut(&self, plan: &Plan) -> Option<u16> {
        let [baseline, _] = &self.past;
        let duration = plan.duration()?;
        plan.questions
            .iter()
            .filter(|(index, _)| *index == duration)
            .filter_map(|known| match known.1.rule {
                Rule::Above { quantile } => Some((quantile, known)),
                _ => None,
            })
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .and_then(|(_, (index, question))| {
                let signal = plan.signals.get(*index)?;
                let past = baseline.get(*index)?;
                match Asked::freeze(question, signal.as_ref(), past, self.names.get(*index)?)? {
                    Asked::Above(cut) => Some(cut),
                    _ => None,
                }
            })
    }

    /// The code of the slowest exchanges of either arm that are remembered.
    pub(super) fn slowest(&self, plan: &Plan) -> Option<u16> {
        let index = plan.duration()?;
        self.past
            .iter()
            .filter_map(|arm| arm.get(index)?.iter().last())
            .map(|(code, _)| code)
            .max()
    }
}

/// Sums (code, count) of both arms by code, after the codes that are `known`.
pub(super) fn tokens(
    candidate: impl Iterator<Item = (u16, f64)>,
    baseline: impl Iterator<Item = (u16, f64)>,
    mut known: Vec<(u16, [f64; 2])>,
) -> Vec<(u16, [f64; 2])> {
    let both = candidate
        .map(|token| (token, 0))
        .chain(baseline.map(|token| (token, 1)));
    for ((code, count), arm) in both {
        let index = match known.iter().position(|token| token.0 == code) {
            Some(index) => index,
            None => {
                known.push((code, [0.0; 2]));
                known.len() - 1
            }
        };
        if let Some(sum) = known.get_mut(index).and_then(|token| token.1.get_mut(arm)) {
            *sum += count;
        }
    }
    known
}
