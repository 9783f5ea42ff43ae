//! The manifests as they are applied: rendered by kustomize, held against the schemas of the
//! resource definitions, their plugin configs compiled.
//!
//! What needs a tool or a download that is not there says so and is left out: `make manifest-tools`
//! fetches both.

mod chart;
pub(crate) mod compose;
mod compose_run;
pub(crate) mod health;
mod image;
mod overlays;
mod plain_envoy;
pub(crate) mod render;
mod schema;
mod schemas;
mod settings;
mod stats;
mod traces;
