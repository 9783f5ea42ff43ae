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

use crate::attribution::NOTHING;
use crate::generator::Generator;
use crate::load::Load;
use crate::signals;
use crate::variants::Variant;

/// A tick of Serin's here; it is 1 s elsewhere.
pub(crate) const TICK: &str = "30s";
/// How long the proxy is watched without requests.
const IDLE: Duration = Duration::from_secs(30);
/// Where callgrind leaves its counts, in the proxy's folder; a number is appended for each dump.
const COUNTS: &str = "callgrind.out";

/// What the others are compared with: head of the column, field in the report, name of the variant.
const YARDSTICKS: [(&str, &str, &str); 3] = [
    ("to no filter", "ratio_to_none", "none"),
    ("to no-op", "ratio_to_noop", "noop"),
    ("to packed no-op", "ratio_to_noop_packed", "noop-packed"),
];

/// How much is sent to a proxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    /// Requests before anything is counted.
    pub(crate) warm_up: usize,
    /// Requests whose instructions are counted.
    pub(crate) requests: usize,
}

/// Counts for each of `variants`, prints the table, and writes everything to `out`.
///
/// # Errors
/// When valgrind is missing (with the repair), when a proxy does not start or answer, or when the
/// report cannot be written.
pub(crate) async fn run(
    sent: &Load,
    variants: &[Variant],
    upstream: SocketAddr,
    how: Count,
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
            "{}: starting under valgrind, then {} and {} requests; some minutes",
            variant.name, how.warm_up, how.requests
        );
        let (instructions, rate) = count(sent, variant, upstream, how).await?;
        eprintln!(
            "{}: {instructions:.0} instructions per request, at {rate:.0} requests a second",
            variant.name
        );
        counted.push((variant, instructions));
    }
    let of = |name: &str| {
        let found = counted.iter().find(|(variant, _)| variant.name == name);
        found.map(|(_, instructions)| *instructions)
    };
    let yardsticks: Vec<_> = YARDSTICKS
        .iter()
        .filter_map(|(head, field, name)| Some((*head, *field, of(name)?)))
        .collect();
    // What filters of --attribution and of --signals are compared with.
    let base = [
        (NOTHING, "above a filter that asks nothing"),
        (signals::BASE, "above the outcome alone"),
    ];
    let base = base
        .into_iter()
        .find_map(|(name, head)| Some((of(name)?, head)));
    let mut heads = vec!["variant", "instructions per request"];
    heads.extend(yardsticks.iter().map(|(head, ..)| *head));
    heads.extend(base.map(|(_, head)| head));
    println!("| {} |", heads.join(" | "));
    println!("| --- |{}", " ---: |".repeat(heads.len() - 1));
    let mut rows: Vec<Value> = Vec::new();
    for (variant, instructions) in &counted {
        let mut row = serde_json::Map::new();
        let mut put = |field: &str, value| row.insert(field.to_owned(), value);
        put("name", json!(variant.name));
        put("about", json!(variant.about));
        put("instructions_per_request", json!(instructions));
        let mut cells = vec![variant.name.clone(), format!("{instructions:.0}")];
        for (_, field, other) in &yardsticks {
            let ratio = instructions / other;
            put(field, json!(ratio));
            cells.push(format!("{ratio:.3}"));
        }
        if let Some((base, _)) = base {
            put("above_base", json!(instructions - base));
            cells.push(format!("{:.0}", instructions - base));
        }
        println!("| {} |", cells.join(" | "));
        rows.push(Value::Object(row));
    }
    let path = workspace().join(out.unwrap_or(Path::new("target/bench-instructions.json")));
    let report = json!({"requests": how.requests, "warm_up": how.warm_up, "variants": rows});
    std::fs::write(&path, serde_json::to_string_pretty(&report)? + "\n")
        .with_context(|| path.display().to_string())?;
    eprintln!("{}", path.display());
    Ok(())
}

/// Instructions per request of one variant, all threads of the proxy, and the requests a second at
/// which they were counted: how many of them Serin looks at depends on it.
async fn count(
    sent: &Load,
    variant: &Variant,
    upstream: SocketAddr,
    how: Count,
) -> Result<(f64, f64)> {
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
    tokio::task::block_in_place(|| -> Result<(f64, f64)> {
        load.run(how.warm_up)?;
        dump(envoy.pid(), &counts, 1)?;
        let begun = Instant::now();
        let answered = load.run(how.requests)?;
        let time = begun.elapsed();
        let busy = dump(envoy.pid(), &counts, 2)?;
        std::thread::sleep(IDLE);
        let idle = dump(envoy.pid(), &counts, 3)?;
        let idle_meanwhile = idle * time.as_secs_f64() / IDLE.as_secs_f64();
        let answered = answered as f64;
        Ok((
            (busy - idle_meanwhile) / answered,
            answered / time.as_secs_f64(),
        ))
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
