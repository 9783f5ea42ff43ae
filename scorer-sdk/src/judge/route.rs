//! One route of a destination: the past of both arms, the block that is being gathered, and the
//! evidence.
//!
//! What is gathered is judged (`judge/block.rs`) before it is learned from (`judge/past.rs`).

use super::body::Bodies;
use super::gathered::{Gathered, LONGEST_BLOCK_TICKS};
use super::judged::Judged;
use super::pair::Pair;
use super::phase::Judgement;
use crate::config::Plan;
use crate::count::delta::VersionDelta;
use crate::evidence::ChangeTest;
use crate::limits::MAX_SIGNALS;
use crate::route::RouteKey;
use crate::sketch::{Counts, DecayedCounts, NameTable};
use crate::wire::codec::{CodecError, Reader, Writer};
use crate::wire::reference::Reference;

/// Which version served an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    Baseline = 0,
    Candidate = 1,
}

/// Exchanges of an arm that are remembered however long they are ago.
const LEAST_REMEMBERED: f64 = 1_000.0;
/// Per arm, per signal.
type PerArm<T> = [Vec<T>; 2];

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) key: RouteKey,
    /// Its part of the weight of all routes.
    pub(super) part: f64,
    pub(super) idle_ticks: u32,
    pub(super) names: Vec<NameTable>,
    pub(super) past: PerArm<DecayedCounts>,
    pub(super) gathered: Gathered,
    /// The baseline's halves.
    pub(super) halves: Gathered,
    pub(super) pairs: Vec<Pair>,
    /// Per question, exchanges of baseline and candidate in the category since the last
    /// [`Route::drain`]; for metrics, not part of the state.
    pub(super) counted: Vec<[u64; 2]>,
    /// Per question, whether a yes was declared.
    pub(super) expected: Vec<bool>,
    pub(super) changes: Vec<ChangeTest>,
    pub(super) bodies: Bodies,
}

impl Route {
    pub(super) fn new(plan: &Plan, key: RouteKey, part: f64) -> Self {
        let signals = plan.signals.len();
        let mut route = Self {
            key,
            part,
            idle_ticks: 0,
            names: vec![NameTable::default(); signals],
            past: [
                vec![DecayedCounts::default(); signals],
                vec![DecayedCounts::default(); signals],
            ],
            gathered: Gathered::new(signals),
            halves: Gathered::new(signals),
            pairs: Vec::new(),
            counted: vec![[0; 2]; plan.questions.len()],
            expected: Vec::new(),
            changes: Vec::new(),
            bodies: Bodies::default(),
        };
        route.restart(plan);
        if let Some(reference) = &plan.reject.reference {
            route.learn_reference(plan, reference);
        }
        route
    }

    fn learn_reference(&mut self, plan: &Plan, reference: &Reference) {
        let Some(found) = reference.route(&self.key.method, &self.key.path) else {
            return;
        };
        let [baseline, _] = &mut self.past;
        for ((signal, past), names) in plan.signals.iter().zip(baseline).zip(&mut self.names) {
            *past = found.past(signal.as_ref(), names);
        }
    }

    /// Forgets evidence and the candidate's past: a new rollout begins.
    pub(super) fn restart(&mut self, plan: &Plan) {
        let [_, candidate] = &mut self.past;
        candidate
            .iter_mut()
            .for_each(|past| *past = DecayedCounts::default());
        self.expected = (0..plan.questions.len())
            .map(|question| plan.is_expected(&self.key, question))
            .collect();
        self.pairs = plan
            .questions
            .iter()
            .map(|(_, question)| Pair::new(question))
            .collect();
        self.changes = vec![ChangeTest::default(); plan.signals.len()];
        self.gathered = Gathered::new(plan.signals.len());
        self.bodies.restart();
    }

    /// Forgets what was gathered of the baseline's halves.
    pub(super) fn forget_halves(&mut self, plan: &Plan) {
        self.halves = Gathered::new(plan.signals.len());
    }

    /// The candidate has become the baseline.
    pub(super) fn promote(&mut self) {
        self.past.reverse();
        self.bodies.promote();
    }

