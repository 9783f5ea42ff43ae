//! The tokenizer of JSON bodies: it accepts what `serde_json` accepts, and sees the same paths and
//! types, wherever the borders of the chunks are.

use crate::input::{Input, chunks};
use crate::oracle;
use scorer_sdk::shape::{Limits, MAX_PATHS, Seen, Shape, ShapeFacts};
use std::sync::Arc;

/// Limits under which no object counts as a map for the number of its keys, and no document that
/// `serde_json` reads is too deep.
fn limits() -> Limits {
    Limits {
        max_paths: MAX_PATHS,
        max_depth: 128,
        max_keys: u16::MAX,
        max_nested_keys: u16::MAX,
        ..Limits::default()
    }
}

/// The first two bytes choose the chunks, the others are the body.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let seed = u64::from(input.u16());
    let body = input.rest();
    let whole = observe([body], false);
    let parts = observe(chunks(body, seed), false);
    assert_same(&whole, &parts);
    assert_same(&observe([body], true), &observe(chunks(body, seed), true));

    let Some(is_json) = oracle::is_json(body) else {
        return;
    };
    let is_blank = body.iter().all(|byte| b" \t\r\n".contains(byte));
    match whole.seen() {
        Seen::Whole => assert!(is_json, "accepted"),
        Seen::Empty => assert!(is_blank, "empty"),
        Seen::Malformed => assert!(!is_json && !is_blank, "refused"),
        // Too long or too deep to be looked at as a whole.
        Seen::Truncated => {}
        Seen::Damaged => unreachable!("it is not compressed"),
    }
    if whole.seen() == Seen::Whole
        && !whole.is_full()
        && let Some(expected) = oracle::paths(body, limits().max_key_bytes)
    {
        assert_eq!(paths(&whole), expected, "paths");
    }
}

fn observe<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, lines: bool) -> ShapeFacts {
    let limits = Arc::new(limits());
    let mut shape = if lines {
        Shape::lines(limits)
    } else {
        Shape::new(limits)
    };
    chunks.into_iter().for_each(|chunk| shape.feed(chunk));
    shape.finish()
}

fn paths(facts: &ShapeFacts) -> oracle::Paths {
    let mut paths = oracle::Paths::new();
    for path in facts.paths() {
        let mut text = String::new();
        facts.write_path(path.index, &mut text);
        for kind in path.kinds.iter() {
            paths.insert((text.clone(), kind.name()));
        }
    }
    paths
}

fn assert_same(whole: &ShapeFacts, parts: &ShapeFacts) {
    assert_eq!(whole.seen(), parts.seen(), "how much was seen");
    // Of a malformed body nothing is judged: how far it was read is left open.
    if whole.seen() == Seen::Whole {
        assert_eq!(whole.documents(), parts.documents(), "documents");
        assert_eq!(whole.hash(), parts.hash(), "hash");
        assert_eq!(paths(whole), paths(parts), "paths");
    }
}
