//! One destination: what becomes of a tick.

use super::comparison::Comparison;
use super::differences::settle;
use super::found::FoundState;
use super::moment::Moment;
use super::past_alarm::{PastAlarm, Standing};
use super::phase::{Judgement, Phase};
use super::placebo::Placebo;
use super::places;
use super::recall::{Recall, Recalled};
use super::rollout::{Rollout, Step, threshold};
use super::shares::Shares;
use super::silence::Silences;
use super::units::Units;
use super::versions::{Baseline, Versions};
use super::volumes::{Volumes, failures};
use super::watch;
use crate::config::Plan;
use crate::count::delta::{Overflow, RouteDelta};
use crate::drift::Watch;
use crate::judge::verdict::FleetWord;
use crate::route::RouteKey;
use crate::route::key::MAX_PART_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Time for which a candidate that is worse than the past does not become the baseline, though the
/// other version is gone.
const HELD_AT_MOST_MS: u64 = 86_400_000;

#[derive(Debug, Clone, Default)]
pub(super) struct Destination {
    pub(super) name: String,
    pub(super) versions: Versions,
    /// The rollout that is on; none without a candidate.
    pub(super) rollout: Option<Rollout>,
    pub(super) comparison: Comparison,
    pub(super) units: Units,
    pub(super) placebo: Placebo,
    /// The candidate against the baseline's past, while it has the traffic to itself.
    pub(super) past_alarm: PastAlarm,
    /// What was heard of each version.
    pub(super) silences: Silences,
    /// Both versions against their own past; none for a destination that is not watched.
    pub(super) watch: Option<Box<Watch>>,
    /// Whether it waits for a memory, and what became of one that nobody was told of; not part of the
    /// state: who reads it waits anew.
    pub(super) recall: Recall,
    pub(super) recalled: Option<Recalled>,
}

impl Destination {
    pub(super) fn new(name: &str, is_watched: bool) -> Self {
        Self {
            name: name.to_owned(),
            watch: is_watched.then(Box::default),
            ..Self::default()
        }
    }

    /// Ends a tick: says which versions are compared and whether they may be judged, gathers what
    /// came in, judges it, and acts on the evidence. `inbox` is what the workers have counted since the
    /// last one.
    pub(super) fn tick(
        &mut self,
        plan: &Plan,
        inbox: &[&RouteDelta],
        overflow: &mut Overflow,
        now_ms: u64,
    ) {
        let volumes = Volumes::of(inbox);
        self.choose_versions(plan, &volumes, now_ms);
        let moment = self.moment(plan, &volumes, now_ms);
        self.units.begin(plan, now_ms);

        let arms = arms(&self.versions, self.rollout.as_ref());
        let places = places::of(inbox, &self.comparison.routes);
        self.comparison
            .judge_mix(plan, (inbox, &places), arms, moment.judgement);
        if let Some(watch) = &mut self.watch {
            watch::observe(watch, plan, inbox, arms, now_ms);
        }
        let rollout = self.rollout.as_ref();
        let standing = Standing {
            arms,
            warm: rollout.is_none_or(|rollout| rollout.warm),
            condemned: rollout.is_some_and(|rollout| rollout.phase.is_condemned()),
        };
        let routes = &self.comparison.routes;
        self.past_alarm
            .observe(plan, routes, (inbox, &places), standing, now_ms);
        self.silences.observe(inbox, now_ms);
        self.comparison
            .gather(plan, (inbox, &places), arms, overflow);
        self.comparison.see_units(plan, &mut self.units, now_ms);
        self.split_baseline(plan);
        self.comparison.spreads = self.units.spreads(plan);
        let (units, halves) = (&mut self.units, self.placebo.halves());
        let judged = self.comparison.judge(plan, &moment, units, halves);
        self.placebo.judge(&judged);
        let threshold = threshold(plan, self.rollout.as_ref());
        settle(plan, &mut self.comparison, threshold);

        if let Some(rollout) = &mut self.rollout {
            let of_baseline = failures(plan, inbox, self.versions.baseline());
            rollout.note(judged.candidate_exchanges, of_baseline);
            rollout.cold = self.units.candidate_is_cold(plan, now_ms);
        }
        self.decide(plan, now_ms);
    }

