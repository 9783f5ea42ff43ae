//! What every drift detector does with the evidence of its bets, whatever it watches: a drift is
//! reported, lasts, and ends, and after its end nothing is judged for a while.

use super::detector::{EDetector, Leader, finite};
use super::report::{Direction, Drift, Settings};
use crate::wire::codec::{CodecError, Reader, Writer};
use core::time::Duration;

/// Ticks of the past that a series needs before it is compared with them.
pub(super) const TICKS_NEEDED: f64 = 32.0;

/// The alarm of one series with `BETS` bets.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Alarm<const BETS: usize> {
    /// Ticks for which nothing is judged.
    rest: f64,
    detector: EDetector<BETS>,
    drift: Option<Drift>,
}

/// One tick as the bets see it.
pub(super) struct Observation<const BETS: usize> {
    /// The time, in seconds since the epoch.
    pub(super) now_s: f64,
    /// The log e-values of the bets.
    pub(super) log_factors: [f64; BETS],
    /// What was observed, without the season, and its weight.
    pub(super) value: f64,
    pub(super) weight: f64,
}

/// Where a series stands after a tick that was judged.
pub(super) enum Standing {
    /// No drift, and not enough evidence for one.
    Quiet,
    /// The evidence is enough: a drift is to be reported with [`Alarm::report`].
    Begins(Leader),
    /// The drift that was reported lasts.
    Lasts {
        leader: Leader,
        /// It has lasted so long that it is the new past.
        is_usual: bool,
        /// Half of the evidence for it is gone.
        is_weak: bool,
    },
}

impl<const BETS: usize> Alarm<BETS> {
    /// The drift that lasts, if one does.
    pub(super) fn drift(&self) -> Option<&Drift> {
        self.drift.as_ref()
    }

    /// As [`Alarm::drift`], to be changed.
    pub(super) fn drift_mut(&mut self) -> Option<&mut Drift> {
        self.drift.as_mut()
    }

    /// Evidence for a drift, in nats; [`Settings::threshold`] is enough.
    pub(super) fn log_evidence(&self) -> f64 {
        self.detector.log_evidence()
    }

    /// Whether this tick is one of those after a drift in which nothing is judged; counts it.
    pub(super) fn rests(&mut self) -> bool {
        let rests = self.rest > 0.0;
        if rests {
            self.rest -= 1.0;
        }
        rests
    }

    /// Judges one tick.
    pub(super) fn judge(&mut self, observed: &Observation<BETS>, settings: &Settings) -> Standing {
        let threshold = settings.threshold();
        self.detector.update(
            observed.now_s,
            &observed.log_factors,
            observed.value,
            observed.weight,
            threshold,
        );
        let evidence = self.detector.log_evidence();
        let Some(leader) = self.detector.leader() else {
            return Standing::Quiet;
        };
        match &mut self.drift {
            None if evidence >= threshold => Standing::Begins(leader),
            None => Standing::Quiet,
            Some(drift) => {
                drift.ticks = drift.ticks.saturating_add(1);
                Standing::Lasts {
                    leader,
                    is_usual: drift.ticks >= settings.adopt_after,
                    is_weak: evidence < 0.5 * threshold,
                }
            }
        }
    }

    /// Reports a drift.
    pub(super) fn report(
        &mut self,
        now: Duration,
        leader: &Leader,
        direction: Direction,
        expected: f64,
    ) {
        self.drift = Some(Drift {
            direction,
            since: Duration::try_from_secs_f64(leader.since_s).unwrap_or(now),
            reported: now,
            expected,
            observed: leader.observed,
            ticks: 0,
        });
    }

    /// Ends the drift and begins the rest after it.
    pub(super) fn end(&mut self, settings: &Settings) {
        self.rest = f64::from(settings.rest);
        self.drift = None;
        self.detector.reset();
    }

    /// Forgets the evidence; a drift that lasts goes on.
    pub(super) fn forget(&mut self) {
        self.detector.reset();
    }

    /// Appends the state.
    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.f64(self.rest);
        self.detector.encode(writer);
        Drift::encode_optional(self.drift.as_ref(), writer);
    }

    /// Reads what [`Alarm::encode`] wrote.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            rest: finite(reader)?.max(0.0),
            detector: EDetector::decode(reader)?,
            drift: Drift::decode_optional(reader)?,
        })
    }
}
