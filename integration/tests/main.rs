//! The shipped module in real Envoys, the manifests that install it, and the documents.
//!
//! Tests that start an Envoy take turns: see `serin_integration::turn`.

// All of this is test code, helpers included: clippy.toml lets it panic.
#![cfg(test)]

mod book;
mod command_line;
mod documents;
mod istio;
mod kubernetes;
mod live;
mod manifests;
mod module_bench;
mod prometheus;
mod reference;
mod release;
mod size;
mod suites;
mod telemetry;
