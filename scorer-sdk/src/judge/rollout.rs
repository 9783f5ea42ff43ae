//! A rollout: one candidate of a destination, from its first exchange to its replacement.
//!
//! It says when judgement is held, how much evidence is enough, and when a condemned candidate gets
//! another chance.

use super::baseline_health::BaselineHealth;
use super::found::FoundState;
use super::phase::{Judgement, Phase};
use super::remembered::RememberedRollout;
use crate::config::Plan;
use crate::judge::verdict::FleetWord;
use crate::limits::MAX_VERSION_BYTES;
use crate::sketch::buckets;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Share of the running sums that is kept from tick to tick.
const KEEP: f64 = 0.8;
/// A share has changed when its odds have changed by this factor, and not by chance.
const CHANGED_ODDS: f64 = 1.5;
/// Standard deviations that chance does not explain.
const CHANGED_DEVIATIONS: f64 = 4.0;
/// Longest time for which judgement is held after the candidate's share has changed.
const LONGEST_HOLD_MS: u64 = 60_000;
/// What an error calls the counts.
const COUNT: &str = "decayed count";

#[derive(Debug, Clone, Default)]
pub(super) struct Rollout {
    pub(super) candidate: String,
    pub(super) phase: Phase,
    pub(super) started_ms: u64,
    phase_ms: u64,
    /// When the verdict fell; 0 while there is none.
    pub(super) verdict_ms: u64,
    /// Exchanges of baseline and candidate since it began.
    pub(super) exchanges: [u64; 2],
    /// Candidate exchanges that were judged in this phase.
    pub(super) judged: u64,
    pub(super) exchanges_at_verdict: u64,
    /// What was known then.
    pub(super) found: Option<FoundState>,
    /// Verdicts so far: each probation has half of the chance for a false alarm of the one before.
    verdicts: u32,
    /// Decayed exchanges of the candidate and of both, for the running share.
    share: [f64; 2],
    /// Requests are not steered to a baseline that fails itself.
    pub(super) baseline: BaselineHealth,
    /// Ticks for which judgement is still held.
    hold_ticks: u32,
    /// When its share last changed.
    jump_ms: u64,
    /// Whether it is older than `warm_up.min`.
    pub(super) warm: bool,
    /// Whether the latency of most of its exchanges is not judged yet, because their hosts are young.
    pub(super) cold: bool,
}

/// What the evidence of a tick has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The phase goes on.
    None,
    /// The candidate was found anomalous.
    Condemned,
    /// Its probation begins.
    Probation,
    /// It has passed its probation.
    Acquitted,
}

impl Rollout {
    pub(super) fn new(candidate: String, now_ms: u64) -> Self {
        Self {
            candidate,
            started_ms: now_ms,
            phase_ms: now_ms,
            jump_ms: now_ms,
            ..Self::default()
        }
    }

    /// What another proxy may go on with; none while no verdict has fallen.
    pub(super) fn remembered(&self) -> Option<RememberedRollout> {
        (self.phase != Phase::Watching).then(|| RememberedRollout {
            phase: self.phase,
            started_ms: self.started_ms,
            phase_ms: self.phase_ms,
            verdict_ms: self.verdict_ms,
            verdicts: self.verdicts,
            exchanges_at_verdict: self.exchanges_at_verdict,
            found: self.found.clone(),
        })
    }

    /// Goes on with what another proxy knew.
    pub(super) fn recalled(candidate: String, known: RememberedRollout, now_ms: u64) -> Self {
        Self {
            phase: known.phase,
            started_ms: known.started_ms.min(now_ms),
            phase_ms: known.phase_ms.min(now_ms),
            // 0 stands for no verdict.
            verdict_ms: known.verdict_ms.clamp(1, now_ms.max(1)),
            verdicts: known.verdicts,
            exchanges_at_verdict: known.exchanges_at_verdict,
            found: known.found,
            ..Self::new(candidate, now_ms)
        }
    }

