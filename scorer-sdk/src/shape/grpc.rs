//! gRPC bodies: how many messages, and how large.
//!
//! Each message has a prefix of five bytes: one for flags, of which the lowest says that it is
//! compressed, and four for its length, most significant first (gRPC over HTTP/2, section
//! "Length-Prefixed-Message").

use super::Kind;
use super::tokens::Visitor;

/// Counts from here on are not told apart.
const MANY: u64 = 1 << 16;

/// Says in paths how many messages there were: at least one, at least two, four, eight and so on.
/// So an answer that has fewer than it always had lacks a path, and one that has more gains one.
pub(super) fn write_paths(messages: u64, to: &mut impl Visitor) {
    to.value(Kind::Object);
    let mut least = 1;
    while least <= messages.min(MANY) {
        match least {
            1 => to.key(b"message"),
            _ => to.key(format!("messages_{least}_or_more").as_bytes()),
        }
        to.value(Kind::Object);
        to.close();
        least *= 2;
    }
    to.close();
}

/// What a body of gRPC messages looked like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GrpcFacts {
    /// Messages whose prefix was complete.
    pub messages: u64,
    /// Bytes of all messages by their prefixes, without those.
    pub bytes: u64,
    /// Bytes of the largest message.
    pub largest: u32,
    /// Messages that are compressed.
    pub compressed: u64,
    /// Whether the body ends in the middle of a message or has flags that gRPC does not know.
    pub malformed: bool,
}

/// Counts the messages of one body as its chunks pass.
#[derive(Debug, Clone, Default)]
pub struct GrpcFrames {
    facts: GrpcFacts,
    prefix: [u8; 5],
    /// Bytes of the prefix that are there.
    prefixed: usize,
    /// Bytes of the message that are missing.
    missing: usize,
}

impl GrpcFrames {
    /// Before the first byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        let mut rest = chunk;
        while !self.facts.malformed {
            let passed = rest.len().min(self.missing);
            rest = rest.get(passed..).unwrap_or_default();
            self.missing -= passed;
            let Some((byte, tail)) = rest.split_first() else {
                return;
            };
            rest = tail;
            if let Some(slot) = self.prefix.get_mut(self.prefixed) {
                *slot = *byte;
                self.prefixed += 1;
            }
            if self.prefixed == self.prefix.len() {
                self.begin();
            }
        }
    }

    fn begin(&mut self) {
        let [flags, a, b, c, d] = self.prefix;
        if flags > 1 {
            self.facts.malformed = true;
            return;
        }
        let length = u32::from_be_bytes([a, b, c, d]);
        self.facts.messages += 1;
        self.facts.bytes += u64::from(length);
        self.facts.largest = self.facts.largest.max(length);
        self.facts.compressed += u64::from(flags);
        (self.prefixed, self.missing) = (0, length as usize);
    }

    /// What was counted.
    #[must_use]
    pub fn finish(self) -> GrpcFacts {
        let complete = self.prefixed == 0 && self.missing == 0;
        GrpcFacts {
            malformed: self.facts.malformed || !complete,
            ..self.facts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Seen, Shape};
    use super::*;
    use std::sync::Arc;

    fn body(lengths: &[u32]) -> Vec<u8> {
        let mut body = Vec::new();
        for (number, length) in (0u8..).zip(lengths) {
            body.push(number % 2);
            body.extend(length.to_be_bytes());
            body.extend(std::iter::repeat_n(0xff, *length as usize));
        }
        body
    }

    #[test]
    fn messages_are_counted_whatever_the_chunks() {
        let body = body(&[0, 5, 300, 0, 1]);
        let expected = GrpcFacts {
            messages: 5,
            bytes: 306,
            largest: 300,
            compressed: 2,
            malformed: false,
        };
        for size in 1..=body.len() {
            let mut frames = GrpcFrames::new();
            body.chunks(size).for_each(|chunk| frames.feed(chunk));
            assert_eq!(frames.finish(), expected, "chunks of {size}");
        }
    }

    #[test]
    fn the_shape_of_a_body_says_how_many_messages_there_were() {
        let paths = |lengths: &[u32]| {
            let mut shape = Shape::messages(Arc::new(Limits::default()));
            body(lengths).chunks(7).for_each(|chunk| shape.feed(chunk));
            let facts = shape.finish();
            assert_eq!(facts.seen(), Seen::Whole);
            let mut list = Vec::new();
            for fact in facts.paths() {
                let mut path = String::new();
                facts.write_path(fact.index, &mut path);
                list.push(path);
            }
            list
        };
        assert_eq!(paths(&[]), ["$"]);
        assert_eq!(paths(&[5]), ["$", "$.message"]);
        let three = paths(&[5, 0, 9]);
        assert_eq!(three, ["$", "$.message", "$.messages_2_or_more"]);
        assert_eq!(paths(&[1; 3]), paths(&[2, 2]));
        assert_eq!(paths(&[1; 4]).len(), 4);
    }

    #[test]
    fn a_stream_beyond_the_limit_is_not_judged_by_its_number_of_messages() {
        let limits = Limits {
            max_bytes: 100,
            ..Limits::default()
        };
        let mut shape = Shape::messages(Arc::new(limits));
        shape.feed(&body(&[60, 60]));
        assert_eq!(shape.finish().seen(), Seen::Truncated);
        let mut cut = Shape::messages(Arc::new(Limits::default()));
        cut.feed(&body(&[60])[..30]);
        assert!(!cut.finish().may_be_judged());
    }

    #[test]
    fn a_body_cut_anywhere_inside_a_message_is_malformed() {
        let body = body(&[3, 4]);
        for cut in 0..=body.len() {
            let mut frames = GrpcFrames::new();
            frames.feed(&body[..cut]);
            let whole = [0, 8, 17].contains(&cut);
            assert_eq!(frames.finish().malformed, !whole, "{cut}");
        }
        let mut frames = GrpcFrames::new();
        frames.feed(b"{\"error\":1}");
        assert!(frames.finish().malformed);
    }
}
