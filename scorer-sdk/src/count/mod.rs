//! What one worker counts between two ticks: the hot path.
//!
//! [`tally`] counts exchanges, `attempts` tells retries from requests, [`delta`] is what a tick hands over, [`rows`] are the exchanges that
//! are judged one by one, [`examples`] those of them that are told with their ids, [`identity`] makes numbers of names, `known_names` knows sets of header
//! names again, [`sessions`] remembers what each session asked for last.

mod attempts;
pub mod delta;
pub mod examples;
pub mod identity;
mod interner;
mod known_names;
mod route_index;
pub mod rows;
pub mod sessions;
pub mod tally;
