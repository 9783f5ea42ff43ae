//! Serin's engine: facts and now in, decisions out.
//!
//! Pure: no host, no clock, no I/O, no global state. It runs natively and in wasm, and the same
//! facts lead to the same verdict in both. Dependencies go one way:
//! exchange → sketch, signal, evidence → count, judge → engine.

pub mod config;
pub mod count;
pub mod drift;
pub mod engine;
pub mod evidence;
pub mod exchange;
pub mod judge;
pub mod route;
pub mod shape;
pub mod signal;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod sketch;
pub mod surprise;
pub mod telemetry;
pub mod wire;

#[cfg(test)]
mod testing;

pub use config::Plan;
pub use engine::Engine;
pub use exchange::Exchange;
pub use judge::verdict::{Decision, Verdict};
