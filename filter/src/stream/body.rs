//! A response's body: whether it is looked at, and what of it is kept.
//!
//! Chunks are looked at as they pass and go on at once; nothing of them is kept but key names and
//! types, or of gRPC how many messages there were ([`scorer_sdk::shape`]).

use super::decoding::{Decoding, Permit};
use crate::host::Host;
use crate::stream::response::Response;
use core::time::Duration;
use scorer_sdk::config::BodyPlan;
use scorer_sdk::shape::{Encoding, Format, LeftOut, Shape, ShapeFacts};
use std::sync::Arc;

/// A stream of messages that takes longer is not judged by their number.
const LONGEST_STREAM: Duration = Duration::from_secs(60);

/// Chooses the bodies that are looked at.
#[derive(Debug, Default)]
pub struct Sampler {
    /// Gathers the share until it makes a whole one.
    share: f64,
}

/// A body that is to be looked at.
#[derive(Debug)]
pub enum Watch {
    /// It is looked at; one that is decompressed has a permit from its first byte on.
    LookedAt(Box<Shape>, Option<Permit>),
    /// It cannot be.
    LeftOut(LeftOut),
}

/// What is known of a body at its end.
#[derive(Debug, Default)]
pub struct Known {
    /// Its shape, where it was looked at.
    pub facts: Option<ShapeFacts>,
    /// Why it was not looked at.
    pub left_out: Option<LeftOut>,
}

impl Sampler {
    /// A watch over the body of `response`, if it is one to be looked at.
    pub fn choose(&mut self, plan: &BodyPlan, response: &Response) -> Option<Watch> {
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
        let format = Format::of(content_type)?;
        if !listed {
            return None;
        }
        self.share += plan.sample;
        if self.share < 1.0 {
            return None;
        }
        self.share -= 1.0;
        let encoding = match Encoding::of(response.content_encoding()) {
            Ok(encoding) => encoding,
            Err(reason) => return Some(Watch::LeftOut(reason)),
        };
        let limits = Arc::clone(&plan.limits);
        let shape = match format {
            Format::Json => Shape::new(limits),
            Format::JsonLines => Shape::lines(limits),
            Format::Grpc => Shape::messages(limits),
        };
        let shape = match encoding {
            Some(encoding) => shape.encoded(encoding),
            None => shape,
        };
        Some(Watch::LookedAt(Box::new(shape), None))
    }
}

impl Watch {
    /// Looks at the next chunk of the body, `size` bytes long.
    pub fn look(&mut self, host: &impl Host, decoding: &Decoding, size: usize) {
        let Self::LookedAt(shape, permit) = self else {
            return;
        };
        let size = size.min(shape.wanted());
        if size == 0 {
            return;
        }
        if shape.decompresses() && permit.is_none() {
            *permit = decoding.begin();
            if permit.is_none() {
                *self = Self::LeftOut(LeftOut::Busy);
                return;
            }
        }
        shape.feed(&host.response_body(size));
        if !shape.decompresses() {
            *permit = None;
        }
    }

    /// What is known of the body, which has passed to its end in `duration`, or not to its end.
    ///
    /// Of a version that is new only short streams have ended: those that take longer than the judge
    /// waits for after a change of shares say nothing about either version.
    #[must_use]
    pub fn finish(self, complete: bool, duration: Duration) -> Known {
        match self {
            _ if !complete => Known::default(),
            Self::LookedAt(shape, _) if shape.counts_messages() && duration > LONGEST_STREAM => {
                Known::default()
            }
            Self::LookedAt(shape, _) => Known {
                facts: Some(shape.finish()),
                left_out: None,
            },
            Self::LeftOut(reason) => Known {
                facts: None,
                left_out: Some(reason),
            },
        }
    }
}
