//! `make bench`: what Serin costs, side by side with no filter, a no-op filter and Lua.
//!
//! One Envoy with one worker for each variant; all of them live during the whole run, bound to one
//! core, while the load generator and the upstream have another. In each round every variant gets
//! the same number of requests, in an order drawn anew, and its processor time is read before and
//! after. Compared are variants of the same round: what slows the machine down for a while slows
//! all of them. Progress goes to stderr, the table to stdout, everything to `target/bench.json`.

mod attribution;
mod cpu;
mod ext_proc;
mod generator;
mod http2;
mod instructions;
mod load;
mod raw_filter;
mod report;
mod signals;
mod start;
mod statistics;
mod traffic;
mod variants;
mod workers;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use serde_json::Value;
use serin_integration::envoy::{Envoy, workspace};

use cpu::{Cores, Usage};
use generator::Generator;
use instructions::Count;
use load::Load;
use report::{Outcome, Run};
use traffic::Traffic;
use variants::Variant;
use workers::Amount;

/// Requests to each proxy before anything is measured: V8 compiles in earnest after some thousands.
const WARM_UP: usize = 16_000;
/// Rounds, if not told otherwise.
const ROUNDS: usize = 40;
/// How long idle proxies are watched: several ticks.
const IDLE: Duration = Duration::from_secs(5);

/// Measures what Serin costs per request.
#[derive(Debug, Parser)]
#[command(name = "serin-bench")]
struct Options {
    /// Rounds; in each, every variant is measured once. 40, and 9 with --start or --workers.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Requests per variant and round.
    #[arg(long, default_value_t = 8_000)]
    requests: usize,
    /// A quick look: 8 rounds of 3,000 requests.
    #[arg(long)]
    quick: bool,
    /// Measure what each signal adds to the outcome alone; answers have a list of --body-bytes.
    #[arg(long)]
    signals: bool,
    /// Length of the answers' list, up to 1 MiB.
    #[arg(long, requires = "signals", default_value_t = signals::BODY_BYTES)]
    body_bytes: usize,
    /// Count machine instructions with valgrind: slow, and the same on any machine and in any
    /// company.
    #[arg(long, conflicts_with_all = ["quick", "rounds"])]
    instructions: bool,
    /// Count what each host call costs, from filters that make that call and no other.
    #[arg(long, requires = "instructions", conflicts_with = "signals")]
    attribution: bool,
    /// Requests to each proxy before anything is measured.
    #[arg(long, default_value_t = WARM_UP)]
    warm_up: usize,
    /// What is sent; ratios are to the other variants under the same load.
    #[arg(long, value_enum, default_value_t)]
    load: Traffic,
    /// Measure requests a second with 1, 2 and 8 workers, and what workers lose to each other: none,
    /// noop, serin and serin-all, or those of --only. 9 rounds.
    #[arg(long, conflicts_with_all = ["signals", "quick", "instructions", "start"])]
    workers: bool,
    /// Measure this variant, and no other that is not named so; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Measure how long Envoy takes until it is ready, and its memory then, with 1, 2 and 8 workers:
    /// no filter, the no-op, Serin, and each --module. 9 rounds, some minutes; --rounds makes it
    /// more or fewer.
    #[arg(long, conflicts_with_all = ["signals", "quick", "instructions"])]
    start: bool,
    /// With --start: print the report as JSON and not as tables.
    #[arg(long, requires = "start")]
    json: bool,
    /// Another module to measure under Serin's config; may be given several times.
    #[arg(long = "module", value_name = "NAME=PATH", value_parser = module)]
    modules: Vec<(String, PathBuf)>,
    /// Leave out this variant; may be given several times.
    #[arg(long = "without", value_name = "NAME", value_parser = ["noop-again", "noop-packed", "lua-five", "lua-all", "lua-count", ext_proc::NAME])]
    without: Vec<String>,
    /// What the engine's benchmark left, to go into the same report.
    #[arg(long, default_value = "target/engine.json")]
    engine: PathBuf,
    /// Where the report goes: target/bench.json; target/bench-signals.json with --signals;
    /// target/bench-instructions.json with --instructions; target/bench-start.json with --start;
    /// target/bench-workers.json with --workers.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Seed of the order of variants.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn module(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), workspace().join(path)))
        }
        _ => Err("write it as NAME=PATH".to_owned()),
    }
}

