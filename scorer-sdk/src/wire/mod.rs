//! What goes over a wire or into a file.
//!
//! [`codec`] writes and reads little-endian bytes and bounds every length. [`envoy`] reads what Envoy
//! reports of an exchange. [`recording`] has one recorded exchange per line, and [`mod@reference`] is a
//! guard's snapshot of stable.

pub mod codec;
pub mod envoy;
pub mod fleet;
pub mod recording;
pub mod reference;
