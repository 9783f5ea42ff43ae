//! `--workers`: requests a second and processor time per request with 1, 2 and 8 workers.
//!
//! Two generators, each with connections and a thread of its own, send as fast as they are answered;
//! nothing is bound to a core. So proxy, generators and upstream share the machine: with fewer cores
//! than workers, requests a second say what the whole machine does and not what workers could. What
//! workers lose to each other (locks of shared data, caches) shows in the processor time per request
//! beside that of one worker; what a filter adds to this, in the same ratio over the no-op's.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use serin_integration::envoy::{Envoy, workspace};

use crate::cpu::Usage;
use crate::generator::Generator;
use crate::load::Load;
use crate::statistics::Spread;
use crate::variants::Variant;

/// Numbers of workers.
const WORKERS: [u32; 3] = [1, 2, 8];
/// Rounds, if not told otherwise.
pub(crate) const ROUNDS: usize = 9;
/// Generators beside each other.
const GENERATORS: usize = 2;
/// Variants that are measured if not told otherwise.
pub(crate) const MEASURED: [&str; 4] = ["none", "noop", "serin", "serin-all"];
/// What the others are compared with.
const NONE: &str = "none";
const NOOP: &str = "noop";
/// Where the report goes, if not told otherwise.
const OUT: &str = "target/bench-workers.json";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    /// Rounds.
    pub(crate) rounds: usize,
    /// Requests per proxy and round.
    pub(crate) requests: usize,
    /// Requests to each proxy before.
    pub(crate) warm_up: usize,
    /// Seed of the order.
    pub(crate) seed: u64,
}

/// A proxy at work, and what was measured of it by round.
struct Row<'a> {
    variant: &'a str,
    workers: u32,
    envoy: Envoy,
    generators: Vec<Generator>,
    per_second: Vec<f64>,
    us_per_request: Vec<f64>,
}

/// Measures `variants`, prints the table and writes the report to `out`.
///
/// # Errors
/// When a proxy does not start or answer, or when the report cannot be written.
pub(crate) async fn run(
    load: &Load,
    variants: &[Variant],
    upstream: SocketAddr,
    amount: Amount,
    out: Option<&Path>,
) -> Result<()> {
    let mut rows = Vec::new();
    for variant in variants {
        for workers in WORKERS {
            eprintln!("starting {} with {workers} workers", variant.name);
            let (envoy, address) = variant.start_with(workers, load, upstream).await?;
            let generators = (0..GENERATORS).map(|_| Generator::connect(address, load));
            rows.push(Row {
                variant: &variant.name,
                workers,
                envoy,
                generators: generators.collect::<Result<_>>()?,
                per_second: Vec::new(),
                us_per_request: Vec::new(),
            });
        }
    }
    tokio::task::block_in_place(|| measure(&mut rows, amount))?;
    let path = workspace().join(out.unwrap_or(Path::new(OUT)));
    let text = serde_json::to_string_pretty(&json(&rows, amount))? + "\n";
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("{}", table(&rows));
    eprintln!("{}", path.display());
    Ok(())
}

fn measure(rows: &mut [Row<'_>], amount: Amount) -> Result<()> {
    for row in rows.iter_mut() {
        send(&mut row.generators, amount.warm_up)?;
    }
    let mut random = SmallRng::seed_from_u64(amount.seed);
    for round in 1..=amount.rounds {
        let mut order: Vec<&mut Row<'_>> = rows.iter_mut().collect();
        order.shuffle(&mut random);
        for row in order {
            let pid = row.envoy.pid();
            let (before, begun) = (Usage::of(pid)?, Instant::now());
            let answered = send(&mut row.generators, amount.requests)
                .with_context(|| format!("{}, {} workers", row.variant, row.workers))?;
            let seconds = begun.elapsed().as_secs_f64();
            let ran = Usage::of(pid)?.since(before).ran as f64;
            row.per_second.push(answered as f64 / seconds);
            row.us_per_request.push(ran / 1e3 / answered as f64);
        }
        eprintln!("round {round} of {}", amount.rounds);
    }
    Ok(())
}

/// Sends this many requests, each generator its part at the same time; gives how many were answered.
fn send(generators: &mut [Generator], requests: usize) -> Result<usize> {
    let part = requests / GENERATORS;
    thread::scope(|scope| {
        let running: Vec<_> = generators
            .iter_mut()
            .map(|generator| scope.spawn(move || generator.run(part)))
            .collect();
        let mut answered = 0;
        for generator in running {
            let Ok(count) = generator.join() else {
                bail!("a generator has died");
            };
            answered += count?;
        }
        Ok(answered)
    })
}

/// How `rows` compare with another variant or number of workers, round by round.
fn over(mine: &[f64], theirs: &[f64]) -> Vec<f64> {
    mine.iter()
        .zip(theirs)
        .map(|(mine, theirs)| mine / theirs)
        .collect()
}

fn find<'a, 'b>(rows: &'b [Row<'a>], variant: &str, workers: u32) -> Option<&'b Row<'a>> {
    rows.iter()
        .find(|row| row.variant == variant && row.workers == workers)
}

/// Requests a second over those without a filter, with as many workers.
fn to_none(rows: &[Row<'_>], row: &Row<'_>) -> Option<Spread> {
    let none = find(rows, NONE, row.workers)?;
    Some(Spread::of(&over(&row.per_second, &none.per_second)))
}

/// Processor time per request over that with the first number of workers.
fn to_first(rows: &[Row<'_>], row: &Row<'_>) -> Option<Vec<f64>> {
    let [first, ..] = WORKERS;
    let first = find(rows, row.variant, first)?;
    Some(over(&row.us_per_request, &first.us_per_request))
}

/// The same over the no-op's: what the filter loses to contention, 1 for nothing.
fn lost(rows: &[Row<'_>], row: &Row<'_>) -> Option<Spread> {
    let noop = to_first(rows, find(rows, NOOP, row.workers)?)?;
    Some(Spread::of(&over(&to_first(rows, row)?, &noop)))
}

fn table(rows: &[Row<'_>]) -> String {
    let mut text = "| variant | workers | requests a second | to no filter | CPU per request, us | to 1 worker | the same over the no-op's |\n\
        | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    let cell = |spread: Option<Spread>, digits: usize| {
        spread.map_or("-".to_owned(), |spread| {
            format!(
                "{:.digits$} ({:.digits$} to {:.digits$})",
                spread.median, spread.lower, spread.upper
            )
        })
    };
    for row in rows {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            row.variant,
            row.workers,
            cell(Some(Spread::of(&row.per_second)), 0),
            cell(to_none(rows, row), 2),
            cell(Some(Spread::of(&row.us_per_request)), 1),
            cell(to_first(rows, row).map(|ratios| Spread::of(&ratios)), 2),
            cell(lost(rows, row), 2),
        );
    }
    text
}

fn json(rows: &[Row<'_>], amount: Amount) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.variant,
                "workers": row.workers,
                "per_second": Spread::of(&row.per_second).json(),
                "us_per_request": Spread::of(&row.us_per_request).json(),
                "per_second_by_round": row.per_second,
                "us_per_request_by_round": row.us_per_request,
                "lost_to_contention": lost(rows, row).map(|spread| spread.json())
            })
        })
        .collect();
    let cores = thread::available_parallelism().ok().map(usize::from);
    json!({"rounds": amount.rounds, "requests_per_round": amount.requests, "cores": cores, "rows": rows})
}