/// A variant at work.
struct Subject {
    outcome: Outcome,
    envoy: Envoy,
    load: Generator,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut options = Options::parse();
    let mut rounds = options.rounds.map_or(ROUNDS, usize::from);
    if options.quick {
        (rounds, options.requests) = (8, 3_000);
    }
    let mut sent = Load::read()?;
    sent.traffic = options.load;
    let server = ext_proc::Server::start()?;
    let tick = if options.instructions {
        instructions::TICK
    } else {
        "1s"
    };
    let (all, body, out) = if options.signals {
        ensure!(
            options.body_bytes <= variants::MAX_BODY_BYTES,
            "--body-bytes: at most {}",
            variants::MAX_BODY_BYTES
        );
        let body = signals::body(options.body_bytes);
        (
            signals::variants(&sent, tick),
            body,
            "target/bench-signals.json",
        )
    } else {
        let all = if options.attribution {
            attribution::variants()?
        } else {
            variants::variants(&sent, &options.modules, tick, server.address)?
        };
        (all, variants::body(&sent), "target/bench.json")
    };
    let variants: Vec<Variant> = all
        .into_iter()
        .filter(|variant| !options.without.contains(&variant.name))
        .filter(|variant| options.only.is_empty() || options.only.contains(&variant.name))
        .collect();
    ensure!(!variants.is_empty(), "--only names none of the variants");
    let (upstream, address) = variants::start_upstream(&sent, &body).await?;
    if options.instructions {
        let count = Count {
            warm_up: options.warm_up,
            requests: options.requests,
        };
        let out = options.out.as_deref();
        return instructions::run(&sent, &variants, address, count, out).await;
    }
    if options.start {
        let compared: Vec<Variant> = variants
            .into_iter()
            .filter(|variant| !start::LEFT_OUT.contains(&variant.name.as_str()))
            .collect();
        let rounds = options.rounds.map_or(start::ROUNDS, usize::from);
        let out = options.out.as_deref();
        let drawn = (rounds, options.seed);
        return start::run(&sent, &compared, address, drawn, options.json, out).await;
    }
    if options.workers {
        let measured: Vec<Variant> = variants
            .into_iter()
            .filter(|variant| {
                !options.only.is_empty() || workers::MEASURED.contains(&variant.name.as_str())
            })
            .collect();
        let amount = Amount {
            rounds: options.rounds.map_or(workers::ROUNDS, usize::from),
            requests: options.requests,
            warm_up: options.warm_up,
            seed: options.seed,
        };
        let out = options.out.as_deref();
        return workers::run(&sent, &measured, address, amount, out).await;
    }
    let mut subjects = Vec::new();
    for variant in variants {
        eprintln!("starting {}", variant.name);
        let (envoy, address) = variant.start(&sent, address).await?;
        let load = Generator::connect(address, &sent)
            .with_context(|| format!("variant {}", variant.name))?;
        let outcome = Outcome::new(&variant);
        subjects.push(Subject {
            outcome,
            envoy,
            load,
        });
    }
    let cores = pin(&upstream, &subjects);
    let load_before = report::load_average();
    let start = Instant::now();
    // The generator blocks its thread; nothing else needs the runtime meanwhile.
    tokio::task::block_in_place(|| measure(&options, rounds, &mut subjects))?;
    let idle_ns = tokio::task::block_in_place(|| idle(&subjects))?;
    for (subject, spent) in subjects.iter_mut().zip(idle_ns) {
        subject.outcome.idle_us_per_second = spent / 1e3 / IDLE.as_secs_f64();
    }
    let run = Run {
        connections: sent.connections,
        rounds,
        requests: options.requests,
        cores,
        load_average: (load_before, report::load_average()),
        seconds: start.elapsed().as_secs_f64(),
        engine: read_engine(&workspace().join(&options.engine)),
        outcomes: subjects
            .iter()
            .map(|subject| subject.outcome.clone())
            .collect(),
    };
    let json = report::json(&run);
    let path = workspace().join(options.out.unwrap_or_else(|| out.into()));
    let text = serde_json::to_string_pretty(&json)? + "\n";
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    let table = if options.signals {
        signals::table(&run.outcomes, body.len())
    } else {
        report::table(&json)
    };
    println!("{table}");
    if let Some(line) = ext_proc_line(&server, &subjects)? {
        println!("{line}");
    }
    if let Some(warning) = report::warning(&run) {
        eprintln!("{warning}");
    }
    eprintln!("{}", path.display());
    Ok(())
}

