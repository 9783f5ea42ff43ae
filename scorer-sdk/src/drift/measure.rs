//! What a series measures, and of which version.

use super::report::Settings;
use super::routes::MIX_ROUTES;
use serde::Serialize;

/// Series of a destination: they share the run length.
const SERIES: f64 = 1.0 + MIX_ROUTES as f64 + 1.0 + 4.0;

/// What a series measures of a version, or of the requests to both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// How many requests come.
    Traffic,
    /// Which routes they are for.
    Mix,
    /// How many of them fail.
    Errors,
    /// How long they take.
    Latency,
}

impl Measure {
    /// The name in metrics and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Mix => "mix",
            Self::Errors => "errors",
            Self::Latency => "latency",
        }
    }

    /// How a series of it is compared with its past: a quarter more or less traffic is tolerated,
    /// and an odds ratio of 1.5 in everything else.
    pub(super) fn settings(self) -> Settings {
        let plain = Settings::default();
        Settings {
            average_run_length: SERIES * plain.average_run_length,
            tolerance: match self {
                Self::Traffic => 0.22,
                Self::Mix | Self::Errors | Self::Latency => 0.4,
            },
            ..plain
        }
    }
}

/// Whose series it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The stable version's.
    Baseline,
    /// The new version's.
    Candidate,
    /// Of the requests to both.
    Both,
}

impl Whose {
    /// The name in metrics and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Candidate => "candidate",
            Self::Both => "both",
        }
    }
}
