//! Metrics: names with tags in Istio's way, a hard cap on series, each defined once.
//!
//! A name is `tag=.=value;.;…metric`; the regex that Istio's bootstrap makes for each of
//! `extraStatTags` turns the pieces into labels. Metrics hold whole numbers that are not negative:
//! log evidence is given in thousandths of a nat, for and against apart, so that
//! `sum by (destination, route, category) (for) - sum by (…) (against)` over all proxies is exact.

use crate::host::{Host, Kind};
use core::time::Duration;
use hashbrown::HashMap;
use scorer_sdk::count::delta::Overflow;
use scorer_sdk::drift::Cause;
use scorer_sdk::judge::Judge;
use scorer_sdk::judge::verdict::Decision;

/// Longest value of a label in bytes.
const MAX_LABEL_BYTES: usize = 128;

/// A table of metrics with a cap.
#[derive(Debug)]
pub struct Metrics {
    known: HashMap<String, Series>,
    limit: usize,
    /// Updates that found no room.
    refused: u64,
    /// Destinations and candidates whose gauges are set.
    candidates: Vec<(String, String)>,
    /// Number of the last time that findings were published.
    round: u64,
}

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

/// Whether the cap counts for a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// One of many.
    Capped,
    /// Few by nature, and alarms hang on it.
    Kept,
}

#[derive(Debug, Clone, Copy)]
struct Series {
    id: u32,
    last: Option<u64>,
    /// When it last was among the findings; `None` for every other metric.
    round: Option<u64>,
}

impl Series {
    /// Sets a gauge, if its value has changed.
    fn set(&mut self, host: &impl Host, value: u64) {
        if self.last != Some(value) {
            host.set_metric(self.id, value);
            self.last = Some(value);
        }
    }
}

/// The full name of a metric with its labels.
#[must_use]
pub fn name(metric: &str, labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (label, value) in labels {
        text.push_str(label);
        text.push_str("=.=");
        for character in value.chars() {
            if text.len() >= MAX_LABEL_BYTES * 8 {
                break;
            }
            // What would end the value early, and what no one can read.
            text.push(match character {
                ';' => ',',
                '=' => '~',
                other if other.is_control() => '_',
                other => other,
            });
        }
        text.push_str(";.;");
    }
    text.push_str(metric);
    text
}

/// A number in thousandths, 0 where it is negative: metrics are whole numbers.
fn thousandths(value: f64) -> u64 {
    (value.max(0.0) * 1_000.0) as u64
}

