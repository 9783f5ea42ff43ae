//! Is Serin installed as it has to be, and what is the repair if it is not?
//!
//! [`gather`] asks one proxy, or a Prometheus, all that is needed; [`checks`] judges it without
//! asking anything more. A check is one function and one line in a list.

pub mod checks;
pub mod gather;
pub mod limits;

use serde::Serialize;

/// How a check ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it has to be.
    #[default]
    Ok,
    /// It works, and something is missing or limits it.
    Warn,
    /// It does not work.
    Fail,
}

impl State {
    /// The name in the output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: &'static str,
    /// How it ended.
    pub state: State,
    /// What was found, in one line.
    pub text: String,
    /// What to do, in one line; empty where there is nothing to do.
    pub repair: String,
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, State::Ok, text, "")
    }

    /// Something is missing or limits the comparison.
    #[must_use]
    pub fn warn(check: &'static str, text: impl Into<String>, repair: impl Into<String>) -> Self {
        Self::new(check, State::Warn, text, repair)
    }

    /// Something does not work.
    #[must_use]
    pub fn fail(check: &'static str, text: impl Into<String>, repair: impl Into<String>) -> Self {
        Self::new(check, State::Fail, text, repair)
    }

    fn new(
        check: &'static str,
        state: State,
        text: impl Into<String>,
        repair: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state,
            text: text.into(),
            repair: repair.into(),
        }
    }
}
