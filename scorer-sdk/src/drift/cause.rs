//! The cause of a change, from the drift of both versions and their comparison: usage, something
//! that they share, or the version.

use super::attribution::Term;
use serde::Serialize;

/// The token of answers that neither fail nor are slow. More of them are not worth a mention.
pub(super) const USUAL: &str = "usual answers";

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing drifts, and the versions do not differ.
    #[default]
    Nothing,
    /// Both versions left their past together: usage, or a dependency that they share.
    Shared,
    /// The version: the baseline does what it did before, or neither has a past to compare with.
    Version,
    /// The version, while something shared changes as well.
    VersionAndShared,
    /// The baseline left its past, and the candidate has none of its own or none that shows it.
    BaselineAlone,
    /// The candidate left its past, and is not yet known to differ from the baseline.
    CandidateAlone,
    /// The versions differ because the baseline changed.
    BaselineMoved,
}

/// What is known when a sentence about a cause is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Whether the baseline has a past to compare with.
    pub baseline_past: bool,
    /// Whether there is a candidate.
    pub candidate: bool,
    /// Whether the candidate has a past.
    pub candidate_past: bool,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Shared,
        Self::Version,
        Self::VersionAndShared,
        Self::BaselineAlone,
        Self::CandidateAlone,
        Self::BaselineMoved,
    ];

    /// The cause, from whether the baseline drifts from its past, whether the candidate does, and
    /// whether the comparison of the two fires.
    #[must_use]
    pub fn of(baseline_drifts: bool, candidate_drifts: bool, comparison_fires: bool) -> Self {
        match (baseline_drifts, candidate_drifts, comparison_fires) {
            (false, false, false) => Self::Nothing,
            (true, true, false) => Self::Shared,
            (false, _, true) => Self::Version,
            (true, true, true) => Self::VersionAndShared,
            (true, false, false) => Self::BaselineAlone,
            (false, true, false) => Self::CandidateAlone,
            (true, false, true) => Self::BaselineMoved,
        }
    }

    /// The name in metrics and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Shared => "shared",
            Self::Version => "version",
            Self::VersionAndShared => "version_and_shared",
            Self::BaselineAlone => "baseline_alone",
            Self::CandidateAlone => "candidate_alone",
            Self::BaselineMoved => "baseline_moved",
        }
    }

    /// Whether the version is the cause: the comparison holds, whatever else changes.
    #[must_use]
    pub fn blames_the_version(self) -> bool {
        matches!(self, Self::Version | Self::VersionAndShared)
    }

    /// A sentence for people. `mostly` is `usage` or `behaviour` where it is known which of the two
    /// changed, as [`super::Attribution::mostly`] has it; `terms` are the strongest parts of the change.
    #[must_use]
    pub fn explain(self, known: Known, mostly: Option<&str>, terms: &[Term]) -> String {
        let text = match (self, mostly) {
            (Self::Shared | Self::BaselineAlone, Some("usage")) if !known.candidate => {
                "usage: other requests come than before"
            }
            (Self::Shared | Self::BaselineAlone, _) if !known.candidate => {
                "the service: it answers the same requests differently than before"
            }
            (Self::BaselineAlone, _) if known.candidate_past => {
                "stable: it differs from its past; the candidate does not, and does not differ from stable so far"
            }
            (Self::Version, _) if !known.baseline_past => "the version: it differs from stable",
            (Self::Nothing, _) => "both versions behave as before",
            (Self::Shared, Some("usage")) => {
                "usage: both versions get other requests than before; the version is not the cause"
            }
            (Self::Shared, Some(_)) => {
                "a shared dependency: both versions answer the same requests differently than \
                 before; the version is not the cause"
            }
            (Self::Shared, None) => {
                "usage or a shared dependency: both versions differ from their past; the version is \
                 not the cause"
            }
            (Self::Version, _) => "the version: it differs from stable, which behaves as before",
            (Self::VersionAndShared, Some("usage")) => {
                "the version, during a change of usage: it differs from stable on the same requests"
            }
            (Self::VersionAndShared, _) => {
                "the version, and something shared: the version differs from stable, and both differ \
                 from their past"
            }
            (Self::BaselineAlone, _) => {
                "something shared: stable differs from its past, and the candidate does not differ from \
                 stable; the candidate's own past is too short to compare"
            }
            (Self::CandidateAlone, _) => {
                "the candidate: it differs from its own past, but not from stable so far"
            }
            (Self::BaselineMoved, _) => {
                "stable: it differs from its past, the candidate does not, and so they differ"
            }
        };
        let mut sentence = text.to_owned();
        let usage = mostly == Some("usage");
        let strongest = terms
            .iter()
            .filter(|term| term.token.is_none() == usage && term.token.as_deref() != Some(USUAL))
            .find(|term| mostly.is_some() && term.nats > 0.0 && self != Self::Nothing);
        if let Some(term) = strongest {
            let what = match &term.token {
                Some(token) => format!("{token} on {}", term.route),
                None => format!("requests to {}", term.route),
            };
            sentence.push_str(&format!(
                "; most of all {what}: {:.1}% instead of {:.1}%",
                100.0 * term.now,
                100.0 * term.past
            ));
        }
        sentence
    }
}
