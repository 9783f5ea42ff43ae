//! Serin's engine: facts and now in, decisions out.
//!
//! Pure: no host, no clock, no I/O, no global state. It runs natively and in wasm, and the same
//! facts lead to the same verdict in both. Dependencies go one way:
//! facts → sketch, signal, evidence → verdict → engine.

pub mod codec;
pub mod config;
pub mod delta;
pub mod drift;
pub mod engine;
pub mod evidence;
pub mod facts;
pub mod judge;
pub mod recording;
pub mod reference;
pub mod route;
pub mod sessions;
pub mod shape;
pub mod signal;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod sketch;
pub mod split;
pub mod surprise;
pub mod tally;
pub mod verdict;

#[cfg(test)]
mod testing;

pub use config::Plan;
pub use engine::Engine;
pub use facts::Exchange;
pub use verdict::{Decision, Verdict};
