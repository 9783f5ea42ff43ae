#![doc = include_str!("../README.md")]
//!
//! # Where to find what
//!
//! The names at the root are all that an author of a signal needs, and all that a program needs
//! that feeds an [`Engine`] and reads its [`Decision`]s. The modules are the engine's parts, for
//! readers who want more than that:
//!
//! | reader | modules |
//! | --- | --- |
//! | author of a signal | [`signal`]: the trait and the built-in signals; [`buckets`]: log buckets for times and sizes; [`shape`]: the shape of a body; `simulation` (feature): rollouts to test against |
//! | embedder, such as a proxy's filter | [`config`]: every setting; [`count`]: what each worker counts; [`judge`]: what the leader judges, and its inside; [`wire`]: state, recordings and references as bytes and text; [`memory`]: what another proxy may go on with; [`route`]: how paths become routes |
//! | statistician | [`evidence`]: the tests and their proofs; [`drift`]: a version against its own past; [`surprise`]: one exchange against what was usual; [`sketch`]: the summaries under them all |
//!
//! Imports go one way: exchange → sketch, signal, evidence → count, judge → engine.

pub mod config;
pub mod count;
pub mod drift;
mod engine;
pub mod evidence;
mod exchange;
pub mod judge;
pub mod limits;
pub mod memory;
mod order;
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

pub use config::{ConfigError, Plan};
pub use engine::Engine;
pub use exchange::{Ending, Exchange, HeaderNames, Sampling};
pub use judge::verdict::{Decision, Difference, Rate, Reason, Verdict};
pub use route::RouteKey;
pub use signal::{
    Direction, Input, IsFailure, NameHasher, Quantity, Question, Rule, Side, Signal, Token,
};
pub use sketch::buckets;
