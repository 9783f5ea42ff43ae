//! What is wrong with a config, where, and what repairs it.

use core::fmt;
use serde::Serialize;

/// Why a config is unusable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigError {
    /// Path of the field, such as `steer.probation.share`; `.` for the whole.
    pub path: String,
    /// The problem.
    pub problem: String,
    /// The repair.
    pub repair: String,
}

impl ConfigError {
    /// An error at `path`.
    #[must_use]
    pub fn new(path: &str, problem: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.into(),
            repair: repair.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "config {}: {}; {}", self.path, self.problem, self.repair)
    }
}

impl core::error::Error for ConfigError {}
