//! What a worker does about a verdict: it steers, annotates, or refuses.
//!
//! [`actions`] combines the parts. [`steer`] sends requests to the baseline, [`annotate`] tells clients
//! the verdict, [`guard`] decides which requests to refuse, and [`refuse`] refuses them. [`forged`]
//! removes headers that others pass off as Serin's.

pub mod actions;
pub mod annotate;
pub mod forged;
pub mod guard;
pub mod refuse;
pub mod steer;
