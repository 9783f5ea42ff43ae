//! One route of a destination: the past of both arms, the block that is being gathered, and the
//! evidence.
//!
//! A gathered block is judged (`judge/block.rs`) before the past learns it (`judge/past.rs`).

use super::arm::Arm;
use super::block;
use super::body::Bodies;
use super::change::Change;
use super::gathered::Gathered;
use super::judged::Judged;
use super::pair::Pair;
use super::past::Past;
use super::phase::Judgement;
use crate::config::Plan;
use crate::count::delta::VersionDelta;
use crate::evidence::Spread;
use crate::route::RouteKey;
use crate::sketch::NameTable;
use crate::wire::codec::{CodecError, Reader, Writer};

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) key: RouteKey,
    /// Its part of the weight of all routes.
    pub(super) part: f64,
    pub(super) idle_ticks: u32,
    pub(super) past: Past,
    gathered: Gathered,
    /// The baseline's halves.
    halves: Gathered,
    /// Per question.
    pub(super) pairs: Vec<Pair>,
    /// Per question, exchanges of baseline and candidate in the category since the last
    /// [`Route::drain`]; for metrics, not part of the state.
    counted: Vec<[u64; 2]>,
    /// Per question, whether a yes was declared.
    expected: Vec<bool>,
    /// Per signal.
    pub(super) changes: Vec<Change>,
    pub(super) bodies: Bodies,
}

impl Route {
    pub(super) fn new(plan: &Plan, key: RouteKey, part: f64) -> Self {
        let signals = plan.signals.len();
        let mut route = Self {
            key,
            part,
            idle_ticks: 0,
            past: Past::new(signals),
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
            route.past.learn_reference(plan, &route.key, reference);
        }
        route
    }

    /// Forgets evidence and the candidate's past: a new rollout begins.
    pub(super) fn restart(&mut self, plan: &Plan) {
        self.past.forget_candidate();
        self.expected = (0..plan.questions.len())
            .map(|question| plan.is_expected(&self.key, question))
            .collect();
        self.pairs = plan
            .questions
            .iter()
            .map(|(_, question)| Pair::new(question))
            .collect();
        self.changes = vec![Change::default(); plan.signals.len()];
        self.gathered = Gathered::new(plan.signals.len());
        self.bodies.restart();
    }

    /// Forgets what was gathered of the baseline's halves.
    pub(super) fn forget_halves(&mut self, plan: &Plan) {
        self.halves = Gathered::new(plan.signals.len());
    }

    /// The candidate has become the baseline.
    pub(super) fn promote(&mut self) {
        self.past.promote();
        self.bodies.promote();
    }

    /// Per question, what was counted of baseline and candidate since the last call.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = [u64; 2]> + '_ {
        self.counted.iter_mut().map(core::mem::take)
    }

    /// Gathers what a worker counted. `names` are the names behind its codes.
    pub(super) fn gather(&mut self, arm: Arm, names: &[NameTable], version: &VersionDelta) {
        let own = self.past.names_mut();
        self.gathered.add(arm as usize, &version.counts, names, own);
        if let Some(bodies) = self.bodies.gathered.get_mut(arm as usize) {
            bodies.merge(&version.bodies);
        }
        if arm == Arm::Baseline {
            for (half, counts) in version.halves.iter().enumerate() {
                self.halves.add(half, counts, names, own);
            }
        }
        self.idle_ticks = 0;
    }

    /// Ends the tick: judges the gathered block if it may be, then learns from it. `spreads` say,
    /// per signal, how much versions that are alike differ.
    pub(super) fn tick(
        &mut self,
        plan: &Plan,
        judgement: Judgement,
        spreads: &[Spread],
        judged: &mut Judged,
    ) {
        self.idle_ticks = self.idle_ticks.saturating_add(1);
        self.judge_halves(plan, judged);
        if self.gathered.is_empty() {
            return;
        }
        self.gathered.ticks = self.gathered.ticks.saturating_add(1);
        let guarded = plan.reject.reference.is_some();
        // A guard compares with its reference, where that knows the route.
        let comparable = if guarded {
            self.past.weight(Arm::Baseline) > 0.0
        } else {
            self.gathered.has(Arm::Baseline as usize)
        };
        let complete = self.gathered.has(Arm::Candidate as usize) && comparable;
        match judgement {
            Judgement::Judge if !complete && self.gathered.may_wait() => return,
            Judgement::Judge if self.gathered.is_small() => return,
            Judgement::Judge if complete => self.judge(plan, spreads, judged),
            _ => {}
        }
        self.learn(plan);
    }

    /// Judges the baseline's halves, once both are in the block and it is large enough.
    fn judge_halves(&mut self, plan: &Plan, judged: &mut Judged) {
        if self.halves.is_empty() {
            return;
        }
        self.halves.ticks = self.halves.ticks.saturating_add(1);
        let complete = self.halves.has(0) && self.halves.has(1);
        if (!complete && self.halves.may_wait()) || self.halves.is_small() {
            return;
        }
        if complete {
            let questions = block::questions(plan, &self.past, &self.expected);
            block::judge_halves(&questions, &self.halves, judged);
        }
        self.forget_halves(plan);
    }

    fn judge(&mut self, plan: &Plan, spreads: &[Spread], judged: &mut Judged) {
        judged.candidate_exchanges += self.gathered.exchanges(Arm::Candidate as usize);
        let questions = block::questions(plan, &self.past, &self.expected);
        let (past, gathered) = (&self.past, &self.gathered);
        let (pairs, counted) = (&mut self.pairs, &mut self.counted);
        if plan.reject.reference.is_some() {
            block::judge_against_reference(&questions, past, gathered, pairs, counted);
            self.bodies.judge(plan, &self.expected, counted);
        } else {
            block::judge_pairs(&questions, gathered, pairs, counted, judged);
            self.bodies.judge(plan, &self.expected, counted);
            let changes = &mut self.changes;
            block::judge_changes(plan, &self.key, past, gathered, spreads, changes, judged);
        }
    }

    fn learn(&mut self, plan: &Plan) {
        let block = core::mem::replace(&mut self.gathered, Gathered::new(plan.signals.len()));
        self.bodies.learn(Past::keep(plan, block.ticks));
        self.past.learn(plan, &block);
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.key.encode(writer);
        writer.f64(self.part);
        writer.u32(self.idle_ticks);
        self.past.encode(writer);
        self.gathered.encode(writer);
        self.halves.encode(writer);
        self.pairs.iter().for_each(|pair| pair.encode(writer));
        self.changes.iter().for_each(|change| change.encode(writer));
        self.bodies.encode(writer);
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let signals = plan.signals.len();
        let mut route = Self::new(
            plan,
            RouteKey::decode(reader)?,
            reader.f64()?.clamp(0.0, 1.0),
        );
        route.idle_ticks = reader.u32()?;
        route.past = Past::decode(reader, signals)?;
        route.gathered = Gathered::decode(reader, signals)?;
        route.halves = Gathered::decode(reader, signals)?;
        for ((_, question), pair) in plan.questions.iter().zip(&mut route.pairs) {
            *pair = Pair::decode(reader, question)?;
        }
        for change in &mut route.changes {
            *change = Change::decode(reader)?;
        }
        route.bodies = Bodies::decode(plan, reader)?;
        Ok(route)
    }
}
