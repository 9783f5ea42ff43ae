//! What the engine costs, natively: `cargo bench -p scorer-sdk`, or `make bench` for the whole.
//!
//! Three things are timed, in many short repetitions whose median counts: recording an exchange
//! (the hot path, once per request), handing a tick's counts over, and judging them (once per tick,
//! per route). `--json PATH` leaves the numbers as JSON.

use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::wire::codec::Writer;
use scorer_sdk::{Ending, Engine, Exchange, Plan};
use serde_json::{Value, json};
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Repetitions of each measurement.
const ROUNDS: usize = 200;
/// Exchanges in one tick.
const EXCHANGES: usize = 10_000;
/// Exchanges that are timed at once: some 0.2 ms, so that a busy machine seldom comes between.
const CHUNK: usize = 500;
/// Response headers as Envoy hands them over: 13 names.
const HEADERS: [&str; 13] = [
    ":status",
    "content-type",
    "content-length",
    "cache-control",
    "etag",
    "vary",
    "x-content-type-options",
    "x-shop-version",
    "x-request-cost",
    "x-request-id",
    "date",
    "server",
    "x-envoy-upstream-service-time",
];

/// One request and its answer, drawn in advance.
struct Sample {
    method: &'static str,
    path: String,
    version: &'static str,
    status: u16,
    duration_us: u64,
    response_bytes: u64,
    headers: Vec<&'static str>,
}

impl Sample {
    /// Fifty routes, most of them with ids; a tenth of the traffic is the candidate's.
    fn draw(random: &mut fastrand::Rng) -> Self {
        let kind = random.usize(0..50);
        let (number, long) = (random.u32(1..5_000), random.u64(..));
        let (method, path) = match kind % 5 {
            0 => (
                "GET",
                format!("/api/group{kind}/items/{number}?currency=EUR&page=2"),
            ),
            1 => ("GET", format!("/api/group{kind}/carts/{long:016x}")),
            2 => ("GET", format!("/api/group{kind}/list")),
            3 => ("POST", format!("/api/group{kind}/orders/{number}/lines")),
            _ => ("GET", format!("/assets/group{kind}/main.css")),
        };
        let (status, dropped) = match random.u32(0..1_000) {
            0..10 => (500, 3),
            10..40 => (404, 2),
            _ => (200, 0),
        };
        Self {
            method,
            path,
            version: if random.u32(0..10) == 0 { "v2" } else { "v1" },
            status,
            duration_us: random.u64(800..60_000),
            response_bytes: random.u64(100..9_000),
            headers: HEADERS.iter().skip(dropped).copied().collect(),
        }
    }

    fn exchange(&self) -> Exchange<'_> {
        Exchange {
            destination: "shop",
            route_name: "",
            method: self.method,
            path: &self.path,
            version: self.version,
            status: Some(self.status),
            grpc_status: None,
            ending: Ending::Complete,
            duration_us: Some(self.duration_us),
            response_bytes: Some(self.response_bytes),
            content_type: "application/json; charset=utf-8",
            header_names: Some(&self.headers),
            ..Exchange::default()
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Arc::new(Plan::from_json(
        r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s",
            "versions": {"from": "clusters", "destinations":
                {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}}}"#,
    )?);
    let mut random = fastrand::Rng::with_seed(1);
    let samples: Vec<Sample> = (0..EXCHANGES).map(|_| Sample::draw(&mut random)).collect();

    let mut tally = Tally::new(Arc::clone(&plan), 7);
    let mut judge = Judge::new(Arc::clone(&plan));
    let mut now = Duration::from_secs(1_700_000_000);
    let (mut record, mut take, mut tick, mut encode) = (vec![], vec![], vec![], vec![]);
    let mut state_bytes = 0;
    for _ in 0..ROUNDS {
        for chunk in samples.chunks(CHUNK) {
            record.push(time(chunk.len(), || {
                for sample in chunk {
                    tally.record(black_box(&sample.exchange()));
                }
            }));
        }
        let mut delta = None;
        let whole = time(1, || delta = Some(tally.take()));
        let delta = delta.unwrap_or_default();
        let routes = delta.routes.len().max(1);
        take.push(whole / routes as f64);
        now += plan.tick;
        tick.push(time(routes, || {
            judge.tick(std::slice::from_ref(&delta), now)
        }));
        encode.push(time(routes, || {
            let mut writer = Writer::new();
            judge.encode(&mut writer);
            state_bytes = writer.into_bytes().len() / routes;
        }));
    }
    check(&plan, &samples);

    let report = json!({
        "record_ns": spread(record),
        "take_ns_per_route": spread(take),
        "judge_tick_ns_per_route": spread(tick),
        "encode_ns_per_route": spread(encode),
    });
    eprintln!("state: {state_bytes} bytes per route");
    match json_path() {
        Some(path) => std::fs::write(path, report.to_string())?,
        None => println!("{report:#}"),
    }
    Ok(())
}

/// Nanoseconds for each of `count` things that `work` does.
fn time(count: usize, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / count as f64
}

/// A benchmark of an engine that drops exchanges would look well.
fn check(plan: &Arc<Plan>, samples: &[Sample]) {
    let mut engine = Engine::new(Arc::clone(plan), 7);
    for sample in samples {
        engine.observe(&sample.exchange());
    }
    engine.advance(Duration::from_secs(1_700_000_000));
    assert_eq!(
        engine.judge().merged(),
        samples.len() as u64,
        "exchanges were lost"
    );
}

fn spread(mut readings: Vec<f64>) -> Value {
    readings.sort_by(f64::total_cmp);
    let at = |quarter: usize| {
        let index = readings.len().saturating_sub(1) * quarter / 4;
        readings
            .get(index)
            .map(|reading| (reading * 10.0).round() / 10.0)
    };
    json!({"median": at(2), "quartiles": [at(1), at(3)], "range": [at(0), at(4)]})
}

/// The argument after `--json`; cargo adds `--bench`, which says nothing here.
fn json_path() -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--json");
    arguments.nth(1)
}
