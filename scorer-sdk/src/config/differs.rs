//! How large a difference has to be before it is told.

use super::check::{duration, number};
use super::error::ConfigError;
use super::raw::Config;

/// Sizes from which on a difference between the versions is worth telling. They bear on
/// `serin_differs` and on nothing else: what is harmful has its own margins and tolerances.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Differs {
    /// Shift of the median duration, as a share of the baseline's: 0.05 is 5%.
    pub latency: f64,
    /// The same in microseconds; a shift has to reach both.
    pub floor_us: u64,
    /// Change of the share of the exchanges that have some token: 0.05 is 5 of a hundred.
    pub share: f64,
}

impl Default for Differs {
    fn default() -> Self {
        Self {
            latency: 0.05,
            floor_us: 1_000,
            share: 0.05,
        }
    }
}

/// The sizes that matter to the owner.
pub(super) fn differs(raw: &Config) -> Result<Differs, ConfigError> {
    let default = Differs::default();
    Ok(Differs {
        latency: number(
            "differs.latency",
            raw.differs.latency,
            default.latency,
            0.0..=10.0,
            "a share such as 0.05",
        )?,
        floor_us: duration(
            "differs.floor",
            raw.differs.floor.as_deref(),
            "1ms",
            "0s",
            "1h",
        )?
        .as_micros() as u64,
        share: number(
            "differs.share",
            raw.differs.share,
            default.share,
            0.0..=1.0,
            "a share such as 0.05",
        )?,
    })
}
