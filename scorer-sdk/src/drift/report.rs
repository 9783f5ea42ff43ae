//! What is reported of a drift, and the settings that say when.

use super::detector::finite;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::fmt;
use core::time::Duration;
use serde::{Serialize, Serializer};

/// How a series is compared with its past. Ticks are the calls of `update`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Least mean number of ticks until a drift is reported of a series that has none.
    pub average_run_length: f64,
    /// Ticks over which the past is remembered.
    pub memory: f64,
    /// Ticks after which what has drifted becomes the new past, and the drift is over.
    pub adopt_after: u32,
    /// Ticks after the end of a drift in which nothing is judged: the past settles, and what comes
    /// and goes is reported once.
    pub rest: u32,
    /// Shift that is not reported: for a level in its own unit (0.05 on a log scale is 5 %),
    /// for a rate as the log of an odds ratio.
    pub tolerance: f64,
}

impl Default for Settings {
    /// For ticks of a minute: a false report in four weeks, a week's memory, a new past after a
    /// day, 10 % tolerated on a log scale.
    fn default() -> Self {
        Self {
            average_run_length: 40_320.0,
            memory: 10_080.0,
            adopt_after: 1_440,
            rest: 60,
            tolerance: 0.1,
        }
    }
}

impl Settings {
    /// Log evidence at which drift is reported, in nats.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.average_run_length.max(2.0).ln()
    }

    /// What is kept of the past at each tick.
    pub(super) fn keep(&self) -> f64 {
        1.0 - 1.0 / self.memory.max(2.0)
    }
}

/// The direction of a drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Above its past.
    Up,
    /// Below its past.
    Down,
    /// Further from its past than before, on both sides.
    Unsteady,
}

impl Direction {
    const ALL: [Self; 3] = [Self::Up, Self::Down, Self::Unsteady];

    /// The direction of a bet, when each has `each` of them, in the order of the variants.
    pub(super) fn of_bet(bet: usize, each: usize) -> Self {
        let index = bet.checked_div(each).unwrap_or_default();
        Self::ALL.get(index).copied().unwrap_or(Self::Unsteady)
    }

    /// The name in metrics and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unsteady => "unsteady",
        }
    }
}

/// A series that has left its past.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drift {
    /// Its direction.
    pub direction: Direction,
    /// When it began, as far as can be told.
    #[serde(serialize_with = "seconds")]
    pub since: Duration,
    /// When it was first reported.
    #[serde(serialize_with = "seconds")]
    pub reported: Duration,
    /// The value that the past predicts: a level, or a rate from 0 to 1.
    pub expected: f64,
    /// The mean since it began, in the same unit and with the season taken out.
    pub observed: f64,
    /// Ticks since it was first reported.
    pub ticks: u32,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.direction {
            Direction::Up => "above",
            Direction::Down => "below",
            Direction::Unsteady => "less steady than",
        };
        write!(
            f,
            "{what} its own past: {} instead of {}",
            significant(self.observed),
            significant(self.expected)
        )
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// A number with about three significant digits.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        size if size >= 0.01 => 4,
        _ => 6,
    };
    format!("{value:.digits$}")
}

impl Drift {
    /// Appends a drift, or that there is none.
    pub(super) fn encode_optional(drift: Option<&Self>, writer: &mut Writer) {
        writer.option(drift, Self::encode);
    }

    /// Reads what [`Drift::encode_optional`] wrote.
    pub(super) fn decode_optional(reader: &mut Reader<'_>) -> Result<Option<Self>, CodecError> {
        reader.option(Self::decode)
    }

    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.direction as u8);
        for value in [
            self.since.as_secs_f64(),
            self.reported.as_secs_f64(),
            self.expected,
            self.observed,
        ] {
            writer.f64(value);
        }
        writer.u32(self.ticks);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let number = reader.u8()?;
        let unknown = CodecError::Unknown {
            what: "direction of drift",
            value: u64::from(number),
        };
        let time = |seconds: f64| Duration::try_from_secs_f64(seconds).map_err(|_| unknown);
        Ok(Self {
            direction: *Direction::ALL.get(usize::from(number)).ok_or(unknown)?,
            since: time(finite(reader)?)?,
            reported: time(finite(reader)?)?,
            expected: finite(reader)?,
            observed: finite(reader)?,
            ticks: reader.u32()?,
        })
    }
}
