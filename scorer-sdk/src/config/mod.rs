//! Config: parse, compile, swap.
//!
//! [`raw`] mirrors the JSON and refuses unknown fields. [`Plan`] is the checked form that the engine
//! and the filter use. Every [`ConfigError`] names the path in the config and the repair. If a config
//! does not compile, the previous plan stays in force.
//!
//! One object holds the settings of the engine and of the proxy, so that a mistyped field is refused
//! wherever it belongs. The types of the proxy's settings are [`Mode`], [`Role`],
//! [`VersionSource`], [`SessionSource`], [`Reject`] and [`Probation`].

mod body;
mod check;
mod differs;
mod error;
mod expected;
mod fleet;
mod place;
mod plan;
mod proxy;
pub mod raw;
mod signals;
mod surprise;
mod upstream;

pub use body::BodyPlan;
pub use differs::Differs;
pub use error::ConfigError;
pub use expected::Expected;
pub use fleet::FleetPlan;
pub use plan::{Plan, WarmUp};
pub use proxy::{Mode, Probation, Reject, RejectPhase, Role, SessionSource, VersionSource};
pub use surprise::SurprisePlan;
pub use upstream::{Upstream, revision};