    /// The name of the candidate; empty without one.
    pub(super) fn candidate(&self) -> &str {
        candidate(self.rollout.as_ref())
    }

    /// Says which version is the baseline and which the candidate: by the config, else the one with
    /// most traffic at first and the newest one since.
    fn choose_versions(&mut self, plan: &Plan, volumes: &Volumes, now_ms: u64) {
        if self.another_release_begins(plan, volumes)
            && let Some(over) = self.rollout.take()
        {
            self.versions.forget(&over.candidate);
            self.silences.forget(&over.candidate);
        }
        if self.versions.see(volumes, self.rollout.as_ref(), now_ms) {
            self.rollout = None;
        }
        if !self.may_choose(plan, volumes, now_ms) {
            return;
        }
        let known = candidate(self.rollout.as_ref());
        let held = self.past_alarm.stands()
            && self
                .rollout
                .as_ref()
                .is_some_and(|rollout| !rollout.is_older_than(HELD_AT_MOST_MS, now_ms));
        match self.versions.choose_baseline(plan, known, held, now_ms) {
            Baseline::Unknown => return,
            Baseline::Stays => {}
            Baseline::Replaced => {
                self.past_alarm.restart();
                self.comparison.forget_routes();
                self.units = Units::default();
                self.watch = self.watch.as_ref().map(|_| Box::default());
                self.rollout = None;
            }
            Baseline::Promoted => {
                self.past_alarm.restart();
                self.comparison.promote(plan);
                self.units.promote();
                if let Some(watch) = &mut self.watch {
                    watch.promote();
                }
                self.rollout = None;
            }
        }
        let has_candidate = self.rollout.is_some();
        if let Some(newest) = self.versions.newest(plan, has_candidate, now_ms)
            && newest != self.candidate()
        {
            self.rollout = Some(Rollout::new(newest.to_owned(), now_ms));
            if let Some(watch) = &mut self.watch {
                watch.restart();
            }
            self.comparison.restart(plan);
            self.units.forget_candidate();
            self.past_alarm.restart();
        }
        self.versions
            .forget_condemned(candidate(self.rollout.as_ref()), now_ms);
    }

    /// Whether the candidate comes back after it was taken out of the traffic. Delivery tools do that
    /// between two releases, whose versions may bear the same name. A condemned candidate that the
    /// filter itself keeps from traffic was not taken away.
    fn another_release_begins(&self, plan: &Plan, volumes: &Volumes) -> bool {
        let Some(rollout) = &self.rollout else {
            return false;
        };
        let kept_away = rollout.phase != Phase::Watching && plan.mode.acts();
        let is_guard = plan.reject.reference.is_some();
        !is_guard
            && !kept_away
            && volumes.of_version(&rollout.candidate) > 0
            && self.silences.is_idle(&rollout.candidate)
    }

    /// Whether this tick's exchanges may be judged, and which of them.
    fn moment(&mut self, plan: &Plan, volumes: &Volumes, now_ms: u64) -> Moment {
        let Some(rollout) = &mut self.rollout else {
            return Moment {
                now_ms,
                judgement: Judgement::LearnOnly,
                longest: u16::MAX,
            };
        };
        let exchanges = [
            volumes.of_version(self.versions.baseline()),
            volumes.of_version(&rollout.candidate),
        ];
        let slowest_ms = self.comparison.slowest_ms(plan);
        let judgement = rollout.admit(plan, exchanges, slowest_ms, now_ms);
        Moment {
            now_ms,
            judgement,
            longest: rollout.since_jump(now_ms),
        }
    }

    /// Follows the baseline and its hosts with the halves of the placebo.
    fn split_baseline(&mut self, plan: &Plan) {
        let baseline = self.versions.baseline();
        let hosts = self.units.baseline_hosts();
        if self.placebo.follow(plan, baseline, hosts) {
            self.comparison.forget_halves();
        }
    }

