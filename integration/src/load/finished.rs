//! One request that is over.

use std::time::Duration;

use hyper::StatusCode;
use tokio::time::Instant;

use crate::shop::Route;

/// One request that is over, as its client saw it.
#[derive(Debug, Clone)]
pub struct Finished {
    /// What was asked for.
    pub route: Route,
    /// When it was sent.
    pub started: Instant,
    /// From then to the end of the answer, or until the client gave up.
    pub elapsed: Duration,
    /// Status and version of a complete answer. The version is empty where the proxy itself
    /// answered.
    pub answer: Option<(StatusCode, String)>,
}

impl Finished {
    /// The version that answered; `None` when that was the proxy, or nobody.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        let (_, version) = self.answer.as_ref()?;
        (!version.is_empty()).then_some(version)
    }

    /// Whether the user did not get what was asked for: 5xx or no answer.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.answer
            .as_ref()
            .is_none_or(|(status, _)| status.is_server_error())
    }
}
