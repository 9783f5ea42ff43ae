//! Config: parse, compile, swap.
//!
//! [`raw`] is the JSON as written, unknown fields refused; [`Plan`] is what the engine and the
//! filter run on. Every [`ConfigError`] names the path in the config and the repair. A config that
//! does not compile leaves the plan that was there before working.

mod check;
mod error;
mod expected;
mod plan;
pub mod raw;
mod signals;
mod surprise;

pub use error::ConfigError;
pub use expected::Expected;
pub use plan::{
    BodyPlan, Mode, Plan, Probation, Reject, RejectPhase, Role, SessionSource, VersionSource,
};
pub use surprise::SurprisePlan;