fn label(value: &str) -> &str {
    let mut end = value.len().min(MAX_LABEL_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value.get(..end).unwrap_or_default()
}

impl Metrics {
    /// An empty table for at most `limit` series.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            known: HashMap::new(),
            limit,
            refused: 0,
            candidates: Vec::new(),
            round: 0,
        }
    }

    fn series(
        &mut self,
        host: &impl Host,
        kind: Kind,
        room: Room,
        name: String,
    ) -> Option<&mut Series> {
        if !self.known.contains_key(&name) {
            if room == Room::Capped && self.known.len() >= self.limit {
                self.refused += 1;
                return None;
            }
            let id = host.define_metric(kind, &name);
            let series = Series {
                id,
                last: None,
                round: None,
            };
            self.known.insert(name.clone(), series);
        }
        self.known.get_mut(&name)
    }

    /// Adds to a counter; nothing is made for an amount of zero.
    pub fn count(&mut self, host: &impl Host, metric: &str, labels: &[(&str, &str)], amount: u64) {
        if amount > 0
            && let Some(series) =
                self.series(host, Kind::Counter, Room::Capped, name(metric, labels))
        {
            host.add_metric(series.id, amount);
        }
    }

    /// Adds a value to a histogram.
    pub fn sample(&mut self, host: &impl Host, metric: &str, labels: &[(&str, &str)], value: u64) {
        let name = name(metric, labels);
        if let Some(series) = self.series(host, Kind::Histogram, Room::Capped, name) {
            host.set_metric(series.id, value);
        }
    }

    fn set(
        &mut self,
        host: &impl Host,
        room: Room,
        metric: &str,
        labels: &[(&str, &str)],
        value: u64,
    ) {
        if let Some(series) = self.series(host, Kind::Gauge, room, name(metric, labels)) {
            series.set(host, value);
        }
    }

    /// Another worker may set the gauges from now on: what they hold is not known any more.
    pub fn forget_values(&mut self) {
        for series in self.known.values_mut() {
            series.last = None;
        }
    }

    /// What did not fit a bounded table, by table.
    pub fn count_overflow(&mut self, host: &impl Host, overflow: &Overflow) {
        for (table, count) in overflow.items() {
            match table {
                "unattributed" => self.count(host, "serin_unattributed_total", &[], count),
                _ => self.count(host, "serin_overflow_total", &[("table", table)], count),
            }
        }
    }

    /// Counts the updates that found no room since the last call. Beyond the cap by one series: that
    /// the cap is reached has to be seen.
    pub fn count_refused(&mut self, host: &impl Host) {
        let refused = core::mem::take(&mut self.refused);
        let text = name("serin_overflow_total", &[("table", "series")]);
        if refused > 0
            && let Some(series) = self.series(host, Kind::Counter, Room::Kept, text)
        {
            host.add_metric(series.id, refused);
        }
    }

    /// Publishes what the leader knows.
    pub fn publish(
        &mut self,
        host: &impl Host,
        judge: &Judge,
        decisions: &[Decision],
        damaged: u64,
        overview: Overview,
    ) {
        let role = [("role", overview.role)];
        let now = overview.now.as_secs();
        self.set(host, Room::Kept, "serin_heartbeat_seconds", &role, now);
        self.set(
            host,
            Room::Kept,
            "serin_state_bytes",
            &role,
            overview.state_bytes,
        );
        self.set(
            host,
            Room::Kept,
            "serin_merged_exchanges",
            &role,
            judge.merged(),
        );
        self.round += 1;
        self.publish_evidence(host, judge);
        self.publish_limits(host, judge, decisions);
        self.publish_shared_change(host, decisions);
        self.silence(host);
        // Last, so that who sees an alarm finds what it is about.
        self.publish_decisions(host, decisions);
        self.count(
            host,
            "serin_overflow_total",
            &[("table", "damaged")],
            damaged,
        );
        self.count_refused(host);
    }

    /// Sets a gauge that falls to 0 when it is not among the findings any more.
    fn find(
        &mut self,
        host: &impl Host,
        room: Room,
        metric: &str,
        labels: &[(&str, &str)],
        value: u64,
    ) {
        let round = self.round;
        if let Some(series) = self.series(host, Kind::Gauge, room, name(metric, labels)) {
            series.set(host, value);
            series.round = Some(round);
        }
    }

    /// A candidate that was replaced, or a finding that is gone, leaves nothing behind that still
    /// speaks.
    fn silence(&mut self, host: &impl Host) {
        for series in self.known.values_mut() {
            if series.round.is_some_and(|last| last != self.round) {
                series.set(host, 0);
            }
        }
    }

    fn publish_evidence(&mut self, host: &impl Host, judge: &Judge) {
        for (route, candidate, category, evidence) in judge.pair_evidence() {
            if evidence == 0.0 || candidate.is_empty() {
                continue;
            }
            let route_label = route.label();
            let labels = [
                ("destination", label(&route.destination)),
                ("route", label(&route_label)),
                ("version", label(candidate)),
                ("category", category),
            ];
            for (metric, evidence) in [
                ("serin_evidence_for", evidence),
                ("serin_evidence_against", -evidence),
            ] {
                self.find(host, Room::Capped, metric, &labels, thousandths(evidence));
            }
        }
    }

    /// What limits the comparison: the placebo, the balance, and the traffic that is missing.
    fn publish_limits(&mut self, host: &impl Host, judge: &Judge, decisions: &[Decision]) {
        for (destination, category, evidence) in judge.placebo_evidence() {
            let labels = [("destination", label(destination)), ("category", category)];
            if evidence > 0.0 {
                let evidence = thousandths(evidence);
                self.find(host, Room::Capped, "serin_placebo", &labels, evidence);
            }
        }
        for decision in decisions {
            let destination = ("destination", label(&decision.destination));
            for finding in &decision.placebo {
                let labels = [destination, ("category", finding.category)];
                let ratio = thousandths(finding.odds_ratio.unwrap_or_default());
                self.find(
                    host,
                    Room::Capped,
                    "serin_placebo_odds_ratio",
                    &labels,
                    ratio,
                );
            }
            // The strongest comes first, and one series of a signal stands for all its routes.
            for unlike in decision.balance.iter().rev() {
                let labels = [destination, ("signal", unlike.signal)];
                let evidence = thousandths(unlike.evidence);
                self.find(host, Room::Capped, "serin_balance", &labels, evidence);
            }
            for needed in &decision.needed {
                let size = needed.odds_ratio.to_string();
                let labels = [
                    destination,
                    ("version", label(&decision.candidate)),
                    ("odds_ratio", size.as_str()),
                ];
                self.find(
                    host,
                    Room::Kept,
                    "serin_requests_needed",
                    &labels,
                    needed.requests,
                );
            }
        }
    }

    /// Both versions against their own past, and whose doing it is.
    fn publish_shared_change(&mut self, host: &impl Host, decisions: &[Decision]) {
        for decision in decisions {
            let destination = ("destination", label(&decision.destination));
            let shared_change = &decision.shared_change;
            if shared_change.series.is_empty() && shared_change.cause == Cause::Nothing {
                continue;
            }
            let labels = [destination, ("cause", shared_change.cause.name())];
            self.find(host, Room::Kept, "serin_cause", &labels, 1);
            for series in &shared_change.series {
                let labels = [
                    destination,
                    ("arm", series.whose.name()),
                    ("measure", series.measure.name()),
                ];
                let drifts = u64::from(series.drift.is_some());
                let evidence = thousandths(series.evidence);
                self.find(host, Room::Capped, "serin_drift", &labels, drifts);
                self.find(
                    host,
                    Room::Capped,
                    "serin_drift_evidence",
                    &labels,
                    evidence,
                );
            }
        }
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
            ("destination", label(&decision.destination)),
            ("version", label(&decision.candidate)),
        ];
        for (metric, value) in [
            ("serin_verdict", u64::from(decision.verdict.number())),
            ("serin_rollout_evidence", thousandths(decision.evidence)),
            ("serin_rollout_threshold", thousandths(decision.threshold)),
            ("serin_differs", u64::from(decision.differs())),
            ("serin_judged_exchanges", decision.judged_exchanges),
            (
                "serin_baseline_failing",
                u64::from(decision.baseline_failing),
            ),
            ("serin_held_by_placebo", u64::from(decision.held_by_placebo)),
            ("serin_unbalanced", u64::from(!decision.balance.is_empty())),
            ("serin_warming_up", u64::from(decision.warming_up)),
        ] {
            self.set(host, Room::Kept, metric, &labels, value);
        }
    }

    /// Counts what the judge counted in its categories since the last time.
    pub fn count_categories(&mut self, host: &impl Host, judge: &mut Judge) {
        judge.drain_counts(&mut |route, category, version, count| {
            if count > 0 {
                let route_label = route.label();
                let labels = [
                    ("destination", label(&route.destination)),
                    ("route", label(&route_label)),
                    ("version", label(version)),
                    ("category", category),
                ];
                self.count(host, "serin_category_total", &labels, count);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeHost;

    #[test]
    fn a_value_cannot_end_early_or_smuggle_a_label_in() {
        let text = name("serin_x", &[("route", "GET /a;.;version=.=v9;.;\n")]);
        assert_eq!(text, "route=.=GET /a,.,version~.~v9,.,_;.;serin_x");
    }

    #[test]
    fn series_beyond_the_cap_are_refused_and_counted() {
        let host = FakeHost::default();
        let mut metrics = Metrics::new(2);
        for route in ["a", "b", "c", "a"] {
            metrics.count(&host, "serin_x", &[("route", route)], 1);
        }
        assert_eq!(host.metric_value("route=.=a;.;serin_x"), Some(2));
        assert_eq!(host.metric_value("route=.=c;.;serin_x"), None);
        metrics.count_refused(&host);
        assert_eq!(
            host.metric_value("table=.=series;.;serin_overflow_total"),
            Some(1)
        );
    }
}
