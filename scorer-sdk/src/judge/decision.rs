//! What a destination's evidence comes to: the verdict, its reasons, and what to do.

use super::destination::Destination;
use super::differences::{balance, differences};
use super::needed::needed;
use super::phase::Phase;
use super::reasons::{condemned, reason, reasons};
use super::rollout::{Rollout, threshold};
use super::shares::Shares;
use crate::config::Plan;
use crate::drift::SharedChange;
use crate::judge::verdict::{Decision, LeftOut, Silence, Silent, Verdict};
use std::borrow::Cow;

/// What is decided about a destination.
pub(super) fn decision(plan: &Plan, destination: &Destination) -> Decision {
    let Destination {
        name,
        versions,
        comparison,
        placebo,
        units,
        ..
    } = destination;
    let threshold = threshold(plan, destination.rollout.as_ref());
    let Some(rollout) = &destination.rollout else {
        return Decision {
            destination: name.clone(),
            baseline: versions.baseline().to_owned(),
            threshold,
            placebo: placebo.findings(plan),
            silent: silent(plan, destination),
            shared_change: shared_change(destination),
            ..Decision::default()
        };
    };
    let shares = Shares::of(comparison, plan);
    let all_evidence = shares.log_evidence();
    let evidence = match shares.held_back(plan, comparison, placebo) {
        Cow::Borrowed(_) => all_evidence,
        Cow::Owned(held) => held.log_evidence(),
    };
    let silent = silent(plan, destination);
    let is_mute = silent
        .iter()
        .any(|silence| silence.kind == Silent::Mute && silence.version == rollout.candidate);
    let warned = is_mute || destination.past_alarm.stands();
    let leaning = shares.leaning(comparison, threshold);
    let verdict = verdict(plan, rollout, all_evidence, warned, leaning.is_some());
    let [seen, candidate_exchanges] = rollout.exchanges;
    let reference = plan.reject.reference.as_ref();
    let (change_evidence, differences) = differences(plan, comparison, name);
    Decision {
        destination: name.clone(),
        baseline: versions.baseline().to_owned(),
        candidate: rollout.candidate.clone(),
        verdict,
        evidence,
        threshold,
        change_evidence,
        baseline_exchanges: reference.map_or(seen, |known| known.exchanges),
        candidate_exchanges,
        judged_exchanges: rollout.judged,
        exchanges_at_verdict: rollout.exchanges_at_verdict,
        started_ms: rollout.started_ms,
        verdict_ms: rollout.verdict_ms,
        found: rollout.found.as_ref().and_then(|found| found.told(plan)),
        steer_share: steer_share(plan, rollout, versions.condemned()),
        reasons: if verdict < Verdict::Suspect {
            Vec::new()
        } else {
            let mut reasons = reasons(plan, name, comparison, &shares);
            // Where the past or silence made it suspect, there may be nothing side by side.
            reasons.retain(|reason| !warned || reason.evidence > 0.0);
            reasons
        },
        leaning: leaning
            .filter(|_| verdict == Verdict::Learning)
            .and_then(|index| reason(plan, name, comparison, index)),
        differences,
        condemned: condemned(plan, name, comparison, &shares, threshold),
        condemned_versions: versions.condemned().to_vec(),
        by_fleet: rollout.phase == Phase::ByFleet,
        baseline_failing: rollout.baseline_is_failing(),
        placebo: placebo.findings(plan),
        held_by_placebo: rollout.phase == Phase::Watching && all_evidence >= threshold,
        balance: balance(plan, name, comparison, threshold),
        warming_up: !rollout.latency_is_judged(),
        hosts: units.busy_hosts(),
        left_out: units
            .left_out()
            .and_then(|(question, [by_host, by_session])| {
                let (_, question) = plan.questions.get(question)?;
                Some(LeftOut {
                    category: question.name,
                    meaning: question.meaning,
                    by_host,
                    by_session,
                })
            }),
        // Nothing more is needed where the verdict has fallen.
        needed: match verdict {
            Verdict::Anomalous => Vec::new(),
            _ => needed(plan, comparison, rollout, threshold),
        },
        against_past: destination.past_alarm.findings(plan),
        silent,
        shared_change: shared_change(destination),
    }
}

/// What is to be thought of the candidate. `evidence` is that of all pairs, those that the placebo
/// holds back among them: they are suspect still. `warned` tells that the candidate is worse than
/// the past or answers nothing, `leaning` that a single pair speaks against it by itself.
fn verdict(plan: &Plan, rollout: &Rollout, evidence: f64, warned: bool, leaning: bool) -> Verdict {
    match rollout.phase {
        Phase::Condemned | Phase::Probation | Phase::ByFleet => Verdict::Anomalous,
        Phase::Watching if evidence >= threshold(plan, Some(rollout)) / 2.0 => Verdict::Suspect,
        Phase::Watching if warned => Verdict::Suspect,
        // What is worse on one route of many takes longest to find: it is not called healthy meanwhile.
        Phase::Watching if leaning => Verdict::Learning,
        // Errors are judged from the first request on; without a look at latency nobody is healthy.
        Phase::Watching if rollout.latency_is_judged() && rollout.judged >= plan.healthy_after => {
            Verdict::Healthy
        }
        Phase::Watching => Verdict::Learning,
    }
}

/// The share of the condemned versions' requests that goes to the baseline.
fn steer_share(plan: &Plan, rollout: &Rollout, condemned: &[String]) -> f64 {
    match rollout.phase {
        _ if rollout.baseline_is_failing() => 0.0,
        Phase::Watching if condemned.is_empty() => 0.0,
        // Another version than the candidate was condemned and still has traffic.
        Phase::Watching => 1.0,
        Phase::Condemned | Phase::ByFleet => 1.0,
        Phase::Probation => 1.0 - plan.probation.map_or(0.0, |probation| probation.share),
    }
}

/// The versions that are silent.
fn silent(plan: &Plan, destination: &Destination) -> Vec<Silence> {
    let is_guard = plan.reject.reference.is_some();
    let condemned = destination.versions.condemned();
    destination.silences.findings(is_guard, condemned)
}

/// What drifts, and what it comes from.
fn shared_change(destination: &Destination) -> SharedChange {
    let rollout = destination.rollout.as_ref();
    let fires = rollout.is_some_and(|rollout| rollout.phase != Phase::Watching);
    destination
        .watch
        .as_ref()
        .map(|watch| SharedChange::of(watch, fires, rollout.is_some()))
        .unwrap_or_default()
}
