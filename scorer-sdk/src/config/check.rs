//! Values of a config, checked: each error names the path and the repair.

use super::error::ConfigError;
use core::ops::RangeInclusive;
use core::time::Duration;

/// Most entries of a list in the config.
pub(super) const MAX_LIST: usize = 512;

/// An error that lists what is known.
pub(super) fn unknown(path: &str, value: &str, known: &str) -> ConfigError {
    ConfigError::new(
        path,
        format!("`{value}` is not known"),
        format!("use {known}"),
    )
}

/// A number in its range.
pub(super) fn number(
    path: &str,
    value: Option<f64>,
    default: f64,
    range: RangeInclusive<f64>,
    repair: &str,
) -> Result<f64, ConfigError> {
    in_range(
        path,
        value.unwrap_or(default),
        range,
        format!("use {repair}"),
    )
}

/// A whole number in its range.
pub(super) fn whole(
    path: &str,
    value: Option<u64>,
    default: u64,
    range: RangeInclusive<u64>,
) -> Result<u64, ConfigError> {
    let repair = format!(
        "use a whole number from {} to {}",
        range.start(),
        range.end()
    );
    in_range(path, value.unwrap_or(default), range, repair)
}

/// `value`, if it is in `range`.
pub(super) fn in_range<T: PartialOrd + core::fmt::Display>(
    path: &str,
    value: T,
    range: RangeInclusive<T>,
    repair: String,
) -> Result<T, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let problem = format!("{value} is out of range");
    Err(ConfigError::new(path, problem, repair))
}

/// A time between two others, all as texts.
pub(super) fn duration(
    path: &str,
    text: Option<&str>,
    default: &str,
    least: &str,
    most: &str,
) -> Result<Duration, ConfigError> {
    let text = text.unwrap_or(default);
    let repair = format!("use a time from {least} to {most}, such as \"{default}\"");
    let value = humantime::parse_duration(text)
        .map_err(|error| ConfigError::new(path, format!("`{text}`: {error}"), repair.clone()))?;
    let bound = |text| humantime::parse_duration(text).unwrap_or_default();
    if value < bound(least) || value > bound(most) {
        return Err(ConfigError::new(
            path,
            format!("`{text}` is out of range"),
            repair,
        ));
    }
    Ok(value)
}
