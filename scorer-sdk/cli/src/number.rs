//! Numbers, short enough for an axis or a cell.

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

/// Evidence in nats with so many decimals; what rounds to nothing has no sign.
#[must_use]
pub fn nats(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(size) if size.bytes().all(|byte| b"0.".contains(&byte)) => size.to_owned(),
        _ => text,
    }
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
    fn evidence_that_is_hardly_there_has_no_sign() {
        assert_eq!(
            [-0.004, -0.006, 0.004].map(|value| nats(value, 2)),
            ["0.00", "-0.01", "0.00"]
        );
        assert_eq!(nats(-0.04, 1), "0.0");
        assert_eq!(nats(f64::NEG_INFINITY, 1), "-inf");
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
