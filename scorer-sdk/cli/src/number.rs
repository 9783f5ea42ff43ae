//! Numbers, short enough for an axis or a cell.

use crate::output::grouped;

/// A number with about three digits: `0.0012`, `3.14`, `250`, `1.2k`, `3M`.
#[must_use]
pub fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        ..1e-4 => format!("{value:.0e}"),
        1e15.. => format!("{value:.0e}"),
        999_500_000.0.. => trimmed(value / 1e9) + "G",
        999_500.0.. => trimmed(value / 1e6) + "M",
        9_995.0.. => trimmed(value / 1e3) + "k",
        _ => trimmed(value),
    }
}

/// Evidence, given in nats, as people read it: `1 in 427` if a healthy candidate shows as much in at
/// most one of 427 rollouts, at most 10⁹; `none` below two.
#[must_use]
pub fn one_in(nats: f64) -> String {
    match nats.exp().min(1e9) as u64 {
        ..2 => "none".to_owned(),
        rollouts => format!("1 in {}", grouped(rollouts)),
    }
}

/// Evidence beside how much a verdict needs, both given in nats: `1 in 8, needs 1 in 100`.
#[must_use]
pub fn of_enough(nats: f64, threshold: f64) -> String {
    let enough = threshold.exp().min(1e9).round() as u64;
    format!("{}, needs 1 in {}", one_in(nats), grouped(enough))
}

/// A share of one as a percentage.
#[must_use]
pub fn percent(share: f64) -> String {
    match 100.0 * share {
        percent if percent > 0.0 && percent < 0.01 => "< 0.01%".to_owned(),
        percent => short(percent) + "%",
    }
}

/// Seconds as people say them: `850 ms`, `12 s`, `3.5 min`, `2 h`.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        ..120.0 => trimmed(seconds) + " s",
        ..7_200.0 => trimmed(seconds / 60.0) + " min",
        _ => trimmed(seconds / 3_600.0) + " h",
    }
}

/// Three digits, without zeros at the end of a fraction.
fn trimmed(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        0.01.. => 4,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        let texts = [
            0.0, 0.00001, 0.0012, 0.5, 4.6052, 12.25, 250.4, 9_000.0, 12_345.0, 2e6, -3.0,
        ]
        .map(short);
        assert_eq!(
            texts,
            [
                "0", "1e-5", "0.0012", "0.5", "4.61", "12.2", "250", "9000", "12.3k", "2M", "-3"
            ]
        );
        assert_eq!(short(f64::NAN), "–");
    }

    #[test]
    fn evidence_is_one_false_alarm_in_so_many_rollouts() {
        assert_eq!(
            [f64::NEG_INFINITY, -1.0, 0.2, 2.1, 8.1, 700.0].map(one_in),
            [
                "none",
                "none",
                "none",
                "1 in 8",
                "1 in 3,294",
                "1 in 1,000,000,000"
            ]
        );
        // The metric has whole thousandths.
        assert_eq!(of_enough(2.1, 4.605), "1 in 8, needs 1 in 100");
    }

    #[test]
    fn a_share_that_is_hardly_there_is_not_called_none() {
        assert_eq!(percent(0.00001), "< 0.01%");
        assert_eq!(percent(0.0), "0%");
        assert_eq!(percent(0.125), "12.5%");
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        assert_eq!(
            [0.25, 12.0, 210.0, 7_200.0].map(seconds),
            ["250 ms", "12 s", "3.5 min", "2 h"]
        );
    }
}
