//! The gauges of a verdict, which the leader sets: evidence, limits, causes, decisions.

use super::metrics::{Id, Metrics, cut, thousandths};
use super::series;
use crate::host::Host;
use crate::sync::inquiry::Inquiry;
use crate::sync::memories::Memories;
use core::time::Duration;
use scorer_sdk::drift::Cause;
use scorer_sdk::judge::Judge;
use scorer_sdk::judge::verdict::{Decision, Silent};
use scorer_sdk::route::RouteKey;
use scorer_sdk::telemetry::{self, label};

/// Evidence of single routes, for and against.
const SINGLE: [Id; 2] = [
    Id::of(&telemetry::EVIDENCE_FOR),
    Id::of(&telemetry::EVIDENCE_AGAINST),
];
/// Evidence over all routes together, for and against.
const POOLED: [Id; 2] = [
    Id::of(&telemetry::POOLED_EVIDENCE_FOR),
    Id::of(&telemetry::POOLED_EVIDENCE_AGAINST),
];

/// What the leader publishes beside verdicts.
#[derive(Debug, Clone, Copy)]
pub struct Overview {
    /// `comparer` or `guard`: both may be in one proxy.
    pub role: &'static str,
    /// Length of the state in bytes.
    pub state_bytes: u64,
    /// Time since the Unix epoch.
    pub now: Duration,
}

/// Publishes what the leader knows.
#[derive(Debug)]
pub struct Findings {
    metrics: Metrics,
    /// Destinations and candidates whose gauges are set.
    candidates: Vec<(String, String)>,
}

impl Findings {
    /// Nothing published yet. The process has at most `limit` series.
    #[must_use]
    pub fn new(process: series::Shared, limit: usize) -> Self {
        Self {
            metrics: Metrics::new(process, limit),
            candidates: Vec::new(),
        }
    }

    /// Another worker may set the gauges from now on: what they hold is not known any more.
    pub fn forget_values(&mut self) {
        self.metrics.forget_values();
    }

    /// Publishes the state of the judge. `damaged` values of shared data could not be read.
    pub fn publish(
        &mut self,
        host: &impl Host,
        judge: &Judge,
        decisions: &[Decision],
        damaged: u64,
        overview: Overview,
    ) {
        let role = [(label::ROLE, overview.role)];
        for (metric, value) in [
            // First, so that no sum is read before it is known to be one.
            (Id::of(&telemetry::PROCESSES), 1),
            (Id::of(&telemetry::HEARTBEAT), overview.now.as_secs()),
            (Id::of(&telemetry::STATE_BYTES), overview.state_bytes),
            (Id::of(&telemetry::MERGED_EXCHANGES), judge.merged()),
        ] {
            self.metrics.set(host, metric, &role, value);
        }
        self.metrics.begin_findings();
        self.publish_evidence(host, judge);
        self.publish_limits(host, judge, decisions);
        self.publish_warnings(host, decisions);
        self.publish_shared_change(host, decisions);
        self.publish_found(host, decisions);
        self.metrics.end_findings(host);
        // Last, so that whoever sees an alarm finds what it is about.
        self.publish_decisions(host, decisions);
        self.metrics.count_lost(host, "damaged", damaged);
        self.metrics.count_refused(host);
    }

    fn publish_evidence(&mut self, host: &impl Host, judge: &Judge) {
        for pair in judge.pair_evidence() {
            if pair.nats == 0.0 || pair.candidate.is_empty() {
                continue;
            }
            let route_label = pair.route.map(RouteKey::label).unwrap_or_default();
            let labels = [
                (label::DESTINATION, cut(pair.destination)),
                (label::ROUTE, cut(&route_label)),
                (label::VERSION, cut(pair.candidate)),
                (label::CATEGORY, pair.category),
            ];
            let [destination, _, version, category] = labels;
            let of_all = [destination, version, category];
            let (metrics, labels) = match pair.route {
                Some(_) => (SINGLE, labels.as_slice()),
                None => (POOLED, of_all.as_slice()),
            };
            for (metric, nats) in metrics.into_iter().zip([pair.nats, -pair.nats]) {
                self.metrics.find(host, metric, labels, thousandths(nats));
            }
        }
    }

