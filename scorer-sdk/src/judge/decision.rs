//! What a destination's evidence comes to: the verdict, its reasons, what to do.

use super::destination::Destination;
use super::mix::Mix;
use super::phase::Phase;
use super::shares::Shares;
use crate::config::Plan;
use crate::evidence::{WeightedEvidence, e_bh, log_weighted_mean};
use crate::judge::verdict::{Decision, Difference, Reason, Verdict};
use crate::route::RouteKey;
use crate::signal::{Side, Signal};

/// Most reasons and differences in a decision.
const MAX_REASONS: usize = 10;
/// Name of the balance check over routes, beside those of the request's signals.
const MIX: &str = "routes";
/// Smallest total variation distance between two mixes of routes that is called an imbalance.
const SMALLEST_IMBALANCE: f64 = 0.05;

impl Destination {
    /// What is to be thought of the candidate.
    /// `evidence` is that of all pairs, held back or not: what is held back is suspect still.
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
        let counting = self.counting(plan, &shares);
        let evidence = self.evidence(&counting);
        let all_evidence = self.evidence(&shares);
        let threshold = self.threshold(plan);
        let verdict = self.verdict(plan, all_evidence);
        let Some(rollout) = &self.rollout else {
            return Decision {
                destination: self.name.clone(),
                baseline: self.baseline.clone(),
                threshold,
                placebo: self.placebo.findings(plan),
                shared_change: self.shared_change(),
                ..Decision::default()
            };
        };
        let steer_share = match rollout.phase {
            _ if rollout.baseline_is_failing() => 0.0,
            // Another version than the candidate was condemned and still has traffic.
            Phase::Watching if self.condemned_versions.is_empty() => 0.0,
            Phase::Watching => 1.0,
            Phase::Condemned => 1.0,
            Phase::Probation => 1.0 - plan.probation.map_or(0.0, |probation| probation.share),
        };
        let [seen, candidate_exchanges] = rollout.exchanges;
        let reference = plan.reject.reference.as_ref();
        let baseline_exchanges = reference.map_or(seen, |known| known.exchanges);
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
            condemned_versions: self.condemned_versions.clone(),
            baseline_failing: rollout.baseline_is_failing(),
            placebo: self.placebo.findings(plan),
            held_by_placebo: rollout.phase == Phase::Watching && all_evidence >= threshold,
            balance: self.balance(plan, threshold),
            warming_up: !rollout.warm,
            needed: self.needed(plan, threshold),
            shared_change: self.shared_change(),
        }
    }

    fn reasons(&self, plan: &Plan, shares: &Shares, verdict: Verdict) -> Vec<Reason> {
        if verdict < Verdict::Suspect {
            return Vec::new();
        }
        let share = |index: &usize| {
            shares.get(*index).map_or(f64::NEG_INFINITY, |(_, pair)| {
                pair.weight.ln() + pair.log_evidence
            })
        };
        let weighted: Vec<WeightedEvidence> = shares.iter().map(|share| share.1).collect();
        let mut named = e_bh(&weighted, plan.false_alarm);
        if named.is_empty() {
            // No pair is enough by itself; the largest still leads.
            named
                .extend((0..shares.len()).max_by(|one, other| share(one).total_cmp(&share(other))));
        }
        // A route says more than all routes do: the strongest one goes along with them.
        if let Some(pooled) = named.first().and_then(|index| shares.get(*index))
            && pooled.0.route.is_none()
        {
            let strongest = (0..shares.len())
                .filter(|index| {
                    shares.get(*index).is_some_and(|(at, pair)| {
                        at.route.is_some()
                            && at.question == pooled.0.question
                            && pair.log_evidence > 0.0
                    })
                })
                .max_by(|one, other| share(one).total_cmp(&share(other)));
            named.extend(strongest.filter(|index| !named.contains(index)));
        }
        named.sort_by_key(|index| shares.get(*index).is_some_and(|(at, _)| at.route.is_none()));
        named
            .into_iter()
            .take(MAX_REASONS)
            .filter_map(|index| {
                let (at, _) = shares.get(index)?;
                let (_, question) = plan.questions.get(at.question)?;
                let pair = self.pair(*at)?;
                Some(Reason {
                    route: self.key(*at)?,
                    category: question.name,
                    meaning: question.meaning,
                    detail: match (at.route, at.path) {
                        (Some(route), Some(path)) => self
                            .routes
                            .get(route)?
                            .bodies
                            .pairs
                            .get(path)?
                            .detail
                            .clone(),
                        (Some(route), None) => self.routes.get(route)?.detail(plan, at.question),
                        (None, _) => String::new(),
                    },
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
        let (weighted, mut found) = self.changes(plan, Side::Response, 1.0, threshold);
        found.sort_by(|one, other| other.evidence.total_cmp(&one.evidence));
        found.truncate(MAX_REASONS);
        (log_weighted_mean(weighted), found)
    }

    /// Where the requests of the two arms are not alike: half of the weight for the routes' mix.
    fn balance(&self, plan: &Plan, threshold: f64) -> Vec<Difference> {
        let (_, mut found) = self.changes(plan, Side::Request, 0.5, threshold);
        let evidence = self.mix.log_evidence();
        let distance = Mix::distance(&self.routes);
        if evidence + 0.5_f64.ln() >= threshold && distance >= SMALLEST_IMBALANCE {
            found.push(Difference {
                route: RouteKey::all(&self.name),
                signal: MIX,
                evidence,
                distance,
                detail: String::new(),
            });
        }
        found.sort_by(|one, other| other.evidence.total_cmp(&one.evidence));
        found.truncate(MAX_REASONS);
        found
    }

    /// The change tests of one side's signals, which share `weight`, and those of them that are
    /// enough by themselves and far enough apart. What was declared does not count.
    fn changes(
        &self,
        plan: &Plan,
        side: Side,
        weight: f64,
        threshold: f64,
    ) -> (Vec<WeightedEvidence>, Vec<Difference>) {
        let of_side = |signal: &dyn Signal| signal.side() == side;
        let signals = plan
            .signals
            .iter()
            .filter(|signal| of_side(signal.as_ref()))
            .count()
            .max(1) as f64;
        let mut weighted = Vec::new();
        let mut found = Vec::new();
        for route in &self.routes {
            let weight = weight * route.part / signals;
            for (index, (signal, change)) in plan
                .signals
                .iter()
                .zip(&route.changes)
                .enumerate()
                .filter(|(_, (signal, _))| of_side(signal.as_ref()))
            {
                if plan.is_expected_to_differ(&route.key, index) {
                    continue;
                }
                let log_evidence = change.log_evidence();
                weighted.push(WeightedEvidence {
                    weight,
                    log_evidence,
                });
                if log_evidence + weight.ln() < threshold {
                    continue;
                }
                let distance = route.distance(index, signal.as_ref());
                if distance >= signal.smallest_change() {
                    let detail = if plan.paths_of_bodies() == Some(index) {
                        route.bodies.gained()
                    } else {
                        route.changed(index, signal.as_ref())
                    };
                    found.push(Difference {
                        route: route.key.clone(),
                        signal: signal.name(),
                        evidence: log_evidence,
                        distance,
                        detail,
                    });
                }
            }
        }
        (weighted, found)
    }

    fn condemned(
        &self,
        plan: &Plan,
        shares: &Shares,
        threshold: f64,
    ) -> Vec<(RouteKey, &'static str)> {
        if plan.reject.reference.is_none() {
            return Vec::new();
        }
        shares
            .iter()
            .filter(|(_, share)| share.log_evidence + share.weight.ln() >= threshold)
            .filter_map(|(at, _)| {
                let (_, question) = plan.questions.get(at.question)?;
                Some((self.key(*at)?, question.name))
            })
            .collect()
    }
}
