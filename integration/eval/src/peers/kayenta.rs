//! Kayenta's judge `NetflixACAJudge-v1.0`: a Mann-Whitney test for each metric, and a score of the
//! metrics that pass.
//!
//! After `NetflixACAJudge.scala`, `MannWhitneyClassifier.scala` and `WeightedSumScorer.scala` of
//! spinnaker/kayenta: confidence 98%, tolerance 0.25. A metric is high where the lower end of the
//! shift's interval is above the tolerance times the size of the shift that was estimated. The
//! effect size is not looked at, as by default. Values that are not numbers are removed; equal
//! samples pass; a metric without any value is `Nodata`, and one whose interval cannot be computed
//! since all values are tied somewhere is `Error`. The score is the weight of the groups that pass:
//! `Nodata` and `Error` add nothing to it. The metrics here are the error rate and the mean latency
//! of each minute, of which an increase is bad, each a group of its own with equal weight. The
//! candidate fails where the score is below the threshold for a pass, 75 of 100. The judge is not
//! asked before there are two minutes: of one value in each arm it makes an `Error` each time.

use super::Peer;
use super::rank_sum::shift;
use crate::minute::{Minute, Window};

/// The normal quantile of a two-sided 98% interval.
const Z98: f64 = 2.326_347_874_040_841;

/// The judge.
#[derive(Debug, Clone, Copy)]
pub struct Kayenta {
    /// Part of the estimated shift that the interval has to exceed.
    pub tolerance: f64,
    /// Score from 0 to 100 that passes.
    pub pass: f64,
}

impl Default for Kayenta {
    fn default() -> Self {
        Self {
            tolerance: 0.25,
            pass: 75.0,
        }
    }
}

/// What is said of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Not larger than tolerated.
    Pass,
    /// Larger.
    High,
    /// Smaller.
    Low,
    /// A sample without any value.
    Nodata,
    /// The interval cannot be computed.
    Error,
}

impl Kayenta {
    /// Classifies a metric by its values in both arms.
    #[must_use]
    pub fn classify(&self, control: &[f64], experiment: &[f64]) -> Class {
        let sorted = |values: &[f64]| {
            let mut values: Vec<f64> = values
                .iter()
                .copied()
                .filter(|value| !value.is_nan())
                .collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let (control, experiment) = (sorted(control), sorted(experiment));
        if control.is_empty() || experiment.is_empty() {
            return Class::Nodata;
        }
        if control == experiment {
            return Class::Pass;
        }
        let distinct = |values: &[f64]| values.first() != values.last();
        if control.first() == experiment.first() && !distinct(&control) && !distinct(&experiment) {
            return Class::Pass;
        }
        let Some(shift) = shift(&experiment, &control, Z98) else {
            return Class::Error;
        };
        let tolerated = self.tolerance * shift.estimate.abs();
        if shift.lower > tolerated {
            Class::High
        } else if shift.upper < -tolerated {
            Class::Low
        } else {
            Class::Pass
        }
    }

    /// Weight of the metrics that pass, 0 to 100.
    #[must_use]
    pub fn score(&self, minutes: &[Minute]) -> f64 {
        let metrics: [fn(&Window) -> Option<f64>; 2] =
            [Window::error_rate, Window::mean_latency_ms];
        let passed = metrics.iter().filter(|metric| {
            let values = |arm: fn(&Minute) -> &Window| -> Vec<f64> {
                minutes
                    .iter()
                    .filter_map(|minute| metric(arm(minute)))
                    .collect()
            };
            let control = values(|minute| &minute.baseline);
            let experiment = values(|minute| &minute.candidate);
            // Only an increase is bad.
            matches!(
                self.classify(&control, &experiment),
                Class::Pass | Class::Low
            )
        });
        100.0 * passed.count() as f64 / metrics.len() as f64
    }
}

impl Peer for Kayenta {
    fn name(&self) -> &'static str {
        "Kayenta"
    }

    fn fails(&self, minutes: &[Minute]) -> bool {
        minutes.len() > 1 && self.score(minutes) < self.pass
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(control: &[f64], experiment: &[f64]) -> Class {
        Kayenta::default().classify(control, experiment)
    }

    #[test]
    fn clear_shifts_are_high_or_low() {
        let low = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0];
        let high: Vec<f64> = low.iter().map(|value| value + 200.0).collect();
        assert_eq!(classify(&low, &high), Class::High);
        assert_eq!(classify(&high, &low), Class::Low);
        assert_eq!(classify(&low, &low), Class::Pass);
    }

    #[test]
    fn a_sample_without_values_is_no_data() {
        assert_eq!(classify(&[], &[1.0]), Class::Nodata);
        assert_eq!(classify(&[1.0], &[f64::NAN]), Class::Nodata);
        assert_eq!(classify(&[1.0, 1.0], &[1.0]), Class::Pass);
    }

    #[test]
    fn errors_in_every_minute_against_none_are_high() {
        // kayenta#510 expects High of these.
        assert_eq!(
            classify(&[0.0; 5], &[54.9, 54.5, 55.1, 55.6, 57.4]),
            Class::High
        );
    }

    #[test]
    fn samples_that_are_tied_at_their_shift_are_an_error() {
        assert_eq!(classify(&[0.0; 5], &[0.2; 5]), Class::Error);
        assert_eq!(classify(&[1.0], &[2.0]), Class::Error);
    }

    #[test]
    fn a_candidate_without_data_scores_nothing() {
        let quiet = Minute {
            baseline: Window {
                requests: 10,
                errors: 0,
                latencies_ms: vec![10.0; 10],
            },
            candidate: Window::default(),
        };
        let judge = Kayenta::default();
        assert_eq!(judge.score(&[quiet.clone(), quiet.clone()]), 0.0);
        assert!(judge.fails(&[quiet.clone(), quiet]));
    }

    #[test]
    fn one_bad_metric_of_two_is_below_the_pass() {
        let minute = |errors: i32, latency_ms| Window {
            requests: 100,
            errors: errors as u64,
            latencies_ms: vec![latency_ms; 100],
        };
        let minutes: Vec<Minute> = (0_i32..10)
            .map(|index| Minute {
                baseline: minute(0, 10.0 + f64::from(index)),
                candidate: minute(15 + index % 7, 10.0 + f64::from(index)),
            })
            .collect();
        let judge = Kayenta::default();
        assert_eq!(judge.score(&minutes), 50.0);
        assert!(judge.fails(&minutes));
    }
}
