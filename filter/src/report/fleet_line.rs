//! Log lines about the fleet's verdict: that it cannot be had, and that it can again.

use scorer_sdk::wire::fleet::FleetAnswer;

/// Why a question led to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The proxy has no such cluster, or none of its hosts can be reached.
    NotSent,
    /// Nobody answered in time.
    NoAnswer,
    /// The answer has this status.
    Refused(u16),
    /// The answer cannot be read, or contradicts itself.
    Unreadable,
    /// The evidence is of more than a minute ago.
    Old,
}

impl Failure {
    /// Its place among the reasons of `serin_fleet_unanswered_total`.
    #[must_use]
    pub fn number(self) -> usize {
        match self {
            Self::NotSent => 0,
            Self::NoAnswer => 1,
            Self::Refused(_) => 2,
            Self::Unreadable => 3,
            Self::Old => 4,
        }
    }
}

/// Says each change once.
#[derive(Debug, Default)]
pub struct FleetLine {
    is_failing: bool,
    has_told_proxies: bool,
}

impl FleetLine {
    /// Says what has changed with this answer. `expected` is the config's `fleet.proxies`.
    pub fn tell(&mut self, answer: Result<FleetAnswer, Failure>, expected: u64) {
        let failure = match answer {
            Ok(answer) => {
                if core::mem::take(&mut self.is_failing) {
                    log::info!("serin: the fleet's verdict is available again");
                }
                if answer.proxies > expected && !self.has_told_proxies {
                    self.has_told_proxies = true;
                    log::warn!(
                        "serin: {} proxies judge, but fleet.proxies is {expected}: false alarms are \
                         more likely than false_alarm promises; raise fleet.proxies",
                        answer.proxies
                    );
                }
                return;
            }
            Err(failure) => failure,
        };
        if core::mem::replace(&mut self.is_failing, true) {
            return;
        }
        let why = match failure {
            Failure::NotSent => "the proxy has no such cluster, or the cluster has no host",
            Failure::NoAnswer => "serve-verdict does not answer",
            Failure::Refused(401) => "serve-verdict refuses the token",
            Failure::Refused(_) => "serve-verdict answers with an error",
            Failure::Unreadable => "the answer is unreadable",
            Failure::Old => "its evidence is more than a minute old",
        };
        log::warn!(
            "serin: no verdict from the fleet: {why}; this proxy judges alone until it gets one"
        );
    }
}
