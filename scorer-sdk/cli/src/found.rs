//! When a candidate turned bad and when that was found: out of a decision, or of a proxy's gauges.

use crate::metrics_text::Sample;
use crate::number::percent;
use crate::samples::{is_sum, of, value};
use scorer_sdk::Decision;
use scorer_sdk::judge::timing::Timing;
use scorer_sdk::telemetry::{self, Metric, label};
use serde::Serialize;

/// The time of an anomalous verdict, and what was known then.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct When {
    /// Since when the candidate is worse, in seconds since the Unix epoch.
    pub onset: f64,
    /// When the verdict fell, in seconds since the Unix epoch.
    pub verdict: f64,
    /// Evidence at that time in nats; none where only the past speaks.
    pub nats: Option<f64>,
    /// The category that carried it.
    pub category: String,
    /// The route, or all routes.
    pub route: String,
    /// Share of the candidate's requests in that category at that time, 0 to 1; none where it is not known.
    pub candidate: Option<f64>,
    /// The same of the baseline.
    pub baseline: Option<f64>,
}

impl When {
    /// Of a decision; none without a verdict.
    #[must_use]
    pub fn of_decision(decision: &Decision) -> Option<Self> {
        let found = decision.found.as_ref()?;
        Some(Self {
            onset: found.onset_ms as f64 / 1e3,
            verdict: decision.verdict_ms as f64 / 1e3,
            nats: (!found.against_past).then_some(found.evidence),
            category: found.category.to_owned(),
            route: found.route.label(),
            candidate: found.candidate.share(),
            baseline: found.baseline.share(),
        })
    }

    /// Of a proxy's gauges; none without a verdict, and where Envoy adds the gauges of two processes
    /// up.
    #[must_use]
    pub fn of_samples(samples: &[Sample], destination: &str, candidate: &str) -> Option<Self> {
        let gauge = |metric: &Metric| value(samples, metric, destination, candidate);
        let (onset, verdict) = (
            gauge(&telemetry::ONSET_TIME),
            gauge(&telemetry::VERDICT_TIME),
        );
        if onset <= 0.0 || verdict <= 0.0 || is_sum(samples) {
            return None;
        }
        let nats = gauge(&telemetry::VERDICT_EVIDENCE) / 1e3;
        let mut when = Self {
            onset,
            verdict,
            nats: (nats > 0.0).then_some(nats),
            category: String::new(),
            route: String::new(),
            candidate: None,
            baseline: None,
        };
        let rates = || {
            of(samples, &telemetry::VERDICT_RATE).filter(|sample| {
                sample.label(label::DESTINATION) == destination
                    && sample.label(label::VERSION) == candidate
            })
        };
        // One that belongs to an earlier verdict has fallen to 0; where the table of series was full there
        // is none.
        let Some(own) = rates()
            .filter(|sample| sample.label(label::ARM) == "candidate")
            .max_by(|one, other| one.value.total_cmp(&other.value))
        else {
            return Some(when);
        };
        let share = |arm: &str| {
            let mut both = rates().filter(|sample| {
                sample.label(label::ARM) == arm
                    && sample.label(label::ROUTE) == own.label(label::ROUTE)
                    && sample.label(label::CATEGORY) == own.label(label::CATEGORY)
            });
            both.next().map(|sample| sample.value / 1e5)
        };
        when.category = own.label(label::CATEGORY).to_owned();
        when.route = own.label(label::ROUTE).to_owned();
        (when.candidate, when.baseline) = (share("candidate"), share("baseline"));
        Some(when)
    }

    /// Since when, how soon found, and how certain: one sentence with its end.
    #[must_use]
    pub fn sentence(&self, candidate: &str) -> String {
        let ms = |at: f64| (at * 1e3).round() as u64;
        let timing = Timing {
            onset_ms: ms(self.onset),
            verdict_ms: ms(self.verdict),
            evidence: self.nats,
        };
        let mut sentence = timing.sentence(candidate) + ".";
        if let Some(first) = sentence.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        sentence
    }

    /// How often it was so at the verdict: one sentence with its end, where that is known.
    #[must_use]
    pub fn rates(&self, candidate: &str) -> Option<String> {
        Some(format!(
            "At the verdict: {} of {candidate}'s requests in {} on {}, against {} of the baseline's.",
            percent(self.candidate?),
            self.category,
            self.route,
            percent(self.baseline?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics_text;

    #[test]
    fn gauges_say_when_and_how_often() {
        let of = "destination=\"shop\",version=\"v2\"";
        let rate = format!("{of},route=\"GET /\",category=\"error\"");
        let page = format!(
            "serin_verdict_time_seconds{{{of}}} 1700000027\nserin_onset_time_seconds{{{of}}} 1700000000\n\
             serin_verdict_evidence{{{of}}} 5640\nserin_verdict_rate{{{rate},arm=\"candidate\"}} 21400\n\
             serin_verdict_rate{{{rate},arm=\"baseline\"}} 140\n\
             serin_verdict_rate{{{of},route=\"GET /old\",category=\"slow_p50\",arm=\"candidate\"}} 0\n"
        );
        let samples = metrics_text::parse(&page).unwrap();
        let when = When::of_samples(&samples, "shop", "v2").unwrap();
        assert_eq!(
            when.sentence("v2"),
            "Worse since 2023-11-14 22:13:20 UTC, found 27 s later; if v2 were healthy, a false alarm \
             this strong comes at most once in 281 rollouts."
        );
        assert_eq!(
            when.rates("v2").unwrap(),
            "At the verdict: 21.4% of v2's requests in error on GET /, against 0.14% of the baseline's."
        );
        assert_eq!(When::of_samples(&samples, "shop", "v3"), None);
        let summed = metrics_text::parse(&format!("{page}serin_processes 2\n")).unwrap();
        assert_eq!(When::of_samples(&summed, "shop", "v2"), None);
    }
}
