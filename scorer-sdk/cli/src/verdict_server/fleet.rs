//! The fleet's verdict on one candidate: what proxies with `fleet` in their config act upon.
//!
//! It rests on the evidence of all proxies together and on nothing else. What a single proxy has
//! found is left out: a proxy that acts on this verdict shows `anomalous` itself, and an answer that
//! counted this would confirm itself for ever.

use super::fleet_question::{ASKED, REASONS};
use super::judgement::Strongest;
use super::prometheus::Sample;
use crate::fleet_evidence::enough_together;
use scorer_sdk::Verdict;
use scorer_sdk::telemetry::label;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a reason calls the pair over all routes.
const ALL_ROUTES: &str = "all routes";

/// What is asked of Prometheus: one question for all candidates of a destination.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The service.
    pub destination: String,
    /// Only proxies whose config's `rollout` has this number; all without one.
    pub rollout: Option<u32>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleetVerdict {
    /// The service.
    pub destination: String,
    /// The other version with most traffic within the window; none where there is none.
    pub baseline: Option<String>,
    /// The version that is judged; none where no proxy compares one.
    pub candidate: Option<String>,
    /// `none`, `learning`, `healthy`, `suspect` or `anomalous`.
    pub verdict: &'static str,
    /// Evidence of all proxies together, in nats.
    pub evidence: f64,
    /// Evidence that is enough, in nats.
    pub threshold: f64,
    /// Since when the candidate is judged, in seconds since the Unix epoch: the earliest that a proxy
    /// says.
    pub rollout_start_time: Option<f64>,
    /// Since when the candidate is worse, as far as a proxy can tell, in seconds since the Unix epoch.
    pub onset_time: Option<f64>,
    /// Where the candidate is worse, the strongest first.
    pub reasons: Vec<Strongest>,
    /// Whether a proxy holds its verdict back because stable's own hosts differ as much.
    pub held_by_placebo: bool,
    /// Age of the newest evidence in seconds; none where no proxy was heard of.
    pub age_seconds: Option<f64>,
    /// Proxies that judge this candidate.
    pub proxies: u64,
}

impl Scope {
    /// The verdict on `candidate`, from the samples that answer [`Scope::question`]. Without a
    /// candidate it is on the one that most proxies judge.
    #[must_use]
    pub fn verdict(&self, samples: &[Sample], candidate: Option<&str>) -> FleetVerdict {
        let known = Known::of(samples);
        let candidate = candidate.or_else(|| known.most_judged());
        let mut found = FleetVerdict {
            destination: self.destination.clone(),
            baseline: None,
            candidate: None,
            verdict: "none",
            evidence: 0.0,
            threshold: 0.0,
            rollout_start_time: None,
            onset_time: None,
            reasons: Vec::new(),
            held_by_placebo: false,
            age_seconds: None,
            proxies: 0,
        };
        let Some(candidate) = candidate else {
            return found;
        };
        let value = |part| known.value(part, candidate);
        let [with_fleet, alone] = ["enough", "enough_alone"].map(|part| value(part).unwrap_or(0.0));
        let enough = enough_together(with_fleet, alone);
        // Nobody compares it, or it was replaced.
        if enough <= 0.0 {
            return found;
        }
        found.candidate = Some(candidate.to_owned());
        found.baseline = known.busiest_but(candidate);
        found.threshold = thousandths(enough);
        found.evidence = thousandths(value("evidence").unwrap_or(0.0));
        found.rollout_start_time = value("start");
        found.onset_time = value("onset");
        found.held_by_placebo = value("held").is_some();
        found.age_seconds = value("age").map(|age| thousandths(age.max(0.0)));
        found.proxies = value("proxies").unwrap_or(0.0) as u64;
        found.reasons = known.reasons(candidate);
        let is_enough = found.evidence >= found.threshold;
        found.verdict = match value("verdict") {
            _ if is_enough && !found.held_by_placebo => Verdict::Anomalous,
            _ if found.evidence >= found.threshold / 2.0 => Verdict::Suspect,
            Some(1.0) => Verdict::Healthy,
            _ => Verdict::Learning,
        }
        .name();
        found
    }
}

/// A number of nats or seconds, rounded: the last digits change from look to look.
fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Answers to the parts, by part and version.
struct Known<'a> {
    samples: Vec<&'a Sample>,
}

impl<'a> Known<'a> {
    fn of(samples: &'a [Sample]) -> Self {
        Self {
            samples: samples
                .iter()
                .filter(|sample| sample.value.is_finite())
                .collect(),
        }
    }

