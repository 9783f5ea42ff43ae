//! The overlays under a real Istio.
//!
//! Ignored unless asked for, because Istio has to be built first: `make test-istio` does both.

mod bad_input;
pub(crate) mod common;
mod mesh;
pub(crate) mod reference;
mod rescue;
