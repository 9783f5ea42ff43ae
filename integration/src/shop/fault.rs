//! Answers that an instance gives in place of its own, for good or for a while.

use std::time::{Duration, Instant};

use hyper::StatusCode;

/// A share of all answers has this status, whatever was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    status: StatusCode,
    share: f64,
    lasts: Option<Duration>,
}

impl Fault {
    /// Every answer has this status, until another fault takes the place of this one.
    #[must_use]
    pub fn all(status: StatusCode) -> Self {
        Self {
            status,
            share: 1.0,
            lasts: None,
        }
    }

    /// Concerns this share of the answers, 0 to 1, at random.
    #[must_use]
    pub fn share(mut self, share: f64) -> Self {
        self.share = share;
        self
    }

    /// Ends by itself after this time.
    #[must_use]
    pub fn lasts(mut self, time: Duration) -> Self {
        self.lasts = Some(time);
        self
    }

    pub(super) fn from(self, now: Instant) -> Active {
        Active {
            fault: self,
            until: self.lasts.map(|time| now + time),
        }
    }
}

/// A fault that has begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Active {
    fault: Fault,
    until: Option<Instant>,
}

impl Active {
    /// The status of a request that comes at `now` and has drawn `chance` from 0 to 1; `None` where
    /// the instance gives its own answer.
    pub(super) fn answer(&self, now: Instant, chance: f64) -> Option<StatusCode> {
        let runs = self.until.is_none_or(|until| now < until);
        (runs && chance < self.fault.share).then_some(self.fault.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: StatusCode = StatusCode::UNAUTHORIZED;

    #[test]
    fn a_fault_concerns_its_share_until_its_end() {
        let start = Instant::now();
        let fault = Fault::all(STATUS)
            .share(0.25)
            .lasts(Duration::from_secs(5))
            .from(start);
        let at = |seconds, chance| fault.answer(start + Duration::from_secs(seconds), chance);
        assert_eq!((at(0, 0.24), at(4, 0.24)), (Some(STATUS), Some(STATUS)));
        assert_eq!((at(4, 0.26), at(5, 0.0)), (None, None));
    }

    #[test]
    fn a_fault_without_an_end_stays() {
        let start = Instant::now();
        let later = start + Duration::from_secs(3_600);
        assert_eq!(
            Fault::all(STATUS).from(start).answer(later, 0.99),
            Some(STATUS)
        );
    }
}
