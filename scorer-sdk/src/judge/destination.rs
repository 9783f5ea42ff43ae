//! One destination: its versions, its routes, and the rollout that is on.

use super::body::PathPair;
use super::mix::Mix;
use super::pair::Pair;
use super::placebo::Placebo;
use super::rollout::{Phase, Rollout, Version};
use super::route::{Arm, Judgement, Route, Verified};
use crate::codec::{CodecError, Reader, Writer};
use crate::config::Plan;
use crate::delta::{MAX_ROUTES, MAX_VERSION_BYTES, NewHost, Overflow, RouteDelta, VersionDelta};
use crate::drift::{Tick, Watch, Weather};
use crate::evidence::{WeightedEvidence, log_weighted_mean, route_weight};
use crate::route::RouteKey;
use crate::route::key::MAX_PART_BYTES;
use crate::signal::outcome;
use crate::sketch::{Counts, buckets};

/// Versions of a destination that are remembered.
const MAX_VERSIONS: usize = 8;
/// Ticks without an exchange after which a route gives up its place when there are too many.
const IDLE_TICKS: u32 = 600;
/// Exchanges that have to be seen before it is said which version was there first.
const SEEN_BEFORE_CHOICE: u64 = 100;
/// Exchanges of a new version before it takes the place of the candidate.
const SEEN_BEFORE_CANDIDATE: u64 = 20;
/// Part of the routes' weight that is kept for routes that come after the candidate; the routes that
/// are known share the rest, one half evenly and one half by their traffic.
const NEW_ROUTES: f64 = 0.1;
/// Part of its weight that a question keeps whose signal the baseline has not shown yet.
const UNSEEN_WEIGHT: f64 = 0.1;
/// Longest time for which judgement is held after the candidate's share has changed.
const LONGEST_HOLD_MS: u64 = 60_000;

#[derive(Debug, Clone, Default)]
pub(super) struct Destination {
    pub(super) name: String,
    pub(super) inbox: Vec<RouteDelta>,
    pub(super) baseline: String,
    versions: Vec<Version>,
    pub(super) routes: Vec<Route>,
    /// Per question, the pair over all routes; none for a guard.
    pub(super) pooled: Vec<Pair>,
    /// Per question, its part of the weight in this rollout.
    pub(super) weights: Vec<f64>,
    pub(super) new_hosts: Vec<NewHost>,
    pub(super) placebo: Placebo,
    pub(super) mix: Mix,
    /// Both versions against their own past; none for a destination beyond those that are watched.
    pub(super) watch: Option<Box<Watch>>,
    /// Routes that have come since the weights were given out, and the part that they share.
    next_rank: u32,
    new_part: f64,
    /// Weight of the routes that were dropped: it stays given out.
    pub(super) forfeited: f64,
    pub(super) rollout: Option<Rollout>,
    /// Versions that were found anomalous and still have traffic.
    pub(super) condemned_versions: Vec<String>,
}

