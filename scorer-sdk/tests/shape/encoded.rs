//! A compressed body has the shape of the plain one, whatever the encoding, the effort and the
//! borders of the chunks; one that cannot be decompressed has no shape, and costs no more than a
//! plain one.

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use scorer_sdk::shape::{Encoding, LeftOut, Limits, Seen, Shape, ShapeFacts};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a server may compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Gzip,
    /// Several members, one after the other.
    GzipMembers,
    /// Pieces that are flushed one by one, as a server does that streams.
    GzipFlushed,
    Zlib,
    /// DEFLATE without the header of zlib.
    Bare,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Gzip,
        Self::GzipMembers,
        Self::GzipFlushed,
        Self::Zlib,
        Self::Bare,
    ];

    fn encoding(self) -> Encoding {
        match self {
            Self::Gzip | Self::GzipMembers | Self::GzipFlushed => Encoding::Gzip,
            Self::Zlib | Self::Bare => Encoding::Deflate,
        }
    }

    fn compress(self, body: &[u8], level: u32) -> Vec<u8> {
        let level = Compression::new(level);
        match self {
            Self::Gzip => gzip(body, level),
            Self::GzipMembers => {
                let pieces = body.chunks(body.len() / 3 + 1);
                pieces.flat_map(|piece| gzip(piece, level)).collect()
            }
            Self::GzipFlushed => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                for piece in body.chunks(500) {
                    encoder.write_all(piece).unwrap();
                    encoder.flush().unwrap();
                }
                encoder.finish().unwrap()
            }
            Self::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
            Self::Bare => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(body).unwrap();
                encoder.finish().unwrap()
            }
        }
    }
}

fn gzip(body: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// The shape of a body in chunks of up to `most` bytes.
fn observe(
    body: &[u8],
    encoding: Option<Encoding>,
    most: usize,
    random: &mut fastrand::Rng,
) -> ShapeFacts {
    let shape = Shape::new(Arc::new(Limits::default()));
    let mut shape = match encoding {
        Some(encoding) => shape.encoded(encoding),
        None => shape,
    };
    let mut rest = body;
    while !rest.is_empty() {
        let length = random.usize(1..=most.min(rest.len()));
        let (chunk, tail) = rest.split_at(length);
        // As a proxy does: it fetches no more than is wanted.
        shape.feed(&chunk[..length.min(shape.wanted())]);
        rest = tail;
    }
    shape.finish()
}

/// A document of a random size, with words that repeat and numbers that do not.
fn document(random: &mut fastrand::Rng) -> String {
    let items: Vec<serde_json::Value> = (0..random.usize(0..250))
        .map(|number| {
            let mut item = serde_json::json!({
                "id": number, "price": random.f64(), "name": "Item of the shop", "hash": random.u64(..),
            });
            if random.bool() {
                item["tags"] = serde_json::json!(["new", null]);
            }
            item
        })
        .collect();
    serde_json::json!({"items": items, "total": 3}).to_string()
}

fn summary(facts: &ShapeFacts) -> (Seen, u64, u64, u32) {
    (facts.seen(), facts.hash(), facts.bytes(), facts.documents())
}

#[test]
fn a_compressed_body_has_the_shape_of_the_plain_one() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let body = document(&mut random);
        let plain = observe(body.as_bytes(), None, usize::MAX, &mut random);
        assert_eq!(plain.seen(), Seen::Whole);
        for way in Way::ALL {
            let level = random.u32(0..=9);
            let encoded = way.compress(body.as_bytes(), level);
            for most in [1, 7, 1_000, usize::MAX] {
                let facts = observe(&encoded, Some(way.encoding()), most, &mut random);
                let case = format!("{way:?}, level {level}, chunks of {most}");
                assert_eq!(summary(&facts), summary(&plain), "{case}");
            }
        }
    }
}

