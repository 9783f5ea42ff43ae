//! A version as it runs: its pods, and what is wrong with it.

use super::harm::Harm;
use super::pod_life::PodLife;

/// One version with its pods.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Name of the version.
    pub version: String,
    /// Number of pods at the beginning; requests spread evenly over them. 0 counts as 1.
    pub pods: usize,
    /// Pods that are worse than their siblings, from the beginning.
    pub faults: Vec<PodFault>,
    /// What its pods go through.
    pub life: PodLife,
    /// What the version itself does worse.
    pub harm: Harm,
}

impl Deployment {
    /// A healthy version on `pods` pods.
    #[must_use]
    pub fn new(version: &str, pods: usize) -> Self {
        Self {
            version: version.to_owned(),
            pods,
            faults: Vec::new(),
            life: PodLife::default(),
            harm: Harm::default(),
        }
    }
}

/// What is wrong with one pod: a bad node, not a bad version.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PodFault {
    /// Its number, from 0.
    pub pod: usize,
    /// Odds of a failure, in multiples of its siblings'.
    pub error_odds: f64,
    /// Durations, in multiples of its siblings'.
    pub slower: f64,
}
