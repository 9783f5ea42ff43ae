//! Which response bodies are looked at, and how far.

use super::check::{MAX_LIST, number, whole};
use super::error::ConfigError;
use super::raw::Body;
use std::sync::Arc;

/// Which response bodies are looked at, and how far.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BodyPlan {
    /// Media types in lower case; JSON, what is built on it, and gRPC when empty.
    pub content_types: Vec<String>,
    /// Share of the answers that are looked at.
    pub sample: f64,
    /// Bounds of each.
    pub limits: Arc<crate::shape::Limits>,
}

pub(super) fn body(raw: &Body) -> Result<BodyPlan, ConfigError> {
    if raw.content_types.len().max(raw.masked_keys.len()) > MAX_LIST {
        return Err(ConfigError::new(
            "body",
            format!("a list has more than {MAX_LIST} entries"),
            "list fewer",
        ));
    }
    let limits = crate::shape::Limits::default();
    Ok(BodyPlan {
        content_types: raw
            .content_types
            .iter()
            .map(|media_type| media_type.to_ascii_lowercase())
            .collect(),
        sample: number(
            "body.sample",
            raw.sample,
            1.0,
            1e-4..=1.0,
            "a share from 0.0001 to 1",
        )?,
        limits: Arc::new(crate::shape::Limits {
            max_bytes: whole(
                "body.max_bytes",
                raw.max_bytes,
                limits.max_bytes,
                1..=16 * 1024 * 1024,
            )?,
            masks: crate::shape::Masks::new(&raw.masked_keys),
            ..limits
        }),
    })
}
