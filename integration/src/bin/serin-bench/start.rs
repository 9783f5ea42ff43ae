//! `--start`: how long an Envoy takes until it is ready, and how much memory it has then.
//!
//! Every worker has a VM, and the main thread two, so a module is compiled and started many times.
//! Each round starts every variant once with each number of workers, in an order drawn anew, one at
//! a time; compared is within the round. Nobody sends a request.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use serin_integration::envoy::workspace;
use serin_integration::process::{Memory, memory_mib};

use crate::ext_proc;
use crate::load::Load;
use crate::statistics::Spread;
use crate::variants::Variant;

/// Numbers of workers.
const WORKERS: [u32; 3] = [1, 2, 8];
/// Rounds, if not told otherwise: a start scatters much, and 9 make quartiles.
pub(crate) const ROUNDS: usize = 9;
/// Variants that say nothing about a start of a wasm module.
pub(crate) const LEFT_OUT: [&str; 8] = [
    "noop-packed",
    "noop-again",
    "serin-all",
    "serin-glance",
    "lua-five",
    "lua-all",
    "lua-count",
    ext_proc::NAME,
];
/// Where the report goes, if not told otherwise.
const OUT: &str = "target/bench-start.json";
/// What everything is compared with.
const NOOP: &str = "noop";
/// Bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// One start.
#[derive(Debug, Clone, Copy)]
struct Started {
    /// From the start of the process until it is ready and its listener accepts, in ms.
    ready_ms: f64,
    /// Resident memory of the process, in MiB.
    resident_mib: f64,
    /// What Envoy's own allocator holds, in MiB; V8's heaps and code are beside it.
    allocated_mib: f64,
}

/// The starts of one variant with one number of workers, by round.
#[derive(Debug)]
struct Row<'a> {
    variant: &'a Variant,
    workers: u32,
    starts: Vec<Started>,
}

/// What more a worker costs than the first, in each round: ms and MiB.
#[derive(Debug)]
struct PerWorker<'a> {
    variant: &'a Variant,
    ready_ms: Vec<f64>,
    resident_mib: Vec<f64>,
}

/// Starts each of `variants` `rounds` times with each number of workers, prints the tables (or with
/// `as_json` the report), and writes the report to `out`.
///
/// # Errors
/// When a proxy does not start, or when the report cannot be written.
pub(crate) async fn run(
    load: &Load,
    variants: &[Variant],
    upstream: SocketAddr,
    (rounds, seed): (usize, u64),
    as_json: bool,
    out: Option<&Path>,
) -> Result<()> {
    let mut rows: Vec<Row<'_>> = variants
        .iter()
        .flat_map(|variant| {
            WORKERS.map(|workers| Row {
                variant,
                workers,
                starts: Vec::new(),
            })
        })
        .collect();
    let mut random = SmallRng::seed_from_u64(seed);
    for round in 0..=rounds {
        let mut order: Vec<&mut Row<'_>> = rows.iter_mut().collect();
        order.shuffle(&mut random);
        for row in order {
            let started = start(load, row.variant, row.workers, upstream)
                .await
                .with_context(|| format!("{}, {} workers", row.variant.name, row.workers))?;
            // The first round brings binary and modules into the page cache.
            if round > 0 {
                row.starts.push(started);
            }
        }
        match round {
            0 => eprintln!("warmed up"),
            _ => eprintln!("round {round} of {rounds}"),
        }
    }
    let slopes: Vec<PerWorker<'_>> = variants
        .iter()
        .map(|variant| per_worker(variant, &rows))
        .collect();
    let report = json(rounds, &rows, &slopes);
    let path = workspace().join(out.unwrap_or(Path::new(OUT)));
    let text = serde_json::to_string_pretty(&report)? + "\n";
    fs::write(&path, &text).with_context(|| path.display().to_string())?;
    if as_json {
        print!("{text}");
    } else {
        println!("{}\n{}", table(&rows), slope_table(&slopes));
    }
    eprintln!("{}", path.display());
    Ok(())
}

/// Starts a proxy, reads what it takes, and ends it.
async fn start(
    load: &Load,
    variant: &Variant,
    workers: u32,
    upstream: SocketAddr,
) -> Result<Started> {
    let begun = Instant::now();
    let (envoy, _) = variant.start_with(workers, load, upstream).await?;
    let ready: Duration = begun.elapsed();
    let resident_mib = memory_mib(envoy.pid(), Memory::Now)?;
    let memory: Value =
        serde_json::from_str(&envoy.admin("/memory").await?).context("the admin page /memory")?;
    let allocated = memory
        .get("allocated")
        .and_then(Value::as_str)
        .and_then(|bytes| bytes.parse::<f64>().ok())
        .context("no `allocated` in the admin page /memory")?;
    Ok(Started {
        ready_ms: ready.as_secs_f64() * 1e3,
        resident_mib,
        allocated_mib: allocated / MIB,
    })
}

