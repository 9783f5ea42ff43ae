//! The shipped module in a real Envoy, before two versions of the shop.

mod after_verdict;
mod behaviour;
mod client_storm;
mod cold_start;
pub(crate) mod common;
mod configuration;
mod drift;
mod exactly_once;
mod fan_out;
mod harness;
mod headers;
mod healthy;
mod heavy_traffic;
mod limits;
mod next_call;
mod not_the_versions;
mod operating;
mod own_signal;
mod pods;
mod regressions;
mod replay;
mod rescue;
mod streams;
mod surprise;
mod switch;
mod versions_time;
