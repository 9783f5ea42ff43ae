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
use super::places::{self, Index};
use super::route::{self, Route};
use super::units::Units;
use super::weights::Weights;
use crate::config::Plan;
use crate::count::delta::{Overflow, RouteDelta};
use crate::count::rows::NO_TOKEN;
use crate::evidence::Spread;
use crate::limits::{IDLE_TICKS, MAX_ROUTES, idle_ticks_allowed};
use crate::memory::RememberedRoute;
use crate::route::key::OTHER;
use crate::route::{KEEP_SEEN, RouteKey};
use crate::sketch::buckets;
use crate::wire::codec::{CodecError, Reader, Writer};

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

    /// What the baseline showed on each route that it has a past on.
    pub(super) fn remembered(&self) -> Vec<RememberedRoute> {
        self.routes
            .iter()
            .filter(|route| route.past.weight(Arm::Baseline) > 0.0 && route.key.path != OTHER)
            .map(|route| {
                let (names, counts) = route.past.remembered();
                RememberedRoute {
                    key: route.key.clone(),
                    names,
                    counts,
                }
            })
            .collect()
    }

    /// Takes the baseline's past from a memory of `destination`, and gives out the weights by it. How many
    /// routes were taken. Nothing must have been judged yet.
    pub(super) fn recall(
        &mut self,
        plan: &Plan,
        destination: &str,
        known: &[RememberedRoute],
        keep: impl Fn(f64) -> f32 + Copy,
    ) -> usize {
        let mut taken = 0;
        for known in known
            .iter()
            .filter(|known| known.key.destination == destination)
        {
            let mut route = Route::new(plan, known.key.clone(), 0.0);
            if !route.past.recall(known, keep) {
                continue;
            }
            let mut places = self.routes.iter_mut();
            if let Some(place) = places.find(|route| route.key == known.key) {
                *place = route;
            } else if self.routes.len() < plan.max_routes {
                self.routes.push(route);
            } else {
                continue;
            }
            taken += 1;
        }
        self.restart(plan);
        taken
    }

    /// The candidate has become the baseline.
    pub(super) fn promote(&mut self, plan: &Plan) {
        self.routes.iter_mut().for_each(|route| route.promote(plan));
    }

    /// The baseline's halves are others than before: what waits was counted by the old ones.
    pub(super) fn forget_halves(&mut self) {
        self.routes.iter_mut().for_each(Route::forget_halves);
    }

    /// Judges the mix of one tick's requests over the routes that are known. `places` are the indices of
    /// the inbox's routes; `arms` are the names of baseline and candidate.
    pub(super) fn judge_mix(
        &mut self,
        plan: &Plan,
        (inbox, places): (&[&RouteDelta], &[Option<usize>]),
        arms: [&str; 2],
        judgement: Judgement,
    ) {
        self.mix
            .judge(plan, &self.routes, (inbox, places), arms, judgement);
    }

    /// Gathers what the workers counted of one tick. `places` are the indices of the inbox's routes as
    /// they were before it; `arms` are the names of baseline and candidate.
    pub(super) fn gather(
        &mut self,
        plan: &Plan,
        (inbox, places): (&[&RouteDelta], &[Option<usize>]),
        [baseline, candidate]: [&str; 2],
        overflow: &mut Overflow,
    ) {
        let mut moved = None;
        for (delta, place) in inbox.iter().zip(places) {
            let exchanges: u64 = delta.versions.iter().map(|version| version.exchanges).sum();
            let Some(route) = self.route(plan, delta, *place, &mut moved, exchanges) else {
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

    /// The route of these counts, a new one if there is room. At `place` it was before the tick. `moved`
    /// knows where routes are since others have come; none where that is to be found out. `exchanges`
    /// are those that came with it.
    fn route(
        &mut self,
        plan: &Plan,
        delta: &RouteDelta,
        place: Option<usize>,
        moved: &mut Option<Index>,
        exchanges: u64,
    ) -> Option<&mut Route> {
        let routes = &self.routes;
        let index = match place.filter(|place| places::is_at(routes, *place, delta)) {
            Some(index) => index,
            None => {
                let known = moved.get_or_insert_with(|| Index::of(routes));
                match known.find(routes, delta) {
                    Some(index) => index,
                    None => {
                        let (index, have_others_moved) =
                            self.add_route(plan, delta.key.clone(), exchanges)?;
                        known.add(delta, index);
                        if have_others_moved {
                            *moved = None;
                        }
                        index
                    }
                }
            }
        };
        self.routes.get_mut(index)
    }

    /// The index of a new route, if there is room, and whether other routes have moved.
    fn add_route(&mut self, plan: &Plan, key: RouteKey, exchanges: u64) -> Option<(usize, bool)> {
        let taken_over = self.take_over(&key);
        // One more than the workers tell apart, for what they share under `{other}`.
        if self.routes.len() <= plan.max_routes {
            let part = taken_over.unwrap_or_else(|| self.weights.for_new_route());
            self.routes.push(Route::new(plan, key, part));
            return Some((self.routes.len() - 1, taken_over.is_some()));
        }
        let index = self.least_needed(exchanges)?;
        let place = self.routes.get_mut(index)?;
        let part = if place.was_judged() {
            self.weights.forfeit(place.part);
            self.weights.for_new_route()
        } else {
            place.part
        };
        *place = Route::new(plan, key, part);
        Some((index, false))
    }

    /// Drops the routes in whose place a route comes, as `/users/{x}` comes in the place of
    /// `/users/ann` once a path tree has collapsed, and gives their parts of the weight: they were
    /// never judged, so that each part is worth what it was when it was given out. What few
    /// exchanges they had is forgotten. `None` where there are none.
    fn take_over(&mut self, key: &RouteKey) -> Option<f64> {
        if !key.has_any_segment() {
            return None;
        }
        let mut part = None;
        self.routes.retain(|route| {
            let goes = key.stands_for(&route.key)
                && !route.was_judged()
                && route.exchanges() < u64::from(KEEP_SEEN);
            if goes {
                *part.get_or_insert(0.0) += route.part;
            }
            !goes
        });
        part
    }

    /// The index of the route that may be dropped for one that came with so many exchanges in this
    /// tick: one that was never judged, and had fewer in all its time or has been idle for longer
    /// than they are worth; else one that has been idle for long. Neither depends on an outcome.
    fn least_needed(&self, exchanges: u64) -> Option<usize> {
        let unjudged = self
            .routes
            .iter()
            .enumerate()
            .filter(|(_, route)| !route.was_judged())
            .map(|(index, route)| (route.exchanges(), index))
            .filter(|(had, index)| {
                let idle = self.routes.get(*index).map_or(0, |route| route.idle_ticks);
                *had < exchanges || idle > idle_ticks_allowed(*had)
            })
            .min();
        let idle = || {
            self.routes
                .iter()
                .position(|route| route.idle_ticks > IDLE_TICKS)
        };
        unjudged.map(|(_, index)| index).or_else(idle)
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
        let Some(column) = plan.row_columns().get(signal).copied().flatten() else {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::tally::Tally;
    use crate::exchange::Exchange;
    use crate::testing::exchange;
    use std::sync::Arc;

    /// A comparison of three routes and `{other}` at most, and what comes into it.
    struct Case {
        plan: Arc<Plan>,
        comparison: Comparison,
        overflow: Overflow,
    }

    impl Case {
        fn new(max: usize) -> Self {
            let config = format!(r#"{{"baseline": "v1", "routes": {{"max": {max}}}}}"#);
            let plan = Arc::new(Plan::from_json(&config).unwrap());
            Self {
                comparison: Comparison::default(),
                overflow: Overflow::default(),
                plan,
            }
        }

        /// A tick with so many exchanges of each path.
        fn tick(&mut self, paths: &[(&str, usize)]) {
            self.tick_of_workers(&[paths]);
        }

        fn tick_of_workers(&mut self, workers: &[&[(&str, usize)]]) {
            let mut counted = Vec::new();
            for paths in workers {
                // Another worker's tree each time: these are about what the judge does.
                let mut tally = Tally::new(Arc::new(Plan::from_json("{}").unwrap()), 1);
                for (path, exchanges) in *paths {
                    for _ in 0..*exchanges {
                        tally.record(&Exchange { path, ..exchange() });
                    }
                }
                counted.extend(tally.take().routes);
            }
            let inbox: Vec<&RouteDelta> = counted.iter().collect();
            let places = places::of(&inbox, &self.comparison.routes);
            let (plan, arms) = (&self.plan, ["v1", "v2"]);
            self.comparison
                .gather(plan, (&inbox, &places), arms, &mut self.overflow);
            for route in &mut self.comparison.routes {
                route.idle_ticks += 1;
            }
        }

        fn paths(&self) -> Vec<&str> {
            let routes = self.comparison.routes.iter();
            let mut paths: Vec<&str> = routes.map(|route| route.key.path.as_str()).collect();
            paths.sort_unstable();
            paths
        }

        fn part(&self, path: &str) -> f64 {
            let mut routes = self.comparison.routes.iter();
            routes.find(|route| route.key.path == path).unwrap().part
        }

        fn all_parts(&self) -> f64 {
            let routes = self.comparison.routes.iter();
            routes.map(|route| route.part).sum::<f64>() + self.comparison.weights.forfeited()
        }

        fn judge_one(&mut self, path: &str) {
            let mut routes = self.comparison.routes.iter_mut();
            let route = routes.find(|route| route.key.path == path).unwrap();
            route.pairs[0].candidate.total = 1;
        }
    }

    #[test]
    fn a_template_takes_place_and_weight_of_the_names_that_were_never_judged() {
        let mut case = Case::new(100);
        case.tick(&[
            ("/users/ann", 1),
            ("/users/bob", 7),
            ("/users/me", 8),
            ("/users/eve", 2),
            ("/users/ann/orders", 1),
            ("/teams/ann", 1),
        ]);
        case.judge_one("/users/eve");
        let of_names = case.part("/users/ann") + case.part("/users/bob");
        let before = case.all_parts();
        case.tick(&[("/users/{x}", 3)]);
        assert_eq!(
            case.paths(),
            [
                "/teams/ann",
                "/users/ann/orders",
                "/users/eve",
                "/users/me",
                "/users/{x}"
            ]
        );
        assert!((case.part("/users/{x}") - of_names).abs() < 1e-12);
        assert!((case.all_parts() - before).abs() < 1e-12);
        assert_eq!(case.overflow.routes, 0);
    }

    #[test]
    fn what_two_workers_count_meets_on_one_route_though_others_come_and_move_in_the_same_tick() {
        let mut case = Case::new(100);
        case.tick(&[("/a", 9), ("/users/ann", 1), ("/users/bob", 1), ("/b", 9)]);
        let of_one = [("/new", 3), ("/users/{x}", 3), ("/b", 1), ("/newer", 3)];
        let of_other = [("/newer", 4), ("/users/{x}", 4), ("/new", 4), ("/a", 1)];
        case.tick_of_workers(&[&of_one, &of_other]);
        assert_eq!(case.paths(), ["/a", "/b", "/new", "/newer", "/users/{x}"]);
        let routes = case.comparison.routes.iter();
        let exchanges: Vec<u64> = routes.map(Route::exchanges).collect();
        assert_eq!(exchanges, [10, 10, 7, 7, 7]);
        assert_eq!(case.overflow.routes, 0);
    }

    #[test]
    fn in_a_full_table_a_route_takes_the_place_of_one_that_had_less_and_was_never_judged() {
        let mut case = Case::new(2);
        case.tick(&[("/busy", 90), ("/rare", 3), ("/seldom", 5)]);
        let (rare, before) = (case.part("/rare"), case.all_parts());
        // Made up: asked for once, as often as any of the others at most.
        case.tick(&[("/m1z", 1), ("/m2z", 3)]);
        assert_eq!(case.paths(), ["/busy", "/rare", "/seldom"]);
        assert_eq!(case.overflow.routes, 4);
        case.tick(&[("/new", 4)]);
        assert_eq!(case.paths(), ["/busy", "/new", "/seldom"]);
        assert!((case.part("/new") - rare).abs() < 1e-12);
        assert!((case.all_parts() - before).abs() < 1e-12);
    }

    #[test]
    fn a_route_that_was_judged_goes_when_it_is_idle_for_long_and_its_weight_stays_given_out() {
        let mut case = Case::new(1);
        case.tick(&[("/a", 3), ("/b", 3)]);
        case.judge_one("/a");
        case.judge_one("/b");
        case.tick(&[("/new", 1_000), ("/b", 1)]);
        assert_eq!(case.paths(), ["/a", "/b"]);
        let (part, before) = (case.part("/a"), case.all_parts());
        for _ in 0..=IDLE_TICKS {
            case.tick(&[("/b", 1)]);
        }
        case.tick(&[("/new", 1)]);
        assert_eq!(case.paths(), ["/b", "/new"]);
        assert!((case.comparison.weights.forfeited() - part).abs() < 1e-12);
        assert!(case.all_parts() > before && case.all_parts() < 1.0);
    }

    #[test]
    fn a_route_that_nobody_asks_for_any_more_makes_room_sooner_the_less_it_was_asked_for() {
        let mut case = Case::new(2);
        case.tick(&[("/ten", 10), ("/one", 1), ("/busy", 50)]);
        for _ in 0..=idle_ticks_allowed(1) {
            case.tick(&[("/busy", 50)]);
        }
        case.tick(&[("/new", 1)]);
        assert_eq!(case.paths(), ["/busy", "/new", "/ten"]);
        for _ in 0..idle_ticks_allowed(10) {
            case.tick(&[("/busy", 50), ("/new", 10)]);
        }
        case.tick(&[("/newer", 1)]);
        assert_eq!(case.paths(), ["/busy", "/new", "/newer"]);
    }
}
