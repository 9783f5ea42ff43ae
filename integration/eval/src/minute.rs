//! What a judge of metrics sees: counts and latencies of both arms, minute by minute.

/// Which version answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// The stable version.
    Baseline,
    /// The new version.
    Candidate,
}

/// The requests of one arm in one span of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Window {
    /// How many requests ended.
    pub requests: u64,
    /// How many of them failed.
    pub errors: u64,
    /// The latencies that were measured, in milliseconds and in no order.
    pub latencies_ms: Vec<f64>,
}

impl Window {
    /// Counts a request.
    pub fn add(&mut self, failed: bool, latency_ms: Option<f64>) {
        self.requests += 1;
        self.errors += u64::from(failed);
        self.latencies_ms.extend(latency_ms);
    }

    /// Adds what another span counted.
    pub fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.latencies_ms.extend_from_slice(&other.latencies_ms);
    }

    /// Share of failed requests, 0 to 1; `None` without a request.
    #[must_use]
    pub fn error_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }

    /// Mean latency in milliseconds; `None` without a request.
    #[must_use]
    pub fn mean_latency_ms(&self) -> Option<f64> {
        let count = self.latencies_ms.len();
        (count > 0).then(|| self.latencies_ms.iter().sum::<f64>() / count as f64)
    }

    /// The latency in milliseconds that a share `q` (0 to 1) of the requests does not exceed;
    /// `None` without a request.
    #[must_use]
    pub fn latency_quantile_ms(&self, q: f64) -> Option<f64> {
        let mut sorted = self.latencies_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let index = (q * sorted.len() as f64).ceil() as usize;
        sorted.get(index.saturating_sub(1)).copied()
    }
}

/// One minute of a rollout.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Minute {
    /// The stable version.
    pub baseline: Window,
    /// The new version.
    pub candidate: Window,
}

impl Minute {
    /// The window of an arm.
    pub fn arm(&mut self, arm: Arm) -> &mut Window {
        match arm {
            Arm::Baseline => &mut self.baseline,
            Arm::Candidate => &mut self.candidate,
        }
    }

    /// All minutes as one.
    #[must_use]
    pub fn sum(minutes: &[Self]) -> Self {
        let mut sum = Self::default();
        for minute in minutes {
            sum.baseline.merge(&minute.baseline);
            sum.candidate.merge(&minute.candidate);
        }
        sum
    }
}
