//! Time on an axis: the time of day in UTC.

use jiff::Timestamp;

/// Turns times into positions on an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Clock {
    zero: f64,
    /// What the axis is called.
    pub label: String,
}

impl Clock {
    /// A clock for what begins at `from`, seconds since the Unix epoch.
    #[must_use]
    pub fn new(from: f64) -> Self {
        let zero = from.floor();
        let day = date(zero);
        let day = day.split(' ').next().unwrap_or_default();
        Self {
            zero,
            label: format!("time of day in UTC; it begins on {day}"),
        }
    }

    /// The seconds since the Unix epoch at the position 0.
    #[must_use]
    pub fn zero(&self) -> f64 {
        self.zero
    }

    /// The position of a time, seconds since the Unix epoch: seconds since the clock's zero.
    #[must_use]
    pub fn position(&self, at: f64) -> f64 {
        at - self.zero
    }
}

/// Seconds since the Unix epoch as date and time in UTC; empty for what is no time.
#[must_use]
pub fn date(at: f64) -> String {
    formatted(at, "%Y-%m-%d %H:%M:%S UTC")
}

/// The label of a time, seconds since the Unix epoch, between labels that are `step` seconds apart:
/// `02:59`, `02:59:30`, or `02-02 14:00` where days are shown.
#[must_use]
pub fn tick(at: f64, step: f64) -> String {
    let format = match step {
        ..60.0 => "%H:%M:%S",
        ..21_600.0 => "%H:%M",
        _ => "%m-%d %H:%M",
    };
    formatted(at.round(), format)
}

/// Seconds between labels, so that there are at most seven over this span, and at most four where they
/// show seconds and are wide.
#[must_use]
pub fn step(span: f64) -> f64 {
    const STEPS: [f64; 19] = [
        1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0,
        7_200.0, 14_400.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0,
    ];
    let least = span / 7.0;
    let wide = |step: f64| step < 60.0 && step < span / 4.0;
    let mut steps = STEPS.into_iter();
    let fitting = steps.find(|step| *step >= least && !wide(*step));
    // Beyond a fortnight, whole days.
    fitting.unwrap_or_else(|| (least / 86_400.0).ceil() * 86_400.0)
}

fn formatted(at: f64, format: &str) -> String {
    match Timestamp::from_second(at as i64) {
        Ok(time) if at > 0.0 => time.strftime(format).to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_begins_at_its_zero() {
        let clock = Clock::new(1_770_000_000.5);
        assert_eq!(clock.position(1_770_000_060.0), 60.0);
        assert!(clock.label.ends_with("2026-02-02"), "{}", clock.label);
    }

    #[test]
    fn labels_are_as_exact_as_they_are_far_apart() {
        assert_eq!(
            [30.0, 1_000.0, 8_000.0, 4e5].map(step),
            [10.0, 300.0, 1_200.0, 86_400.0]
        );
        assert_eq!(step(1e8) % 86_400.0, 0.0);
        let labels = [5.0, 300.0, 86_400.0].map(|step| tick(1_770_000_000.0, step));
        assert_eq!(labels, ["02:40:00", "02:40", "02-02 02:40"]);
    }

    #[test]
    fn a_date_is_in_utc() {
        assert_eq!(date(1_770_000_000.0), "2026-02-02 02:40:00 UTC");
        assert_eq!(date(f64::NAN), "");
    }
}
