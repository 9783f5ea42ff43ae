//! `--instructions`: machine instructions per request, counted by valgrind.
//!
//! Processor time on a shared machine scatters by more than what a filter costs. Instructions do
//! not: they are counted one by one, whatever else runs. They say nothing of caches, and the
//! kernel's are not among them. One proxy at a time, some fifty times slower than usual; so that not
//! fifty times as many ticks fall on a request, ticks are longer, and what the proxy does in the same
//! time without requests is taken off.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_integration::envoy::{run_dir, workspace};

use crate::WARM_UP;
use crate::generator::Generator;
use crate::load::Load;
use crate::variants::Variant;

/// A tick of Serin's here; it is 1 s elsewhere.
pub(crate) const TICK: &str = "30s";
/// How long the proxy is watched without requests.
const IDLE: Duration = Duration::from_secs(30);
/// Where callgrind leaves its counts, in the proxy's folder; a number is appended for each dump.
const COUNTS: &str = "callgrind.out";

/// Counts for each of `variants`, prints the table, and writes everything to `out`.
///
/// # Errors
/// When valgrind is missing (with the repair), when a proxy does not start or answer, or when the
/// report cannot be written.
pub(crate) async fn run(
    sent: &Load,
    variants: &[Variant],
    upstream: SocketAddr,
    requests: usize,
    out: Option<&Path>,
) -> Result<()> {
    let valgrind = Command::new("valgrind").arg("--version").output();
    ensure!(
        valgrind.is_ok_and(|answer| answer.status.success()),
        "valgrind is missing: apt-get install valgrind"
    );
    let mut counted = Vec::new();
    for variant in variants {
        eprintln!(
            "{}: starting under valgrind, then {WARM_UP} and {requests} requests; some minutes",
            variant.name
        );
        let instructions = count(sent, variant, upstream, requests).await?;
        eprintln!(
            "{}: {instructions:.0} instructions per request",
            variant.name
        );
        counted.push((variant, instructions));
    }
    let of = |name: &str| {
        let found = counted.iter().find(|(variant, _)| variant.name == name);
        found.map(|(_, instructions)| *instructions)
    };
    let ratio = |instructions: f64, name: &str| of(name).map(|other| instructions / other);
    let text = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
    println!("| variant | instructions per request | to no filter | to no-op |");
    println!("| --- | ---: | ---: | ---: |");
    let mut rows: Vec<Value> = Vec::new();
    for (variant, instructions) in &counted {
        let (none, noop) = (ratio(*instructions, "none"), ratio(*instructions, "noop"));
        println!(
            "| {} | {instructions:.0} | {} | {} |",
            variant.name,
            text(none),
            text(noop)
        );
        rows.push(json!({
            "name": variant.name,
            "about": variant.about,
            "instructions_per_request": instructions,
            "ratio_to_none": none,
            "ratio_to_noop": noop
        }));
    }
    let path = workspace().join(out.unwrap_or(Path::new("target/bench-instructions.json")));
    let report = json!({"requests": requests, "warm_up": WARM_UP, "variants": rows});
    std::fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
        .with_context(|| path.display().to_string())?;
    eprintln!("{}", path.display());
    Ok(())
}

/// Instructions per request of one variant, all threads of the proxy.
async fn count(
    sent: &Load,
    variant: &Variant,
    upstream: SocketAddr,
    requests: usize,
) -> Result<f64> {
    let counts = run_dir(&format!("bench/{}", variant.name)).join(COUNTS);
    let program = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        // V8 writes its code while it runs.
        "--smc-check=all-non-file".to_owned(),
        format!("--callgrind-out-file={}", counts.display()),
    ];
    let (envoy, address) = variant.start_under(&program, sent, upstream).await?;
    let mut load = Generator::connect(address, sent)?;
    tokio::task::block_in_place(|| -> Result<f64> {
        load.run(WARM_UP)?;
        dump(envoy.pid(), &counts, 1)?;
        let begun = Instant::now();
        let answered = load.run(requests)?;
        let time = begun.elapsed();
        let busy = dump(envoy.pid(), &counts, 2)?;
        std::thread::sleep(IDLE);
        let idle = dump(envoy.pid(), &counts, 3)?;
        let idle_meanwhile = idle * time.as_secs_f64() / IDLE.as_secs_f64();
        Ok((busy - idle_meanwhile) / answered as f64)
    })
}

/// Makes callgrind write what it has counted since the last time into the file of this number, and
/// begin anew; gives the number of instructions.
fn dump(pid: u32, counts: &Path, number: u32) -> Result<f64> {
    let answer = Command::new("callgrind_control")
        .args(["--dump", &pid.to_string()])
        .output()
        .context("callgrind_control, which comes with valgrind")?;
    ensure!(
        answer.status.success(),
        "callgrind_control: {}",
        String::from_utf8_lossy(&answer.stderr)
    );
    let file = counts.with_extension(format!("out.{number}"));
    let page =
        std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    page.lines()
        .find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok())
        .with_context(|| format!("no totals in {}", file.display()))
}
