//! What fuzzing runs: one module a target, each with `run`, which panics where a promise is broken.
//!
//! `fuzz_targets/` hands the functions to libFuzzer (`make fuzz`); `tests/replay.rs` runs them over
//! the files of `corpus/`, so that an input that once crashed stays mended. To add a target, write
//! a module here, a line in [`TARGETS`], a file in `fuzz_targets/`, its `[[bin]]`, and seeds.

pub mod compressed_body;
pub mod config;
pub mod delta;
pub mod engine;
pub mod fan_out;
pub mod fleet_answer;
pub mod grpc_frames;
pub mod header_map;
mod input;
pub mod json_body;
pub mod memory;
mod oracle;
pub mod path_templates;
pub mod recording;
pub mod state;
mod traffic;

/// A target: takes any bytes and panics where a promise is broken.
pub type Run = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Run); 13] = [
    ("compressed_body", compressed_body::run),
    ("config", config::run),
    ("delta", delta::run),
    ("engine", engine::run),
    ("fan_out", fan_out::run),
    ("fleet_answer", fleet_answer::run),
    ("grpc_frames", grpc_frames::run),
    ("header_map", header_map::run),
    ("json_body", json_body::run),
    ("memory", memory::run),
    ("path_templates", path_templates::run),
    ("recording", recording::run),
    ("state", state::run),
];
