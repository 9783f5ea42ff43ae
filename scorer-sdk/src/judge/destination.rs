//! One destination: its versions, the rollout that is on, and the verdict.

use super::pair::Pair;
use super::route::{Arm, Judgement, Route};
use crate::codec::{CodecError, Reader, Writer};
use crate::config::Plan;
use crate::delta::{MAX_ROUTES, MAX_VERSION_BYTES, Overflow, RouteDelta, VersionDelta};
use crate::evidence::{WeightedEvidence, e_bh, log_weighted_mean, route_weight};
use crate::route::RouteKey;
use crate::route::key::MAX_PART_BYTES;
use crate::sketch::Counts;
use crate::verdict::{Decision, Difference, Reason, Verdict};

/// Versions of a destination that are remembered.
const MAX_VERSIONS: usize = 8;
/// Ticks without an exchange after which a route gives up its place when there are too many.
const IDLE_TICKS: u32 = 600;
/// A baseline without traffic for this long, beside a candidate with traffic, has been replaced.
const PROMOTE_AFTER_MS: u64 = 600_000;
/// What of the running share is kept from tick to tick.
const SHARE_KEEP: f64 = 0.8;
/// Longest time in ticks for which judgement is held after the candidate's share has changed.
const LONGEST_HOLD: u32 = 10;
/// Most reasons and differences in a decision.
const MAX_REASONS: usize = 10;

#[derive(Debug, Clone, Default)]
struct Version {
    name: String,
    last_seen_ms: u64,
    exchanges: u64,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// Evidence is gathered.
    #[default]
    Watching,
    /// The candidate was found anomalous.
    Condemned,
    /// A trickle is let through, with fresh evidence.
    Probation,
}

#[derive(Debug, Clone, Default)]
struct Rollout {
    candidate: String,
    phase: Phase,
    started_ms: u64,
    phase_ms: u64,
    verdict_ms: u64,
    exchanges: [u64; 2],
    judged: u64,
    exchanges_at_verdict: u64,
    /// Verdicts so far: each probation has half of the chance for a false alarm of the one before.
    verdicts: u32,
    /// Decayed exchanges of the candidate and of both, for the running share.
    share: [f64; 2],
    hold_ticks: u32,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Destination {
    pub(super) name: String,
    pub(super) inbox: Vec<RouteDelta>,
    baseline: String,
    versions: Vec<Version>,
    routes: Vec<Route>,
    next_rank: u32,
    /// Weight of the routes that were dropped: it stays given out.
    forfeited: f64,
    rollout: Option<Rollout>,
}

impl Destination {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn tick(&mut self, plan: &Plan, overflow: &mut Overflow, now_ms: u64) {
        let inbox = core::mem::take(&mut self.inbox);
        let volumes = volumes(&inbox);
        self.see(&volumes, now_ms);
        self.assign(plan, now_ms);
        let judgement = self.judgement(plan, &volumes, now_ms);
        for delta in &inbox {
            self.gather(plan, delta, overflow);
        }
        for route in &mut self.routes {
            route.tick(plan, judgement);
        }
        if judgement == Judgement::Judge {
            let candidate = volume(&volumes, self.candidate());
            if let Some(rollout) = &mut self.rollout {
                rollout.judged += candidate;
            }
        }
        self.decide(plan, now_ms);
    }

    fn candidate(&self) -> &str {
        self.rollout
            .as_ref()
            .map_or("", |rollout| rollout.candidate.as_str())
    }

    /// Notes which versions took traffic; new ones in the order of their traffic.
    fn see(&mut self, volumes: &[(String, u64)], now_ms: u64) {
        for (name, exchanges) in volumes {
            if let Some(known) = self.versions.iter_mut().find(|known| known.name == *name) {
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
            });
        }
    }

    /// Says which version is the baseline and which the candidate: by the config, else the first
    /// one seen and the newest one.
    fn assign(&mut self, plan: &Plan, now_ms: u64) {
        if let Some(reference) = &plan.reject.reference {
            self.baseline.clone_from(&reference.version);
        } else if let Some(name) = &plan.baseline {
            self.baseline.clone_from(name);
        } else if self.baseline.is_empty() {
            let first = self
                .versions
                .iter()
                .find(|version| Some(&version.name) != plan.candidate.as_ref());
            match first {
                Some(version) => self.baseline.clone_from(&version.name),
                None => return,
            }
        } else {
            self.promote_if_alone(now_ms);
        }
        let guarded = plan.reject.reference.is_some();
        let newest = self
            .versions
            .iter()
            .rev()
            .find(|version| match &plan.candidate {
                Some(name) => version.name == *name,
                None => guarded || version.name != self.baseline,
            })
            .map(|version| version.name.clone());
        if let Some(newest) = newest
            && newest != self.candidate()
        {
            self.start_rollout(plan, newest, now_ms);
        }
    }

