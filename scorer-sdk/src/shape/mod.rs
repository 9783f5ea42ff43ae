//! The shape of response bodies: which keys they have, where, and with values of which types.
//!
//! A [`Shape`] watches the chunks of one body as they pass. It buffers none of them and keeps no
//! value: only key names and types, all within [`Limits`]. At the end there are [`ShapeFacts`]: the
//! distinct paths, as `$.items[].price`, with the types found at each, and an order-free hash over
//! all (path, type) pairs. All elements of an array share one path. So do the keys of a map, which
//! are data rather than names: an object counts as a map if it has very many keys, or many whose
//! values are objects or arrays; a key that is an integer, uuid, long hexadecimal number, date or
//! e-mail address, or that the config lists ([`Masks`]), counts as data anywhere. For gRPC, it only
//! counts messages.
//!
//! [`Shape::encoded`] decompresses a gzip or deflate body only as far as it reads it. The limits bound
//! the output, and one of them also the input. [`LeftOut`] says why a body has no shape.
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

mod decoder;
mod encoding;
mod facts;
mod format;
mod grpc;
mod gzip;
mod inflate;
mod kind;
mod left_out;
mod limits;
mod paths;
pub mod presence;
mod scan;
mod text;
mod tokens;

pub use encoding::Encoding;
pub use facts::{PathFact, Seen, ShapeFacts};
pub use format::Format;
pub use grpc::{GrpcFacts, GrpcFrames};
pub use kind::{Kind, Kinds};
pub use left_out::{LeftOut, LeftOutCounts};
pub use limits::{Limits, MAX_PATHS, Masks};

use decoder::Decoder;
use paths::Paths;
use std::sync::Arc;
use text::TextCheck;
use tokens::{End, Stop, Tokenizer};

/// Longest key that [`Limits::max_key_bytes`] may allow.
const MAX_KEY_BYTES: usize = 1024;
/// A compressed body may be longer than what is looked at of its content, by this part of it and by
/// so many bytes: headers, and the small blocks of a body that is written piece by piece.
const ENCODING_PART: u64 = 8;
const ENCODING_BYTES: u64 = 1024;
/// Bytes that are looked at for each block of compressed content, at least: a body that is written in
/// pieces of 100 bytes has no smaller ones.
const CONTENT_OF_A_BLOCK: u64 = 50;
/// Blocks beyond that.
const FIRST_BLOCKS: u64 = 100;

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
    /// Undoes the compression; `None` of a body that is not compressed.
    decoder: Option<Box<Decoder>>,
    /// Compressed bytes that were looked at.
    encoded_bytes: u64,
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
            decoder: None,
            encoded_bytes: 0,
            bytes: 0,
            max_bytes: limits.max_bytes,
            settled: None,
            paths: Paths::new(limits),
        }
    }

    /// The same body, compressed. It is decompressed chunk by chunk, and no further than it is looked
    /// at, in some 43 KB that are taken at its first byte and given back when enough was seen.
    #[must_use]
    pub fn encoded(mut self, encoding: Encoding) -> Self {
        let blocks = self.max_bytes / CONTENT_OF_A_BLOCK + FIRST_BLOCKS;
        self.decoder = Some(Box::new(Decoder::new(encoding, blocks)));
        self
    }

    /// Whether it is a body of gRPC messages.
    #[must_use]
    pub fn counts_messages(&self) -> bool {
        matches!(self.source, Source::Messages(_))
    }

    /// Whether the next bytes would be decompressed.
    #[must_use]
    pub fn decompresses(&self) -> bool {
        self.decoder.is_some()
    }

    /// How many bytes from the front of the next chunk would be looked at; 0 when the rest of the
    /// body does not matter. To fetch them from the proxy has a cost.
    #[must_use]
    pub fn wanted(&self) -> usize {
        let left = match (self.settled, &self.decoder) {
            (Some(_), _) => return 0,
            (None, None) => self.max_bytes.saturating_sub(self.bytes),
            (None, Some(_)) => self.encoded_bytes_left(),
        };
        // One byte more than is looked at, so that it is known that more came.
        usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX)
    }

    /// Compressed bytes that may still be looked at: some give no content at all.
    fn encoded_bytes_left(&self) -> u64 {
        let more = self.max_bytes / ENCODING_PART + ENCODING_BYTES;
        let most = self.max_bytes.saturating_add(more);
        most.saturating_sub(self.encoded_bytes)
    }

    /// Goes on with the next chunk. Its borders may be anywhere.
    #[inline]
    pub fn feed(&mut self, chunk: &[u8]) {
        let Some(mut decoder) = self.decoder.take() else {
            self.look(chunk);
            return;
        };
        let left = usize::try_from(self.encoded_bytes_left()).unwrap_or(usize::MAX);
        let (encoded, beyond) = chunk.split_at_checked(left).unwrap_or((chunk, b""));
        self.encoded_bytes += encoded.len() as u64;
        decoder.feed(encoded, |content| {
            self.look(content);
            match self.settled {
                Some(_) => 0,
                None => usize::try_from(self.max_bytes - self.bytes)
                    .unwrap_or(usize::MAX)
                    .saturating_add(1),
            }
        });
        if decoder.is_damaged() {
            self.settled = Some(Seen::Damaged);
        } else if decoder.is_given_up() || !beyond.is_empty() && !decoder.is_over() {
            self.settled = self.settled.or(Some(Seen::Truncated));
        }
        // What is settled needs no memory any more.
        self.decoder = Some(decoder).filter(|_| self.settled.is_none());
    }

    /// Looks at the next bytes of the content.
    #[inline]
    fn look(&mut self, content: &[u8]) {
        if self.settled.is_some() {
            return;
        }
        let left = usize::try_from(self.max_bytes - self.bytes).unwrap_or(usize::MAX);
        let (looked_at, beyond) = content.split_at_checked(left).unwrap_or((content, b""));
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
        let is_cut_off = self.decoder.is_some_and(|decoder| !decoder.may_end());
        let seen = match self.settled {
            Some(seen) => seen,
            None if is_cut_off => Seen::Damaged,
            None => seen,
        };
        ShapeFacts::new(self.paths, seen, self.bytes, documents)
    }
}
