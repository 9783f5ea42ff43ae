//! The shape of response bodies: which keys they have, where, and with values of which types.
//!
//! A [`Shape`] watches the chunks of one body as they pass. It buffers none of them and keeps no
//! value: only key names and types, all within [`Limits`]. At the end there are [`ShapeFacts`]: the
//! distinct paths, as `$.items[].price`, with the types found at each, and an order-free hash over
//! all (path, type) pairs. All elements of an array share one path. So do the keys of a map, which
//! are data rather than names: an object is taken for one when it has very many keys, or many whose
//! values are objects or arrays; a key that is an integer, uuid, long hexadecimal number, date or
//! e-mail address, or that the config lists ([`Masks`]), counts as data anywhere. Of gRPC only the
//! messages are counted.
//!
//! # From shapes to questions
//!
//! **Whole shapes are tokens for the change test alone.** With n optional fields there are up to
//! 2^n sets: a table of 64 names is full with six of them, and [`Rule::Unusual`] would take every
//! rare combination of harmless options for harm. [`Rule::Lost`] over names that list all paths
//! fails for the same reason, and because a name of 1,024 bytes cannot hold them. Hence no harm
//! question is put to the whole shape.
//!
//! **Loss is asked per path**, of [`presence::Presence`]: for each path, in how many answers it was
//! there, beside the answers in which it could have been. That is the point: a key can only be
//! missing where the object around it is there. `$.items[].price` is in every answer that has
//! items, though one answer in ten has none; and if `items` itself is gone, only `items` is
//! reported, not all that was below. The questions, their counts and their names are in
//! [`presence::Requirement`]; all have the form "of the answers in which this could hold, it did in
//! at least 99.5% at the baseline": the path is there; every element has it; it is not null; it is
//! a number. A path that is new is no question of harm: [`presence::Presence::gains`] names it.
//!
//! [`Rule::Lost`]: crate::signal::Rule::Lost
//! [`Rule::Unusual`]: crate::signal::Rule::Unusual

mod facts;
mod format;
mod grpc;
mod kind;
mod limits;
mod paths;
pub mod presence;
mod scan;
mod text;
mod tokens;

pub use facts::{PathFact, Seen, ShapeFacts};
pub use format::Format;
pub use grpc::{GrpcFacts, GrpcFrames};
pub use kind::{Kind, Kinds};
pub use limits::{Limits, MAX_PATHS, Masks};

use paths::Paths;
use std::sync::Arc;
use text::TextCheck;
use tokens::{End, Stop, Tokenizer};

/// Longest key that [`Limits::max_key_bytes`] may allow.
const MAX_KEY_BYTES: usize = 1024;

/// What a body is read with.
#[derive(Debug)]
enum Source {
    Json { tokens: Tokenizer, text: TextCheck },
    Messages(GrpcFrames),
}

/// Watches one body.
#[derive(Debug)]
pub struct Shape {
    source: Source,
    paths: Paths,
    bytes: u64,
    max_bytes: u64,
    /// Why the rest of the body does not matter.
    settled: Option<Seen>,
}

impl Shape {
    /// Before the first byte of a body that is one JSON document.
    #[must_use]
    pub fn new(limits: Arc<Limits>) -> Self {
        Self::with_lines(limits, false)
    }

    /// Before the first byte of a body that has one JSON document a line.
    #[must_use]
    pub fn lines(limits: Arc<Limits>) -> Self {
        Self::with_lines(limits, true)
    }

    /// Before the first byte of a body of gRPC messages. Its paths say how many there were:
    /// `$.message`, `$.messages_2_or_more`, then 4, 8 and so on; what is in them is not looked at.
    #[must_use]
    pub fn messages(limits: Arc<Limits>) -> Self {
        Self::with_source(limits, Source::Messages(GrpcFrames::new()))
    }

    fn with_lines(limits: Arc<Limits>, lines: bool) -> Self {
        let source = Source::Json {
            tokens: Tokenizer::new(lines, limits.max_key_bytes.min(MAX_KEY_BYTES)),
            text: TextCheck::default(),
        };
        Self::with_source(limits, source)
    }

    fn with_source(limits: Arc<Limits>, source: Source) -> Self {
        Self {
            source,
            bytes: 0,
            max_bytes: limits.max_bytes,
            settled: None,
            paths: Paths::new(limits),
        }
    }

    /// Whether it is a body of gRPC messages.
    #[must_use]
    pub fn counts_messages(&self) -> bool {
        matches!(self.source, Source::Messages(_))
    }

    /// Whether further chunks would be looked at: fetching them from the proxy has a cost.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        self.settled.is_none()
    }

    /// Goes on with the next chunk. Its borders may be anywhere.
    pub fn feed(&mut self, chunk: &[u8]) {
        if self.settled.is_some() {
            return;
        }
        let left = usize::try_from(self.max_bytes - self.bytes).unwrap_or(usize::MAX);
        let (looked_at, beyond) = chunk.split_at_checked(left).unwrap_or((chunk, b""));
        self.bytes += looked_at.len() as u64;
        self.settled = match &mut self.source {
            Source::Json { tokens, text } => match tokens.feed(looked_at, &mut self.paths) {
                Err(Stop::TooDeep) => Some(Seen::Truncated),
                Err(Stop::Malformed) => Some(Seen::Malformed),
                Ok(()) if !text.accepts(looked_at) => Some(Seen::Malformed),
                Ok(()) => None,
            },
            Source::Messages(frames) => {
                frames.feed(looked_at);
                None
            }
        };
        if self.settled.is_none() && !beyond.is_empty() {
            self.settled = Some(Seen::Truncated);
        }
    }

    /// The shape of what was fed.
    #[must_use]
    pub fn finish(mut self) -> ShapeFacts {
        let (seen, documents) = match self.source {
            Source::Json { tokens, text } => {
                let seen = match tokens.end() {
                    End::Cut => Seen::Malformed,
                    _ if !text.is_complete() => Seen::Malformed,
                    End::Empty => Seen::Empty,
                    End::Whole => Seen::Whole,
                };
                (seen, tokens.documents())
            }
            Source::Messages(frames) => {
                let facts = frames.finish();
                grpc::write_paths(facts.messages, &mut self.paths);
                let seen = if facts.malformed {
                    Seen::Malformed
                } else {
                    Seen::Whole
                };
                (seen, u32::try_from(facts.messages).unwrap_or(u32::MAX))
            }
        };
        let seen = self.settled.unwrap_or(seen);
        ShapeFacts::new(self.paths, seen, self.bytes, documents)
    }
}
