//! A test of fixed horizon, as a table of sample sizes would have it: two proportions compared by
//! their pooled z for errors, two samples by the rank-sum test for latency, each one-sided at half
//! of 1%, so that one look is wrong with at most 1%. Looked at every minute it promises nothing.

use super::Peer;
use super::rank_sum::statistic;
use crate::minute::Minute;

/// The judge.
#[derive(Debug, Clone, Copy)]
pub struct ZTest {
    /// Standard deviations beyond which the candidate is worse.
    pub z: f64,
}

impl Default for ZTest {
    fn default() -> Self {
        // One-sided 0.5%.
        Self {
            z: 2.575_829_303_548_901,
        }
    }
}

/// The pooled z of two proportions, positive where the first is larger; `None` where it is not
/// defined: an empty sample, or no or only failures in both.
#[must_use]
pub fn two_proportions(first: (u64, u64), second: (u64, u64)) -> Option<f64> {
    let (x, n) = (first.0 as f64, first.1 as f64);
    let (y, m) = (second.0 as f64, second.1 as f64);
    let pooled = (x + y) / (n + m);
    let spread = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    (spread > 0.0 && spread.is_finite()).then(|| (x / n - y / m) / spread)
}

impl Peer for ZTest {
    fn name(&self) -> &'static str {
        "z-test"
    }

    fn fails(&self, minutes: &[Minute]) -> bool {
        let sum = Minute::sum(minutes);
        let errors = two_proportions(
            (sum.candidate.errors, sum.candidate.requests),
            (sum.baseline.errors, sum.baseline.requests),
        );
        let latency = statistic(&sum.candidate.latencies_ms, &sum.baseline.latencies_ms, 0.0);
        [errors, latency].into_iter().flatten().any(|z| z > self.z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_z_is_the_textbooks() {
        // 45 of 500 against 25 of 500: pooled 0.07, z = 0.04 / sqrt(0.07·0.93·2/500) = 2.479.
        let z = two_proportions((45, 500), (25, 500)).unwrap();
        assert!((z - 2.479).abs() < 1e-3, "{z}");
        assert_eq!(two_proportions((0, 10), (0, 10)), None);
        assert_eq!(two_proportions((0, 0), (0, 10)), None);
    }
}
