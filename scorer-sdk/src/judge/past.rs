//! The past of one route: what each arm showed, decayed, with the names behind its codes.
//!
//! Questions are put to it before a block is judged, so that their cuts never come from the block
//! itself.

use super::arm::Arm;
use super::gathered::{Gathered, LONGEST_BLOCK_TICKS};
use crate::config::Plan;
use crate::memory::RememberedRoute;
use crate::route::RouteKey;
use crate::signal::{Asked, Question, Rule, Signal};
use crate::sketch::{Counts, DecayedCounts, NameTable, buckets};
use crate::wire::codec::{CodecError, Reader, Writer};
use crate::wire::reference::Reference;

/// Decayed exchanges of each arm that are needed before a distance between them is told.
pub(super) const LEAST_FOR_DISTANCE: f64 = 50.0;
/// Exchanges of an arm that are remembered however long ago they were.
const LEAST_REMEMBERED: f64 = 1_000.0;
/// Exchanges of a memory that count.
const MOST_RECALLED: f64 = 1e6;

/// What both arms showed on one route.
#[derive(Debug, Clone)]
pub(super) struct Past {
    /// Per signal, the names behind the codes of both arms.
    names: Vec<NameTable>,
    /// Per arm and signal.
    counts: [Vec<DecayedCounts>; 2],
    /// Per arm, [`Past::weight`] of these counts.
    weights: [f64; 2],
}

impl Past {
    /// Nothing is known of any signal.
    pub(super) fn new(signals: usize) -> Self {
        Self {
            names: vec![NameTable::default(); signals],
            counts: [
                vec![DecayedCounts::default(); signals],
                vec![DecayedCounts::default(); signals],
            ],
            weights: [0.0; 2],
        }
    }

    /// Takes the baseline's past from a reference, where it knows the route.
    pub(super) fn learn_reference(&mut self, plan: &Plan, key: &RouteKey, reference: &Reference) {
        let Some(found) = reference.route(&key.method, &key.path) else {
            return;
        };
        let [baseline, _] = &mut self.counts;
        for ((signal, past), names) in plan.signals.iter().zip(baseline).zip(&mut self.names) {
            *past = found.past(signal.as_ref(), names);
        }
        self.weigh();
    }

    /// What the baseline showed, with the names behind it.
    pub(super) fn remembered(&self) -> (Vec<NameTable>, Vec<DecayedCounts>) {
        (self.names.clone(), self.arm(Arm::Baseline).to_vec())
    }

    /// Takes the baseline's past from a memory, if that has as many signals. `keep` says which part is
    /// left of it, by its exchanges.
    pub(super) fn recall(&mut self, known: &RememberedRoute, keep: impl Fn(f64) -> f32) -> bool {
        let [baseline, _] = &mut self.counts;
        if known.counts.len() != baseline.len() || known.names.len() != self.names.len() {
            return false;
        }
        self.names.clone_from(&known.names);
        for (past, known) in baseline.iter_mut().zip(&known.counts) {
            past.clone_from(known);
            let total = past.total();
            // Whatever it says, what is seen here outweighs it before long.
            let most = (MOST_RECALLED / total.max(1.0)).min(1.0) as f32;
            past.decay_and_add(keep(total).min(most), &Counts::default());
        }
        self.weigh();
        true
    }

    /// Forgets the candidate.
    pub(super) fn forget_candidate(&mut self) {
        let [_, candidate] = &mut self.counts;
        candidate
            .iter_mut()
            .for_each(|past| *past = DecayedCounts::default());
        self.weigh();
    }

    /// The candidate has become the baseline.
    pub(super) fn promote(&mut self) {
        self.counts.reverse();
        self.weights.reverse();
    }

    /// The part of the past that is kept when a block ends that was gathered over `ticks` ticks, by
    /// the exchanges that are remembered.
    pub(super) fn keep(plan: &Plan, ticks: u32) -> impl Fn(f64) -> f32 + Copy {
        let keep = plan
            .keep_per_tick()
            .powi(ticks.min(LONGEST_BLOCK_TICKS) as i32);
        // What comes rarely is not forgotten by time alone.
        move |total: f64| keep.max((LEAST_REMEMBERED / total.max(1.0)).min(1.0) as f32)
    }

    /// The part of a memory that is kept when it is `age_ms` old, by the exchanges that it has.
    pub(super) fn keep_of_memory(plan: &Plan, age_ms: u64) -> impl Fn(f64) -> f32 + Copy {
        let ticks = age_ms as f64 / (plan.tick.as_millis() as f64).max(1.0);
        let keep = f64::from(plan.keep_per_tick()).powf(ticks) as f32;
        move |total: f64| keep.max((LEAST_REMEMBERED / total.max(1.0)).min(1.0) as f32)
    }

    /// Learns a block, of which `keep` of the past is left. A guard's baseline is its reference and learns nothing.
    pub(super) fn learn(&mut self, plan: &Plan, block: &Gathered, keep: impl Fn(f64) -> f32) {
        let guarded = plan.reject.reference.is_some();
        for (index, (past, counts)) in self.counts.iter_mut().zip(&block.counts).enumerate() {
            if guarded && index == Arm::Baseline as usize {
                continue;
            }
            for (past, counts) in past.iter_mut().zip(counts) {
                past.decay_and_add(keep(past.total()), counts);
            }
        }
        self.weigh();
    }

    /// The names behind the codes, per signal.
    pub(super) fn names(&self) -> &[NameTable] {
        &self.names
    }

