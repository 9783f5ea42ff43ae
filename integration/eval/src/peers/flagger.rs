//! Flagger's built-in checks: the success rate at least 99%, the 99th percentile of the latency at
//! most 500 ms, each interval of a minute; a threshold of failed checks ends the rollout.
//!
//! After Flagger's documentation, "Metrics Analysis" and "How it works" (fluxcd/flagger). A check
//! that finds no value halts the advancement and counts as failed, as for a canary without traffic.
//! Where that is not wanted, people guard the query; [`Flagger::needs_traffic`] says which. The
//! documentation's example has a threshold of 10 failed checks and the tutorials 5; two are taken
//! here, as in the figures that the ChangeRCA data is known by: the quickest Flagger, and the least
//! patient one.

use super::Peer;
use crate::minute::{Minute, Window};

/// The judge.
#[derive(Debug, Clone, Copy)]
pub struct Flagger {
    /// Smallest success rate, in per cent.
    pub least_success: f64,
    /// Largest 99th percentile of the latency, in milliseconds.
    pub most_latency_ms: f64,
    /// Failed checks that end the rollout.
    pub threshold: usize,
    /// Whether a check fails that finds no value.
    pub needs_traffic: bool,
}

impl Default for Flagger {
    fn default() -> Self {
        Self {
            least_success: 99.0,
            most_latency_ms: 500.0,
            threshold: 2,
            needs_traffic: true,
        }
    }
}

impl Flagger {
    /// Whether the checks pass over this window of the candidate.
    #[must_use]
    pub fn passes(&self, candidate: &Window) -> bool {
        let success = candidate.error_rate().map_or(!self.needs_traffic, |rate| {
            100.0 * (1.0 - rate) >= self.least_success
        });
        let unmeasured = !self.needs_traffic || candidate.requests > 0;
        let latency = candidate
            .latency_quantile_ms(0.99)
            .map_or(unmeasured, |latency| latency <= self.most_latency_ms);
        success && latency
    }
}

impl Peer for Flagger {
    fn name(&self) -> &'static str {
        if self.needs_traffic {
            "Flagger"
        } else {
            "Flagger, quiet minutes pass"
        }
    }

    fn fails(&self, minutes: &[Minute]) -> bool {
        let failed = minutes
            .iter()
            .filter(|minute| !self.passes(&minute.candidate))
            .count();
        failed >= self.threshold
    }

    fn fails_once(&self, minutes: &[Minute]) -> bool {
        !self.passes(&Minute::sum(minutes).candidate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(errors: u64, slow: usize) -> Minute {
        let mut latencies_ms = vec![20.0; 1_000 - slow];
        latencies_ms.resize(1_000, 501.0);
        Minute {
            candidate: Window {
                requests: 1_000,
                errors,
                latencies_ms,
            },
            ..Minute::default()
        }
    }

    #[test]
    fn failed_checks_add_up_to_the_threshold() {
        let judge = Flagger {
            threshold: 3,
            ..Flagger::default()
        };
        let (good, bad) = (minute(0, 0), minute(11, 0));
        assert!(!judge.fails(&[bad.clone(), good.clone(), bad.clone(), good.clone()]));
        assert!(judge.fails(&[bad.clone(), good, bad.clone(), bad]));
    }

    #[test]
    fn the_range_is_closed() {
        let judge = Flagger::default();
        assert!(judge.passes(&minute(10, 0).candidate));
        assert!(!judge.passes(&minute(11, 0).candidate));
        assert!(judge.passes(&minute(0, 10).candidate));
        assert!(!judge.passes(&minute(0, 11).candidate));
    }

    #[test]
    fn a_canary_without_traffic_fails_its_checks() {
        assert!(!Flagger::default().passes(&Window::default()));
        let lenient = Flagger {
            needs_traffic: false,
            ..Flagger::default()
        };
        assert!(lenient.passes(&Window::default()));
    }
}
