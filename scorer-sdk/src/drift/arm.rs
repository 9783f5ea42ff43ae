//! The series of one version: failures, and answers that take longer than they did on the route
//! in the past.

use super::detector::finite;
use super::measure::Measure;
use super::rate::RateDrift;
use super::routes::RECENT;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::time::Duration;

/// One version's part of a window.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Window {
    pub(super) exchanges: u64,
    pub(super) failures: u64,
    /// Those whose time can be compared with the route's past, and those of them that took longer.
    pub(super) timed: u64,
    pub(super) longer: u64,
    /// Sum of the logs of how many times as long as usual they took.
    pub(super) log_times: f64,
}

/// What one version does, and did.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ArmSeries {
    pub(super) errors: RateDrift,
    pub(super) latency: RateDrift,
    pub(super) window: Window,
    /// Decayed number of timed exchanges, and sum of their `log_times`.
    recent: [f64; 2],
}

impl ArmSeries {
    /// Judges the window, which ends now.
    pub(super) fn judge(&mut self, now: Duration) {
        let window = self.window;
        self.errors.update(
            now,
            window.failures,
            window.exchanges,
            &Measure::Errors.settings(),
        );
        self.latency.update(
            now,
            window.longer,
            window.timed,
            &Measure::Latency.settings(),
        );
        for (sum, value) in self
            .recent
            .iter_mut()
            .zip([window.timed as f64, window.log_times])
        {
            *sum = *sum * RECENT + value;
        }
    }

    /// How long its recent answers take, as a multiple of what the baseline's took in the past.
    pub(super) fn times(&self) -> f64 {
        let [timed, log_times] = self.recent;
        (log_times / timed.max(1.0)).exp()
    }

    /// Appends the state.
    pub(super) fn encode(&self, writer: &mut Writer) {
        self.errors.encode(writer);
        self.latency.encode(writer);
        writer.u64(self.window.exchanges);
        writer.u64(self.window.failures);
        writer.u64(self.window.timed);
        writer.u64(self.window.longer);
        writer.f64(self.window.log_times);
        self.recent.iter().for_each(|value| writer.f64(*value));
    }

    /// Reads what [`ArmSeries::encode`] wrote.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            errors: RateDrift::decode(reader)?,
            latency: RateDrift::decode(reader)?,
            window: Window {
                exchanges: reader.u64()?,
                failures: reader.u64()?,
                timed: reader.u64()?,
                longer: reader.u64()?,
                log_times: finite(reader)?,
            },
            recent: [finite(reader)?, finite(reader)?],
        })
    }
}
