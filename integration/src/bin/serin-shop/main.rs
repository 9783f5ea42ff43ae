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
    #[arg(long, value_name = "NAME", default_value = "none", value_parser = regression)]
    regression: Regression,

    /// How long it is healthy before that
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    after: Duration,

    /// Seed of its latencies and failures
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Refuses what nobody could find here: it would look as if Serin had missed it.
fn regression(name: &str) -> Result<Regression, String> {
    let regression: Regression = name.parse().map_err(|error| format!("{error}"))?;
    let lacks = match regression {
        Regression::RedirectLoop => "users who follow links",
        Regression::NPlusOne | Regression::SkippedAuth => "a sidecar beside each version",
        _ => return Ok(regression),
    };
    Err(format!(
        "it is found with {lacks}, which this shop alone has not: make demo REGRESSION={name} shows it"
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_shop_alone_cannot_show_is_refused_with_where_it_can_be_seen() {
        for found in Regression::ALL {
            let name = found.name();
            let needs_more = ["redirect-loop", "n-plus-one", "skipped-auth"].contains(&name);
            let read = regression(name);
            assert_eq!(read.is_err(), needs_more, "{name}");
            if let Err(refused) = read {
                assert!(refused.contains("make demo"), "{refused}");
            }
        }
        let unknown = regression("weather").unwrap_err();
        assert!(unknown.contains("lost-field"), "{unknown}");
    }
}
