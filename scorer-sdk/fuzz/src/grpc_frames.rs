//! gRPC framing: the same counts for any chunks, and those of a reader that has the whole body.

use crate::input::{Input, chunks};
use scorer_sdk::shape::{GrpcFacts, GrpcFrames, Limits, Seen, Shape};
use std::sync::Arc;

/// The first two bytes choose the chunks, the others are the body.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let seed = u64::from(input.u16());
    let body = input.rest();
    let mut frames = GrpcFrames::new();
    chunks(body, seed)
        .into_iter()
        .for_each(|chunk| frames.feed(chunk));
    let facts = frames.finish();
    assert_eq!(facts, expected(body));

    let mut shape = Shape::messages(Arc::new(Limits::default()));
    chunks(body, seed)
        .into_iter()
        .for_each(|chunk| shape.feed(chunk));
    let shape = shape.finish();
    if shape.seen() != Seen::Truncated {
        assert_eq!(shape.seen() == Seen::Malformed, facts.malformed);
    }
}

/// Reads message by message.
fn expected(mut body: &[u8]) -> GrpcFacts {
    let mut facts = GrpcFacts::default();
    while !body.is_empty() {
        let Some(([flags, length @ ..], rest)) = body.split_first_chunk::<5>() else {
            // A prefix that is cut off.
            facts.malformed = true;
            break;
        };
        if *flags > 1 {
            facts.malformed = true;
            break;
        }
        let length = u32::from_be_bytes(*length);
        facts.messages += 1;
        facts.bytes += u64::from(length);
        facts.largest = facts.largest.max(length);
        facts.compressed += u64::from(*flags);
        let Some(rest) = rest.get(length as usize..) else {
            facts.malformed = true;
            break;
        };
        body = rest;
    }
    facts
}
