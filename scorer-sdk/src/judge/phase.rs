//! The phases of a rollout: when judgement is held, when there is evidence enough, and when a
//! condemned candidate gets another chance.

use super::destination::Destination;
use super::versions::volume;
use crate::config::Plan;
use crate::sketch::buckets;

/// Longest time for which judgement is held after the candidate's share has changed.
const LONGEST_HOLD_MS: u64 = 60_000;

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// Evidence is gathered.
    #[default]
    Watching,
    /// The candidate was found anomalous.
    Condemned,
    /// A trickle is let through, with fresh evidence.
    Probation,
}

/// What may be done with a gathered block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Judge it if both arms are in it, else wait for the other.
    Judge,
    /// Only learn from it: warm-up, a share that has just changed, no candidate.
    LearnOnly,
}

impl Destination {
    /// Whether this tick's exchanges may be judged.
    pub(super) fn judgement(
        &mut self,
        plan: &Plan,
        volumes: &[(String, u64)],
        now_ms: u64,
    ) -> Judgement {
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

    pub(super) fn decide(&mut self, plan: &Plan, now_ms: u64) {
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
}
