//! The comparison of a candidate with its baseline: the routes with their evidence, what they add up
//! to, and how the weight of a verdict is shared among them.

use super::arm::Arm;
use super::change::Change;
use super::gathered::SMALL_BLOCK_TICKS;
use super::halves::Halves;
use super::judged::{Judged, Shifts};
use super::mix::Mix;
use super::moment::Moment;
use super::pair::Pair;
use super::phase::Judgement;
use super::route::{self, Route};
use super::units::Units;
use super::weights::Weights;
use crate::config::Plan;
use crate::count::delta::{Overflow, RouteDelta};
use crate::count::rows::NO_TOKEN;
use crate::evidence::Spread;
use crate::limits::MAX_ROUTES;
use crate::route::RouteKey;
use crate::sketch::buckets;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Ticks without an exchange after which a route may be dropped when there are too many.
const IDLE_TICKS: u32 = 600;
/// Exchanges that take as long as usual and are added to those of a tick.
const USUAL: f64 = 5.0;

#[derive(Debug, Clone, Default)]
pub(super) struct Comparison {
    pub(super) routes: Vec<Route>,
    /// Per question, the pair over all routes; none for a guard.
    pub(super) pooled: Vec<Pair>,
    /// Per signal, how the versions differ over all routes.
    pub(super) changes: Vec<Change>,
    /// Per signal, how much versions that are alike differ because they got other hosts and
    /// sessions; where it is missing, requests count as independent.
    pub(super) spreads: Vec<Spread>,
    pub(super) weights: Weights,
    pub(super) mix: Mix,
}

impl Comparison {
    /// Forgets the evidence, and gives out the weights anew by what the baseline has shown.
    pub(super) fn restart(&mut self, plan: &Plan) {
        let weight = |route: &Route| route.past.weight(Arm::Baseline);
        crate::order::sort_by(&mut self.routes, |one, other| {
            weight(other).total_cmp(&weight(one))
        });
        self.weights = Weights::give_out(plan, &mut self.routes);
        self.routes.iter_mut().for_each(|route| route.restart(plan));
        self.mix = Mix::default();
        self.changes = vec![Change::default(); plan.signals.len()];
        self.pooled = match plan.reject.reference {
            Some(_) => Vec::new(),
            None => plan
                .questions
                .iter()
                .map(|(_, question)| Pair::new(question))
                .collect(),
        };
    }

    /// Another version is the baseline: what the routes have learned is outdated.
    pub(super) fn forget_routes(&mut self) {
        self.routes.clear();
    }

    /// The candidate has become the baseline.
    pub(super) fn promote(&mut self, plan: &Plan) {
        self.routes.iter_mut().for_each(|route| route.promote(plan));
    }

    /// The baseline's halves are others than before: what waits was counted by the old ones.
    pub(super) fn forget_halves(&mut self) {
        self.routes.iter_mut().for_each(Route::forget_halves);
    }

    /// Judges the mix of one tick's requests over the routes that are known. `arms` are the names of
    /// baseline and candidate.
    pub(super) fn judge_mix(
        &mut self,
        plan: &Plan,
        inbox: &[RouteDelta],
        arms: [&str; 2],
        judgement: Judgement,
    ) {
        self.mix.judge(plan, &self.routes, inbox, arms, judgement);
    }

    /// Gathers what the workers counted of one tick. `arms` are the names of baseline and
    /// candidate.
    pub(super) fn gather(
        &mut self,
        plan: &Plan,
        inbox: &[RouteDelta],
        [baseline, candidate]: [&str; 2],
        overflow: &mut Overflow,
    ) {
        for delta in inbox {
            let Some(route) = self.route(plan, &delta.key) else {
                let exchanges: u64 = delta.versions.iter().map(|version| version.exchanges).sum();
                overflow.routes = overflow.routes.saturating_add(exchanges);
                continue;
            };
            for version in &delta.versions {
                // A guard's baseline is its reference, which may have the candidate's name.
                let arm = if version.version == candidate {
                    Arm::Candidate
                } else if version.version == baseline {
                    Arm::Baseline
                } else {
                    continue;
                };
                route.gather(plan, arm, &delta.names, version);
            }
        }
    }

    /// The route of this key, a new one if there is room.
    fn route(&mut self, plan: &Plan, key: &RouteKey) -> Option<&mut Route> {
        let index = match self.routes.iter().position(|route| route.key == *key) {
            Some(index) => index,
            None => self.add_route(plan, key.clone())?,
        };
        self.routes.get_mut(index)
    }

    fn add_route(&mut self, plan: &Plan, key: RouteKey) -> Option<usize> {
        // One more than the workers tell apart, for what they share under `{other}`.
        if self.routes.len() > plan.max_routes {
            let idle = self
                .routes
                .iter()
                .position(|route| route.idle_ticks > IDLE_TICKS)?;
            let gone = self.routes.swap_remove(idle);
            self.weights.forfeit(gone.part);
        }
        let part = self.weights.for_new_route();
        self.routes.push(Route::new(plan, key, part));
        Some(self.routes.len() - 1)
    }