#[test]
fn a_body_that_ends_too_early_or_is_broken_has_no_shape() {
    let mut random = fastrand::Rng::with_seed(8);
    let body = document(&mut random);
    let plain = observe(body.as_bytes(), None, usize::MAX, &mut random);
    for way in Way::ALL {
        let whole = way.compress(body.as_bytes(), 6);
        for _ in 0..500 {
            let cut = random.usize(1..whole.len());
            let facts = observe(&whole[..cut], Some(way.encoding()), 100, &mut random);
            // Several members may end between two of them: as gzip, that is whole.
            let known = way == Way::GzipMembers && facts.seen() == Seen::Malformed;
            assert!(known || facts.seen() == Seen::Damaged, "{way:?} at {cut}");
            assert!(!facts.may_be_judged());
        }
        for _ in 0..2_000 {
            let mut broken = whole.clone();
            let index = random.usize(..broken.len());
            broken[index] ^= 1 << random.u8(..8);
            let facts = observe(&broken, Some(way.encoding()), 100, &mut random);
            if facts.left_out().is_none() && way != Way::Bare {
                // In the header, which tells nothing of the content.
                assert_eq!(summary(&facts), summary(&plain), "{way:?} at {index}");
            }
        }
    }
}

#[test]
fn what_is_no_compressed_body_has_no_shape() {
    let mut random = fastrand::Rng::with_seed(9);
    let json = br#"{"items": [1, 2, 3]}"#;
    for encoding in [Encoding::Gzip, Encoding::Deflate] {
        let facts = observe(json, Some(encoding), 5, &mut random);
        // Any bytes may be bare DEFLATE.
        assert!(!facts.may_be_judged(), "{encoding:?}");
        // Compressed as it says, and no JSON.
        let way = match encoding {
            Encoding::Gzip => Way::Gzip,
            Encoding::Deflate => Way::Zlib,
        };
        let text = way.compress(b"no such product", 6);
        let facts = observe(&text, Some(encoding), 5, &mut random);
        assert_eq!(facts.left_out(), Some(LeftOut::Malformed), "{encoding:?}");
        // No byte at all is an empty body, compressed or not.
        let facts = observe(b"", Some(encoding), 5, &mut random);
        assert_eq!(facts.seen(), Seen::Empty);
    }
}

#[test]
fn padding_behind_a_body_is_no_matter_of_its_shape() {
    let mut random = fastrand::Rng::with_seed(10);
    let body = document(&mut random);
    let plain = observe(body.as_bytes(), None, usize::MAX, &mut random);
    for way in Way::ALL {
        let mut encoded = way.compress(body.as_bytes(), 6);
        encoded.extend([0; 600]);
        let facts = observe(&encoded, Some(way.encoding()), 50, &mut random);
        assert_eq!(summary(&facts), summary(&plain), "{way:?}");
    }
}

#[test]
fn a_body_beyond_the_limit_of_bytes_is_too_large_compressed_or_not() {
    let mut random = fastrand::Rng::with_seed(11);
    let most = Limits::default().max_bytes as usize;
    for (length, seen) in [(most, Seen::Whole), (most + 1, Seen::Truncated)] {
        let body = format!("\"{}\"", "a".repeat(length - 2));
        for way in Way::ALL {
            for level in [0, 9] {
                let encoded = way.compress(body.as_bytes(), level);
                let facts = observe(&encoded, Some(way.encoding()), 20_000, &mut random);
                let case = format!("{way:?}, level {level}, {length} bytes");
                assert_eq!(facts.seen(), seen, "{case}");
                assert_eq!(facts.bytes(), most as u64, "{case}");
            }
        }
    }
}

/// Bits, least significant first, as DEFLATE has them.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    /// Appends values, each with its number of bits.
    fn put(&mut self, fields: &[(u32, u32)]) {
        for (value, count) in fields {
            self.0.extend((0..*count).map(|bit| value >> bit & 1 == 1));
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            let bits = bits.iter().rev();
            bits.fold(0, |value, bit| value << 1 | u8::from(*bit))
        };
        self.0.chunks(8).map(byte).collect()
    }
}

