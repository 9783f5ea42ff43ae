//! Hours in minutes: one Envoy under load, and a new candidate each minute, every other one bad.
//!
//! A line per minute has the verdict and what the proxy takes. It ends with an error when a verdict was
//! wrong, a request was lost, or memory or series went on growing.

mod cpu;
mod minute;

use anyhow::{Result, ensure};
use clap::Parser;
use minute::{Minute, Soak};

/// One Envoy under load, with a new candidate each minute: memory, CPU, series, verdicts.
#[derive(Debug, Parser)]
#[command(name = "serin-soak")]
struct Args {
    /// How long, one candidate a minute
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(3..=10_000))]
    minutes: u32,

    /// Requests per second
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(50..=2_000))]
    rate: u32,
}

/// Minutes in which tables, pools and the allocator fill.
const SETTLING: usize = 3;
/// Memory at the end over that after settling: more is growth, less the allocator's and V8's doing.
const MOST_GROWTH: f64 = 1.25;
/// Series that one more candidate may make: Envoy never forgets one.
const MOST_SERIES_EACH: u64 = 250;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut soak = Soak::start(f64::from(args.rate)).await?;
    println!("{}", Minute::HEADINGS);
    let mut minutes = Vec::new();
    for number in 1..=args.minutes {
        let minute = soak.next(number).await?;
        println!("{minute}");
        minutes.push(minute);
    }
    let problems = problems(&minutes);
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    println!(
        "{} candidates: no wrong verdict, no lost request, no growth",
        minutes.len()
    );
    Ok(())
}

/// What was not as it has to be.
fn problems(minutes: &[Minute]) -> Vec<String> {
    let mut problems: Vec<String> = minutes.iter().filter_map(Minute::problem).collect();
    let settled = minutes.iter().take(SETTLING);
    let at_first = settled.map(|minute| minute.memory_mib).fold(0.0, f64::max);
    if let Some(last) = minutes.last()
        && last.memory_mib > MOST_GROWTH * at_first
    {
        problems.push(format!(
            "memory grew from {at_first:.0} to {:.0} MiB",
            last.memory_mib
        ));
    }
    for pair in minutes.windows(2).skip(SETTLING) {
        if let [before, after] = pair
            && after.series > before.series + MOST_SERIES_EACH
        {
            let (candidate, series) = (&after.candidate, after.series - before.series);
            problems.push(format!("{candidate} made {series} series"));
        }
    }
    problems
}
