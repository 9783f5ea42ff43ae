//! What a worker does about a verdict: it steers, annotates, or refuses.
//!
//! [`actions`] has all of it. [`steer`] sends requests to the baseline, [`annotate`] tells clients
//! what is known, [`guard`] decides what is refused and [`refuse`] does it. [`forged`] keeps the
//! headers of Serin out of others' hands.

pub mod actions;
pub mod annotate;
pub mod forged;
pub mod guard;
pub mod refuse;
pub mod steer;
