//! `serin-eval` as its users see it, and what it finds in small data sets.

// All of this is test code, helpers included: clippy.toml lets it panic.
#![cfg(test)]

mod command;
mod known_misses;
mod surprise;
