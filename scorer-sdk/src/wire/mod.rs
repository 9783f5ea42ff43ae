//! What goes over a wire or into a file.
//!
//! [`codec`] writes and reads little-endian bytes whose every length is bounded, [`envoy`] knows what
//! Envoy says of an exchange, [`recording`] is one recorded exchange a line, [`mod@reference`] is a
//! snapshot of stable for a guard.

pub mod codec;
pub mod envoy;
pub mod fleet;
pub mod recording;
pub mod reference;