    fn promote_if_alone(&mut self, now_ms: u64) {
        let last_seen = |name: &str| {
            self.versions
                .iter()
                .find(|version| version.name == name)
                .map_or(0, |version| version.last_seen_ms)
        };
        let candidate = self.candidate().to_owned();
        let gone = last_seen(&self.baseline).saturating_add(PROMOTE_AFTER_MS) < now_ms;
        if !candidate.is_empty() && gone && last_seen(&candidate) == now_ms {
            self.baseline = candidate;
            self.rollout = None;
            self.routes.iter_mut().for_each(Route::promote);
        }
    }

    fn start_rollout(&mut self, plan: &Plan, candidate: String, now_ms: u64) {
        self.rollout = Some(Rollout {
            candidate,
            started_ms: now_ms,
            phase_ms: now_ms,
            ..Rollout::default()
        });
        self.restart(plan);
    }

    /// Forgets the evidence, and gives the largest weights to the routes with most traffic.
    fn restart(&mut self, plan: &Plan) {
        self.routes
            .sort_by(|one, other| other.baseline_weight().total_cmp(&one.baseline_weight()));
        for (rank, route) in (0..).zip(&mut self.routes) {
            route.rank = rank;
            route.restart(plan);
        }
        self.next_rank = self.routes.len() as u32;
        self.forfeited = 0.0;
    }

