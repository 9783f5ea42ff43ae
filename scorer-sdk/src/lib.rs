#![doc = include_str!("../README.md")]
//!
//! # Where to find what
//!
//! To write a signal, or to feed an [`Engine`] and read its [`Decision`]s, the names at the root are
//! enough. The modules are the parts of the engine:
//!
//! | reader | modules |
//! | --- | --- |
//! | author of a signal | [`signal`]: the trait and the built-in signals; [`buckets`]: log buckets for times and sizes; [`shape`]: the shape of a body; `simulation` (feature): rollouts to test against |
//! | embedder, such as a proxy's filter | [`config`]: every setting; [`count`]: what each worker counts; [`judge`]: how the leader judges it; [`wire`]: state, recordings and references as bytes and text; [`memory`]: what another proxy may go on with; [`route`]: how paths become routes |
//! | statistician | [`evidence`]: the tests and their proofs; [`drift`]: a version against its own past; [`surprise`]: how unusual one exchange is; [`sketch`]: the summaries that all of them use |
//!
//! Dependencies point one way: exchange → sketch, signal, evidence → count, judge → engine.

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
