//! The command `serin` as its users see it.

// All of this is test code, helpers included: clippy.toml lets it panic.
#![cfg(test)]

mod commands;
mod fleet_budget;
mod support;