/// The slopes over the numbers of workers, round by round.
fn per_worker<'a>(variant: &'a Variant, rows: &[Row<'_>]) -> PerWorker<'a> {
    let of_variant: Vec<&Row<'_>> = rows
        .iter()
        .filter(|row| row.variant.name == variant.name)
        .collect();
    let rounds = of_variant.iter().map(|row| row.starts.len()).min();
    let slopes = |read: fn(&Started) -> f64| -> Vec<f64> {
        (0..rounds.unwrap_or_default())
            .map(|round| {
                let points: Vec<(f64, f64)> = of_variant
                    .iter()
                    .filter_map(|row| Some((f64::from(row.workers), read(row.starts.get(round)?))))
                    .collect();
                slope(&points)
            })
            .collect()
    };
    PerWorker {
        variant,
        ready_ms: slopes(|started| started.ready_ms),
        resident_mib: slopes(|started| started.resident_mib),
    }
}

/// Slope of the line through `points` by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let middle = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let level = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let product = |(x, y): &(f64, f64)| (x - middle) * (y - level);
    let square = |(x, _): &(f64, f64)| (x - middle).powi(2);
    points.iter().map(product).sum::<f64>() / points.iter().map(square).sum::<f64>()
}

/// How much more than the no-op's each reading is, in the same round.
fn above(readings: &[f64], noop: &[f64]) -> Vec<f64> {
    let pairs = readings.iter().zip(noop);
    pairs.map(|(reading, noop)| reading - noop).collect()
}

/// One of the readings of a row, by round.
fn readings(row: &Row<'_>, read: fn(&Started) -> f64) -> Vec<f64> {
    row.starts.iter().map(read).collect()
}

fn noop_of<'a>(rows: &'a [Row<'a>], workers: u32) -> Option<&'a Row<'a>> {
    rows.iter()
        .find(|row| row.variant.name == NOOP && row.workers == workers)
}

fn cell(readings: &[f64]) -> String {
    let spread = Spread::of(readings);
    format!(
        "{:.1} ({:.1} to {:.1})",
        spread.median, spread.lower, spread.upper
    )
}

fn table(rows: &[Row<'_>]) -> String {
    let mut text = "Medians and quartiles over rounds.\n\n\
        | variant | workers | ready after, ms | more than the no-op | resident, MiB | more than the no-op | Envoy's /memory, MiB |\n\
        | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for row in rows {
        let more = |read: fn(&Started) -> f64| match noop_of(rows, row.workers) {
            Some(noop) => cell(&above(&readings(row, read), &readings(noop, read))),
            None => "-".to_owned(),
        };
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            row.variant.name,
            row.workers,
            cell(&readings(row, |started| started.ready_ms)),
            more(|started| started.ready_ms),
            cell(&readings(row, |started| started.resident_mib)),
            more(|started| started.resident_mib),
            cell(&readings(row, |started| started.allocated_mib)),
        );
    }
    text
}

fn slope_table(slopes: &[PerWorker<'_>]) -> String {
    let noop = slopes.iter().find(|slope| slope.variant.name == NOOP);
    let mut text = "Per worker: the slope over the numbers of workers.\n\n\
        | variant | ready, ms | more than the no-op | resident, MiB | more than the no-op |\n\
        | --- | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for slope in slopes {
        let more = |own: &[f64], read: fn(&PerWorker<'_>) -> Vec<f64>| match noop {
            Some(noop) => cell(&above(own, &read(noop))),
            None => "-".to_owned(),
        };
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            slope.variant.name,
            cell(&slope.ready_ms),
            more(&slope.ready_ms, |slope| slope.ready_ms.clone()),
            cell(&slope.resident_mib),
            more(&slope.resident_mib, |slope| slope.resident_mib.clone()),
        );
    }
    text
}

fn json(rounds: usize, rows: &[Row<'_>], slopes: &[PerWorker<'_>]) -> Value {
    let starts: Vec<Value> = rows
        .iter()
        .map(|row| {
            let spread = |read: fn(&Started) -> f64| Spread::of(&readings(row, read)).json();
            json!({
                "name": row.variant.name,
                "about": row.variant.about,
                "workers": row.workers,
                "ready_ms": spread(|started| started.ready_ms),
                "resident_mib": spread(|started| started.resident_mib),
                "allocated_mib": spread(|started| started.allocated_mib),
                "ready_ms_by_round": readings(row, |started| started.ready_ms),
                "resident_mib_by_round": readings(row, |started| started.resident_mib)
            })
        })
        .collect();
    let per_worker: Vec<Value> = slopes
        .iter()
        .map(|slope| {
            json!({
                "name": slope.variant.name,
                "ready_ms": Spread::of(&slope.ready_ms).json(),
                "resident_mib": Spread::of(&slope.resident_mib).json()
            })
        })
        .collect();
    json!({"rounds": rounds, "starts": starts, "per_worker": per_worker})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_what_one_more_worker_adds() {
        let points = [(1.0, 12.0), (2.0, 14.0), (8.0, 26.0)];
        assert!((slope(&points) - 2.0).abs() < 1e-12);
        assert!(slope(&[(1.0, 5.0), (2.0, 5.0), (8.0, 5.0)]).abs() < 1e-12);
    }

    #[test]
    fn what_is_above_the_noop_is_taken_round_by_round() {
        assert_eq!(above(&[5.0, 9.0], &[1.0, 2.0]), [4.0, 7.0]);
    }
}
