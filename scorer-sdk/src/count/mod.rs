//! What one worker counts between two ticks: the hot path.
//!
//! [`tally`] counts exchanges, [`delta`] is what a tick hands over, [`halves`] assigns the
//! baseline's exchanges to the two halves of the placebo, [`sessions`] remembers what each session
//! asked for last.

pub mod delta;
pub mod halves;
mod interner;
mod route_index;
pub mod sessions;
pub mod tally;
