//! Versions that answer nothing or get nothing.

use serde::Serialize;

/// In which way a version is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Silent {
    /// It gets requests and answers none.
    Mute,
    /// It gets no requests, while others do.
    Idle,
}

/// A version that is silent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Silence {
    /// The version.
    pub version: String,
    /// In which way.
    pub kind: Silent,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Requests that it did not answer; for one that gets none, those that others got meanwhile.
    pub requests: u64,
    /// Its share of the requests before, 0 to 1.
    pub share: f64,
}

impl Silence {
    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.kind {
            Silent::Mute => format!(
                "{} has answered none of its last {} requests, for {:.0} s",
                self.version, self.requests, self.seconds
            ),
            Silent::Idle => format!(
                "{} has received no request for {:.0} s, while others received {}; before, it received {:.1}% of them",
                self.version,
                self.seconds,
                self.requests,
                100.0 * self.share
            ),
        }
    }
}
