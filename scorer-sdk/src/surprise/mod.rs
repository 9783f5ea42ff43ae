//! Surprise: how unusual is one exchange, compared with earlier ones on its route?
//!
//! `S = Σ_f min(−log2 P_f, 20)` over the route itself and the exchange's values: an outcome, a
//! bucket of sizes, a set of header names, whatever the caller observes ([`Value`]). Each `P` backs
//! off (Witten and Bell 1991, method C) to a parent law, half that of all other routes and half
//! uniform: `P(v) = (c(v) + D·P_parent(v)) / (N + D)`, with `N` the decayed count of the feature and
//! `D` the number of its known values. `S` is then ranked in the route's own past
//! ([`Score::percentile`]).
//!
//! # One client cannot teach it
//!
//! A value is *known* once it has appeared in two epochs and from several clients. Until then it weighs
//! at most a sixteenth of an exchange, does not count towards `D`, and so stays surprising. The same holds for a route
//! and for a level of `S` in the past that `S` is ranked in. Nobody is counted more often in an
//! epoch than twice the mean client of the epoch before. What several clients do
//! together is learned all the same: it is usage.
//!
//! # Bounds
//!
//! A [`Model`] is of one destination. Its routes, features, values and clients are bounded by
//! [`Limits`], whatever comes in, and what finds no room is counted. Epochs are the caller's: it
//! ends one with [`Model::end_epoch`]. There is no clock and no text in here: features, values and
//! routes are numbers, and whoever made them has their names.

mod behaviour;
mod clients;
pub mod features;
mod model;
mod past;
pub mod request_texts;
mod settings;
mod table;
pub mod text;
mod value;

pub use model::Model;
pub use settings::{Limits, Settings};
pub use value::{Score, Stage, Term, Usual, Value};

/// The most bits of one term.
pub const MAX_TERM_BITS: f64 = 20.0;
/// The feature of the term that says how rare the route itself is.
pub const ROUTE: u64 = 0;