    /// Whether this tick's exchanges may be judged.
    fn judgement(&mut self, plan: &Plan, volumes: &[(String, u64)], now_ms: u64) -> Judgement {
        let slowest = self
            .routes
            .iter()
            .filter_map(|route| route.slow_cut(plan))
            .map(crate::sketch::buckets::upper_bound)
            .max()
            .unwrap_or(0);
        let baseline_name = self.baseline.clone();
        let Some(rollout) = &mut self.rollout else {
            return Judgement::LearnOnly;
        };
        let candidate = volume(volumes, &rollout.candidate);
        let baseline = volume(volumes, &baseline_name);
        let [baseline_sum, candidate_sum] = &mut rollout.exchanges;
        *baseline_sum += baseline;
        *candidate_sum += candidate;
        // Completions of the two arms are not comparable for about one slow exchange's length
        // after the candidate's share has changed: the slow ones still are of the old share.
        let tick_us = plan.tick.as_micros().max(1);
        if rollout.share_changed(candidate as f64, (candidate + baseline) as f64) {
            let ticks = 1 + (u128::from(slowest) / tick_us) as u32;
            rollout.hold_ticks = ticks.min(LONGEST_HOLD);
        }
        let warm = now_ms
            >= rollout
                .started_ms
                .saturating_add(plan.warm_up.as_millis() as u64);
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
            self.forfeited += route_weight(gone.rank as usize);
        }
        self.routes.push(Route::new(plan, key, self.next_rank));
        self.next_rank = self.next_rank.saturating_add(1);
        Some(self.routes.len() - 1)
    }

    /// The evidence that is enough now, in nats.
    fn threshold(&self, plan: &Plan) -> f64 {
        let halvings = self
            .rollout
            .as_ref()
            .map_or(0, |rollout| match rollout.phase {
                Phase::Probation => rollout.verdicts,
                _ => 0,
            });
        -plan.false_alarm.ln() + f64::from(halvings) * core::f64::consts::LN_2
    }

    fn shares(&self, plan: &Plan) -> Vec<(usize, usize, WeightedEvidence)> {
        let mut shares = Vec::with_capacity(self.routes.len() * plan.questions.len());
        for (place, route) in self.routes.iter().enumerate() {
            let weight = route_weight(route.rank as usize);
            let pairs = plan.questions.iter().zip(&route.pairs).enumerate();
            for (question_place, ((_, question), pair)) in pairs {
                let evidence = WeightedEvidence {
                    weight: weight * question.weight,
                    log_evidence: pair.harm.log_evidence(),
                };
                shares.push((place, question_place, evidence));
            }
        }
        shares
    }

    fn evidence(&self, shares: &[(usize, usize, WeightedEvidence)]) -> f64 {
        let gone = WeightedEvidence {
            weight: self.forfeited,
            log_evidence: f64::NEG_INFINITY,
        };
        log_weighted_mean(shares.iter().map(|share| share.2).chain([gone]))
    }

    fn decide(&mut self, plan: &Plan, now_ms: u64) {
        let shares = self.shares(plan);
        let evidence = self.evidence(&shares);
        let threshold = self.threshold(plan);
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        match rollout.phase {
            Phase::Watching | Phase::Probation if evidence >= threshold => {
                if rollout.verdicts == 0 {
                    let [_, candidate] = rollout.exchanges;
                    rollout.exchanges_at_verdict = candidate;
                    rollout.verdict_ms = now_ms;
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
            }
            _ => {}
        }
    }

    fn verdict(&self, plan: &Plan, evidence: f64) -> Verdict {
        let Some(rollout) = &self.rollout else {
            return Verdict::Learning;
        };
        match rollout.phase {
            Phase::Condemned | Phase::Probation => Verdict::Anomalous,
            Phase::Watching if evidence >= self.threshold(plan) / 2.0 => Verdict::Suspect,
            Phase::Watching if rollout.judged >= plan.healthy_after => Verdict::Healthy,
            Phase::Watching => Verdict::Learning,
        }
    }

    pub(super) fn decision(&self, plan: &Plan) -> Decision {
        let shares = self.shares(plan);
        let evidence = self.evidence(&shares);
        let threshold = self.threshold(plan);
        let verdict = self.verdict(plan, evidence);
        let Some(rollout) = &self.rollout else {
            return Decision {
                destination: self.name.clone(),
                baseline: self.baseline.clone(),
                threshold,
                ..Decision::default()
            };
        };
        let steer_share = match rollout.phase {
            Phase::Watching => 0.0,
            Phase::Condemned => 1.0,
            Phase::Probation => 1.0 - plan.probation.map_or(0.0, |probation| probation.share),
        };
        let [baseline_exchanges, candidate_exchanges] = rollout.exchanges;
        let (change_evidence, differences) = self.differences(plan, threshold);
        Decision {
            destination: self.name.clone(),
            baseline: self.baseline.clone(),
            candidate: rollout.candidate.clone(),
            verdict,
            evidence,
            threshold,
            change_evidence,
            baseline_exchanges,
            candidate_exchanges,
            judged_exchanges: rollout.judged,
            exchanges_at_verdict: rollout.exchanges_at_verdict,
            started_ms: rollout.started_ms,
            verdict_ms: rollout.verdict_ms,
            steer_share,
            reasons: self.reasons(plan, &shares, verdict),
            differences,
            condemned: self.condemned(plan, &shares, threshold),
        }
    }

    fn reasons(
        &self,
        plan: &Plan,
        shares: &[(usize, usize, WeightedEvidence)],
        verdict: Verdict,
    ) -> Vec<Reason> {
        if verdict < Verdict::Suspect {
            return Vec::new();
        }
        let weighted: Vec<WeightedEvidence> = shares.iter().map(|share| share.2).collect();
        let mut named = e_bh(&weighted, plan.false_alarm);
        if named.is_empty() {
            // No pair is enough by itself; the largest still leads.
            let largest = (0..weighted.len()).max_by(|one, other| {
                let share = |place: &usize| {
                    weighted.get(*place).map_or(f64::NEG_INFINITY, |pair| {
                        pair.weight.ln() + pair.log_evidence
                    })
                };
                share(one).total_cmp(&share(other))
            });
            named.extend(largest);
        }
        named
            .into_iter()
            .take(MAX_REASONS)
            .filter_map(|place| {
                let (route, question_place, _) = shares.get(place)?;
                let route = self.routes.get(*route)?;
                let (_, question) = plan.questions.get(*question_place)?;
                let pair: &Pair = route.pairs.get(*question_place)?;
                Some(Reason {
                    route: route.key.clone(),
                    category: question.name,
                    meaning: question.meaning,
                    detail: route.detail(plan, *question_place),
                    evidence: pair.harm.log_evidence(),
                    candidate: pair.candidate,
                    baseline: pair.baseline,
                    odds_ratio: pair.interval.estimate(),
                    interval: pair.interval.interval(plan.false_alarm),
                })
            })
            .collect()
    }

    fn differences(&self, plan: &Plan, threshold: f64) -> (f64, Vec<Difference>) {
        let signals = plan.signals.len().max(1) as f64;
        let mut weighted = Vec::new();
        let mut found = Vec::new();
        for route in &self.routes {
            let weight = route_weight(route.rank as usize) / signals;
            for (place, (signal, change)) in plan.signals.iter().zip(&route.changes).enumerate() {
                let log_evidence = change.log_evidence();
                weighted.push(WeightedEvidence {
                    weight,
                    log_evidence,
                });
                if log_evidence + weight.ln() < threshold {
                    continue;
                }
                let distance = route.distance(place, signal.as_ref());
                if distance >= signal.smallest_change() {
                    found.push(Difference {
                        route: route.key.clone(),
                        signal: signal.name(),
                        evidence: log_evidence,
                        distance,
                    });
                }
            }
        }
        found.sort_by(|one, other| other.evidence.total_cmp(&one.evidence));
        found.truncate(MAX_REASONS);
        (log_weighted_mean(weighted), found)
    }

    fn condemned(
        &self,
        plan: &Plan,
        shares: &[(usize, usize, WeightedEvidence)],
        threshold: f64,
    ) -> Vec<(RouteKey, &'static str)> {
        if plan.reject.reference.is_none() {
            return Vec::new();
        }
        shares
            .iter()
            .filter(|(_, _, share)| share.log_evidence + share.weight.ln() >= threshold)
            .filter_map(|(route, question, _)| {
                let route = self.routes.get(*route)?;
                let (_, question) = plan.questions.get(*question)?;
                Some((route.key.clone(), question.name))
            })
            .collect()
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

    /// Log e-values of all pairs.
    pub(super) fn pair_evidence(&self, plan: &Plan) -> Vec<(&RouteKey, &'static str, f64)> {
        self.routes
            .iter()
            .flat_map(|route| {
                plan.questions
                    .iter()
                    .zip(&route.pairs)
                    .map(|((_, question), pair)| {
                        (&route.key, question.name, pair.harm.log_evidence())
                    })
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
        writer.f64(self.forfeited);
        writer.length(self.versions.len());
        for version in &self.versions {
            writer.text(&version.name);
            writer.u64(version.last_seen_ms);
            writer.u64(version.exchanges);
        }
        writer.u8(u8::from(self.rollout.is_some()));
        if let Some(rollout) = &self.rollout {
            rollout.encode(writer);
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
        destination.forfeited = reader.f64()?.clamp(0.0, 1.0);
        for _ in 0..reader.length(MAX_VERSIONS)? {
            destination.versions.push(Version {
                name: reader.text(MAX_VERSION_BYTES)?.to_owned(),
                last_seen_ms: reader.u64()?,
                exchanges: reader.u64()?,
            });
        }
        if reader.u8()? == 1 {
            destination.rollout = Some(Rollout::decode(reader)?);
        }
        for _ in 0..reader.length(MAX_ROUTES)? {
            destination.routes.push(Route::decode(plan, reader)?);
        }
        Ok(destination)
    }
}

impl Rollout {
    /// Takes a tick's exchanges of the candidate and of both; whether the share has changed
    /// suddenly: by half and by more than four standard deviations.
    fn share_changed(&mut self, candidate: f64, both: f64) -> bool {
        let [candidate_sum, both_sum] = self.share;
        let before = if both_sum > 0.0 {
            candidate_sum / both_sum
        } else {
            0.0
        };
        let now = if both > 0.0 { candidate / both } else { before };
        let spread = (before * (1.0 - before) * (1.0 / both.max(1.0) + 1.0 / both_sum.max(1.0)))
            .max(0.0)
            .sqrt();
        let changed = both_sum > 0.0
            && both > 0.0
            && (now - before).abs() > 4.0 * spread
            && (candidate - before * both).abs() > 4.0
            && (now > 1.5 * before || now < before / 1.5);
        self.share = if changed {
            [candidate, both]
        } else {
            [
                candidate_sum * SHARE_KEEP + candidate,
                both_sum * SHARE_KEEP + both,
            ]
        };
        changed
    }

    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.candidate);
        writer.u8(self.phase as u8);
        for value in [self.started_ms, self.phase_ms, self.verdict_ms, self.judged] {
            writer.u64(value);
        }
        self.exchanges.iter().for_each(|value| writer.u64(*value));
        writer.u64(self.exchanges_at_verdict);
        writer.u32(self.verdicts);
        self.share.iter().for_each(|value| writer.f64(*value));
        writer.u32(self.hold_ticks);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            candidate: reader.text(MAX_VERSION_BYTES)?.to_owned(),
            phase: match reader.u8()? {
                0 => Phase::Watching,
                1 => Phase::Condemned,
                2 => Phase::Probation,
                value => {
                    return Err(CodecError::Unknown {
                        what: "phase",
                        value: u64::from(value),
                    });
                }
            },
            started_ms: reader.u64()?,
            phase_ms: reader.u64()?,
            verdict_ms: reader.u64()?,
            judged: reader.u64()?,
            exchanges: [reader.u64()?, reader.u64()?],
            exchanges_at_verdict: reader.u64()?,
            verdicts: reader.u32()?,
            share: [reader.f64()?, reader.f64()?],
            hold_ticks: reader.u32()?,
        })
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
