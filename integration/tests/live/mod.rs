//! The shipped module in a real Envoy, before two versions of the shop.

mod behaviour;
pub(crate) mod common;
mod configuration;
mod drift;
mod exactly_once;
mod fan_out;
mod harness;
mod headers;
mod healthy;
mod limits;
mod next_call;
mod not_the_versions;
mod operating;
mod own_signal;
mod regressions;
mod replay;
mod rescue;
mod surprise;
mod switch;
mod versions_time;