    /// Shows the units the rows of this tick: who is busy, and how slow young hosts are beside the
    /// baseline's warm ones.
    pub(super) fn see_units(&self, plan: &Plan, units: &mut Units, now_ms: u64) {
        for route in &self.routes {
            for arm in [Arm::Baseline, Arm::Candidate] {
                for (facts, _) in route.rows(arm) {
                    match (facts.is_case, arm) {
                        (false, _) => units.see(arm, facts.host, facts.session, now_ms),
                        (true, Arm::Candidate) => units.meet(facts, now_ms),
                        (true, Arm::Baseline) => {}
                    }
                }
            }
        }
        let Some(signal) = plan.duration() else {
            return;
        };
        let Some(column) = route::columns(plan).get(signal).copied().flatten() else {
            return;
        };
        // What the baseline's warm hosts take more than usual now: a slow hour hits young hosts as
        // well.
        let (mut sum, mut count) = (0.0, USUAL);
        let (mut young, mut others) = (Vec::new(), Vec::new());
        for route in &self.routes {
            let Some(usual) = route.usual_duration(signal) else {
                continue;
            };
            for arm in [Arm::Baseline, Arm::Candidate] {
                for (facts, tokens) in route.rows(arm) {
                    let Some(token) = tokens.get(column).filter(|token| **token != NO_TOKEN) else {
                        continue;
                    };
                    let more = route::log_duration(*token) - usual;
                    match units.age(arm, facts.host, now_ms) {
                        Some(age) if age <= plan.warm_up.max.as_secs_f64() => {
                            young.push((arm, age, more));
                        }
                        _ if arm == Arm::Baseline => {
                            sum += more;
                            count += 1.0;
                            others.push((facts.host, more));
                        }
                        _ => {}
                    }
                }
            }
        }
        for (arm, age, more) in young {
            units.warm_up(arm, age, more - sum / count);
        }
        for (host, more) in others {
            units.time(host, more - sum / count);
        }
    }

    /// Ends the tick on every route, judges the pairs over all routes, and gives what was judged.
    pub(super) fn judge(
        &mut self,
        plan: &Plan,
        moment: &Moment,
        units: &mut Units,
        halves: &Halves,
    ) -> Judged {
        let mut judged = Judged::new(plan);
        for route in &mut self.routes {
            route.tick(plan, moment, (units, &self.spreads), halves, &mut judged);
        }
        let sessions_apart = units.sessions_apart();
        // Blocks of rare routes may have waited for long: what is over all routes is told to the tick.
        let began_ms = moment.before(plan, judged.ticks.min(SMALL_BLOCK_TICKS));
        for (question, (pair, laws)) in self.pooled.iter_mut().zip(&judged.laws).enumerate() {
            let of_shift = judged.shifts.get(question).and_then(Shifts::mean);
            let tolerance = units.tolerance(plan, question, sessions_apart, of_shift);
            pair.set_tolerance(tolerance, units.gain_limit(plan, question));
            pair.update_all(laws);
            if !laws.is_empty() {
                pair.judged_since(began_ms);
            }
        }
        for (index, (change, block)) in self.changes.iter_mut().zip(&judged.changes).enumerate() {
            if !block.is_empty() {
                change.judge(block, &self.spreads.get(index).copied().unwrap_or_default());
            }
        }
        judged
    }

    /// How much versions that are alike differ on a signal.
    pub(super) fn spread(&self, signal: usize) -> Spread {
        self.spreads.get(signal).copied().unwrap_or_default()
    }

    /// How long the slowest exchanges take that are remembered, in milliseconds.
    pub(super) fn slowest_ms(&self, plan: &Plan) -> u64 {
        let slowest = self
            .routes
            .iter()
            .filter_map(|route| route.past.slowest(plan))
            .max();
        slowest.map_or(0, buckets::upper_bound) / 1_000
    }

    /// Per route, the code above which the baseline's slowest hundredth lies.
    pub(super) fn slow_cuts(&self, plan: &Plan) -> Vec<(RouteKey, u16)> {
        self.routes
            .iter()
            .filter_map(|route| Some((route.key.clone(), route.past.slow_cut(plan)?)))
            .collect()
    }

    /// Calls `visitor` with route, category, version and what was counted in the category since the
    /// last call. `arms` are the names of baseline and candidate.
    pub(super) fn drain_counts(
        &mut self,
        plan: &Plan,
        arms: [&str; 2],
        visitor: &mut dyn FnMut(&RouteKey, &'static str, &str, u64),
    ) {
        for route in &mut self.routes {
            let key = route.key.clone();
            for ((_, question), counted) in plan.questions.iter().zip(route.drain()) {
                for (version, count) in arms.into_iter().zip(counted) {
                    visitor(&key, question.name, version, count);
                }
            }
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.weights.encode(writer);
        writer.list(&self.pooled, Pair::encode);
        writer.list(&self.changes, Change::encode);
        self.mix.encode(writer);
        writer.list(&self.routes, Route::encode);
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let weights = Weights::decode(plan, reader)?;
        let mut pooled = Vec::new();
        let count = reader.length(plan.questions.len())?;
        for (_, question) in plan.questions.iter().take(count) {
            pooled.push(Pair::decode(reader, question)?);
        }
        let changes = reader.list(plan.signals.len(), Change::decode)?;
        Ok(Self {
            weights,
            pooled,
            changes,
            spreads: Vec::new(),
            mix: Mix::decode(reader)?,
            routes: reader.list(MAX_ROUTES, |reader| Route::decode(plan, reader))?,
        })
    }
}
