//! What the command `serin` is made of: recordings in, verdicts and references out.
//!
//! [`input`] reads recordings, [`replay`] runs them through the engine in the data's own time,
//! [`snapshot`] makes references, [`config`] reads configs; [`commands`] says it all to people and
//! to programs. All that is kept in memory is bounded, whatever the input.

pub mod args;
pub mod bodies;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod document;
pub mod envoy;
pub mod fetch;
pub mod fleet_evidence;
pub mod found;
pub mod input;
pub mod kubectl;
pub mod lines;
pub mod metrics_text;
pub mod number;
pub mod open;
pub mod output;
pub mod progress;
pub mod replay;
pub mod report;
pub mod samples;
pub mod snapshot;
pub mod sniff;
pub mod status;
pub mod surprise;
pub mod verdict_server;
pub mod withdrawn;
pub mod yaml;