    /// Acts on the evidence of the pairs, without those that the placebo holds back.
    fn decide(&mut self, plan: &Plan, now_ms: u64) {
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        let shares = Shares::of(&self.comparison, plan);
        let shares = shares.held_back(plan, &self.comparison, &self.placebo);
        let evidence = shares.log_evidence();
        let against_past = self
            .past_alarm
            .log_evidence(plan)
            .filter(|_| plan.past_acts);
        let evidence = evidence.max(against_past.unwrap_or(f64::NEG_INFINITY));
        let threshold = threshold(plan, Some(rollout));
        let leaning = shares.leaning(&self.comparison, threshold).is_some();
        let step = rollout.decide(plan, evidence, leaning, now_ms);
        self.follow(plan, step, (&*shares, evidence), now_ms);
    }

    /// Does what all proxies together say of `candidate`, if that is the one that is compared here.
    pub(super) fn heed(&mut self, plan: &Plan, candidate: &str, word: FleetWord, now_ms: u64) {
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        if rollout.candidate != candidate || self.versions.baseline().is_empty() {
            return;
        }
        let step = rollout.heed(word, now_ms);
        let shares = Shares::of(&self.comparison, plan);
        let shares = shares.held_back(plan, &self.comparison, &self.placebo);
        let evidence = shares.log_evidence();
        self.follow(plan, step, (&*shares, evidence), now_ms);
    }

    /// Does what follows from a step of the rollout.
    fn follow(&mut self, plan: &Plan, step: Step, (shares, evidence): (&Shares, f64), now_ms: u64) {
        let Some(rollout) = &mut self.rollout else {
            return;
        };
        match step {
            Step::None => {}
            Step::Condemned => {
                self.versions.condemn(&rollout.candidate);
                if rollout.found.is_none() {
                    let compared = (&self.comparison, shares);
                    let past = &self.past_alarm;
                    rollout.found =
                        FoundState::of(plan, &self.name, compared, past, evidence, now_ms)
                            .map(|found| found.not_before(rollout.started_ms));
                }
            }
            Step::Probation => {
                self.comparison.restart(plan);
                self.past_alarm.restart();
            }
            Step::Acquitted => self.versions.acquit(&rollout.candidate),
        }
    }

    /// Calls `visitor` with what was counted in each category since the last call, as
    /// [`Comparison::drain_counts`] does.
    pub(super) fn drain_counts(
        &mut self,
        plan: &Plan,
        visitor: &mut dyn FnMut(&RouteKey, &'static str, &str, u64),
    ) {
        let arms = arms(&self.versions, self.rollout.as_ref());
        self.comparison.drain_counts(plan, arms, visitor);
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.text(&self.name);
        self.versions.encode(writer);
        writer.option(self.rollout.as_ref(), Rollout::encode);
        self.comparison.encode(writer);
        self.units.encode(writer);
        self.placebo.encode(writer);
        self.past_alarm.encode(writer);
        self.silences.encode(writer);
        writer.option(self.watch.as_deref(), Watch::encode);
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            name: reader.text(MAX_PART_BYTES)?.to_owned(),
            versions: Versions::decode(reader)?,
            rollout: reader.option(Rollout::decode)?,
            comparison: Comparison::decode(plan, reader)?,
            units: Units::decode(reader)?,
            placebo: Placebo::decode(plan, reader)?,
            past_alarm: PastAlarm::decode(reader)?,
            silences: Silences::decode(reader)?,
            watch: reader.option(Watch::decode)?.map(Box::new),
            recall: Recall::Settled,
            recalled: None,
        })
    }
}

/// The names of baseline and candidate.
fn arms<'a>(versions: &'a Versions, rollout: Option<&'a Rollout>) -> [&'a str; 2] {
    [versions.baseline(), candidate(rollout)]
}

fn candidate(rollout: Option<&Rollout>) -> &str {
    rollout.map_or("", |rollout| rollout.candidate.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_candidate_that_has_become_the_baseline_is_no_candidate_of_itself() {
        let plan = Plan::from_json(r#"{"candidate": "v2"}"#).unwrap();
        let mut shop = Destination::new("shop", false);
        shop.choose_versions(&plan, &[("v1", 900), ("v2", 100)].into(), 1_000);
        assert_eq!((shop.versions.baseline(), shop.candidate()), ("v1", "v2"));
        for now_ms in [300_000, 600_000, 900_000] {
            shop.choose_versions(&plan, &[("v2", 100)].into(), now_ms);
        }
        assert_eq!((shop.versions.baseline(), shop.candidate()), ("v2", ""));
    }
}