    /// Per question, what was counted of baseline and candidate since the last call.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = [u64; 2]> + '_ {
        self.counted.iter_mut().map(core::mem::take)
    }

    /// Gathers what a worker counted. `worker_names` are the names behind its codes.
    pub(super) fn gather(&mut self, arm: Arm, worker_names: &[NameTable], version: &VersionDelta) {
        let indices = self.gathered.side_mut(arm as usize).iter_mut();
        for (((counts, gathered), own), theirs) in version
            .counts
            .iter()
            .zip(indices)
            .zip(&mut self.names)
            .zip(worker_names)
        {
            translate(counts, theirs, own, gathered);
        }
        if let Some(bodies) = self.bodies.gathered.get_mut(arm as usize) {
            bodies.merge(&version.bodies);
        }
        if arm == Arm::Baseline {
            for (half, counts) in version.halves.iter().enumerate() {
                let indices = self.halves.side_mut(half).iter_mut();
                for (((counts, gathered), own), theirs) in counts
                    .iter()
                    .zip(indices)
                    .zip(&mut self.names)
                    .zip(worker_names)
                {
                    translate(counts, theirs, own, gathered);
                }
            }
        }
        self.idle_ticks = 0;
    }

    /// Ends the tick: judges the gathered block if it may be, then learns from it.
    pub(super) fn tick(&mut self, plan: &Plan, judgement: Judgement, judged: &mut Judged) {
        self.idle_ticks = self.idle_ticks.saturating_add(1);
        self.judge_halves(plan, judged);
        if self.gathered.is_empty() {
            return;
        }
        self.gathered.ticks += 1;
        let guarded = plan.reject.reference.is_some();
        // A guard compares with its reference, where that knows the route.
        let comparable = if guarded {
            self.baseline_weight() > 0.0
        } else {
            self.gathered.has(Arm::Baseline as usize)
        };
        let complete = self.gathered.has(Arm::Candidate as usize) && comparable;
        match judgement {
            Judgement::Judge if !complete && self.gathered.may_wait() => return,
            Judgement::Judge if self.gathered.is_small() => return,
            Judgement::Judge if complete => {
                judged.candidate_exchanges += self.gathered.exchanges(Arm::Candidate as usize);
                self.judge(plan, judged);
                self.bodies.judge(plan, &self.expected, &mut self.counted);
                self.judge_change(plan);
            }
            _ => {}
        }
        self.learn(plan);
    }

    fn learn(&mut self, plan: &Plan) {
        let block = core::mem::replace(&mut self.gathered, Gathered::new(plan.signals.len()));
        let keep = plan
            .keep_per_tick()
            .powi(block.ticks.min(LONGEST_BLOCK_TICKS) as i32);
        // What came seldom is not forgotten by time alone.
        let keep = |total: f64| keep.max((LEAST_REMEMBERED / total.max(1.0)).min(1.0) as f32);
        self.bodies.learn(keep);
        let guarded = plan.reject.reference.is_some();
        for (index, (past, counts)) in self.past.iter_mut().zip(&block.counts).enumerate() {
            if guarded && index == Arm::Baseline as usize {
                continue;
            }
            for (past, counts) in past.iter_mut().zip(counts) {
                past.decay_and_add(keep(past.total()), counts);
            }
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.key.encode(writer);
        writer.f64(self.part);
        writer.u32(self.idle_ticks);
        writer.length(self.names.len());
        self.names.iter().for_each(|names| names.encode(writer));
        self.past
            .iter()
            .flatten()
            .for_each(|past| past.encode(writer));
        self.gathered.encode(writer);
        self.halves.encode(writer);
        self.pairs.iter().for_each(|pair| pair.encode(writer));
        self.changes.iter().for_each(|change| change.encode(writer));
        self.bodies.encode(writer);
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut route = Self::new(
            plan,
            RouteKey::decode(reader)?,
            reader.f64()?.clamp(0.0, 1.0),
        );
        route.idle_ticks = reader.u32()?;
        let signals = reader.length(MAX_SIGNALS)?;
        if signals != plan.signals.len() {
            return Err(CodecError::Unknown {
                what: "number of signals",
                value: signals as u64,
            });
        }
        for names in &mut route.names {
            *names = NameTable::decode(reader)?;
        }
        for past in route.past.iter_mut().flatten() {
            *past = DecayedCounts::decode(reader)?;
        }
        route.gathered = Gathered::decode(reader, signals)?;
        route.halves = Gathered::decode(reader, signals)?;
        for ((_, question), pair) in plan.questions.iter().zip(&mut route.pairs) {
            *pair = Pair::decode(reader, question)?;
        }
        for change in &mut route.changes {
            *change = ChangeTest::decode(reader)?;
        }
        route.bodies = Bodies::decode(plan, reader)?;
        Ok(route)
    }
}

/// Adds a worker's counts, whose codes stand for `theirs`.
fn translate(counts: &Counts, theirs: &NameTable, own: &mut NameTable, sum: &mut Counts) {
    for (code, count) in counts.iter() {
        let code = match theirs.name(code) {
            Some(name) => own.code(name),
            None => code,
        };
        sum.add(code, count);
    }
}
