//! One version of the shop as a program of its own, for containers: see docker-compose.yaml.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use serin_integration::shop::{Regression, Shop};
use tokio::signal::unix::{SignalKind, signal};

/// Serves one version of the shop.
#[derive(Debug, Parser)]
#[command(name = "serin-shop")]
struct Args {
    /// The version that it says it is
    #[arg(long, value_name = "VERSION", default_value = "v1")]
    name: String,

    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,

    /// What is wrong with it: errors, latency, hang, size and others; an unknown name lists them all
    #[arg(long, value_name = "NAME", default_value = "none")]
    regression: Regression,

    /// How long it is healthy before that
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    after: Duration,

    /// Seed of its latencies and failures
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let shop = Shop::start_at(&args.name, args.seed, args.listen).await?;
    println!("{} of the shop on {}", args.name, shop.address());
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let gone_bad = async {
        tokio::time::sleep(args.after).await;
        shop.set_regression(args.regression);
        println!("from now on: {}", args.regression);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = gone_bad => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
