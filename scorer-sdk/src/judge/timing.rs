//! Since when a candidate is worse, how soon that was found and how certain it is: the sentence that
//! the log, a terminal and a page have in common.

/// The times of an anomalous verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timing {
    /// Since when the candidate is worse, in milliseconds since the epoch.
    pub onset_ms: u64,
    /// When the verdict fell, in milliseconds since the epoch.
    pub verdict_ms: u64,
    /// Evidence at the verdict in nats; none where only the past speaks.
    pub evidence: Option<f64>,
}

impl Timing {
    /// Seconds from the onset to the verdict.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.verdict_ms.saturating_sub(self.onset_ms) as f64 / 1e3
    }

    /// `N` in "a healthy candidate shows as much in at most one of `N` rollouts": `exp(evidence)`, by
    /// Ville's inequality, at most 10⁹. `None` if only the baseline's past speaks against the candidate,
    /// because Ville's inequality does not cover that.
    #[must_use]
    pub fn rollouts(&self) -> Option<u64> {
        self.evidence.map(|evidence| evidence.exp().min(1e9) as u64)
    }

    /// One sentence without its end, in lower case. `candidate` is the name of the version.
    #[must_use]
    pub fn sentence(&self, candidate: &str) -> String {
        let mut text = format!(
            "worse since {}, found {} later",
            date(self.onset_ms),
            span(self.seconds())
        );
        match self.rollouts() {
            Some(rollouts) => text.push_str(&format!(
                "; if {candidate} were healthy, a false alarm this strong comes at most once in {} rollouts",
                grouped(rollouts)
            )),
            None => text.push_str("; only the baseline's past speaks against it, not a comparison side by side"),
        }
        text
    }
}

/// A time in milliseconds since the epoch as date and time of day: `2023-11-14 22:13:20 UTC`.
///
/// The date is that of the proleptic Gregorian calendar, counted in years that begin in March
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(at_ms: u64) -> String {
    let seconds = at_ms / 1_000;
    // From the first of March of the year 0 to the epoch: 719,468 days.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * since_march + 2) / 5 + 1;
    let (month, years) = match since_march {
        ..10 => (since_march + 3, 0),
        _ => (since_march - 9, 1),
    };
    let year = era * 400 + year_of_era + years;
    format!("{year}-{month:02}-{day:02} {}", time_of_day(at_ms))
}

/// A time in milliseconds since the epoch as time of day: `22:13:20 UTC`.
pub(super) fn time_of_day(at_ms: u64) -> String {
    let seconds = at_ms / 1_000 % 86_400;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02} UTC")
}

/// A span of time for people: `27 s`, `4.2 min`, `3.5 h`.
fn span(seconds: f64) -> String {
    match seconds {
        ..119.5 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// A whole number with its digits in groups of three.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_says_since_when_how_soon_and_how_certain() {
        let timing = Timing {
            onset_ms: 1_700_000_000_400,
            verdict_ms: 1_700_000_027_400,
            evidence: Some(1_280.0_f64.ln() + 1e-9),
        };
        assert_eq!(
            timing.sentence("v2"),
            "worse since 2023-11-14 22:13:20 UTC, found 27 s later; if v2 were healthy, a false alarm \
             this strong comes at most once in 1,280 rollouts"
        );
        let past = Timing {
            verdict_ms: timing.verdict_ms + 600_000,
            evidence: None,
            ..timing
        };
        assert_eq!(
            past.sentence("v2"),
            "worse since 2023-11-14 22:13:20 UTC, found 10.4 min later; only the baseline's past speaks \
             against it, not a comparison side by side"
        );
        let certain = Timing {
            evidence: Some(700.0),
            ..timing
        };
        assert_eq!(certain.rollouts(), Some(1_000_000_000));
    }

    #[test]
    fn the_verdict_never_comes_before_the_onset() {
        let timing = Timing {
            onset_ms: 9_000,
            verdict_ms: 2_000,
            evidence: None,
        };
        assert_eq!(timing.seconds(), 0.0);
    }

    #[test]
    fn dates_know_leap_years_and_the_ends_of_months() {
        let dates = [
            0,
            951_782_399_000,
            951_782_400_000,
            1_709_251_199_999,
            4_107_542_400_000,
        ]
        .map(date);
        assert_eq!(
            dates,
            [
                "1970-01-01 00:00:00 UTC",
                "2000-02-28 23:59:59 UTC",
                "2000-02-29 00:00:00 UTC",
                "2024-02-29 23:59:59 UTC",
                "2100-03-01 00:00:00 UTC",
            ]
        );
        assert!(date(u64::MAX).ends_with(" UTC"));
    }

    #[test]
    fn spans_have_the_unit_that_fits() {
        assert_eq!(
            [27.0, 624.0, 10_000.0, 86_400.0].map(span),
            ["27 s", "10.4 min", "2.8 h", "24.0 h"]
        );
    }

    #[test]
    fn digits_come_in_groups_of_three() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
