//! One destination: its versions, its routes, and the rollout that is on; what becomes of a tick.

use super::judged::Judged;
use super::mix::Mix;
use super::pair::Pair;
use super::phase::Phase;
use super::placebo::Placebo;
use super::rollout::Rollout;
use super::route::{Arm, Route};
use super::versions::{MAX_VERSIONS, Version, volumes};
use crate::config::Plan;
use crate::count::delta::{MAX_ROUTES, MAX_VERSION_BYTES, NewHost, Overflow, RouteDelta};
use crate::drift::{SharedChange, Tick, Watch};
use crate::route::RouteKey;
use crate::route::key::MAX_PART_BYTES;
use crate::sketch::{Counts, buckets};
use crate::wire::codec::{CodecError, Reader, Writer};

#[derive(Debug, Clone, Default)]
pub(super) struct Destination {
    pub(super) name: String,
    pub(super) inbox: Vec<RouteDelta>,
    pub(super) baseline: String,
    pub(super) versions: Vec<Version>,
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
    pub(super) next_rank: u32,
    pub(super) new_part: f64,
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
        let mut judged = Judged::new(plan);
        for route in &mut self.routes {
            route.tick(plan, judgement, &mut judged);
        }
        for (pair, laws) in self.pooled.iter_mut().zip(&judged.laws) {
            pair.update_all(laws);
        }
        self.placebo.judge(&judged.second_half, &judged.first_half);
        if let Some(rollout) = &mut self.rollout {
            rollout.judged += judged.candidate_exchanges;
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
        let (failures, durations) = (plan.failures(), plan.duration());
        let arms = self.arms();
        for route in inbox {
            for version in &route.versions {
                let arm = arms.iter().position(|name| *name == version.version);
                let counts = |signal: Option<usize>| version.counts.get(signal?);
                let times: Vec<(u64, u32)> = counts(durations)
                    .into_iter()
                    .flat_map(Counts::iter)
                    .map(|(code, count)| (buckets::upper_bound(code), count))
                    .collect();
                let tick = Tick {
                    exchanges: counts(failures.map(|(index, _)| index))
                        .map_or(version.exchanges, Counts::total),
                    failures: failures
                        .and_then(|(index, is_failure)| {
                            Some(version.counts.get(index)?.total_where(is_failure))
                        })
                        .unwrap_or(0),
                    times: &times,
                };
                watch.add(&route.key, arm, &tick);
            }
        }
        watch.tick(now_ms, plan.drift_window.max(plan.tick), plan.tick);
        self.watch = Some(watch);
    }

    /// What drifts, and whose doing it is.
    pub(super) fn shared_change(&self) -> SharedChange {
        let fires = self
            .rollout
            .as_ref()
            .is_some_and(|rollout| rollout.phase != Phase::Watching);
        self.watch
            .as_ref()
            .map(|watch| watch.shared_change(fires, self.rollout.is_some()))
            .unwrap_or_default()
    }

    /// Names of baseline and candidate.
    pub(super) fn arms(&self) -> [&str; 2] {
        [&self.baseline, self.candidate()]
    }

    pub(super) fn candidate(&self) -> &str {
        self.rollout
            .as_ref()
            .map_or("", |rollout| rollout.candidate.as_str())
    }

    fn gather(&mut self, plan: &Plan, delta: &RouteDelta, overflow: &mut Overflow) {
        let index = match self.routes.iter().position(|route| route.key == delta.key) {
            Some(index) => index,
            None => match self.add_route(plan, delta.key.clone()) {
                Some(index) => index,
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
            if let Some(route) = self.routes.get_mut(index) {
                route.gather(arm, &delta.names, version);
            }
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

/// Failures and exchanges of a version in this tick, by the outcome; none where that signal is off.
fn failures(plan: &Plan, inbox: &[RouteDelta], version: &str) -> (u64, u64) {
    let Some((index, is_failure)) = plan.failures() else {
        return (0, 0);
    };
    inbox
        .iter()
        .flat_map(|route| &route.versions)
        .filter(|known| known.version == version)
        .filter_map(|known| known.counts.get(index))
        .fold((0, 0), |(failures, exchanges), counts| {
            (
                failures + counts.total_where(is_failure),
                exchanges + counts.total(),
            )
        })
}
