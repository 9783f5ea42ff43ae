//! Compressed bodies: what flate2 decompresses has the shape of the plain body, what it does not has
//! none, wherever the borders of the chunks are, and nothing goes beyond the limits.

use crate::input::{Input, chunks};
use flate2::bufread::GzDecoder;
use flate2::read::{DeflateDecoder, ZlibDecoder};
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use scorer_sdk::shape::{Encoding, LeftOut, Limits, Seen, Shape, ShapeFacts};
use std::io::{Read, Write};
use std::sync::Arc;

/// The first byte chooses the encoding, the next two the chunks, the others are the body. Of a gzip
/// body that has the right length the sum is put right, which no fuzzer could guess.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte() % 3;
    let seed = u64::from(input.u16());
    let bytes = input.rest();
    match choice {
        // Plain, so that any content is met in a body that is whole.
        0 => {
            let body = compressed(bytes);
            check(Encoding::Gzip, &body, seed, Some(bytes.to_vec()));
        }
        1 => {
            let body = framed(bytes);
            check(Encoding::Gzip, &body, seed, members(&body));
        }
        _ => {
            let content =
                read(ZlibDecoder::new(bytes)).or_else(|| read(DeflateDecoder::new(bytes)));
            check(Encoding::Deflate, bytes, seed, content);
        }
    }
}

fn limits() -> Limits {
    Limits {
        max_bytes: 4_096,
        ..Limits::default()
    }
}

/// Checks the shape of an encoded body whose content is this; `None` where it has none.
fn check(encoding: Encoding, body: &[u8], seed: u64, content: Option<Vec<u8>>) {
    let whole = observe([body], Some(encoding));
    let parts = observe(chunks(body, seed), Some(encoding));
    assert_eq!(whole.left_out(), parts.left_out(), "what was seen");
    assert!(whole.bytes() <= limits().max_bytes, "beyond the limit");
    if whole.left_out().is_none() {
        assert_eq!(whole.hash(), parts.hash(), "hash");
        let Some(content) = content else {
            assert!(body.is_empty(), "a shape of what is not compressed so");
            return;
        };
        let plain = observe([content.as_slice()], None);
        assert_eq!(whole.seen(), plain.seen(), "how much was seen");
        assert_eq!(whole.hash(), plain.hash(), "the hash of the plain body");
        assert_eq!(whole.documents(), plain.documents(), "documents");
    } else if let Some(content) = content
        && whole.left_out() == Some(LeftOut::Damaged)
    {
        // What is refused later on may be given up as JSON before.
        let plain = observe([content.as_slice()], None);
        assert_ne!(plain.seen(), Seen::Whole, "a whole body that was refused");
    }
}

fn observe<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
    encoding: Option<Encoding>,
) -> ShapeFacts {
    let shape = Shape::new(Arc::new(limits()));
    let mut shape = match encoding {
        Some(encoding) => shape.encoded(encoding),
        None => shape,
    };
    chunks.into_iter().for_each(|chunk| shape.feed(chunk));
    shape.finish()
}

/// What comes out, if all of it does; of a large body its beginning.
fn read(decoder: impl Read) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    decoder.take(1 << 20).read_to_end(&mut content).ok()?;
    Some(content)
}

/// The content of all members; what follows them and is none is padding.
fn members(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let mut decoder = GzDecoder::new(body);
        content.extend(read(&mut decoder)?);
        body = decoder.into_inner();
        if !body.starts_with(&[0x1f, 0x8b]) {
            return Some(content);
        }
    }
}

fn compressed(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// A member of gzip around what may be DEFLATE, with the sum that it then has.
fn framed(deflated: &[u8]) -> Vec<u8> {
    let mut decoder = DeflateDecoder::new(deflated);
    let mut content = Vec::new();
    let _ = decoder.by_ref().take(1 << 20).read_to_end(&mut content);
    let end = usize::try_from(decoder.total_in()).unwrap_or(usize::MAX);
    let (deflated, rest) = deflated.split_at_checked(end).unwrap_or((deflated, b""));
    let mut crc = Crc::new();
    crc.update(&content);
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    body.extend(deflated);
    body.extend(crc.sum().to_le_bytes());
    body.extend(crc.amount().to_le_bytes());
    body.extend(rest);
    body
}
