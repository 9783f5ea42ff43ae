//! What surprise costs per exchange: the looks at a request's texts, the score at the response's
//! headers, and at the end the score and what is learned. Prints nanoseconds as JSON.

use scorer_sdk::config::SurprisePlan;
use scorer_sdk::signal::NameHasher;
use scorer_sdk::surprise::features::Features;
use scorer_sdk::surprise::request_texts::RequestTexts;
use scorer_sdk::surprise::{Model, Stage, Value};
use scorer_sdk::{Exchange, Plan};
use serde_json::json;
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

/// Exchanges of one epoch, and epochs; the first half of them is not timed.
const EXCHANGES: usize = 5_000;
const EPOCHS: usize = 20;
/// Exchanges that are timed at once.
const CHUNK: usize = 100;
/// What a browser sends, some 450 bytes.
const HEADERS: [(&str, &str); 10] = [
    (":authority", "shop.example"),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    (
        "cookie",
        "session=0123456789abcdef; theme=dark; consent=yes",
    ),
    ("referer", "https://shop.example/list?page=2"),
    ("sec-fetch-dest", "document"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    ("x-forwarded-for", "192.0.2.17"),
    ("x-request-id", "7b4a1c52-4f0e-4c3b-9a51-1f9f0f6a3d22"),
];
const ANSWER: [&str; 6] = [
    "content-type",
    "etag",
    "vary",
    "cache-control",
    "x-cost",
    "x-version",
];

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan::from_json("")?;
    let settings = SurprisePlan::new(plan.memory).settings;
    let hasher = NameHasher::new(1);
    let (features, texts) = (
        Features::new(&plan.signals),
        RequestTexts::new(hasher.clone()),
    );
    let answer = ANSWER.to_vec();
    let mut model = Model::new(settings);
    let mut random = fastrand::Rng::with_seed(1);
    let (mut look, mut early, mut end) = (vec![], vec![], vec![]);
    for epoch in 0..EPOCHS {
        for _ in 0..EXCHANGES / CHUNK {
            let paths: Vec<String> = (0..CHUNK)
                .map(|_| format!("/api/group{}/items?page={}", random.u8(..50), random.u8(..)))
                .collect();
            let mut looks: Vec<Vec<Value>> = vec![Vec::new(); CHUNK];
            let timed = time(|| {
                for (path, values) in paths.iter().zip(&mut looks) {
                    let path = [(":path", path.as_bytes())].into_iter();
                    let headers = HEADERS
                        .iter()
                        .map(|(name, value)| (*name, value.as_bytes()));
                    texts.read(path.chain(headers), black_box(values));
                }
            });
            look.push(timed);
            let exchanges: Vec<(u64, Exchange<'_>)> = paths
                .iter()
                .map(|path| {
                    let exchange = Exchange {
                        path,
                        status: Some(if random.u8(..) == 0 { 404 } else { 200 }),
                        content_type: "application/json",
                        header_names: Some(&answer),
                        response_bytes: Some(random.u64(100..9_000)),
                        duration_us: Some(random.u64(800..60_000)),
                        ..Exchange::default()
                    };
                    (
                        hasher.hash(path.split('?').next().unwrap_or_default()),
                        exchange,
                    )
                })
                .collect();
            let mut values = Vec::new();
            let read = |values: &mut Vec<Value>, exchange: &Exchange<'_>, looks: &[Value]| {
                values.clear();
                features.read(&plan.signals, exchange, &hasher, values);
                values.extend_from_slice(looks);
            };
            early.push(time(|| {
                for ((route, exchange), looks) in exchanges.iter().zip(&looks) {
                    let exchange = Exchange {
                        duration_us: None,
                        ..*exchange
                    };
                    read(&mut values, &exchange, looks);
                    black_box(model.score_at(Stage::Headers, *route, &values));
                }
            }));
            end.push(time(|| {
                for ((route, exchange), looks) in exchanges.iter().zip(&looks) {
                    read(&mut values, exchange, looks);
                    let client = u64::from(random.u8(..)) << 32;
                    black_box(model.observe(*route, &values, client));
                }
            }));
        }
        model.end_epoch();
        if epoch < EPOCHS / 2 {
            (look, early, end) = (vec![], vec![], vec![]);
        }
    }
    let report = json!({
        "looks_ns": median(look),
        "score_at_headers_ns": median(early),
        "score_and_learn_at_end_ns": median(end),
        "values_held": model.tokens(),
    });
    println!("{report:#}");
    Ok(())
}

/// Nanoseconds for each of a chunk's exchanges.
fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / CHUNK as f64
}

fn median(mut readings: Vec<f64>) -> Option<f64> {
    readings.sort_by(f64::total_cmp);
    let middle = readings.get(readings.len() / 2)?;
    Some(middle.round())
}
