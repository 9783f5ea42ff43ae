//! What looking at a response body costs, per byte: `cargo bench -p scorer-sdk --bench shape`.
//!
//! Each body is observed from its first chunk to its facts, in chunks of 16 KiB as a proxy hands
//! them over, plain and in gzip; short repetitions, whose median counts. Both are per byte of the
//! plain body. `--json PATH` leaves the numbers as JSON.
//! In V8 (node), the same program:
//! `CARGO_TARGET_WASM32_WASIP1_RUNNER="node scorer-sdk/benches/wasi.mjs" cargo bench -p scorer-sdk
//! --bench shape --target wasm32-wasip1`.

use flate2::Compression;
use flate2::write::GzEncoder;
use scorer_sdk::shape::presence::Presence;
use scorer_sdk::shape::{Encoding, Limits, Seen, Shape, ShapeFacts};
use serde_json::{Value, json};
use std::error::Error;
use std::fmt::Write;
use std::hint::black_box;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// Repetitions of each measurement.
const ROUNDS: usize = 200;
/// Bytes that are observed in one repetition, at least.
const BYTES: usize = 400_000;
/// Answers whose paths are counted in one repetition.
const ANSWERS: usize = 100;
/// A chunk as proxies hand it over.
const CHUNK: usize = 16 * 1024;

/// A page of a shop's products: the body that the aim is about.
fn products() -> Value {
    let item = |number: u32| {
        let mut item = json!({
            "id": 10_000 + number * 37,
            "sku": format!("KB-{:06}", number * 991),
            "name": format!("Wireless keyboard, model {number}"),
            "description": "A compact keyboard with quiet keys and a battery that lasts for months.",
            "price": {"amount": f64::from(number * 3 + 10) + 0.99, "currency": "EUR"},
            "inStock": !number.is_multiple_of(7),
            "tags": ["office", "wireless"],
            "rating": {"average": 4.3, "count": number * 17},
            "images": [{"url": format!("https://img.example.com/p/{number}/main.jpg"),
                        "width": 800, "height": 600}],
            "updatedAt": "2026-11-23T08:15:00Z",
        });
        if number.is_multiple_of(3)
            && let Some(fields) = item.as_object_mut()
        {
            fields.insert("discount".into(), json!({"percent": 10, "until": null}));
        }
        item
    };
    json!({
        "items": (0..26).map(item).collect::<Vec<_>>(),
        "page": 1, "pageSize": 26, "total": 412,
        "links": {"self": "/api/products?page=1", "next": "/api/products?page=2"},
    })
}

fn bodies() -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let mut random = fastrand::Rng::with_seed(1);
    let products = products();
    let one = json!({"id": 7, "email": "someone@example.com", "name": "Some One", "active": true,
        "roles": ["admin", "editor"], "address": {"street": "Long Street 1", "city": "Town",
        "zip": "12345"}, "createdAt": "2026-11-23T08:15:00Z", "lastLogin": null});
    let coordinates: Vec<_> = (0..600)
        .map(|_| json!([random.f64() * 180.0, random.f64() * 90.0]))
        .collect();
    let mut numbers = String::from("[0");
    for _ in 0..5_000 {
        write!(numbers, ",{}", random.u32(0..100))?;
    }
    numbers.push(']');
    let word =
        "Ein längerer Text mit Umlauten, naïve façade, 漢字 und \\\"Zitaten\\\"; ".repeat(20);
    let ids: serde_json::Map<String, Value> = (0..200)
        .map(|_| {
            (
                format!("user{:x}z", random.u64(..)),
                json!({"score": 1, "name": "x"}),
            )
        })
        .collect();
    Ok(vec![
        ("products", products.to_string()),
        ("products_pretty", serde_json::to_string_pretty(&products)?),
        ("one_object", one.to_string()),
        (
            "coordinates",
            json!({"type": "Line", "coordinates": coordinates}).to_string(),
        ),
        ("small_integers", numbers),
        ("text", format!("{{\"title\":\"t\",\"body\":\"{word}\"}}")),
        ("map_of_ids", json!({"users": ids}).to_string()),
    ])
}

/// Nanoseconds for each of `count` things that `work` does once.
fn time(count: usize, mut work: impl FnMut()) -> Value {
    let mut readings: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_nanos() as f64 / count as f64
        })
        .collect();
    readings.sort_by(f64::total_cmp);
    let at = |quarter: usize| {
        let index = (ROUNDS - 1) * quarter / 4;
        readings
            .get(index)
            .map(|reading| (reading * 100.0).round() / 100.0)
    };
    json!({"median": at(2), "quartiles": [at(1), at(3)], "range": [at(0), at(4)]})
}

fn main() -> Result<(), Box<dyn Error>> {
    let limits = Arc::new(Limits::default());
    let (mut per_byte, mut per_answer) = (serde_json::Map::new(), serde_json::Map::new());
    let mut per_byte_in_gzip = serde_json::Map::new();
    for (name, body) in bodies()? {
        let body = body.as_bytes();
        let facts = observe(Shape::new(Arc::clone(&limits)), body);
        // A benchmark of an observer that gives up early would look well.
        let whole = (Seen::Whole, body.len() as u64);
        assert_eq!((facts.seen(), facts.bytes()), whole, "{name}");
        let times = BYTES.div_ceil(body.len());
        let look = time(times * body.len(), || {
            for _ in 0..times {
                let shape = Shape::new(Arc::clone(&limits));
                black_box(observe(shape, black_box(body)).hash());
            }
        });
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body)?;
        let encoded = encoder.finish()?;
        let in_gzip = || Shape::new(Arc::clone(&limits)).encoded(Encoding::Gzip);
        assert_eq!(observe(in_gzip(), &encoded).hash(), facts.hash(), "{name}");
        let look_in_gzip = time(times * body.len(), || {
            for _ in 0..times {
                black_box(observe(in_gzip(), black_box(&encoded)).hash());
            }
        });
        let mut presence = Presence::default();
        let record = time(ANSWERS, || {
            presence.decay(0.5);
            (0..ANSWERS).for_each(|_| presence.record(black_box(&facts)));
        });
        println!(
            "{name:16} {:6} bytes, {:6} in gzip, {:2} paths",
            body.len(),
            encoded.len(),
            presence.len()
        );
        println!("    ns per byte:                   {look}");
        println!("    ns per byte in gzip:           {look_in_gzip}");
        println!("    ns to count an answer's paths: {record}");
        per_byte.insert(name.to_owned(), look);
        per_byte_in_gzip.insert(name.to_owned(), look_in_gzip);
        per_answer.insert(name.to_owned(), record);
    }
    let mut arguments = std::env::args().skip_while(|argument| argument != "--json");
    if let Some(path) = arguments.nth(1) {
        let report = json!({"shape_ns_per_byte": per_byte,
            "shape_ns_per_byte_in_gzip": per_byte_in_gzip, "presence_ns_per_answer": per_answer});
        std::fs::write(path, report.to_string())?;
    }
    Ok(())
}

fn observe(mut shape: Shape, body: &[u8]) -> ShapeFacts {
    body.chunks(CHUNK).for_each(|chunk| shape.feed(chunk));
    shape.finish()
}
