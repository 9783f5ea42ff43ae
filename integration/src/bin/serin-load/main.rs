//! The shop's users as a program of its own, for containers: see docker-compose.yaml.

mod sign;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serin_integration::load::{Load, LoadOptions};
use tokio::signal::unix::{SignalKind, signal};

use sign::Sign;

/// How long the target's name may be unknown: containers start in any order.
const PATIENCE: Duration = Duration::from_secs(120);
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Sends what users of the shop ask for, until it is stopped.
#[derive(Debug, Parser)]
#[command(name = "serin-load")]
struct Args {
    /// Where requests go: host and port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    target: String,

    /// Requests per second of all users together
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(1..=2000))]
    rate: u32,

    /// Seed of what they ask for
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// A file that is there as long as answers come, for health checks; looked at every ten seconds
    #[arg(long, value_name = "FILE")]
    answered: Option<PathBuf>,
}

async fn resolve(target: &str) -> Result<SocketAddr> {
    let found = async {
        loop {
            if let Ok(mut addresses) = tokio::net::lookup_host(target).await
                && let Some(address) = addresses.next()
            {
                return address;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .with_context(|| format!("{target} has no address after {PATIENCE:?}"))
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let mut sign = args.answered.map(Sign::new);
    let target = resolve(&args.target).await?;
    println!("{} requests a second to {target}", args.rate);
    let load = Load::start(LoadOptions::new(target, f64::from(args.rate)).seed(args.seed))?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reports = tokio::time::interval(REPORT_EVERY);
    loop {
        tokio::select! {
            _ = reports.tick() => {
                let tally = load.snapshot();
                println!("{} sent, {} answered, {} lost", tally.sent, tally.answered, tally.lost());
                if let Some(sign) = &mut sign {
                    sign.show(tally.answered)?;
                }
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    let tally = load.stop().await;
    println!(
        "{} sent, {} answered, {} lost",
        tally.sent,
        tally.answered,
        tally.lost()
    );
    Ok(())
}
