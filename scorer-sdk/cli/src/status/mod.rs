//! The state of rollouts, as one or many proxies show it in their metrics.
//!
//! [`source`] finds out what is at a URL and reads it, [`fleet`] puts the proxies together,
//! [`show`] tells it to people and to programs.

pub mod fleet;
mod notes;
mod pairs;
mod problems;
mod proxies;
mod rollout;

pub mod show;
pub mod source;