    /// What limits the comparison: the placebo, the balance, and the traffic that is missing.
    fn publish_limits(&mut self, host: &impl Host, judge: &Judge, decisions: &[Decision]) {
        for (destination, category, evidence) in judge.placebo_evidence() {
            let labels = [
                (label::DESTINATION, cut(destination)),
                (label::CATEGORY, category),
            ];
            if evidence > 0.0 {
                let metric = Id::of(&telemetry::PLACEBO);
                self.metrics
                    .find(host, metric, &labels, thousandths(evidence));
            }
        }
        for decision in decisions {
            let destination = (label::DESTINATION, cut(&decision.destination));
            for finding in &decision.placebo {
                let labels = [destination, (label::CATEGORY, finding.category)];
                let ratio = thousandths(finding.odds_ratio.unwrap_or_default());
                let metric = Id::of(&telemetry::PLACEBO_ODDS_RATIO);
                self.metrics.find(host, metric, &labels, ratio);
            }
            // The strongest comes first, and one series of a signal stands for all its routes.
            for unlike in decision.balance.iter().rev() {
                let labels = [destination, (label::SIGNAL, unlike.signal)];
                let metric = Id::of(&telemetry::BALANCE);
                self.metrics
                    .find(host, metric, &labels, thousandths(unlike.evidence));
            }
            for needed in &decision.needed {
                let size = needed.odds_ratio.to_string();
                let labels = [
                    destination,
                    (label::VERSION, cut(&decision.candidate)),
                    (label::ODDS_RATIO, size.as_str()),
                ];
                let metric = Id::of(&telemetry::REQUESTS_NEEDED);
                self.metrics.find(host, metric, &labels, needed.requests);
            }
        }
    }

    /// What no comparison side by side says: a version worse than the past, or silent.
    fn publish_warnings(&mut self, host: &impl Host, decisions: &[Decision]) {
        for decision in decisions {
            let destination = (label::DESTINATION, cut(&decision.destination));
            for finding in &decision.against_past {
                let labels = [
                    destination,
                    (label::VERSION, cut(&decision.candidate)),
                    (label::CATEGORY, finding.category),
                ];
                let metric = Id::of(&telemetry::PAST_EVIDENCE);
                self.metrics
                    .find(host, metric, &labels, thousandths(finding.evidence));
            }
            for silence in &decision.silent {
                let labels = [destination, (label::VERSION, cut(&silence.version))];
                let metric = match silence.kind {
                    Silent::Mute => Id::of(&telemetry::MUTE),
                    Silent::Idle => Id::of(&telemetry::IDLE),
                };
                self.metrics.find(host, metric, &labels, 1);
            }
        }
    }

    /// How often the category was true that carried the verdict, at the time of the verdict; nothing
    /// where too little is known to say it.
    fn publish_found(&mut self, host: &impl Host, decisions: &[Decision]) {
        for decision in decisions {
            let Some(found) = &decision.found else {
                continue;
            };
            let route_label = found.route.label();
            for (arm, rate) in [("baseline", found.baseline), ("candidate", found.candidate)] {
                let Some(share) = rate.share() else {
                    continue;
                };
                let labels = [
                    (label::DESTINATION, cut(&decision.destination)),
                    (label::ROUTE, cut(&route_label)),
                    (label::VERSION, cut(&decision.candidate)),
                    (label::CATEGORY, found.category),
                    (label::ARM, arm),
                ];
                let metric = Id::of(&telemetry::VERDICT_RATE);
                let per_cent = thousandths(100.0 * share);
                self.metrics.find(host, metric, &labels, per_cent);
            }
        }
    }

    /// Both versions against their own past, and the cause of a change.
    fn publish_shared_change(&mut self, host: &impl Host, decisions: &[Decision]) {
        for decision in decisions {
            let destination = (label::DESTINATION, cut(&decision.destination));
            let shared_change = &decision.shared_change;
            if shared_change.series.is_empty() && shared_change.cause == Cause::Nothing {
                continue;
            }
            let labels = [destination, (label::CAUSE, shared_change.cause.name())];
            self.metrics
                .find(host, Id::of(&telemetry::CAUSE), &labels, 1);
            for series in &shared_change.series {
                let labels = [
                    destination,
                    (label::ARM, series.whose.name()),
                    (label::MEASURE, series.measure.name()),
                ];
                let drifts = u64::from(series.drift.is_some());
                self.metrics
                    .find(host, Id::of(&telemetry::DRIFT), &labels, drifts);
                let evidence = thousandths(series.evidence);
                self.metrics
                    .find(host, Id::of(&telemetry::DRIFT_EVIDENCE), &labels, evidence);
            }
        }
    }

