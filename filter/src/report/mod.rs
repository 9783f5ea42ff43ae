//! What operators are told: in metrics, in the proxy's log, in access logs and in traces.
//!
//! Each worker has its own [`counters`], and writes its findings into access logs ([`access_log`]) and
//! traces ([`trace`]). The leader publishes verdicts as gauges ([`findings`])
//! and as log lines ([`sentences`]). Names of metrics and labels are in [`scorer_sdk::telemetry`].

pub mod access_log;
pub mod counters;
pub mod findings;
pub mod fleet_line;
pub mod memory_line;
pub mod metrics;
pub mod sentences;
pub mod series;
pub mod trace;
pub mod troubles;
