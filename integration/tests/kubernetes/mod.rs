//! The overlays and whole rollouts on a real Kubernetes API, with the controllers as they ship.
//!
//! Ignored unless asked for, because all of it has to be built first: `make test-kubernetes` does
//! both.

mod argo_rollouts;
mod flagger;
mod overlays;
mod scene;
