//! Host calls of the proxy-wasm ABI 0.2.1 that hand over a buffer, without a copy of what is in it.
//!
//! The SDK takes a header map apart into a string for each name and each value, and panics on a
//! status that it does not expect. Here a map stays the one buffer that the host wrote
//! ([`Headers`]), and a call that fails gives nothing.
//!
//! This crate is the only one with `unsafe` code, and [`host`] the only file. What is in a buffer is
//! read by [`headers`], which is safe and takes any bytes.

pub mod headers;
pub mod host;

pub use headers::Headers;