    fn part(&self, part: &str) -> impl Iterator<Item = &'a Sample> {
        self.samples
            .iter()
            .copied()
            .filter(move |sample| sample.label(ASKED) == part)
    }

    fn value(&self, part: &str, version: &str) -> Option<f64> {
        self.part(part)
            .find(|sample| sample.label(label::VERSION) == version)
            .map(|sample| sample.value)
    }

    /// The version that most proxies judge now, as far as any is judged.
    fn most_judged(&self) -> Option<&'a str> {
        let judged = self
            .part("enough_alone")
            .filter(|sample| sample.value > 0.0)
            .map(|sample| sample.label(label::VERSION));
        let proxies: BTreeMap<&str, f64> = judged
            .map(|version| (version, self.value("proxies", version).unwrap_or(0.0)))
            .collect();
        proxies
            .into_iter()
            .max_by(|one, other| one.1.total_cmp(&other.1))
            .map(|(version, _)| version)
    }

    fn busiest_but(&self, candidate: &str) -> Option<String> {
        self.part("recent")
            .filter(|sample| sample.label(label::VERSION) != candidate && sample.value > 0.0)
            .max_by(|one, other| one.value.total_cmp(&other.value))
            .map(|sample| sample.label(label::VERSION).to_owned())
    }

    fn reasons(&self, candidate: &str) -> Vec<Strongest> {
        let mut reasons: Vec<Strongest> = ["pair", "pooled"]
            .into_iter()
            .flat_map(|part| self.part(part))
            .filter(|sample| sample.label(label::VERSION) == candidate)
            .map(|sample| Strongest {
                route: match sample.label(label::ROUTE) {
                    "" => ALL_ROUTES.to_owned(),
                    route => route.to_owned(),
                },
                category: sample.label(label::CATEGORY).to_owned(),
                nats: thousandths(sample.value),
            })
            .collect();
        reasons.sort_by(|one, other| other.nats.total_cmp(&one.nats));
        reasons.truncate(REASONS);
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            destination: "shop".to_owned(),
            rollout: None,
        }
    }

    fn sample(part: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        Sample {
            labels: [(ASKED, part)]
                .iter()
                .chain(labels)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            value,
        }
    }

    fn samples_of(version: &str, parts: &[(&str, f64)]) -> Vec<Sample> {
        parts
            .iter()
            .map(|(part, value)| sample(part, &[("version", version)], *value))
            .collect()
    }

    /// Of a candidate that a proxy alone condemns at 9 nats.
    fn samples(parts: &[(&str, f64)]) -> Vec<Sample> {
        let mut samples = samples_of("v2", &[("enough_alone", 9.0)]);
        samples.extend(samples_of("v2", parts));
        samples
    }

    #[test]
    fn evidence_of_all_is_the_verdict_and_what_one_proxy_found_is_not() {
        for (evidence, alone, expected) in [
            (6.0, 1.0, "anomalous"),
            (5.298, 1.0, "anomalous"),
            (5.2, 3.0, "suspect"),
            (2.6, 3.0, "learning"),
            (2.6, 1.0, "healthy"),
            (-9.0, 0.0, "learning"),
        ] {
            let samples = samples(&[
                ("enough", 5.298),
                ("evidence", evidence),
                ("verdict", alone),
            ]);
            let found = scope().verdict(&samples, Some("v2"));
            assert_eq!(found.verdict, expected, "{evidence} {alone}");
            assert_eq!(found.threshold, 5.298);
        }
    }

    #[test]
    fn a_placebo_anywhere_holds_the_verdict_back() {
        let held = samples(&[("enough", 5.0), ("evidence", 9.0), ("held", 1.0)]);
        assert_eq!(scope().verdict(&held, Some("v2")).verdict, "suspect");
    }

    #[test]
    fn a_version_that_nobody_judges_has_no_verdict() {
        let samples = samples(&[("enough", 5.0), ("evidence", 9.0)]);
        assert_eq!(scope().verdict(&samples, Some("v3")).verdict, "none");
        assert_eq!(scope().verdict(&[], None).verdict, "none");
        // Replaced: of its gauges one stands on.
        let gone = samples_of("v2", &[("enough", 5.0), ("enough_alone", 0.0)]);
        assert_eq!(scope().verdict(&gone, None).candidate, None);
        assert_eq!(scope().verdict(&gone, Some("v2")).verdict, "none");
    }

    #[test]
    fn without_a_name_the_candidate_is_the_one_that_most_proxies_judge() {
        let mut samples = samples(&[("enough", 5.0), ("proxies", 7.0)]);
        let of_v1 = [("enough_alone", 9.0), ("proxies", 1.0), ("recent", 900.0)];
        samples.extend(samples_of("v1", &of_v1));
        samples.push(sample("recent", &[("version", "v2")], 100.0));
        let found = scope().verdict(&samples, None);
        assert_eq!(found.candidate.as_deref(), Some("v2"));
        assert_eq!(found.baseline.as_deref(), Some("v1"));
        assert_eq!(found.proxies, 7);
    }
}