impl Destination {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            new_part: 1.0,
            ..Self::default()
        }
    }

    pub(super) fn tick(&mut self, plan: &Plan, overflow: &mut Overflow, now_ms: u64) {
        let inbox = core::mem::take(&mut self.inbox);
        let volumes = volumes(&inbox);
        self.see(&volumes, now_ms);
        self.assign(plan, now_ms);
        let judgement = self.judgement(plan, &volumes, now_ms);
        self.split_baseline(plan, &inbox);
        let mut mix = core::mem::take(&mut self.mix);
        mix.judge(plan, &self.routes, &inbox, self.arms(), judgement);
        self.mix = mix;
        self.watch(plan, &inbox, now_ms);
        for delta in &inbox {
            self.gather(plan, delta, overflow);
        }
        let mut verified = Verified::new(plan);
        for route in &mut self.routes {
            route.tick(plan, judgement, &mut verified);
        }
        for (pair, laws) in self.pooled.iter_mut().zip(&verified.laws) {
            pair.update_all(laws);
        }
        self.placebo
            .judge(&verified.second_half, &verified.first_half);
        if let Some(rollout) = &mut self.rollout {
            rollout.judged += verified.candidate_exchanges;
            let (failures, exchanges) = failures(plan, &inbox, &self.baseline);
            rollout.note_baseline(failures as f64, exchanges as f64);
        }
        self.decide(plan, now_ms);
    }

    /// Follows the baseline and its hosts with the halves of the placebo.
    fn split_baseline(&mut self, plan: &Plan, inbox: &[RouteDelta]) {
        let mut other_halves = false;
        if plan.placebo && plan.reject.reference.is_none() {
            let seen = |half: usize| {
                inbox
                    .iter()
                    .flat_map(|route| &route.versions)
                    .filter(|version| version.version == self.baseline)
                    .filter_map(|version| version.halves.get(half))
                    .flatten()
                    .any(|counts| !counts.is_empty())
            };
            self.placebo.note([seen(0), seen(1)]);
            other_halves |= self.placebo.follow(plan, &self.name, &self.baseline);
        }
        for new in core::mem::take(&mut self.new_hosts) {
            other_halves |= self.placebo.add_host(plan, &new.version, new.host);
        }
        if other_halves {
            // What waits was counted by the old halves.
            self.routes
                .iter_mut()
                .for_each(|route| route.forget_halves(plan));
        }
    }

    /// Holds what both versions did against their own past.
    fn watch(&mut self, plan: &Plan, inbox: &[RouteDelta], now_ms: u64) {
        let Some(mut watch) = self.watch.take() else {
            return;
        };
        let (outcomes, latencies) = (plan.signal("outcome"), plan.signal("latency"));
        let arms = self.arms();
        for route in inbox {
            for version in &route.versions {
                let arm = arms.iter().position(|name| *name == version.version);
                let counts = |signal: Option<usize>| version.counts.get(signal?);
                let times: Vec<(u64, u32)> = counts(latencies)
                    .into_iter()
                    .flat_map(Counts::iter)
                    .map(|(code, count)| (buckets::upper_bound(code), count))
                    .collect();
                let tick = Tick {
                    exchanges: counts(outcomes).map_or(version.exchanges, Counts::total),
                    failures: counts(outcomes)
                        .map_or(0, |counts| counts.total_where(outcome::is_error)),
                    times: &times,
                };
                watch.add(&route.key, arm, &tick);
            }
        }
        watch.tick(now_ms, plan.drift_window.max(plan.tick), plan.tick);
        self.watch = Some(watch);
    }

    /// What drifts, and whose doing it is.
    pub(super) fn weather(&self) -> Weather {
        let fires = self
            .rollout
            .as_ref()
            .is_some_and(|rollout| rollout.phase != Phase::Watching);
        self.watch
            .as_ref()
            .map(|watch| watch.weather(fires, self.rollout.is_some()))
            .unwrap_or_default()
    }

    /// Names of baseline and candidate.
    fn arms(&self) -> [&str; 2] {
        [&self.baseline, self.candidate()]
    }

    fn candidate(&self) -> &str {
        self.rollout
            .as_ref()
            .map_or("", |rollout| rollout.candidate.as_str())
    }

    /// Notes which versions took traffic; new ones in the order of their traffic.
    fn see(&mut self, volumes: &[(String, u64)], now_ms: u64) {
        let mut returned = Vec::new();
        for (name, exchanges) in volumes {
            if let Some(known) = self.versions.iter_mut().find(|known| known.name == *name) {
                if known.is_gone(now_ms) && known.name != self.baseline {
                    returned.push(name.clone());
                }
                known.last_seen_ms = now_ms;
                known.exchanges += exchanges;
                continue;
            }
            if self.versions.len() >= MAX_VERSIONS {
                let (baseline, candidate) = (self.baseline.clone(), self.candidate().to_owned());
                let oldest = self
                    .versions
                    .iter()
                    .enumerate()
                    .filter(|(_, known)| known.name != baseline && known.name != candidate)
                    .min_by_key(|(_, known)| known.last_seen_ms)
                    .map(|(place, _)| place);
                if let Some(place) = oldest {
                    self.versions.remove(place);
                }
            }
            self.versions.push(Version {
                name: name.clone(),
                last_seen_ms: now_ms,
                exchanges: *exchanges,
                since_ms: now_ms,
            });
        }
        for name in returned {
            self.forget(&name, now_ms);
        }
    }

    /// A version that comes back after a long time is a new one; but one that was condemned stays
    /// so while it is the candidate.
    fn forget(&mut self, name: &str, now_ms: u64) {
        let condemned = self
            .rollout
            .as_ref()
            .is_some_and(|rollout| rollout.candidate == name && rollout.phase != Phase::Watching);
        if condemned {
            return;
        }
        self.versions.retain(|version| version.name != name);
        self.versions.push(Version {
            name: name.to_owned(),
            last_seen_ms: now_ms,
            exchanges: 0,
            since_ms: now_ms,
        });
        if self.candidate() == name {
            self.rollout = None;
        }
    }

    /// Says which version is the baseline and which the candidate: by the config, else the one with
    /// most traffic at first and the newest one since.
    fn assign(&mut self, plan: &Plan, now_ms: u64) {
        let named = match &plan.reject.reference {
            Some(reference) => Some(&reference.version),
            None => plan.baseline.as_ref(),
        };
        match named {
            Some(name) if *name == self.baseline => {}
            Some(name) => {
                // What was learned as the baseline was another version's.
                self.routes.clear();
                self.watch = self.watch.as_ref().map(|_| Box::default());
                self.rollout = None;
                self.baseline.clone_from(name);
            }
            None if self.baseline.is_empty() => match self.first_version(plan) {
                Some(name) => self.baseline = name,
                None => return,
            },
            None => self.promote_if_alone(now_ms),
        }
        if let Some(newest) = self.newest_version(plan, now_ms)
            && newest != self.candidate()
        {
            self.start_rollout(plan, newest, now_ms);
        }
        let candidate = self.candidate().to_owned();
        let seen = |name: &String| {
            self.versions
                .iter()
                .any(|version| version.name == *name && !version.is_gone(now_ms))
        };
        let mut condemned = core::mem::take(&mut self.condemned_versions);
        condemned.retain(|name| *name == candidate || seen(name));
        self.condemned_versions = condemned;
    }

    /// The version with most traffic, once enough was seen to say so.
    fn first_version(&self, plan: &Plan) -> Option<String> {
        let total: u64 = self.versions.iter().map(|version| version.exchanges).sum();
        if total < SEEN_BEFORE_CHOICE {
            return None;
        }
        self.versions
            .iter()
            .filter(|version| Some(&version.name) != plan.candidate.as_ref())
            .max_by_key(|version| version.exchanges)
            .map(|version| version.name.clone())
    }

    /// The newest version with traffic that may be the candidate. A version has to show itself a
    /// few times before it replaces another.
    fn newest_version(&self, plan: &Plan, now_ms: u64) -> Option<String> {
        let guarded = plan.reject.reference.is_some();
        let none_yet = self.rollout.is_none();
        self.versions
            .iter()
            .rev()
            .filter(|version| !version.is_gone(now_ms))
            .filter(|version| none_yet || version.exchanges >= SEEN_BEFORE_CANDIDATE)
            .find(|version| match &plan.candidate {
                Some(name) => version.name == *name,
                None => guarded || version.name != self.baseline,
            })
            .map(|version| version.name.clone())
    }

    fn promote_if_alone(&mut self, now_ms: u64) {
        let version = |name: &str| self.versions.iter().find(|version| version.name == name);
        let candidate = self.candidate().to_owned();
        let gone = version(&self.baseline).is_none_or(|version| version.is_gone(now_ms));
        let here = version(&candidate).is_some_and(|version| version.last_seen_ms == now_ms);
        if !candidate.is_empty() && gone && here {
            self.versions.retain(|version| version.name == candidate);
            self.baseline = candidate;
            self.rollout = None;
            self.routes.iter_mut().for_each(Route::promote);
            if let Some(watch) = &mut self.watch {
                watch.promote();
            }
        }
    }

    fn start_rollout(&mut self, plan: &Plan, candidate: String, now_ms: u64) {
        self.rollout = Some(Rollout {
            candidate,
            started_ms: now_ms,
            phase_ms: now_ms,
            ..Rollout::default()
        });
        if let Some(watch) = &mut self.watch {
            watch.restart();
        }
        self.restart(plan);
    }

    /// Forgets the evidence, and gives out the weights of the routes by what the baseline has shown.
    fn restart(&mut self, plan: &Plan) {
        self.routes
            .sort_by(|one, other| other.baseline_weight().total_cmp(&one.baseline_weight()));
        let known: f64 = self.routes.iter().map(Route::baseline_weight).sum();
        let count = self.routes.len() as f64;
        for (rank, route) in self.routes.iter_mut().enumerate() {
            route.part = if known > 0.0 {
                let even = 1.0 / count;
                let by_traffic = route.baseline_weight() / known;
                (1.0 - NEW_ROUTES) * (even + by_traffic) / 2.0
            } else {
                route_weight(rank)
            };
            route.restart(plan);
        }
        self.next_rank = if known > 0.0 {
            0
        } else {
            self.routes.len() as u32
        };
        self.new_part = if known > 0.0 { NEW_ROUTES } else { 1.0 };
        self.forfeited = 0.0;
        self.weights = self.weights(plan);
        self.mix = Mix::default();
        self.pooled = match plan.reject.reference {
            Some(_) => Vec::new(),
            None => plan
                .questions
                .iter()
                .map(|(_, question)| Pair::new(question))
                .collect(),
        };
    }

    /// Gives out the weights of the questions, by what the baseline has shown before the candidate
    /// came: a signal of which nothing is known, as where nobody reports fan-out, keeps a little.
    fn weights(&self, plan: &Plan) -> Vec<f64> {
        let known = |signal: usize| {
            self.routes
                .iter()
                .any(|route| route.knows(Arm::Baseline, signal))
        };
        let nothing_known = !(0..plan.signals.len()).any(known);
        let weights: Vec<f64> = plan
            .questions
            .iter()
            .map(|(signal, question)| {
                question.weight
                    * if nothing_known || known(*signal) {
                        1.0
                    } else {
                        UNSEEN_WEIGHT
                    }
            })
            .collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }

    /// Whether this tick's exchanges may be judged.
    fn judgement(&mut self, plan: &Plan, volumes: &[(String, u64)], now_ms: u64) -> Judgement {
        let slowest = self
            .routes
            .iter()
            .filter_map(|route| route.slowest(plan))
            .max();
        let slowest_ms = slowest.map_or(0, buckets::upper_bound) / 1_000;
        let baseline_name = self.baseline.clone();
        let Some(rollout) = &mut self.rollout else {
            return Judgement::LearnOnly;
        };
        let candidate = volume(volumes, &rollout.candidate);
        let baseline = volume(volumes, &baseline_name);
        let [baseline_sum, candidate_sum] = &mut rollout.exchanges;
        *baseline_sum += baseline;
        *candidate_sum += candidate;
        // Completions of the two arms are not comparable for as long as the slowest exchanges take
        // after the candidate's share has changed: those still are of the old share.
        if rollout.share_changed(candidate as f64, (candidate + baseline) as f64) {
            let tick_ms = (plan.tick.as_millis() as u64).max(1);
            rollout.hold_ticks = 1 + (slowest_ms.min(LONGEST_HOLD_MS) / tick_ms) as u32;
        }
        let warm = now_ms
            >= rollout
                .started_ms
                .saturating_add(plan.warm_up.as_millis() as u64);
        rollout.warm = warm;
        let held = rollout.hold_ticks > 0;
        rollout.hold_ticks = rollout.hold_ticks.saturating_sub(1);
        let judging = rollout.phase != Phase::Condemned;
        if warm && judging && !held {
            Judgement::Judge
        } else {
            Judgement::LearnOnly
        }
    }

    fn gather(&mut self, plan: &Plan, delta: &RouteDelta, overflow: &mut Overflow) {
        let place = match self.routes.iter().position(|route| route.key == delta.key) {
            Some(place) => place,
            None => match self.add_route(plan, delta.key.clone()) {
                Some(place) => place,
                None => {
                    overflow.routes += delta
                        .versions
                        .iter()
                        .map(|version| version.exchanges)
                        .sum::<u64>();
                    return;
                }
            },
        };
        let candidate = self.candidate().to_owned();
        for version in &delta.versions {
            let arm = if version.version == candidate {
                Arm::Candidate
            } else if version.version == self.baseline {
                Arm::Baseline
            } else {
                continue;
            };
            if let Some(route) = self.routes.get_mut(place) {
                route.gather(arm, &delta.names, version);
            }
        }
    }

    fn add_route(&mut self, plan: &Plan, key: RouteKey) -> Option<usize> {
        // One more than the workers tell apart, for what they share under `{other}`.
        if self.routes.len() > plan.max_routes {
            let idle = self
                .routes
                .iter()
                .position(|route| route.idle_ticks > IDLE_TICKS)?;
            let gone = self.routes.swap_remove(idle);
            self.forfeited += gone.part;
        }
        let part = self.new_part * route_weight(self.next_rank as usize);
        self.routes.push(Route::new(plan, key, part));
        self.next_rank = self.next_rank.saturating_add(1);
        Some(self.routes.len() - 1)
    }

    /// The evidence that is enough now, in nats.
    pub(super) fn threshold(&self, plan: &Plan) -> f64 {
        let halvings = self
            .rollout
            .as_ref()
            .map_or(0, |rollout| match rollout.phase {
                Phase::Probation => rollout.verdicts,
                _ => 0,
            });
        -plan.false_alarm.ln() + f64::from(halvings) * core::f64::consts::LN_2
    }

    fn decide(&mut self, plan: &Plan, now_ms: u64) {
        let shares = self.shares(plan);
        let evidence = self.evidence(&self.counting(plan, &shares));
        let threshold = self.threshold(plan);
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        match rollout.phase {
            Phase::Watching | Phase::Probation if evidence >= threshold => {
                if rollout.verdict_ms == 0 {
                    let [_, candidate] = rollout.exchanges;
                    rollout.exchanges_at_verdict = candidate;
                    rollout.verdict_ms = now_ms;
                }
                if !self.condemned_versions.contains(&rollout.candidate) {
                    self.condemned_versions.push(rollout.candidate.clone());
                }
                rollout.phase = Phase::Condemned;
                rollout.phase_ms = now_ms;
                rollout.verdicts = rollout.verdicts.saturating_add(1);
            }
            Phase::Condemned => {
                let due = plan.probation.is_some_and(|probation| {
                    now_ms
                        >= rollout
                            .phase_ms
                            .saturating_add(probation.after.as_millis() as u64)
                });
                if due {
                    rollout.phase = Phase::Probation;
                    rollout.phase_ms = now_ms;
                    rollout.judged = 0;
                    rollout.share = [0.0; 2];
                    self.restart(plan);
                }
            }
            Phase::Probation
                if rollout.judged >= plan.healthy_after && evidence < threshold / 2.0 =>
            {
                rollout.phase = Phase::Watching;
                rollout.phase_ms = now_ms;
                rollout.verdict_ms = 0;
                let recovered = rollout.candidate.clone();
                self.condemned_versions.retain(|name| *name != recovered);
            }
            _ => {}
        }
    }

    /// Calls `visitor` with what was counted in each category since the last call.
    pub(super) fn drain_counts(
        &mut self,
        plan: &Plan,
        visitor: &mut dyn FnMut(&RouteKey, &'static str, &str, u64),
    ) {
        let candidate = self.candidate().to_owned();
        for route in &mut self.routes {
            let key = route.key.clone();
            for ((_, question), [baseline, counted]) in plan.questions.iter().zip(route.drain()) {
                visitor(&key, question.name, &self.baseline, baseline);
                visitor(&key, question.name, &candidate, counted);
            }
        }
    }

    /// Log e-values of the pairs of single routes, with the candidate; at most 0 where the placebo
    /// holds a pair back.
    pub(super) fn pair_evidence(&self, plan: &Plan) -> Vec<(&RouteKey, &str, &'static str, f64)> {
        let shares = self.shares(plan);
        let mut found = Vec::new();
        let mut of_paths: Vec<(usize, usize, Vec<WeightedEvidence>)> = Vec::new();
        for (place, share) in self.counting(plan, &shares) {
            let Some(number) = place.route else { continue };
            match place.path {
                None => found.push((number, place.question, share.log_evidence)),
                Some(path) => {
                    let weight = self
                        .routes
                        .get(number)
                        .and_then(|route| route.bodies.pairs.get(path))
                        .map_or(0.0, PathPair::weight);
                    let evidence = WeightedEvidence { weight, ..share };
                    match of_paths
                        .iter_mut()
                        .find(|known| (known.0, known.1) == (number, place.question))
                    {
                        Some(known) => known.2.push(evidence),
                        None => of_paths.push((number, place.question, vec![evidence])),
                    }
                }
            }
        }
        // A category that is asked of many paths is one e-value: the mean over them.
        found.extend(
            of_paths
                .into_iter()
                .map(|(route, question, paths)| (route, question, log_weighted_mean(paths))),
        );
        found
            .into_iter()
            .filter_map(|(route, question, evidence)| {
                let (_, question) = plan.questions.get(question)?;
                let key = &self.routes.get(route)?.key;
                Some((key, self.candidate(), question.name, evidence))
            })
            .collect()
    }

    pub(super) fn slow_cuts(&self, plan: &Plan) -> Vec<(RouteKey, u16)> {
        self.routes
            .iter()
            .filter_map(|route| Some((route.key.clone(), route.slow_cut(plan)?)))
            .collect()
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.text(&self.name);
        writer.text(&self.baseline);
        writer.u32(self.next_rank);
        writer.f64(self.new_part);
        writer.f64(self.forfeited);
        writer.length(self.weights.len());
        self.weights.iter().for_each(|weight| writer.f64(*weight));
        writer.length(self.versions.len());
        for version in &self.versions {
            writer.text(&version.name);
            writer.u64(version.last_seen_ms);
            writer.u64(version.exchanges);
            writer.u64(version.since_ms);
        }
        writer.u8(u8::from(self.rollout.is_some()));
        if let Some(rollout) = &self.rollout {
            rollout.encode(writer);
        }
        writer.length(self.condemned_versions.len());
        self.condemned_versions
            .iter()
            .for_each(|name| writer.text(name));
        writer.length(self.pooled.len());
        self.pooled.iter().for_each(|pair| pair.encode(writer));
        self.placebo.encode(writer);
        self.mix.encode(writer);
        writer.u8(u8::from(self.watch.is_some()));
        if let Some(watch) = &self.watch {
            watch.encode(writer);
        }
        writer.length(self.routes.len());
        self.routes.iter().for_each(|route| route.encode(writer));
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut destination = Self::new(reader.text(MAX_PART_BYTES)?);
        reader
            .text(MAX_VERSION_BYTES)?
            .clone_into(&mut destination.baseline);
        destination.next_rank = reader.u32()?;
        destination.new_part = reader.f64()?.clamp(0.0, 1.0);
        destination.forfeited = reader.f64()?.clamp(0.0, 1.0);
        for _ in 0..reader.length(plan.questions.len())? {
            destination.weights.push(reader.f64()?.clamp(0.0, 1.0));
        }
        for _ in 0..reader.length(MAX_VERSIONS)? {
            destination.versions.push(Version {
                name: reader.text(MAX_VERSION_BYTES)?.to_owned(),
                last_seen_ms: reader.u64()?,
                exchanges: reader.u64()?,
                since_ms: reader.u64()?,
            });
        }
        if reader.u8()? == 1 {
            destination.rollout = Some(Rollout::decode(reader)?);
        }
        for _ in 0..reader.length(MAX_VERSIONS)? {
            destination
                .condemned_versions
                .push(reader.text(MAX_VERSION_BYTES)?.to_owned());
        }
        let pooled = reader.length(plan.questions.len())?;
        for (_, question) in plan.questions.iter().take(pooled) {
            destination.pooled.push(Pair::decode(reader, question)?);
        }
        destination.placebo = Placebo::decode(plan, reader)?;
        destination.mix = Mix::decode(reader)?;
        if reader.u8()? == 1 {
            destination.watch = Some(Box::new(Watch::decode(reader)?));
        }
        for _ in 0..reader.length(MAX_ROUTES)? {
            destination.routes.push(Route::decode(plan, reader)?);
        }
        Ok(destination)
    }
}

