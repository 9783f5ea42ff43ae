//! A gateway that is killed in the middle of a rollout, and the one in its place: with a memory it goes
//! on, without one it takes the candidate for the baseline.

use super::common::{
    ANOMALOUS, config, filter, load, verdict, wait_for_anomalous, wait_for_counted,
};
use anyhow::{Context as _, Result, ensure};
use scorer_sdk::memory::{Envelope, Memory};
use scorer_sdk::telemetry::{JUDGED_EXCHANGES, MEMORY_RECALLS, STEERED, VERDICT};
use serde_json::{Value, json};
use serin_cli::fetch::Access;
use serin_cli::verdict_server::Options;
use serin_cli::verdict_server::http::Server;
use serin_cli::verdict_server::memory::MemoryOptions;
use serin_integration::envoy::free_port;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::{turn, wait_until};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const RATE: f64 = 200.0;
const CLUSTER: &str = "serve-verdict";
const SHOP: [(&str, &str); 1] = [("destination", "shop")];

/// A config in which versions are found and not named.
fn settings(memory: bool) -> Value {
    let mut config = config("steer");
    if let Value::Object(config) = &mut config {
        config.remove("baseline");
        config.remove("candidate");
        let fleet = json!({"cluster": CLUSTER, "every": "5m", "proxies": 1, "memory": memory});
        config.insert("fleet".to_owned(), fleet);
    }
    config
}

async fn gateway(
    name: &str,
    shops: &Shops,
    serve_verdict: SocketAddr,
    weights: (u32, u32),
    memory: bool,
) -> Result<Topology> {
    Topology::builder(name, shops)
        .weights(weights.0, weights.1)
        .filter(filter(&settings(memory)))
        .service(CLUSTER, serve_verdict)
        .start()
        .await
}

/// serve-verdict that keeps memories in a folder. There is no Prometheus: the fleet's verdict is not known.
async fn serve(place: &Path) -> Result<(SocketAddr, JoinHandle<()>)> {
    let options = Options {
        prometheus: format!("http://127.0.0.1:{}", free_port()?),
        access: Access::default(),
        timeout: Duration::from_secs(2),
        window: Duration::from_secs(300),
        fleet_token_file: None,
    };
    let memories = MemoryOptions {
        place: place.display().to_string(),
        most: 10,
        most_bytes: 1 << 20,
    };
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), options)
        .await?
        .with_memories(memories)
        .await?;
    let address = server.address()?;
    Ok((address, tokio::spawn(server.run(std::future::pending()))))
}

/// Whether a memory is kept in which v2 is condemned.
fn remembers_the_verdict(place: &Path) -> Result<bool> {
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != "serin")
        {
            continue;
        }
        let bytes = fs::read(path)?;
        let (_, reader) = Envelope::open(&bytes)?;
        let roles = Memory::decode(reader)?.roles;
        let condemned = roles
            .candidate
            .is_some_and(|candidate| candidate.name == "v2" && candidate.rollout.is_some());
        if condemned && roles.baseline == "v1" {
            return Ok(true);
        }
    }
    Ok(false)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_gateway_steers_though_most_requests_are_the_candidates() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(91).await?;
    let place =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("memory-{}", std::process::id()));
    let (serve_verdict, served) = serve(&place).await?;

    let mut first = gateway("memory-first", &shops, serve_verdict, (100, 0), true).await?;
    let before = load(&first, RATE, 92)?;
    wait_for_counted(&first.front, "v1", 400.0).await?;
    first.set_weights(50, 50).await?;
    shops.v2.set_regression("errors".parse()?);
    wait_for_anomalous(&first).await?;
    wait_until("the verdict is remembered", async || {
        remembers_the_verdict(&place)
    })
    .await?;
    before.stop().await;
    first.front.stop().await?;

    let begun = Instant::now();
    let second = gateway("memory-second", &shops, serve_verdict, (10, 90), true).await?;
    let _after = load(&second, RATE, 93)?;
    second
        .front
        .wait_for_metrics("the memory is taken", |metrics| {
            metrics.value(MEMORY_RECALLS.name, &[("reason", "taken")]) >= Some(1.0)
        })
        .await?;
    let recalled = begun.elapsed();
    second
        .front
        .wait_for_metrics("requests are steered", |metrics| {
            metrics.value(STEERED.name, &SHOP) > Some(0.0) && verdict(metrics) == Some(ANOMALOUS)
        })
        .await?;
    println!(
        "with a memory: known {:.1} s after the start, steered {:.1} s after it",
        recalled.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    let log = second.front.log_text();
    ensure!(
        log.contains("baseline v1, candidate v2 condemned"),
        "{}",
        second.front.log_tail()
    );
    second.front.stop().await?;

    // The same without a memory: v1 is held against v2.
    let third = gateway("memory-without", &shops, serve_verdict, (10, 90), false).await?;
    let _without = load(&third, RATE, 94)?;
    let labels = [("destination", "shop"), ("version", "v1")];
    let metrics = third
        .front
        .wait_for_metrics("v1 is the candidate", |metrics| {
            metrics.value(JUDGED_EXCHANGES.name, &labels) > Some(0.0)
        })
        .await
        .context("without a memory")?;
    ensure!(verdict(&metrics).is_none(), "v2 is judged");
    served.abort();
    fs::remove_dir_all(&place)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_serve_verdict_a_gateway_judges_from_nothing() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(95).await?;
    // Nobody listens there.
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let gateway = gateway("memory-nobody", &shops, nobody, (50, 50), true).await?;
    let _load = load(&gateway, RATE, 96)?;
    gateway
        .front
        .wait_for_metrics("it judges", |metrics| {
            // Which version is the candidate is chance here.
            metrics.value(JUDGED_EXCHANGES.name, &SHOP) > Some(0.0)
        })
        .await?;
    let metrics = gateway.front.metrics().await?;
    let failed: f64 = ["late", "not_sent", "no_answer", "refused"]
        .iter()
        .filter_map(|reason| metrics.value(MEMORY_RECALLS.name, &[("reason", reason)]))
        .sum();
    ensure!(failed == 1.0, "{failed} failures are counted");
    ensure!(metrics.value(VERDICT.name, &SHOP) < Some(ANOMALOUS));
    let log = gateway.front.log_text();
    ensure!(
        log.contains("learns from nothing"),
        "{}",
        gateway.front.log_tail()
    );
    Ok(())
}
