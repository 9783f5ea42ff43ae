//! What one worker counts between two ticks: the hot path.
//!
//! [`tally`] counts exchanges, and `attempts` tells retries from requests. [`rows`] has the exchanges
//! that Serin judges one by one, and [`examples`] those among them that it names with their ids. A tick
//! hands over a [`delta`]. [`identity`] turns names into numbers, `known_names` recognises sets of
//! header names, and [`sessions`] remembers each session's last request.

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
