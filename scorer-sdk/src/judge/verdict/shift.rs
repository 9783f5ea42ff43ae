//! How far a quantile of durations is shifted.

use crate::evidence::Factor;
use core::fmt;
use serde::Serialize;

/// How far a quantile of the candidate's durations is shifted against the baseline's, since the
/// difference began. The interval holds at all looks at confidence one minus the configured false
/// alarm, as far as the shift stands still ([`QuantileShift`](crate::evidence::QuantileShift)).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Shift {
    /// Which quantile, 0 to 1.
    pub quantile: f64,
    /// The baseline's quantile in milliseconds; over all routes, the mean of theirs.
    pub baseline_ms: f64,
    /// The shift in per cent of the baseline's; above 0 the candidate is slower.
    pub percent: Option<f64>,
    /// Its lower end; `None` if nothing rules out that the candidate is much faster.
    pub percent_lower: Option<f64>,
    /// Its upper end; `None` if nothing rules out that the candidate is much slower.
    pub percent_upper: Option<f64>,
    /// The shift in milliseconds.
    pub ms: Option<f64>,
    /// Its lower end.
    pub ms_lower: Option<f64>,
    /// Its upper end.
    pub ms_upper: Option<f64>,
}

impl Shift {
    /// The shift by a factor of a quantile that is `level_us` microseconds for the baseline.
    #[must_use]
    pub fn new(quantile: f64, factor: &Factor, level_us: f64) -> Self {
        let percent = |factor: Option<f64>| factor.map(|factor| 100.0 * (factor - 1.0));
        let ms = |factor: Option<f64>| factor.map(|factor| (factor - 1.0) * level_us / 1_000.0);
        Self {
            quantile,
            baseline_ms: level_us / 1_000.0,
            percent: percent(factor.estimate),
            percent_lower: percent(factor.lower),
            percent_upper: percent(factor.upper),
            ms: ms(factor.estimate),
            ms_lower: ms(factor.lower),
            ms_upper: ms(factor.upper),
        }
    }

    /// Whether its direction is certain.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.percent_lower.is_some_and(|lower| lower > 0.0)
            || self.percent_upper.is_some_and(|upper| upper < 0.0)
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quantile == 0.5 {
            f.write_str("median ")?;
        } else {
            // Written as 99.9, not as 99.90000000000001.
            write!(f, "p{} ", (self.quantile * 100_000.0).round() / 1_000.0)?;
        }
        let percent = [self.percent, self.percent_lower, self.percent_upper];
        if percent.iter().all(Option::is_none) {
            return f.write_str("shift not known yet");
        }
        let ms = [self.ms, self.ms_lower, self.ms_upper];
        write!(f, "{}, {}", signed(percent, "%"), signed(ms, " ms"))
    }
}

/// A value with its interval, all with their signs; an open end is left out.
pub(super) fn signed([value, lower, upper]: [Option<f64>; 3], unit: &str) -> String {
    let text = |value: f64| {
        if value.abs() < 9.95 {
            format!("{value:+.1}{unit}")
        } else {
            format!("{value:+.0}{unit}")
        }
    };
    let interval = match (lower, upper) {
        (Some(lower), Some(upper)) => format!("{} to {}", text(lower), text(upper)),
        (Some(lower), None) => format!("at least {}", text(lower)),
        (None, Some(upper)) => format!("at most {}", text(upper)),
        (None, None) => "uncertain".to_owned(),
    };
    match value {
        Some(value) => format!("{} ({interval})", text(value)),
        None => interval,
    }
}