/// Binds everything to its core; says so and goes on where that cannot be done.
fn pin(upstream: &Envoy, subjects: &[Subject]) -> Option<Cores> {
    let Some(cores) = Cores::find() else {
        eprintln!("one core only: the load disturbs what is measured");
        return None;
    };
    let pinned = [std::process::id(), upstream.pid()]
        .into_iter()
        .map(|pid| (pid, cores.others))
        .chain(
            subjects
                .iter()
                .map(|subject| (subject.envoy.pid(), cores.measured)),
        )
        .try_for_each(|(pid, core)| cpu::pin(pid, core));
    match pinned {
        Ok(()) => Some(cores),
        Err(error) => {
            eprintln!("not bound to cores, the numbers scatter more: {error:#}");
            None
        }
    }
}

fn measure(options: &Options, rounds: usize, subjects: &mut [Subject]) -> Result<()> {
    let mut random = SmallRng::seed_from_u64(options.seed);
    for subject in subjects.iter_mut() {
        subject
            .load
            .run(options.warm_up)
            .with_context(|| subject.outcome.name.clone())?;
    }
    for round in 1..=rounds {
        let mut order: Vec<&mut Subject> = subjects.iter_mut().collect();
        order.shuffle(&mut random);
        for subject in order {
            measure_once(subject, options.requests)
                .with_context(|| format!("variant {}", subject.outcome.name))?;
        }
        if round % 5 == 0 || round == rounds {
            eprintln!("round {round} of {rounds}");
        }
    }
    Ok(())
}

/// Takes one reading: processor time per request, all threads of the proxy.
fn measure_once(subject: &mut Subject, requests: usize) -> Result<()> {
    let pid = subject.envoy.pid();
    let before = Usage::of(pid)?;
    let answered = subject.load.run(requests)?;
    // The worker finishes with the last stream after its answer has left.
    std::thread::sleep(Duration::from_millis(2));
    let usage = Usage::of(pid)?.since(before);
    subject
        .outcome
        .us_per_request
        .push(usage.ran as f64 / 1e3 / answered as f64);
    subject
        .outcome
        .waited_per_ran
        .push(usage.waited as f64 / usage.ran.max(1) as f64);
    Ok(())
}

/// What the server of ext_proc spent by itself; `None` where it was not measured.
///
/// # Errors
/// When it has not counted every answer: a proxy that did not ask it was cheap for that reason.
fn ext_proc_line(server: &ext_proc::Server, subjects: &[Subject]) -> Result<Option<String>> {
    let Some(subject) = subjects
        .iter()
        .find(|subject| subject.outcome.name == ext_proc::NAME)
    else {
        return Ok(None);
    };
    let (counted, answered) = (server.counted(), subject.load.answered());
    ensure!(
        counted == answered,
        "the server of ext_proc counted {counted} answers of {answered}"
    );
    let us = server.usage()?.ran as f64 / 1e3 / answered.max(1) as f64;
    Ok(Some(format!(
        "{}: its server took {us:.1} us a request, on top of the proxy's",
        ext_proc::NAME
    )))
}

/// Nanoseconds that each proxy spends while nobody asks anything.
fn idle(subjects: &[Subject]) -> Result<Vec<f64>> {
    let read = || -> Result<Vec<Usage>> {
        subjects
            .iter()
            .map(|subject| Usage::of(subject.envoy.pid()))
            .collect()
    };
    let before = read()?;
    std::thread::sleep(IDLE);
    let spent = read()?.into_iter().zip(before);
    Ok(spent
        .map(|(after, before)| after.since(before).ran as f64)
        .collect())
}

fn read_engine(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    serde_json::from_str(&text).ok()
}