/// Exchanges of each version in this tick, those in flight that were counted as slow among them,
/// the version with most traffic first.
fn volumes(inbox: &[RouteDelta]) -> Vec<(String, u64)> {
    let mut volumes: Vec<(String, u64)> = Vec::new();
    for version in inbox.iter().flat_map(|route| &route.versions) {
        let volume = exchanges(version);
        match volumes.iter_mut().find(|known| known.0 == version.version) {
            Some(known) => known.1 += volume,
            None => volumes.push((version.version.clone(), volume)),
        }
    }
    volumes.sort_by_key(|volume| core::cmp::Reverse(volume.1));
    volumes
}

fn exchanges(version: &VersionDelta) -> u64 {
    version
        .counts
        .iter()
        .map(Counts::total)
        .max()
        .unwrap_or(0)
        .max(version.exchanges)
}

fn volume(volumes: &[(String, u64)], name: &str) -> u64 {
    volumes
        .iter()
        .find(|known| known.0 == name)
        .map_or(0, |known| known.1)
}

/// Failures and exchanges of a version in this tick, by the outcome; none where that signal is off.
fn failures(plan: &Plan, inbox: &[RouteDelta], version: &str) -> (u64, u64) {
    let Some(place) = plan.signal("outcome") else {
        return (0, 0);
    };
    inbox
        .iter()
        .flat_map(|route| &route.versions)
        .filter(|known| known.version == version)
        .filter_map(|known| known.counts.get(place))
        .fold((0, 0), |(failures, exchanges), counts| {
            (
                failures + counts.total_where(outcome::is_error),
                exchanges + counts.total(),
            )
        })
}
