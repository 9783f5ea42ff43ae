//! Sketches: bounded summaries of traffic.
//!
//! Every signal's value is a 16-bit *code*: a log bucket ([`buckets`]), a status, or the index of a
//! name in a bounded table ([`names`]). A sketch is a sorted list of codes with their counts
//! ([`counts`]): whole numbers in a tally, decayed ones in the state.

pub mod buckets;
pub mod counts;
pub mod names;

pub use counts::{Counts, DecayedCounts};
pub use names::NameTable;