    /// Whether it began longer ago than this.
    pub(super) fn is_older_than(&self, age_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.started_ms) > age_ms
    }

    /// Counts a tick's exchanges of baseline and candidate and says whether they may be judged.
    /// `slowest_ms` is how long the slowest exchanges take.
    pub(super) fn admit(
        &mut self,
        plan: &Plan,
        [baseline, candidate]: [u64; 2],
        slowest_ms: u64,
        now_ms: u64,
    ) -> Judgement {
        for (sum, count) in self.exchanges.iter_mut().zip([baseline, candidate]) {
            *sum = sum.saturating_add(count);
        }
        // After the clock was set back nothing began before a jump that is yet to come.
        self.jump_ms = self.jump_ms.min(now_ms);
        // After the candidate's share has changed, exchanges that began before still end, for as
        // long as the slowest take. Until then the completions of the arms are not comparable.
        if self.share_changed(candidate as f64, (candidate + baseline) as f64) {
            let tick_ms = (plan.tick.as_millis() as u64).max(1);
            self.hold_ticks = 1 + (slowest_ms.min(LONGEST_HOLD_MS) / tick_ms) as u32;
            self.jump_ms = now_ms;
        }
        self.warm = now_ms
            >= self
                .started_ms
                .saturating_add(plan.warm_up.min.as_millis() as u64);
        let held = self.hold_ticks > 0;
        self.hold_ticks = self.hold_ticks.saturating_sub(1);
        if !held && !self.phase.is_condemned() {
            Judgement::Judge
        } else {
            Judgement::LearnOnly
        }
    }

    /// Whether the latency of most of its exchanges may be judged.
    pub(super) fn latency_is_judged(&self) -> bool {
        self.warm && !self.cold
    }

    /// The largest log bucket of microseconds that lies within the time since its share last changed.
    pub(super) fn since_jump(&self, now_ms: u64) -> u16 {
        let since = now_ms.saturating_sub(self.jump_ms).saturating_mul(1_000);
        // The bucket of that time itself begins before the jump.
        buckets::code(since).saturating_sub(1)
    }

    /// Takes a tick's exchanges of the candidate and of both; whether the share has changed
    /// suddenly: its odds by half, and by more than four standard deviations.
    fn share_changed(&mut self, candidate: f64, both: f64) -> bool {
        let [candidate_sum, both_sum] = self.share;
        let changed = both_sum > 0.0 && both > 0.0 && {
            let before = candidate_sum / both_sum;
            let now = candidate / both;
            let pooled = (candidate_sum + candidate) / (both_sum + both);
            let spread = (pooled * (1.0 - pooled) * (1.0 / both + 1.0 / both_sum)).sqrt();
            // Half an exchange on each side keeps the odds finite.
            let odds = |part: f64, all: f64| (part + 0.5) / (all - part + 0.5);
            let ratio = odds(candidate, both) / odds(candidate_sum, both_sum);
            (now - before).abs() > CHANGED_DEVIATIONS * spread
                && !(1.0 / CHANGED_ODDS..=CHANGED_ODDS).contains(&ratio)
        };
        self.share = if changed {
            [candidate, both]
        } else {
            [candidate_sum * KEEP + candidate, both_sum * KEEP + both]
        };
        changed
    }

    /// Takes what a tick has added: judged exchanges of the candidate, and of each of the baseline's
    /// routes its failures and exchanges.
    pub(super) fn note(&mut self, judged: u64, of_baseline: impl Iterator<Item = (u64, [u64; 2])>) {
        self.judged = self.judged.saturating_add(judged);
        self.baseline.tick();
        of_baseline.for_each(|(route, counts)| self.baseline.note(route, counts));
    }

    /// Whether the baseline fails itself.
    pub(super) fn baseline_is_failing(&self) -> bool {
        self.baseline.is_failing()
    }

    /// How many times the chance for a false alarm is halved now.
    fn halvings(&self) -> u32 {
        match self.phase {
            Phase::Probation => self.verdicts,
            _ => 0,
        }
    }

    /// Acts on the evidence in nats. `leaning` tells that a single pair speaks against the candidate by
    /// itself: it is not acquitted then.
    pub(super) fn decide(
        &mut self,
        plan: &Plan,
        evidence: f64,
        leaning: bool,
        now_ms: u64,
    ) -> Step {
        let threshold = threshold(plan, Some(self));
        match self.phase {
            Phase::Watching | Phase::Probation if evidence >= threshold => {
                self.condemn(Phase::Condemned, now_ms);
                Step::Condemned
            }
            Phase::Condemned | Phase::ByFleet if self.probation_is_due(plan, now_ms) => {
                self.enter(Phase::Probation, now_ms);
                self.judged = 0;
                // What began while the candidate was kept from traffic is not judged.
                self.share = [0.0; 2];
                self.jump_ms = now_ms;
                Step::Probation
            }
            Phase::Probation
                if self.judged >= plan.healthy_after && evidence < threshold / 2.0 && !leaning =>
            {
                self.enter(Phase::Watching, now_ms);
                self.verdict_ms = 0;
                self.found = None;
                Step::Acquitted
            }
            _ => Step::None,
        }
    }

    fn condemn(&mut self, phase: Phase, now_ms: u64) {
        if self.verdict_ms == 0 {
            let [_, candidate] = self.exchanges;
            self.exchanges_at_verdict = candidate;
            self.verdict_ms = now_ms;
        }
        self.enter(phase, now_ms);
        self.verdicts = self.verdicts.saturating_add(1);
    }

    /// Does what all proxies together say. During a probation this proxy decides alone: the others'
    /// evidence is what the verdict before it rested on.
    pub(super) fn heed(&mut self, word: FleetWord, now_ms: u64) -> Step {
        match (word, self.phase) {
            (FleetWord::Condemn, Phase::Watching) => {
                self.condemn(Phase::ByFleet, now_ms);
                Step::Condemned
            }
            (FleetWord::Clear, Phase::ByFleet) => {
                self.enter(Phase::Watching, now_ms);
                self.verdict_ms = 0;
                self.found = None;
                // What began while the candidate was kept from traffic is not judged.
                self.share = [0.0; 2];
                self.jump_ms = now_ms;
                Step::Acquitted
            }
            _ => Step::None,
        }
    }

    fn enter(&mut self, phase: Phase, now_ms: u64) {
        self.phase = phase;
        self.phase_ms = now_ms;
    }

    fn probation_is_due(&self, plan: &Plan, now_ms: u64) -> bool {
        plan.probation.is_some_and(|probation| {
            let after_ms = probation.after.as_millis() as u64;
            now_ms >= self.phase_ms.saturating_add(after_ms)
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.text(&self.candidate);
        writer.u8(self.phase as u8);
        for value in [self.started_ms, self.phase_ms, self.verdict_ms, self.judged] {
            writer.u64(value);
        }
        self.exchanges.iter().for_each(|value| writer.u64(*value));
        writer.u64(self.exchanges_at_verdict);
        writer.u32(self.verdicts);
        self.share.iter().for_each(|value| writer.f64(*value));
        self.baseline.encode(writer);
        writer.u32(self.hold_ticks);
        writer.u64(self.jump_ms);
        writer.u8(u8::from(self.warm));
        writer.u8(u8::from(self.cold));
        writer.option(self.found.as_ref(), FoundState::encode);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let candidate = reader.text(MAX_VERSION_BYTES)?.to_owned();
        let number = reader.u8()?;
        Ok(Self {
            candidate,
            phase: Phase::from_number(number).ok_or(CodecError::Unknown {
                what: "phase",
                value: u64::from(number),
            })?,
            started_ms: reader.u64()?,
            phase_ms: reader.u64()?,
            verdict_ms: reader.u64()?,
            judged: reader.u64()?,
            exchanges: [reader.u64()?, reader.u64()?],
            exchanges_at_verdict: reader.u64()?,
            verdicts: reader.u32()?,
            share: [reader.finite(COUNT)?, reader.finite(COUNT)?],
            baseline: BaselineHealth::decode(reader)?,
            hold_ticks: reader.u32()?,
            jump_ms: reader.u64()?,
            warm: reader.u8()? == 1,
            cold: reader.u8()? == 1,
            found: reader.option(FoundState::decode)?,
        })
    }
}

/// The evidence that is enough now, in nats.
pub(super) fn threshold(plan: &Plan, rollout: Option<&Rollout>) -> f64 {
    let halvings = rollout.map_or(0, Rollout::halvings);
    -plan.own_false_alarm().ln() + f64::from(halvings) * core::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fleet_condemns_whom_it_judges_and_clears_whom_it_condemned() {
        let plan = Plan::from_json(r#"{"steer": {"probation": {"after": "1m", "share": 0.1}}}"#);
        let plan = plan.unwrap();
        let mut rollout = Rollout::new("v2".to_owned(), 1_000);
        assert_eq!(rollout.heed(FleetWord::Clear, 2_000), Step::None);
        assert_eq!(rollout.heed(FleetWord::Condemn, 3_000), Step::Condemned);
        assert_eq!(rollout.verdict_ms, 3_000);
        assert_eq!(rollout.heed(FleetWord::Condemn, 4_000), Step::None);
        assert_eq!(rollout.heed(FleetWord::Clear, 5_000), Step::Acquitted);
        assert_eq!((rollout.phase, rollout.verdict_ms), (Phase::Watching, 0));

        // What this proxy found itself stays found.
        assert_eq!(rollout.decide(&plan, 50.0, false, 6_000), Step::Condemned);
        assert_eq!(rollout.heed(FleetWord::Clear, 7_000), Step::None);
        assert_eq!(rollout.phase, Phase::Condemned);
        // In a probation this proxy decides.
        assert_eq!(rollout.decide(&plan, 50.0, false, 70_000), Step::Probation);
        assert_eq!(rollout.heed(FleetWord::Condemn, 71_000), Step::None);
        assert_eq!(rollout.heed(FleetWord::Clear, 71_000), Step::None);
    }

    #[test]
    fn a_verdict_of_the_fleet_has_its_probation_as_well() {
        let plan = Plan::from_json(r#"{"steer": {"probation": {"after": "1m", "share": 0.1}}}"#);
        let plan = plan.unwrap();
        let mut rollout = Rollout::new("v2".to_owned(), 1_000);
        rollout.heed(FleetWord::Condemn, 2_000);
        let judgement = rollout.admit(&plan, [90, 10], 0, 3_000);
        assert!(matches!(judgement, Judgement::LearnOnly));
        assert_eq!(rollout.decide(&plan, 0.0, false, 61_000), Step::None);
        assert_eq!(rollout.decide(&plan, 0.0, false, 62_000), Step::Probation);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_judgement_until_it_has_caught_up() {
        let plan = Plan::from_json("{}").unwrap();
        let mut rollout = Rollout::new("v2".to_owned(), 10_000_000);
        for now_ms in [10_001_000, 5_000_000, 5_060_000] {
            rollout.admit(&plan, [90, 10], 0, now_ms);
        }
        assert_eq!(rollout.since_jump(5_060_000), buckets::code(60_000_000) - 1);
    }
}