    /// Publishes what the fleet's verdict takes, and what came of asking for it. `enough` is the
    /// evidence of all proxies that is enough, in nats.
    pub fn publish_fleet(
        &mut self,
        host: &impl Host,
        decisions: &[Decision],
        role: &str,
        enough: f64,
        inquiry: &mut Inquiry,
    ) {
        let by_role = [(label::ROLE, role)];
        let metric = Id::of(&telemetry::ROLLOUT_ID);
        let number = u64::from(inquiry.rollout());
        self.metrics.set(host, metric, &by_role, number);
        let metric = Id::of(&telemetry::FLEET_ANSWER_TIME);
        let answered = inquiry.answered().as_secs();
        self.metrics.set(host, metric, &by_role, answered);
        let metrics = &mut self.metrics;
        inquiry.take_failures(&mut |reason, count| {
            let metric = Id::of(&telemetry::FLEET_UNANSWERED);
            metrics.count(host, metric, &[(label::REASON, reason)], count);
        });
        for decision in decisions
            .iter()
            .filter(|decision| !decision.candidate.is_empty())
        {
            let labels = [
                (label::DESTINATION, cut(&decision.destination)),
                (label::VERSION, cut(&decision.candidate)),
            ];
            let metric = Id::of(&telemetry::FLEET_THRESHOLD);
            self.metrics.set(host, metric, &labels, thousandths(enough));
        }
    }

    /// Counts what came of asking for memories and of storing them.
    pub fn count_memories(&mut self, host: &impl Host, memories: &mut Memories) {
        let metrics = &mut self.metrics;
        memories.take_counts(&mut |is_recall, reason, count| {
            let metric = match is_recall {
                true => &telemetry::MEMORY_RECALLS,
                false => &telemetry::MEMORY_STORES,
            };
            metrics.count(host, Id::of(metric), &[(label::REASON, reason)], count);
        });
    }

    fn publish_decisions(&mut self, host: &impl Host, decisions: &[Decision]) {
        let current: Vec<(String, String)> = decisions
            .iter()
            .filter(|decision| !decision.candidate.is_empty())
            .map(|decision| (decision.destination.clone(), decision.candidate.clone()))
            .collect();
        // A candidate that was replaced must not keep an alarm up for ever.
        for (destination, candidate) in core::mem::replace(&mut self.candidates, current.clone()) {
            if !current.contains(&(destination.clone(), candidate.clone())) {
                let gone = Decision {
                    destination,
                    candidate,
                    ..Decision::default()
                };
                self.publish_decision(host, &gone);
            }
        }
        for decision in decisions
            .iter()
            .filter(|decision| !decision.candidate.is_empty())
        {
            self.publish_decision(host, decision);
        }
    }

    fn publish_decision(&mut self, host: &impl Host, decision: &Decision) {
        let labels = [
            (label::DESTINATION, cut(&decision.destination)),
            (label::VERSION, cut(&decision.candidate)),
        ];
        let flag = u64::from;
        let found = decision.found.as_ref();
        for (metric, value) in [
            (
                Id::of(&telemetry::VERDICT),
                u64::from(decision.verdict.number()),
            ),
            (
                Id::of(&telemetry::ROLLOUT_EVIDENCE),
                thousandths(decision.evidence),
            ),
            (
                Id::of(&telemetry::ROLLOUT_THRESHOLD),
                thousandths(decision.threshold),
            ),
            (Id::of(&telemetry::DIFFERS), flag(decision.differs())),
            (
                Id::of(&telemetry::JUDGED_EXCHANGES),
                decision.judged_exchanges,
            ),
            (
                Id::of(&telemetry::ROLLOUT_START_TIME),
                decision.started_ms / 1_000,
            ),
            (
                Id::of(&telemetry::VERDICT_TIME),
                decision.verdict_ms / 1_000,
            ),
            (
                Id::of(&telemetry::ONSET_TIME),
                found.map_or(0, |found| found.onset_ms / 1_000),
            ),
            (
                Id::of(&telemetry::VERDICT_EVIDENCE),
                found
                    .filter(|found| !found.against_past)
                    .map_or(0, |found| thousandths(found.evidence)),
            ),
            (
                Id::of(&telemetry::BASELINE_FAILING),
                flag(decision.baseline_failing),
            ),
            (
                Id::of(&telemetry::HELD_BY_PLACEBO),
                flag(decision.held_by_placebo),
            ),
            (
                Id::of(&telemetry::UNBALANCED),
                flag(!decision.balance.is_empty()),
            ),
            (Id::of(&telemetry::WARMING_UP), flag(decision.warming_up)),
            (
                Id::of(&telemetry::AGAINST_PAST),
                flag(!decision.against_past.is_empty()),
            ),
        ] {
            self.metrics.set(host, metric, &labels, value);
        }
    }

    /// Counts what the judge counted in its categories since the last time.
    pub fn count_categories(&mut self, host: &impl Host, judge: &mut Judge) {
        judge.drain_counts(&mut |route, category, version, count| {
            if count > 0 {
                let route_label = route.label();
                let labels = [
                    (label::DESTINATION, cut(&route.destination)),
                    (label::ROUTE, cut(&route_label)),
                    (label::VERSION, cut(version)),
                    (label::CATEGORY, category),
                ];
                let metric = Id::of(&telemetry::CATEGORY);
                self.metrics.count(host, metric, &labels, count);
            }
        });
    }
}
