//! Argo Rollouts' analysis of one metric: a success condition, and limits of failures, of
//! inconclusive measurements and of errors in a row.
//!
//! After "Analysis & Progressive Delivery" of the documentation of argoproj/argo-rollouts: the
//! example there has `successCondition: result[0] >= 0.95` on the success rate and `failureLimit:
//! 3`. A run fails with *more* failures than the limit. A measurement is inconclusive where both
//! conditions are given and neither holds; a query that cannot be evaluated is an error, as an
//! empty answer is for `result[0]`, and more than four errors in a row (`consecutiveErrorLimit`)
//! end the run.

use super::Peer;
use crate::minute::{Minute, Window};

/// The judge.
#[derive(Debug, Clone, Copy)]
pub struct Argo {
    /// Smallest success rate of a success, 0 to 1.
    pub success: f64,
    /// Success rate below which a measurement has failed, 0 to 1; every one that is no success
    /// without it.
    pub failure: Option<f64>,
    /// Failures that are borne.
    pub failure_limit: usize,
    /// Inconclusive measurements that are borne.
    pub inconclusive_limit: usize,
    /// Errors in a row that are borne.
    pub consecutive_error_limit: usize,
}

impl Default for Argo {
    fn default() -> Self {
        Self {
            success: 0.95,
            failure: None,
            failure_limit: 3,
            inconclusive_limit: 0,
            consecutive_error_limit: 4,
        }
    }
}

/// What one measurement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measurement {
    /// The success condition holds.
    Successful,
    /// The failure condition holds, or there is none and the success condition does not hold.
    Failed,
    /// Neither holds.
    Inconclusive,
    /// There was nothing to evaluate.
    Error,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// No limit is exceeded.
    Running,
    /// Too many failures: the rollout is aborted.
    Failed,
    /// Too many inconclusive measurements: the rollout is paused for a person.
    Inconclusive,
    /// Too many errors in a row: the rollout is aborted.
    Error,
}

impl Argo {
    /// Takes a measurement.
    #[must_use]
    pub fn measure(&self, candidate: &Window) -> Measurement {
        let Some(errors) = candidate.error_rate() else {
            return Measurement::Error;
        };
        let success = 1.0 - errors;
        match self.failure {
            _ if success >= self.success => Measurement::Successful,
            Some(failure) if success >= failure => Measurement::Inconclusive,
            _ => Measurement::Failed,
        }
    }

    /// How a run stands after these measurements.
    #[must_use]
    pub fn phase(&self, measurements: impl IntoIterator<Item = Measurement>) -> Phase {
        let (mut failed, mut inconclusive, mut errors) = (0, 0, 0);
        for measurement in measurements {
            match measurement {
                Measurement::Error => errors += 1,
                Measurement::Failed => failed += 1,
                Measurement::Inconclusive => inconclusive += 1,
                Measurement::Successful => {}
            }
            if measurement != Measurement::Error {
                errors = 0;
            }
            if failed > self.failure_limit {
                return Phase::Failed;
            }
            if inconclusive > self.inconclusive_limit {
                return Phase::Inconclusive;
            }
            if errors > self.consecutive_error_limit {
                return Phase::Error;
            }
        }
        Phase::Running
    }
}

impl Peer for Argo {
    fn name(&self) -> &'static str {
        "Argo Rollouts"
    }

    fn fails(&self, minutes: &[Minute]) -> bool {
        let measurements = minutes.iter().map(|minute| self.measure(&minute.candidate));
        matches!(self.phase(measurements), Phase::Failed | Phase::Error)
    }

    fn fails_once(&self, minutes: &[Minute]) -> bool {
        // One measurement over all of it, as `count: 1` with a failure limit of 0 has.
        matches!(
            self.measure(&Minute::sum(minutes).candidate),
            Measurement::Failed | Measurement::Error
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Measurement::{Error, Failed, Inconclusive, Successful};

    #[test]
    fn more_failures_than_the_limit_end_the_run() {
        let judge = Argo::default();
        let three = [Failed, Successful, Failed, Failed, Successful];
        assert_eq!(judge.phase(three), Phase::Running);
        assert_eq!(
            judge.phase(three.into_iter().chain([Failed])),
            Phase::Failed
        );
    }

    #[test]
    fn without_limits_the_first_failure_ends_the_run() {
        let judge = Argo {
            failure_limit: 0,
            ..Argo::default()
        };
        assert_eq!(judge.phase([Successful, Failed]), Phase::Failed);
        assert_eq!(judge.phase([Successful, Inconclusive]), Phase::Inconclusive);
    }

    #[test]
    fn only_errors_in_a_row_count() {
        let judge = Argo::default();
        let broken = [Error, Error, Error, Error, Successful, Error];
        assert_eq!(judge.phase(broken), Phase::Running);
        assert_eq!(judge.phase([Error; 4]), Phase::Running);
        assert_eq!(judge.phase([Error; 5]), Phase::Error);
    }

    #[test]
    fn between_the_conditions_a_measurement_is_inconclusive() {
        let judge = Argo {
            failure: Some(0.9),
            ..Argo::default()
        };
        let window = |errors| Window {
            requests: 100,
            errors,
            latencies_ms: Vec::new(),
        };
        let said = [0, 5, 6, 10, 11].map(|errors| judge.measure(&window(errors)));
        assert_eq!(
            said,
            [Successful, Successful, Inconclusive, Inconclusive, Failed]
        );
        assert_eq!(Argo::default().measure(&window(6)), Failed);
        assert_eq!(judge.measure(&Window::default()), Error);
    }
}