/// What makes the most work of a byte: blocks without content, each with tables to build. They are
/// DEFLATE's own tables, or such as come in the block.
fn blocks_without_content(own_tables: bool, bytes: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    while bits.0.len() < 8 * bytes {
        if own_tables {
            // 257 literals, 1 distance, 18 code lengths, of which 18 and 1 are used.
            bits.put(&[(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)]);
            (0..18).for_each(|place| bits.put(&[(u32::from(place == 2 || place == 17), 3)]));
            // 138 and 117 times none, then the codes of 255, of the end and of the distance.
            bits.put(&[(1, 1), (127, 7), (1, 1), (106, 7), (0, 3)]);
            // The end.
            bits.put(&[(1, 1)]);
        } else {
            bits.put(&[(0, 1), (1, 2), (0, 7)]);
        }
    }
    bits.into_bytes()
}

#[test]
fn a_body_of_many_blocks_is_given_up_before_it_costs_much() {
    let whole_work = {
        // As much work as an honest body of the largest size makes.
        let mut random = fastrand::Rng::with_seed(12);
        let body = format!("\"{}\"", "abcdefghij".repeat(6_500));
        let encoded = gzip(body.as_bytes(), Compression::new(6));
        time(|| {
            let facts = observe(&encoded, Some(Encoding::Gzip), usize::MAX, &mut random);
            assert_eq!(facts.seen(), Seen::Whole);
        })
    };
    for own_tables in [false, true] {
        let blocks = blocks_without_content(own_tables, 60_000);
        // That they are well-formed is what makes them costly.
        let mut decoder = flate2::Decompress::new(false);
        let mut nothing = Vec::with_capacity(1);
        let status = decoder.decompress_vec(&blocks, &mut nothing, flate2::FlushDecompress::None);
        assert!(
            status.is_ok() && nothing.is_empty(),
            "{own_tables}: {status:?}"
        );
        let mut fed = 0;
        let cost = time(|| {
            let mut shape = Shape::new(Arc::new(Limits::default())).encoded(Encoding::Deflate);
            fed = 0;
            for chunk in blocks.chunks(100) {
                if shape.wanted() == 0 {
                    break;
                }
                fed += chunk.len();
                shape.feed(chunk);
            }
            assert_eq!(shape.finish().left_out(), Some(LeftOut::TooLarge));
        });
        println!(
            "tables of its own {own_tables}: {fed} bytes in {cost:?}, a whole body {whole_work:?}"
        );
        assert!(fed < 20_000, "{own_tables}: {fed} bytes were decompressed");
    }
    // So are members without content.
    let members = gzip(b"", Compression::new(6)).repeat(3_000);
    let mut random = fastrand::Rng::with_seed(13);
    let facts = observe(&members, Some(Encoding::Gzip), 1_000, &mut random);
    assert_eq!(facts.left_out(), Some(LeftOut::TooLarge));
}

/// The shortest of several times that `work` takes.
fn time(mut work: impl FnMut()) -> Duration {
    let times = (0..10).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    times.min().unwrap()
}

#[test]
fn a_bomb_gives_no_more_content_than_is_looked_at() {
    let most = Limits::default().max_bytes;
    for way in Way::ALL {
        let bomb = way.compress(&vec![b' '; 20_000_000], 9);
        let mut shape = Shape::new(Arc::new(Limits::default())).encoded(way.encoding());
        let mut fed = 0;
        for chunk in bomb.chunks(100) {
            if shape.wanted() == 0 {
                break;
            }
            fed += chunk.len();
            shape.feed(chunk);
        }
        // Decompressing has stopped, and what it needs is given back.
        assert!(!shape.decompresses());
        assert!(fed < bomb.len() / 10, "{way:?}: {fed} of {}", bomb.len());
        let facts = shape.finish();
        assert_eq!(
            (facts.seen(), facts.bytes()),
            (Seen::Truncated, most),
            "{way:?}"
        );
    }
}
