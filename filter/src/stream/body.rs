//! A response's body: whether it is looked at, and what of it is kept.
//!
//! Chunks are looked at as they pass and go on at once; nothing of them is kept but key names and
//! types, or of gRPC how many messages there were ([`scorer_sdk::shape`]).

use crate::host::Host;
use crate::stream::response::Response;
use core::time::Duration;
use scorer_sdk::config::BodyPlan;
use scorer_sdk::shape::{Format, Shape, ShapeFacts};
use std::sync::Arc;

/// A stream of messages that takes longer is not judged by their number.
const LONGEST_STREAM: Duration = Duration::from_secs(60);

/// Chooses the bodies that are looked at.
#[derive(Debug, Default)]
pub struct Sampler {
    /// Gathers the share until it makes a whole one.
    share: f64,
}

impl Sampler {
    /// A watch over the body of `response`, if it is one to be looked at.
    pub fn choose(&mut self, plan: &BodyPlan, response: &Response) -> Option<Shape> {
        // Where no body may come, nothing is missing from it.
        let without_body = |status| status >= 400 || matches!(status, 204 | 205 | 304);
        if response.status.is_none_or(without_body) {
            return None;
        }
        let content_type = response.content_type();
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let listed = plan.content_types.is_empty()
            || plan
                .content_types
                .iter()
                .any(|listed| listed.eq_ignore_ascii_case(media_type));
        let format = Format::of(content_type, response.content_encoding())?;
        if !listed {
            return None;
        }
        self.share += plan.sample;
        if self.share < 1.0 {
            return None;
        }
        self.share -= 1.0;
        let limits = Arc::clone(&plan.limits);
        Some(match format {
            Format::Json => Shape::new(limits),
            Format::JsonLines => Shape::lines(limits),
            Format::Grpc => Shape::messages(limits),
        })
    }
}

/// Looks at the next chunk of a body, `size` bytes long.
pub fn look(host: &impl Host, plan: &BodyPlan, watch: &mut Shape, size: usize) {
    if watch.wants_more() && size > 0 {
        // One byte more than is looked at, so that it is known that more came.
        let most = usize::try_from(plan.limits.max_bytes).unwrap_or(usize::MAX);
        let chunk = host.response_body(size.min(most.saturating_add(1)));
        watch.feed(&chunk);
    }
}

/// What is known of a body that has passed to its end in `duration`.
///
/// Of a version that is new only short streams have ended: those that take longer than the judge
/// waits for after a change of shares say nothing about either version.
#[must_use]
pub fn facts(watch: Option<Shape>, complete: bool, duration: Duration) -> Option<ShapeFacts> {
    watch
        .filter(|watch| complete && !(watch.counts_messages() && duration > LONGEST_STREAM))
        .map(Shape::finish)
}
