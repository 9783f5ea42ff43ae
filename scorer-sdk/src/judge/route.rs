//! One route of a destination: the past of both arms, the block that is being gathered, and the
//! evidence.

use super::body::Bodies;
use super::gathered::{Gathered, LONGEST_BLOCK_TICKS};
use super::pair::{JudgedBlock, Pair};
use crate::codec::{CodecError, Reader, Writer};
use crate::config::Plan;
use crate::delta::{MAX_SIGNALS, VersionDelta};
use crate::evidence::{ChangeTest, TokenBlock, TokenPast, reference_log_probability};
use crate::reference::Reference;
use crate::route::RouteKey;
use crate::signal::{Asked, Question, Signal};
use crate::sketch::{Counts, DecayedCounts, NameTable};
use crate::verdict::Rate;

/// Which version served an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    Baseline = 0,
    Candidate = 1,
}

/// z of the one-sided 99% bound with which a reference's rates are taken.
const REFERENCE_Z: f64 = 2.326;
/// Exchanges of an arm that are remembered however long they are ago.
const LEAST_REMEMBERED: f64 = 1_000.0;
/// Decayed exchanges of each arm that are needed before two distributions are called far apart.
const LEAST_FOR_DISTANCE: f64 = 50.0;

/// Per arm, per signal.
type PerArm<T> = [Vec<T>; 2];

/// What may be done with a gathered block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Judge it if both arms are in it, else wait for the other.
    Judge,
    /// Only learn from it: warm-up, a share that has just changed, no candidate.
    LearnOnly,
}

/// Judged blocks, per question.
pub(super) type Laws = Vec<Vec<JudgedBlock>>;

fn no_laws(plan: &Plan) -> Laws {
    plan.questions.iter().map(|_| Vec::new()).collect()
}

/// What the routes of a destination judged in one tick.
#[derive(Debug)]
pub(super) struct Verified {
    /// Candidate exchanges in the judged blocks.
    pub(super) candidate_exchanges: u64,
    /// The blocks of candidate and baseline.
    pub(super) laws: Laws,
    /// Those of the baseline's second half against its first.
    pub(super) second_half: Laws,
    /// Those of its first half against its second.
    pub(super) first_half: Laws,
}

