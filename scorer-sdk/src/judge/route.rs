//! One route of a destination: the past of both arms, the block that is being gathered, and the
//! evidence.
//!
//! A gathered block is judged (`judge/block.rs`) before the past learns it (`judge/past.rs`).

use super::answers::Tallied;
use super::arm::Arm;
use super::block;
use super::block::Ready;
use super::body::Bodies;
use super::change::Change;
use super::examples::Examples;
use super::gathered::{Gathered, Trials};
use super::halves::Halves;
use super::judged::Judged;
use super::moment::Moment;
use super::pair::Pair;
use super::past::{self, Past};
use super::phase::Judgement;
use super::recent::Recent;
use super::trial::{self, Trial, bit, counts_cases};
use super::units::{Imbalance, Units};
use crate::config::Plan;
use crate::count::delta::VersionDelta;
use crate::count::examples::Example;
use crate::count::rows::{NO_TOKEN, RowFacts, Rows};
use crate::evidence::Spread;
use crate::exchange::NO_ODDS;
use crate::route::RouteKey;
use crate::sketch::{Counts, DecayedCounts, NameTable, buckets};
use crate::wire::codec::{CodecError, Reader, Writer};

/// Exchanges of the past that weigh as much as those of the tick in the rate that is expected of a
/// unit: a tick with one exchange says nothing about a rate.
const OF_BEFORE: f64 = 5.0;

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) key: RouteKey,
    /// Its part of the weight of all routes.
    pub(super) part: f64,
    pub(super) idle_ticks: u32,
    pub(super) past: Past,
    /// Rows of this tick, per arm, with the route's own codes; not part of the state.
    rows: [Rows; 2],
    /// Examples of this tick among the candidate's rows: the row, the categories that its body is in,
    /// and the exchange; not part of the state.
    offered: Vec<(usize, u64, Example)>,
    /// Those of the candidate that are in a category.
    pub(super) examples: Examples,
    /// What came in this tick; not part of the state.
    fresh: Gathered,
    /// What the past will learn when the block ends.
    gathered: Gathered,
    /// How unlike the versions' sessions are.
    sessions: Imbalance,
    /// What the judged exchanges of the block showed.
    compared: Gathered,
    /// The trials of the block.
    trials: Trials,
    /// Those of the baseline's halves.
    halves: Trials,
    /// Per question.
    pub(super) pairs: Vec<Pair>,
    /// Per question, exchanges of baseline and candidate in the category since the last
    /// [`Route::drain`]; for metrics, not part of the state.
    counted: Vec<[u64; 2]>,
    /// The same over the last half minute or so.
    pub(super) recent: Recent,
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
            rows: no_rows(plan),
            offered: Vec::new(),
            examples: Examples::default(),
            fresh: Gathered::new(signals),
            gathered: Gathered::new(signals),
            sessions: Imbalance::default(),
            compared: Gathered::new(signals),
            trials: Trials::default(),
            halves: Trials::default(),
            pairs: Vec::new(),
            counted: vec![[0; 2]; plan.questions.len()],
            recent: Recent::default(),
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
        self.recent.forget_candidate();
        self.examples.clear();
        self.offered.clear();
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
        self.compared = Gathered::new(plan.signals.len());
        self.trials = Trials::default();
        self.sessions.forget(Arm::Candidate);
        self.bodies.restart();
    }

    /// Forgets what was gathered of the baseline's halves.
    pub(super) fn forget_halves(&mut self) {
        self.halves = Trials::default();
    }

    /// The candidate has become the baseline, of what is still to be learned as well.
    pub(super) fn promote(&mut self, plan: &Plan) {
        self.past.promote();
        self.recent.promote();
        self.examples.clear();
        self.offered.clear();
        self.sessions.swap();
        self.bodies.promote();
        self.gathered.promote();
        self.compared = Gathered::new(plan.signals.len());
        self.trials = Trials::default();
        self.forget_halves();
    }

    /// Per question, what was counted of baseline and candidate since the last call.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = [u64; 2]> + '_ {
        self.counted.iter_mut().map(core::mem::take)
    }

    /// Gathers what a worker counted. `names` are the names behind its codes.
    pub(super) fn gather(
        &mut self,
        plan: &Plan,
        arm: Arm,
        names: &[NameTable],
        version: &VersionDelta,
    ) {
        let own = self.past.names_mut();
        self.fresh.add(arm as usize, &version.counts, names, own);
        if let Some(bodies) = self.bodies.gathered.get_mut(arm as usize) {
            bodies.merge(&version.bodies);
        }
        let signals = plan.row_signals();
        // A worker whose plan has just been replaced may have asked other signals.
        if let Some(rows) = self
            .rows
            .get_mut(arm as usize)
            .filter(|rows| rows.width() == version.rows.width())
        {
            if arm == Arm::Candidate {
                let examples = version.rows.examples();
                let body = if examples.iter().any(|it| it.has_body) {
                    self.bodies.all_in(&version.bodies)
                } else {
                    0
                };
                let first = rows.len();
                self.offered.extend(examples.iter().map(|it| {
                    let of_body = if it.has_body { body } else { 0 };
                    (first.saturating_add(it.row), of_body, it.example)
                }));
            }
            // A name is looked for once, and not at each of its rows.
            let known = |signal: &usize| names.get(*signal).map_or(0, NameTable::len);
            let mut translated: Vec<Vec<Option<u16>>> = signals
                .iter()
                .map(|signal| vec![None; known(signal)])
                .collect();
            rows.reserve(version.rows.len());
            for (facts, tokens) in version.rows.iter() {
                rows.begin(facts);
                for ((signal, token), translated) in signals.iter().zip(tokens).zip(&mut translated)
                {
                    rows.token(match translated.get_mut(usize::from(*token)) {
                        Some(Some(own)) => *own,
                        Some(unknown) => {
                            let name = names.get(*signal).and_then(|table| table.name(*token));
                            let own = match (name, own.get_mut(*signal)) {
                                (Some(name), Some(own)) => own.code(name),
                                _ => *token,
                            };
                            *unknown = Some(own);
                            own
                        }
                        None => *token,
                    });
                }
            }
        }
        self.idle_ticks = 0;
    }

    /// Whether a block of it was judged in this rollout.
    pub(super) fn was_judged(&self) -> bool {
        let judged = |pair: &Pair| pair.candidate.total + pair.baseline.total > 0;
        self.pairs.iter().any(judged) || !self.bodies.pairs.is_empty()
    }

    /// Exchanges that it is known by: decayed ones of the past, and those that wait.
    pub(super) fn exchanges(&self) -> u64 {
        let sides = [Arm::Baseline, Arm::Candidate];
        let past: f64 = sides.iter().map(|arm| self.past.weight(*arm)).sum();
        let waiting: u64 = [&self.fresh, &self.gathered]
            .iter()
            .flat_map(|counts| sides.map(|arm| counts.side(arm as usize)))
            .filter_map(|of_signals| of_signals.iter().map(Counts::total).max())
            .sum();
        (past.round() as u64).saturating_add(waiting)
    }

    /// The rows of this tick of one arm.
    pub(super) fn rows(&self, arm: Arm) -> impl Iterator<Item = (RowFacts, &[u16])> {
        self.rows.get(arm as usize).into_iter().flat_map(Rows::iter)
    }

    /// The natural log of the baseline's median duration in microseconds; none while it is unknown.
    pub(super) fn usual_duration(&self, signal: usize) -> Option<f64> {
        let past = self.past.arm(Arm::Baseline).get(signal)?;
        past.quantile(0.5).map(log_duration)
    }

    /// Ends the tick: judges the gathered block if it may be, then learns from it. `spreads` say,
    /// per signal, how much versions that are alike differ.
    pub(super) fn tick(
        &mut self,
        plan: &Plan,
        moment: &Moment,
        (units, spreads): (&mut Units, &[Spread]),
        halves: &Halves,
        judged: &mut Judged,
    ) {
        self.idle_ticks = self.idle_ticks.saturating_add(1);
        self.halves.ticks = self.halves.ticks.saturating_add(1);
        self.sessions.decay(Units::keep_busy(plan));
        self.recent.decay(plan);
        if self.fresh.is_empty() && self.gathered.is_empty() {
            if moment.judgement == Judgement::Judge && self.rows.iter().any(Rows::has_cases) {
                // Cases wait for the exchanges that they are compared with, and end no block.
                let questions = block::questions(plan, &self.past, &self.expected);
                self.ask(plan, moment, &questions, units, halves, judged);
                self.trials.ticks = self.trials.ticks.saturating_add(1);
                self.trials.wait();
            }
            // Rows without a token would be seen again in the next tick.
            self.rows.iter_mut().for_each(Rows::clear);
            self.offered.clear();
            self.judge_halves(plan, judged);
            return;
        }
        self.trials.ticks = self.trials.ticks.saturating_add(1);
        let questions = block::questions(plan, &self.past, &self.expected);
        self.count(&questions);
        self.ask(plan, moment, &questions, units, halves, judged);
        self.judge_halves(plan, judged);
        let guarded = plan.reject.reference.is_some();
        let complete = if guarded {
            // A guard compares with its reference, where that knows the route.
            self.trials.of_random_part(Arm::Candidate as usize) > 0
                && self.past.weight(Arm::Baseline) > 0.0
        } else {
            self.trials.is_complete()
        };
        match moment.judgement {
            Judgement::Judge if !complete && self.trials.may_wait() => {
                self.trials.wait();
                return;
            }
            Judgement::Judge if self.trials.is_small() => {
                self.trials.wait();
                return;
            }
            Judgement::Judge if complete => {
                self.judge(plan, moment, &questions, (units, spreads), judged);
            }
            _ => self.bodies.count(plan, &self.expected, &mut self.counted),
        }
        self.learn(plan);
    }

    /// Counts what came in this tick in its categories, whatever becomes of the block, and adds it to
    /// the block.
    fn count(&mut self, questions: &[Ready]) {
        block::count(questions, &self.fresh, &mut self.counted, &mut self.recent);
        self.gathered.take(&mut self.fresh);
    }

    /// Puts the questions to the rows of this tick.
    fn ask(
        &mut self,
        plan: &Plan,
        moment: &Moment,
        questions: &[Ready],
        units: &mut Units,
        halves: &Halves,
        judged: &mut Judged,
    ) {
        let [baseline, candidate] = core::mem::replace(&mut self.rows, no_rows(plan));
        let (columns, row_signals) = (plan.row_columns(), plan.row_signals());
        let mut offered = core::mem::take(&mut self.offered);
        crate::order::sort_by(&mut offered, |one, other| one.0.cmp(&other.0));
        let duration = plan.duration();
        let of_duration = questions
            .iter()
            .filter(|question| duration == Some(question.signal))
            .fold(0, |bits, question| bits | bit(question.number));
        for (arm, rows) in [(Arm::Baseline, baseline), (Arm::Candidate, candidate)] {
            let mut warm: Vec<(u32, bool)> = Vec::new();
            let mut trials = Vec::with_capacity(rows.len());
            // Those of the candidate alone were offered.
            let mut examples = offered.iter().filter(|_| arm == Arm::Candidate).peekable();
            for (row, (facts, tokens)) in rows.iter().enumerate() {
                let mut trial = Trial::of(plan, facts, tokens, columns, questions);
                if trial.is_case && trial.asked == 0 {
                    continue;
                }
                let known = warm.iter().find(|known| known.0 == facts.host);
                let is_warm = match known {
                    Some(known) => known.1,
                    None => {
                        let is_warm = units.is_warm(plan, arm, facts.host, moment.now_ms);
                        warm.push((facts.host, is_warm));
                        is_warm
                    }
                };
                if !is_warm {
                    trial.asked &= !of_duration;
                    trial.inside &= !of_duration;
                }
                while let Some((of_row, of_body, example)) = examples.next_if(|it| it.0 <= row) {
                    // The row before may have been one that nothing is asked of.
                    if *of_row == row {
                        self.examples.add(trial.inside | of_body, example);
                    }
                }
                trials.push(trial);
                if !trial.is_case {
                    self.sessions.see(arm, facts.session);
                }
                let is_admitted = arm == Arm::Baseline || units.admits(facts.session);
                if !is_admitted || facts.lasted > moment.longest {
                    continue;
                }
                self.trials.add(arm as usize, trial);
                if trial.is_case {
                    continue;
                }
                for (signal, token) in row_signals.iter().zip(tokens) {
                    let tells = is_warm || duration != Some(*signal);
                    if tells && *token != NO_TOKEN {
                        self.compared.count(arm as usize, *signal, *token);
                    }
                }
            }
            if arm == Arm::Baseline {
                self.learn_units(plan, questions, &trials, units);
                for trial in trials {
                    if let Some(half) = halves.half(trial.host, trial.session) {
                        self.halves.add(half, trial);
                        if let Some(seen) = judged.seen_halves.get_mut(half) {
                            *seen |= !trial.is_case;
                        }
                    }
                }
            }
        }
    }

    /// Shows the baseline's units their answers, beside the rate of this tick among the trials that had
    /// the same chances to be judged.
    fn learn_units(&self, plan: &Plan, questions: &[Ready], trials: &[Trial], units: &mut Units) {
        let tallied = Tallied::of(trials);
        let mut strata: Vec<u16> = trials.iter().map(|trial| trial.odds).collect();
        crate::order::sort(&mut strata);
        strata.dedup();
        for odds in strata {
            let expected: Vec<(usize, f64)> = questions
                .iter()
                .map(|question| {
                    let number = question.number;
                    let rate = if counts_cases(plan, number) {
                        self.expected_rate(question, tallied.counts(number, Some(odds)), odds)
                    } else {
                        self.expected_rate(question, tallied.counts(number, None), NO_ODDS)
                    };
                    (question.number, rate)
                })
                .collect();
            for trial in trials.iter().filter(|trial| trial.odds == odds) {
                units.learn(trial, &expected);
            }
        }
    }

    /// The rate of the baseline in a category among trials: of this tick, of which so many are in the
    /// category, and a little of before. `odds` says how many times as likely one in the category was to
    /// be among them.
    fn expected_rate(&self, question: &Ready, [inside, total]: [u64; 2], odds: u16) -> f64 {
        let past = self.past.arm(Arm::Baseline).get(question.signal);
        let known = past.map_or(0.0, DecayedCounts::total);
        let before = past.map_or(0.0, |past| past::inside(past, &question.asked));
        let before = trial::sampled_rate(before / known.max(1.0), odds);
        let (inside, total) = (inside as f64, total as f64);
        // What was known before weighs as much as a few exchanges of now.
        let weight = OF_BEFORE.min(known);
        (inside + weight * before) / (total + weight).max(1.0)
    }

    /// Judges the baseline's halves, once both are in the block and it is large enough.
    fn judge_halves(&mut self, plan: &Plan, judged: &mut Judged) {
        if self.halves.is_empty() {
            self.halves.ticks = 0;
            self.halves.wait();
            return;
        }
        let complete = self.halves.is_complete();
        if (!complete && self.halves.may_wait()) || self.halves.is_small() {
            self.halves.wait();
            return;
        }
        if complete {
            block::judge_halves(plan, &self.halves, judged);
        }
        self.forget_halves();
    }

    fn judge(
        &mut self,
        plan: &Plan,
        moment: &Moment,
        questions: &[Ready],
        (units, spreads): (&mut Units, &[Spread]),
        judged: &mut Judged,
    ) {
        judged.candidate_exchanges += self.trials.judged(Arm::Candidate as usize);
        let (past, trials, pairs) = (&self.past, &self.trials, &mut self.pairs);
        if plan.reject.reference.is_some() {
            block::judge_against_reference(questions, past, (trials, &self.compared), pairs);
            self.bodies.judge(plan, &self.expected, &mut self.counted);
        } else {
            // What is in no row, as the balance of the requests, is checked by all that came. What is
            // in the rows is not: the latency of young hosts was left out of it on purpose.
            let mut compared = self.compared.clone();
            for (signal, column) in plan.row_columns().iter().enumerate() {
                if column.is_none() {
                    compared.take_signal(signal, &self.gathered);
                }
            }
            let of_units = (units, self.sessions.apart());
            let asked = (questions, past);
            block::judge_pairs(plan, asked, trials, &compared, of_units, pairs, judged);
            self.bodies.judge(plan, &self.expected, &mut self.counted);
            let changes = &mut self.changes;
            block::judge_changes(plan, &self.key, past, &compared, spreads, changes, judged);
        }
        let ticks = self.trials.ticks;
        judged.ticks = judged.ticks.max(ticks);
        let began_ms = moment.before(plan, ticks);
        let paths = self.bodies.pairs.iter_mut().map(|found| &mut found.pair);
        for pair in self.pairs.iter_mut().chain(paths) {
            pair.judged_since(began_ms);
        }
    }

    fn learn(&mut self, plan: &Plan) {
        let block = core::mem::replace(&mut self.gathered, Gathered::new(plan.signals.len()));
        let keep = Past::keep(plan, self.trials.ticks);
        self.bodies.learn(keep);
        self.past.learn(plan, &block, keep);
        self.compared = Gathered::new(plan.signals.len());
        self.trials = Trials::default();
    }

    /// The questions, as bits, in which something speaks against the candidate.
    fn with_evidence(&self) -> u64 {
        let pairs = self.pairs.iter().enumerate();
        let of_bodies = self.bodies.pairs.iter();
        pairs
            .chain(of_bodies.map(|found| (found.question, &found.pair)))
            .filter(|(_, pair)| pair.harm.log_evidence() > 0.0)
            .fold(0, |bits, (question, _)| bits | bit(question))
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.key.encode(writer);
        writer.f64(self.part);
        writer.u32(self.idle_ticks);
        self.past.encode(writer);
        self.gathered.encode(writer);
        self.sessions.encode(writer);
        self.compared.encode(writer);
        self.trials.encode(writer);
        self.halves.encode(writer);
        self.pairs.iter().for_each(|pair| pair.encode(writer));
        self.changes.iter().for_each(|change| change.encode(writer));
        self.bodies.encode(writer);
        self.recent.encode(writer);
        self.examples.encode(writer, self.with_evidence());
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
        route.sessions = Imbalance::decode(reader)?;
        route.compared = Gathered::decode(reader, signals)?;
        route.trials = Trials::decode(reader)?;
        route.halves = Trials::decode(reader)?;
        for ((_, question), pair) in plan.questions.iter().zip(&mut route.pairs) {
            *pair = Pair::decode(reader, question)?;
        }
        for change in &mut route.changes {
            *change = Change::decode(reader)?;
        }
        route.bodies = Bodies::decode(plan, reader)?;
        route.recent = Recent::decode(reader)?;
        route.examples = Examples::decode(plan, reader)?;
        Ok(route)
    }
}

fn no_rows(plan: &Plan) -> [Rows; 2] {
    let width = plan.row_signals().len();
    [Rows::new(width), Rows::new(width)]
}

/// The natural log of the microseconds that a bucket stands for.
pub(super) fn log_duration(code: u16) -> f64 {
    (buckets::lower_bound(code).max(1) as f64).ln()
}
