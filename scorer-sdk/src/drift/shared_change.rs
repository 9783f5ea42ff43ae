//! The report on a destination's drift: where its series stand, and what the cause is.

use super::attribution::Attribution;
use super::cause::{Cause, Known};
use super::measure::{Measure, Whose};
use super::rate::RateDrift;
use super::report::Drift;
use super::watch::Watch;
use serde::Serialize;

/// Where one series stands. Of the series of the mix, the one with most evidence is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// What is measured.
    pub measure: Measure,
    /// Whose series it is.
    pub whose: Whose,
    /// The route of a mix, as it is written for people; empty for the routes that share a series,
    /// and for every other measure.
    pub route: String,
    /// For latency, how long recent answers take, as a multiple of what the baseline's took in the
    /// past.
    pub times: f64,
    /// Log evidence for a drift in nats; [`Series::threshold`] at least while one lasts.
    pub evidence: f64,
    /// What is enough, in nats.
    pub threshold: f64,
    /// The drift that lasts, if one does.
    pub drift: Option<Drift>,
}

impl Series {
    /// The drift in words, as in "answers take 1.5 times as long"; empty without one.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Some(drift) = &self.drift else {
            return String::new();
        };
        let (now, past) = (100.0 * drift.observed, 100.0 * drift.expected);
        match (self.measure, self.route.as_str()) {
            (Measure::Traffic, _) => format!(
                "{:.2} times as many requests",
                drift.observed / drift.expected.max(f64::MIN_POSITIVE)
            ),
            (Measure::Mix, "") => "another mix of requests".to_owned(),
            (Measure::Mix, route) => {
                format!("{now:.1}% of the requests for {route} instead of {past:.1}%")
            }
            (Measure::Errors, _) => format!("{now:.2}% fail instead of {past:.2}%"),
            (Measure::Latency, _) => format!("answers take {:.2} times as long", self.times),
        }
    }
}

/// What is known of a destination's drift.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct SharedChange {
    /// What changed.
    pub cause: Cause,
    /// A sentence for people; empty while nothing drifts and nothing fires.
    pub sentence: String,
    /// The series that have a past.
    pub series: Vec<Series>,
}

impl SharedChange {
    /// What drifts, and what that means together with the comparison. `fires` tells whether the
    /// candidate was found anomalous.
    #[must_use]
    pub fn of(watch: &Watch, fires: bool, has_candidate: bool) -> Self {
        let series = series(watch);
        let drifts = |whose: Whose| {
            series
                .iter()
                .any(|series| series.whose == whose && series.drift.is_some())
        };
        let usage = drifts(Whose::Both);
        let behaviour = drifts(Whose::Baseline);
        let candidate_has_past = series.iter().any(|series| series.whose == Whose::Candidate);
        let baseline = usage || behaviour;
        let candidate = usage
            || drifts(Whose::Candidate)
            // A candidate without a past cannot be said to do what it did before.
            || (fires && baseline && !candidate_has_past);
        let cause = Cause::of(baseline, candidate, fires);
        let mostly = match (usage, behaviour) {
            (true, false) => Some("usage"),
            (false, true) => Some("behaviour"),
            // Where both drift, the part that explains more decides.
            _ => None,
        };
        let mut sentence = String::new();
        if cause != Cause::Nothing {
            // The attribution is the baseline's: while that does not drift, it explains nothing.
            let attribution = if baseline {
                watch.routes.attribution()
            } else {
                Attribution::default()
            };
            let mostly = mostly.or(attribution.mostly());
            // The series of the usage already say what changed in it.
            let terms = match mostly {
                Some("usage") => &[],
                _ => attribution.terms.as_slice(),
            };
            let known = Known {
                baseline_past: series.iter().any(|series| series.whose == Whose::Baseline),
                candidate: has_candidate,
                candidate_past: candidate_has_past,
            };
            sentence = cause.explain(known, mostly, terms);
            let drifting: Vec<String> = series
                .iter()
                .filter(|series| series.drift.is_some())
                .map(|series| format!("{}: {}", series.whose.name(), series.sentence()))
                .collect();
            if !drifting.is_empty() {
                sentence.push_str(&format!(" ({})", drifting.join(", ")));
            }
        }
        Self {
            cause,
            sentence,
            series,
        }
    }
}

/// Every series that has a past.
fn series(watch: &Watch) -> Vec<Series> {
    let mut found = Vec::new();
    let mut add = |measure: Measure, whose, series: &RateDrift, route: String, times| {
        if !series.has_past() {
            return;
        }
        let threshold = measure.settings().threshold();
        let drift = series.drift().copied();
        let least = if drift.is_some() { threshold } else { 0.0 };
        found.push(Series {
            measure,
            whose,
            route,
            times,
            evidence: series.log_evidence().max(least),
            threshold,
            drift,
        });
    };
    add(
        Measure::Traffic,
        Whose::Both,
        &watch.traffic,
        String::new(),
        1.0,
    );
    let strongest = watch
        .mix
        .iter()
        .enumerate()
        .max_by(|(_, one), (_, other)| strength(one).total_cmp(&strength(other)));
    if let Some((index, series)) = strongest {
        let route = watch.routes.of_mix(index);
        let label = route.map(|route| route.key.label()).unwrap_or_default();
        add(Measure::Mix, Whose::Both, series, label, 1.0);
    }
    for (arm, whose) in watch.arms.iter().zip([Whose::Baseline, Whose::Candidate]) {
        add(Measure::Errors, whose, &arm.errors, String::new(), 1.0);
        add(
            Measure::Latency,
            whose,
            &arm.latency,
            String::new(),
            arm.times(),
        );
    }
    found
}

/// A series that drifts is stronger than any series that does not.
fn strength(series: &RateDrift) -> f64 {
    if series.drift().is_some() {
        f64::MAX
    } else {
        series.log_evidence()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::Tick;
    use crate::route::RouteKey;
    use core::time::Duration;

    #[test]
    fn what_the_baseline_did_within_its_tolerance_explains_no_bad_version() {
        let mut watch = Watch::default();
        let minute = Duration::from_secs(60);
        for number in 1..=210_u64 {
            let tick = Tick {
                exchanges: 10_000,
                // A quarter more: clear, and within the tolerance.
                failures: if number <= 200 { 100 } else { 125 },
                times: &[],
                ..Tick::default()
            };
            watch.add(&RouteKey::all("shop"), Some(0), &tick);
            watch.tick(1_700_000_000_000 + 60_000 * number, minute, minute);
        }
        assert_eq!(watch.routes.attribution().mostly(), Some("behaviour"));
        let shared_change = SharedChange::of(&watch, true, true);
        assert_eq!(shared_change.cause, Cause::Version);
        assert_eq!(
            shared_change.sentence,
            "the version: it differs from stable, which behaves as before"
        );
    }
}
