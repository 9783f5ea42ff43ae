//! What the engine promises, through its public interface: a folder for each part of the engine.
//!
//! `golden` is a binary of its own, because it runs in wasm as well.

// All of this is test code, helpers included: clippy.toml lets it panic.
#![cfg(test)]

mod drift;
mod engine;
mod evidence;
mod random;
mod route;
mod shape;
mod simulation;
mod study;
mod surprise;