    /// As [`Past::names`], for codes of workers to be translated into.
    pub(super) fn names_mut(&mut self) -> &mut [NameTable] {
        &mut self.names
    }

    /// What an arm showed, per signal.
    pub(super) fn arm(&self, arm: Arm) -> &[DecayedCounts] {
        self.counts.get(arm as usize).map_or(&[], Vec::as_slice)
    }

    /// What baseline and candidate showed on a signal.
    pub(super) fn both(&self, signal: usize) -> Option<[&DecayedCounts; 2]> {
        Some([
            self.arm(Arm::Baseline).get(signal)?,
            self.arm(Arm::Candidate).get(signal)?,
        ])
    }

    /// Decayed exchanges of an arm, by the signal that saw most of them.
    pub(super) fn weight(&self, arm: Arm) -> f64 {
        self.weights.get(arm as usize).copied().unwrap_or(0.0)
    }

    /// To be called when the counts have changed: they are weighed more often than they change.
    #[inline(never)]
    fn weigh(&mut self) {
        for (weight, counts) in self.weights.iter_mut().zip(&self.counts) {
            let totals = counts.iter().map(DecayedCounts::total);
            *weight = totals.fold(0.0, f64::max);
        }
    }

    /// Whether anything is known of an arm on a signal.
    pub(super) fn knows(&self, arm: Arm, signal: usize) -> bool {
        self.arm(arm)
            .get(signal)
            .is_some_and(|past| past.total() > 0.0)
    }

    /// A question of the plan with its cuts from the baseline's past; `None` while too little is
    /// known to put it.
    pub(super) fn ask(&self, plan: &Plan, signal: usize, question: &Question) -> Option<Asked> {
        Asked::freeze(
            question,
            plan.signals.get(signal)?.as_ref(),
            self.arm(Arm::Baseline).get(signal)?,
            self.names.get(signal)?,
        )
    }

    /// Decayed exchanges of the baseline that are in a category, and all of them.
    pub(super) fn baseline_rate(
        &self,
        plan: &Plan,
        signal: usize,
        question: &Question,
    ) -> Option<[f64; 2]> {
        let asked = self.ask(plan, signal, question)?;
        let past = self.arm(Arm::Baseline).get(signal)?;
        Some([inside(past, &asked), past.total()])
    }

    /// Total variation distance between the arms on a signal; 0 while too little is known.
    pub(super) fn distance(&self, index: usize, signal: &dyn Signal) -> f64 {
        let Some([baseline, candidate]) = self.both(index) else {
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

    /// The natural log of the odds ratio at a cut that a shift of all durations makes, by the baseline's
    /// own: `ln odds(d > cut·e^−shift) − ln odds(d > cut)`. `None` where the question has no cut.
    pub(super) fn log_odds_of_shift(
        &self,
        signal: usize,
        asked: &Asked,
        shift: f64,
    ) -> Option<f64> {
        let Asked::Above(cut) = asked else {
            return None;
        };
        let past = self.arm(Arm::Baseline).get(signal)?;
        let before = buckets::code((buckets::upper_bound(*cut) as f64 * (-shift).exp()) as u64);
        let odds = |cut: u16| {
            let above: f64 = past
                .iter()
                .filter(|(code, _)| *code > cut)
                .map(|(_, count)| f64::from(count))
                .sum();
            // Half an exchange on each side keeps the logs finite.
            ((above + 0.5) / ((past.total() - above).max(0.0) + 0.5)).ln()
        };
        Some((odds(before) - odds(*cut)).max(0.0))
    }

    /// The code above the highest quantile that is asked of the baseline's durations, the 99th
    /// percentile of the built-in signal, widened by the margin.
    pub(super) fn slow_cut(&self, plan: &Plan) -> Option<u16> {
        let duration = plan.duration()?;
        let (_, (signal, question)) = plan
            .questions
            .iter()
            .filter(|(index, _)| *index == duration)
            .filter_map(|known| match known.1.rule {
                Rule::Above { quantile } => Some((quantile, known)),
                _ => None,
            })
            .max_by(|one, other| one.0.total_cmp(&other.0))?;
        match self.ask(plan, *signal, question)? {
            Asked::Above(cut) => Some(cut),
            _ => None,
        }
    }

    /// The code of the slowest exchanges of either arm that are remembered.
    pub(super) fn slowest(&self, plan: &Plan) -> Option<u16> {
        let index = plan.duration()?;
        self.counts
            .iter()
            .filter_map(|arm| arm.get(index)?.iter().last())
            .map(|(code, _)| code)
            .max()
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.list(&self.names, NameTable::encode);
        self.counts
            .iter()
            .flatten()
            .for_each(|past| past.encode(writer));
    }

    /// Reads what [`Past::encode`] wrote for `signals` signals.
    pub(super) fn decode(reader: &mut Reader<'_>, signals: usize) -> Result<Self, CodecError> {
        let found = reader.length(crate::limits::MAX_SIGNALS)?;
        if found != signals {
            return Err(CodecError::Unknown {
                what: "number of signals",
                value: found as u64,
            });
        }
        let mut past = Self::new(signals);
        for names in &mut past.names {
            *names = NameTable::decode(reader)?;
        }
        for counts in past.counts.iter_mut().flatten() {
            *counts = DecayedCounts::decode(reader)?;
        }
        past.weigh();
        Ok(past)
    }
}

/// Decayed exchanges that are in a category.
pub(super) fn inside(past: &DecayedCounts, asked: &Asked) -> f64 {
    past.iter()
        .filter(|(code, _)| asked.is_bad(*code))
        .map(|(_, count)| f64::from(count))
        .sum()
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
