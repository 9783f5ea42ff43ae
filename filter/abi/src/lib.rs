//! Host calls of the proxy-wasm ABI 0.2.1 that return a buffer, without copying it.
//!
//! The SDK allocates a string for each name and each value of a header map, and panics on an
//! unexpected status. Here a map stays the one buffer that the host wrote ([`Headers`]), and a failed
//! call returns `None`.
//!
//! Only this crate has `unsafe` code, and in it only [`host`]. [`headers`] reads the buffers; it is
//! safe and accepts any bytes.

pub mod headers;
pub mod host;

pub use headers::Headers;
