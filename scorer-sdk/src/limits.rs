//! Limits that several modules share: the sizes of tables, and what a decoder accepts.
//!
//! A limit that only one module needs stays in that module.

use core::time::Duration;

/// Time in flight from which on an exchange counts as slow where its route has no cut yet.
pub const LONG_WITHOUT_CUT: Duration = Duration::from_secs(30);
/// Destinations that one worker counts and the judge keeps apart; exchanges of others are counted
/// as overflow.
pub const MAX_DESTINATIONS: usize = 256;
/// Routes in a delta, a reference or the state of a destination; the config's limit is below it.
pub const MAX_ROUTES: usize = 2_000;
/// Signals of a plan, built-in and the user's own.
pub const MAX_SIGNALS: usize = 32;
/// Versions that one worker counts apart on a route.
pub const MAX_VERSIONS: usize = 4;
/// Exchanges of one worker and tick that are judged one by one.
pub const MAX_ROWS: usize = 16_384;
/// Questions of a plan: the answers to all of them are one number of 64 bits.
pub const MAX_QUESTIONS: usize = 64;
/// Length of a version's name, in bytes.
pub const MAX_VERSION_BYTES: usize = 128;
/// Length of a category's name, in bytes: that of a question.
pub const MAX_CATEGORY_BYTES: usize = 64;

/// Ticks without an exchange after which a route may be dropped to make room for another.
pub const IDLE_TICKS: u32 = 600;
/// Fewest such ticks, of a route that was hardly ever asked for.
const FEWEST_IDLE_TICKS: u32 = 30;
/// Ticks that each of its exchanges is worth.
const IDLE_TICKS_AN_EXCHANGE: u64 = 10;

/// Ticks for which a route may be idle that was asked for so often: a path that somebody made up
/// costs no route its place that is asked for now and then.
#[must_use]
pub fn idle_ticks_allowed(exchanges: u64) -> u32 {
    u32::try_from(exchanges.saturating_mul(IDLE_TICKS_AN_EXCHANGE))
        .unwrap_or(IDLE_TICKS)
        .clamp(FEWEST_IDLE_TICKS, IDLE_TICKS)
}
