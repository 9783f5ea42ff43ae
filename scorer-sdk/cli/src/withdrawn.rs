//! Whether a version was taken out of the traffic, in PromQL.
//!
//! For a minute a version got nothing, though by its share of the last hour it was to get so many
//! requests that chance does not explain it:
//!
//! ```text
//! asked(version, 1h) / exchanges(1h) · exchanges(1m) > 14    and    asked(version, 1m) = 0
//! ```
//!
//! `asked` are the exchanges of a version and, of a condemned one, the requests that were steered
//! away from it: a version that Serin itself keeps from traffic was not taken away. For independent
//! requests 14 that are missing are a chance of `exp(-14)`, one in a million.
//!
//! A verdict on such a version is an old one, because the next release under its name is judged
//! anew. `serin serve-verdict` asks these expressions; the recording rules `serin:asked:…` and
//! `serin:withdrawn:expected1m` are tested against them.

use scorer_sdk::telemetry::{EXCHANGES, STEERED};

/// Requests that a version must have missed.
pub const MISSED: u32 = 14;

/// PromQL for what was meant for each version: an expression for its exchanges, and what was steered
/// away within `range`. `selector` goes between the braces of the metric.
#[must_use]
pub fn asked_query(exchanges: &str, selector: &str, range: &str) -> String {
    let steered = STEERED.name;
    format!(
        "{exchanges} + on (destination) group_left () \
         sum by (destination) (increase({steered}{selector}[{range}])) or {exchanges}"
    )
}

/// PromQL for the exchanges of each version within `range`.
#[must_use]
pub fn exchanges_query(selector: &str, range: &str) -> String {
    format!(
        "sum by (destination, version) (increase({}{selector}[{range}]))",
        EXCHANGES.name
    )
}

/// PromQL for the requests that each version missed, where it was taken away: from expressions or
/// recorded series for what was asked of it within an hour and a minute, and for the exchanges of an
/// hour.
#[must_use]
pub fn withdrawn_query(
    asked_hour: &str,
    exchanges_hour: &str,
    selector: &str,
    asked_minute: &str,
) -> String {
    let exchanges = EXCHANGES.name;
    format!(
        "{asked_hour} / on (destination) group_left () sum by (destination) ({exchanges_hour}) \
         * on (destination) group_left () \
         sum by (destination) (increase({exchanges}{selector}[1m])) > {MISSED} \
         and on (destination, version) {asked_minute} == 0"
    )
}

/// The same from the counters themselves.
#[must_use]
pub fn withdrawn_of_counters_query(selector: &str) -> String {
    let asked = |range: &str| {
        let exchanges = exchanges_query(selector, range);
        format!("({})", asked_query(&exchanges, selector, range))
    };
    withdrawn_query(
        &asked("1h"),
        &exchanges_query(selector, "1h"),
        selector,
        &asked("1m"),
    )
}
