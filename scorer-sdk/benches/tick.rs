//! What a tick of the judge costs, natively, by routes and by exchanges: `cargo bench -p scorer-sdk
//! --bench tick`.
//!
//! Each case is a number of routes that all have traffic, and of exchanges between two ticks. A tick
//! is what the leader does: judge, write the state, decide, and tell the evidence of each pair. The
//! checksum of the last states shows whether a change of the code changed what is judged.
//!
//! `--routes N --exchanges N --ticks N` runs one case: for a profiler, such as
//! `valgrind --tool=callgrind --toggle-collect='*Judge*tick*'`.

use scorer_sdk::count::delta::Delta;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::wire::codec::Writer;
use scorer_sdk::{Ending, Exchange, Plan, Sampling};
use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Routes, exchanges between two ticks, and how many ticks are run; the first half is not timed.
const CASES: [[usize; 3]; 6] = [
    [10, 1_000, 60],
    [100, 1_000, 60],
    [1_000, 1_000, 40],
    [10, 8_000, 40],
    [100, 8_000, 40],
    [1_000, 8_000, 30],
];
/// Names of which a path has three: few enough that none is taken for a value.
const NAMES: [&str; 10] = [
    "users", "carts", "prices", "stock", "orders", "search", "media", "mail", "taxes", "offers",
];
const HEADERS: [&str; 6] = [
    ":status",
    "content-type",
    "content-length",
    "cache-control",
    "etag",
    "date",
];
const CONFIG: &str = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s",
    "routes": {"max": 1000},
    "versions": {"from": "clusters", "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}}}"#;

fn path(number: usize) -> String {
    let digit = |of: usize| NAMES.get(of % 10).copied().unwrap_or_default();
    format!(
        "/{}/{}/{}",
        digit(number / 100),
        digit(number / 10),
        digit(number)
    )
}

/// Counts the exchanges of one tick: a tenth is the candidate's, three percent of the rest fail.
fn count(
    tally: &mut Tally,
    paths: &[String],
    exchanges: usize,
    random: &mut fastrand::Rng,
) -> Delta {
    let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"];
    for (number, path) in paths.iter().cycle().take(exchanges).enumerate() {
        let is_candidate = random.u32(0..10) == 0;
        let fails = random.u32(0..1_000) < if is_candidate { 36 } else { 30 };
        let host = hosts.get(random.usize(0..3) + usize::from(is_candidate));
        // A fifth comes from a worker that looks at one in four of its exchanges, and at failures.
        let is_sampled = number % 5 == 0;
        let is_case = is_sampled && fails && random.bool();
        let headers: Vec<&str> = HEADERS.into_iter().skip(random.usize(0..2)).collect();
        tally.record(&Exchange {
            destination: "shop",
            method: "GET",
            path,
            version: if is_candidate { "v2" } else { "v1" },
            status: Some(if fails { 503 } else { 200 }),
            ending: Ending::Complete,
            duration_us: Some(random.u64(800..6_000)),
            response_bytes: Some(random.u64(100..9_000)),
            content_type: "application/json",
            header_names: Some(&headers),
            upstream_host: host.copied().unwrap_or_default(),
            session: Some(random.u64(1..400)),
            is_case,
            sampling: if is_sampled {
                Sampling {
                    looks_one_in: 4,
                    cases_one_in: 1,
                }
            } else {
                Sampling::ALL
            },
            ..Exchange::default()
        });
    }
    tally.take()
}

/// Milliseconds of each part of a tick.
type Parts = BTreeMap<&'static str, Vec<f64>>;

fn timed<T>(parts: &mut Parts, name: &'static str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let found = work();
    let ms = start.elapsed().as_secs_f64() * 1_000.0;
    parts.entry(name).or_default().push(ms);
    found
}

fn checksum(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn run([routes, exchanges, ticks]: [usize; 3]) -> Result<String, Box<dyn Error>> {
    let plan = Arc::new(Plan::from_json(CONFIG)?);
    let paths: Vec<String> = (0..routes).map(path).collect();
    let mut tally = Tally::new(Arc::clone(&plan), 7);
    let mut judge = Judge::new(Arc::clone(&plan));
    let mut random = fastrand::Rng::with_seed(1);
    let mut now = Duration::from_secs(1_700_000_000);
    let mut parts = Parts::new();
    let mut sum = 0xcbf2_9ce4_8422_2325;
    let mut state = 0;
    for tick in 0..ticks {
        if tick == ticks / 2 {
            parts.clear();
        }
        let delta = count(&mut tally, &paths, exchanges, &mut random);
        now += plan.tick;
        let deltas = std::slice::from_ref(&delta);
        timed(&mut parts, "judge", || judge.tick(black_box(deltas), now));
        let bytes = timed(&mut parts, "write", || {
            let mut writer = Writer::with_room(state + state / 16);
            judge.encode(&mut writer);
            writer.into_bytes()
        });
        let decisions = timed(&mut parts, "decide", || judge.decisions());
        let pairs = timed(&mut parts, "tell", || {
            black_box(judge.slow_cuts());
            let pairs = judge.pair_evidence();
            pairs.iter().map(|pair| pair.nats).sum::<f64>()
        });
        state = bytes.len();
        sum = checksum(sum, &bytes);
        sum = checksum(sum, serde_json::to_string(&decisions)?.as_bytes());
        sum = checksum(sum, &pairs.to_le_bytes());
    }
    let mut line = format!("{routes:>6} {exchanges:>9} {state:>9}");
    let mut whole = 0.0;
    for name in ["judge", "write", "decide", "tell"] {
        let median = parts.remove(name).map_or(0.0, median);
        whole += median;
        line += &format!(" {median:>7.2}");
    }
    Ok(format!("{line} {whole:>7.2} {sum:016x}"))
}

fn median(mut readings: Vec<f64>) -> f64 {
    readings.sort_by(f64::total_cmp);
    readings.get(readings.len() / 2).copied().unwrap_or(0.0)
}

fn main() -> Result<(), Box<dyn Error>> {
    let [routes, exchanges, ticks] = ["--routes", "--exchanges", "--ticks"].map(argument);
    println!("routes exchanges  state, B   judge   write  decide    tell all, ms checksum");
    if let Some(routes) = routes {
        let case = [routes, exchanges.unwrap_or(8_000), ticks.unwrap_or(20)];
        println!("{}", run(case)?);
        return Ok(());
    }
    for case in CASES {
        println!("{}", run(case)?);
    }
    Ok(())
}

/// The number after `name`; cargo adds `--bench`, which says nothing here.
fn argument(name: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}
