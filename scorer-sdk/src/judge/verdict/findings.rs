//! What speaks beside the comparison: the baseline against itself, and against its past.

use crate::evidence::Interval;
use crate::judge::verdict::Rate;
use serde::Serialize;

/// A category in which two halves of the baseline differ, although they run the same version.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlaceboFinding {
    /// Name of the category.
    pub category: &'static str,
    /// What an exchange in the category does, for people.
    pub meaning: &'static str,
    /// Evidence that the halves differ, in nats.
    pub evidence: f64,
    /// The worse half, since the difference began.
    pub first: Rate,
    /// The better half.
    pub second: Rate,
    /// Most likely odds ratio between them.
    pub odds_ratio: Option<f64>,
    /// Confidence interval of the odds ratio.
    #[serde(flatten)]
    pub interval: Interval,
    /// Whether the halves are sessions; hosts otherwise.
    pub by_session: bool,
}

impl PlaceboFinding {
    /// One sentence. `baseline` is the name of the version.
    #[must_use]
    pub fn sentence(&self, baseline: &str) -> String {
        let one_half = if self.by_session {
            "of one half of its sessions"
        } else {
            "to one half of its hosts"
        };
        format!(
            "{baseline} differs from itself: {} {}, against {}",
            self.first.of_requests(&format!("the requests {one_half}")),
            self.meaning,
            self.second.of_requests("those of the other half"),
        )
    }
}

/// A category in which a version that has taken over the traffic is worse than the past of the one
/// before it, by more than changing conditions explain.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PastFinding {
    /// Name of the category.
    pub category: &'static str,
    /// What an exchange in the category does, for people.
    pub meaning: &'static str,
    /// Evidence in nats.
    pub evidence: f64,
    /// The new version's rate since there is evidence.
    pub candidate: Rate,
    /// Share of the exchanges that the past predicts in the category, 0 to 1.
    pub expected: f64,
    /// Odds ratio of what was seen against what was expected.
    pub odds_ratio: f64,
    /// Odds ratio that is tolerated: it includes what changing conditions may explain.
    pub tolerated: f64,
    /// Seconds since there is evidence.
    pub seconds: f64,
}

impl PastFinding {
    /// One sentence. `candidate` and `baseline` are the names of the versions.
    #[must_use]
    pub fn sentence(&self, candidate: &str, baseline: &str) -> String {
        format!(
            "against the past of {baseline}, not side by side: {} {}, where {:.1}% were expected; odds ratio {:.1}; up to {:.1} could be chance or other conditions; a change that affects both versions would look the same",
            self.candidate
                .of_requests(&format!("{candidate}'s requests")),
            self.meaning,
            100.0 * self.expected,
            self.odds_ratio,
            self.tolerated,
        )
    }
}