impl Verified {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            candidate_exchanges: 0,
            laws: no_laws(plan),
            second_half: no_laws(plan),
            first_half: no_laws(plan),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) key: RouteKey,
    /// Its part of the weight of all routes.
    pub(super) part: f64,
    pub(super) idle_ticks: u32,
    pub(super) names: Vec<NameTable>,
    pub(super) past: PerArm<DecayedCounts>,
    gathered: Gathered,
    /// The baseline's halves.
    halves: Gathered,
    pub(super) pairs: Vec<Pair>,
    /// Per question, exchanges of baseline and candidate in the category since the last
    /// [`Route::drain`]; for metrics, not part of the state.
    counted: Vec<[u64; 2]>,
    /// Per question, whether a yes was declared.
    expected: Vec<bool>,
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

    /// Decayed exchanges of an arm, by the signal that saw most of them.
    pub(super) fn weight(&self, arm: Arm) -> f64 {
        self.past
            .get(arm as usize)
            .into_iter()
            .flatten()
            .map(DecayedCounts::total)
            .fold(0.0, f64::max)
    }

    /// Whether anything is known of an arm on a signal.
    pub(super) fn knows(&self, arm: Arm, signal: usize) -> bool {
        self.past
            .get(arm as usize)
            .and_then(|past| past.get(signal))
            .is_some_and(|past| past.total() > 0.0)
    }

    /// Decayed exchanges of the baseline.
    pub(super) fn baseline_weight(&self) -> f64 {
        self.weight(Arm::Baseline)
    }

    /// Gathers what a worker counted. `worker_names` are the names behind its codes.
    pub(super) fn gather(&mut self, arm: Arm, worker_names: &[NameTable], version: &VersionDelta) {
        let places = self.gathered.side_mut(arm as usize).iter_mut();
        for (((counts, gathered), own), theirs) in version
            .counts
            .iter()
            .zip(places)
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
                let places = self.halves.side_mut(half).iter_mut();
                for (((counts, gathered), own), theirs) in counts
                    .iter()
                    .zip(places)
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
    pub(super) fn tick(&mut self, plan: &Plan, judgement: Judgement, verified: &mut Verified) {
        self.idle_ticks = self.idle_ticks.saturating_add(1);
        self.judge_halves(plan, verified);
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
                verified.candidate_exchanges += self.gathered.exchanges(Arm::Candidate as usize);
                self.judge(plan, verified);
                self.bodies.judge(plan, &self.expected, &mut self.counted);
                self.judge_change(plan);
            }
            _ => {}
        }
        self.learn(plan);
    }

    /// Judges the baseline's halves against each other. Their cuts may come from a past that has
    /// these exchanges in it already: it knows of both halves alike.
    fn judge_halves(&mut self, plan: &Plan, verified: &mut Verified) {
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
                if let Some(laws) = verified.second_half.get_mut(number) {
                    laws.push(JudgedBlock::new(second, first));
                }
                if let Some(laws) = verified.first_half.get_mut(number) {
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
            .filter_map(|(number, (place, question))| {
                let signal = plan.signals.get(*place)?;
                let asked = Asked::freeze(
                    question,
                    signal.as_ref(),
                    past.get(*place)?,
                    self.names.get(*place)?,
                )?;
                Some((number, asked))
            })
            .collect()
    }

    fn judge(&mut self, plan: &Plan, verified: &mut Verified) {
        for (number, asked) in self.questions(plan) {
            let Some((place, _)) = plan.questions.get(number) else {
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
                verified.laws.get_mut(number),
                past.get(*place),
                self.gathered.side(Arm::Baseline as usize).get(*place),
                self.gathered.side(Arm::Candidate as usize).get(*place),
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

    fn judge_change(&mut self, plan: &Plan) {
        if plan.reject.reference.is_some() {
            return;
        }
        for (place, (signal, change)) in plan.signals.iter().zip(&mut self.changes).enumerate() {
            let group = |code| signal.group(code);
            let [past_baseline, past_candidate] = &self.past;
            let (Some(past_candidate), Some(past_baseline)) =
                (past_candidate.get(place), past_baseline.get(place))
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
                    .get(place)
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

    fn learn(&mut self, plan: &Plan) {
        let block = core::mem::replace(&mut self.gathered, Gathered::new(plan.signals.len()));
        let keep = plan
            .keep_per_tick()
            .powi(block.ticks.min(LONGEST_BLOCK_TICKS) as i32);
        // What came seldom is not forgotten by time alone.
        let keep = |total: f64| keep.max((LEAST_REMEMBERED / total.max(1.0)).min(1.0) as f32);
        self.bodies.learn(keep);
        let guarded = plan.reject.reference.is_some();
        for (place, (past, counts)) in self.past.iter_mut().zip(&block.counts).enumerate() {
            if guarded && place == Arm::Baseline as usize {
                continue;
            }
            for (past, counts) in past.iter_mut().zip(counts) {
                past.decay_and_add(keep(past.total()), counts);
            }
        }
    }

    /// Total variation distance between the arms' pasts on a signal; 0 while too little is known.
    pub(super) fn distance(&self, place: usize, signal: &dyn Signal) -> f64 {
        let [baseline, candidate] = &self.past;
        let (Some(baseline), Some(candidate)) = (baseline.get(place), candidate.get(place)) else {
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

    /// The code above which the baseline's slowest hundredth lies, widened by the margin.
    pub(super) fn slow_cut(&self, plan: &Plan) -> Option<u16> {
        let [baseline, _] = &self.past;
        plan.questions
            .iter()
            .find(|(_, question)| question.name == "slow_p99")
            .and_then(|(place, question)| {
                let signal = plan.signals.get(*place)?;
                let past = baseline.get(*place)?;
                match Asked::freeze(question, signal.as_ref(), past, self.names.get(*place)?)? {
                    Asked::Above(cut) => Some(cut),
                    _ => None,
                }
            })
    }

    /// The code of the slowest exchanges of either arm that are remembered.
    pub(super) fn slowest(&self, plan: &Plan) -> Option<u16> {
        let place = plan.signal("latency")?;
        self.past
            .iter()
            .filter_map(|arm| arm.get(place)?.iter().last())
            .map(|(code, _)| code)
            .max()
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

/// Sums (code, count) of both arms by code, after the codes that are `known`.
fn tokens(
    candidate: impl Iterator<Item = (u16, f64)>,
    baseline: impl Iterator<Item = (u16, f64)>,
    mut known: Vec<(u16, [f64; 2])>,
) -> Vec<(u16, [f64; 2])> {
    let both = candidate
        .map(|token| (token, 0))
        .chain(baseline.map(|token| (token, 1)));
    for ((code, count), arm) in both {
        let place = match known.iter().position(|token| token.0 == code) {
            Some(place) => place,
            None => {
                known.push((code, [0.0; 2]));
                known.len() - 1
            }
        };
        if let Some(sum) = known.get_mut(place).and_then(|token| token.1.get_mut(arm)) {
            *sum += count;
        }
    }
    known
}
