//! Time on an axis: since the candidate came, in a unit that fits.

use jiff::Timestamp;

/// Turns times into positions on an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    zero: f64,
    unit: f64,
    /// What the axis is called.
    pub label: String,
}

impl Clock {
    /// A clock that is zero at `zero`, seconds since the Unix epoch, for a span in seconds. `since`
    /// says what happened then.
    #[must_use]
    pub fn new(zero: f64, span: f64, since: &str) -> Self {
        let (unit, name) = match span {
            ..240.0 => (1.0, "seconds"),
            ..14_400.0 => (60.0, "minutes"),
            ..345_600.0 => (3_600.0, "hours"),
            _ => (86_400.0, "days"),
        };
        Self {
            zero,
            unit,
            label: format!("{name} since {since}"),
        }
    }

    /// The position of a time, seconds since the Unix epoch.
    #[must_use]
    pub fn position(&self, at: f64) -> f64 {
        (at - self.zero) / self.unit
    }
}

/// Seconds since the Unix epoch as date and time in UTC; empty for what is no time.
#[must_use]
pub fn date(at: f64) -> String {
    match Timestamp::from_second(at as i64) {
        Ok(time) if at > 0.0 => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_fits_the_span() {
        let clock = Clock::new(1_000.0, 3_600.0, "v2 came");
        assert_eq!(clock.label, "minutes since v2 came");
        assert_eq!(clock.position(940.0), -1.0);
        assert_eq!(Clock::new(0.0, 60.0, "x").label, "seconds since x");
    }

    #[test]
    fn a_date_is_in_utc() {
        assert_eq!(date(1_770_000_000.0), "2026-02-02 02:40:00 UTC");
        assert_eq!(date(f64::NAN), "");
    }
}
