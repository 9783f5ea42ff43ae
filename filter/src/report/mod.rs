//! What operators are told: in metrics, in the proxy's log, and in access logs.
//!
//! Each worker counts for itself ([`counters`]) and leaves its findings to access logs
//! ([`access_log`]). The leader publishes verdicts as gauges ([`findings`]) and as log lines
//! ([`sentences`]). Names of metrics and labels are in [`scorer_sdk::telemetry`].

pub mod access_log;
pub mod counters;
pub mod findings;
pub mod metrics;
pub mod sentences;
pub mod series;
pub mod troubles;
