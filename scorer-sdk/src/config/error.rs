//! What is wrong with a config, where, and what repairs it.

use core::fmt;
use serde::Serialize;

/// A config that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigError {
    /// Path of the field, such as `steer.probation.share`; `.` for the whole.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
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
