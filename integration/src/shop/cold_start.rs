//! An instance that is slow at first, as with an empty cache or code that is not compiled yet.

use std::time::{Duration, Instant};

/// Latencies begin at a multiple of those of a warm instance and come down exponentially.
#[derive(Debug, Clone, Copy)]
pub(super) struct ColdStart {
    times: f64,
    time_constant: Duration,
    since: Instant,
}

impl ColdStart {
    /// An instance that starts at `since` and is `times` as slow then; after each `time_constant`,
    /// 37% of what it is too slow is left.
    pub(super) fn new(times: f64, time_constant: Duration, since: Instant) -> Self {
        Self {
            times,
            time_constant,
            since,
        }
    }

    /// Factor on the latencies at `now`: 1 once the instance is warm.
    pub(super) fn factor(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.since).as_secs_f64();
        let left = (-age / self.time_constant.as_secs_f64().max(f64::MIN_POSITIVE)).exp();
        1.0 + (self.times - 1.0) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excess_falls_by_the_same_factor_in_each_time_constant() {
        let start = Instant::now();
        let cold = ColdStart::new(3.0, Duration::from_secs(10), start);
        let excess = |seconds| cold.factor(start + Duration::from_secs(seconds)) - 1.0;
        assert!((excess(0) - 2.0).abs() < 1e-9);
        for seconds in [0, 10, 20] {
            let ratio = excess(seconds + 10) / excess(seconds);
            assert!((ratio - (-1.0_f64).exp()).abs() < 1e-9, "{ratio}");
        }
        assert!(excess(120) < 1e-4);
    }
}
