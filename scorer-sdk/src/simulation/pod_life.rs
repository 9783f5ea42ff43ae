//! What the pods of a version go through, whatever code they run.

use std::ops::Range;

/// What the pods of a version go through. The default is that all are alike, warm and stay.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PodLife {
    /// Standard deviation of the natural log of a pod's durations: nodes differ.
    pub speed_spread: f64,
    /// Durations of all its pods, in multiples: another node type. Drawn once for each simulation,
    /// evenly from this range; `None` for 1.
    pub node: Option<(f64, f64)>,
    /// How a fresh pod warms up. The baseline's first pods are warm, the candidate's are fresh.
    pub cold_start: Option<ColdStart>,
    /// Seconds in which a fresh pod's cache fills, as a time constant; 0 for a cache that pods
    /// share. See [`Cache`](super::Cache).
    pub cache_fills: f64,
    /// Pauses of a whole pod, as of a garbage collection.
    pub pauses: Option<Pauses>,
    /// Times in which a pod fails everything.
    pub failures: Option<Failures>,
    /// Pods that come and go.
    pub scaling: Option<Scaling>,
    /// Ticks of the rollout over which fresh pods replace all of them, one after the other.
    pub replaced: Option<Range<u64>>,
}

/// A fresh pod that is slow at first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColdStart {
    /// Durations at its first request, in multiples of a warm pod's.
    pub slower: f64,
    /// Seconds after which the excess has fallen to 1/e.
    pub time_constant: f64,
}

impl ColdStart {
    /// The factor on durations at this age in seconds.
    pub(super) fn factor(&self, age: f64) -> f64 {
        1.0 + (self.slower - 1.0) * (-age.max(0.0) / self.time_constant).exp()
    }
}

/// Pauses of a whole pod: a request that arrives in one waits for its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pauses {
    /// Mean number of seconds from one to the next.
    pub every: f64,
    /// Shortest one in seconds.
    pub shortest: f64,
    /// Longest one in seconds.
    pub longest: f64,
}

/// Times in which a pod fails everything: a lost connection pool, a restart of a sidecar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Failures {
    /// Mean number of seconds from one to the next, for each pod.
    pub every: f64,
    /// Seconds that one lasts.
    pub lasts: f64,
}

/// Autoscaling: one pod more or less at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Fewest pods.
    pub least: usize,
    /// Most pods.
    pub most: usize,
    /// Mean number of seconds from one change to the next.
    pub every: f64,
}
