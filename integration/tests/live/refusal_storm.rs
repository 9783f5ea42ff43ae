//! Clients that turn a guard's refusals into a storm: they ask again at once, as a rescue that never
//! ends would, and pose as first attempts.

use super::common::filter;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::Method;
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::http;
use serin_integration::shop::{Route, Shops};
use serin_integration::topology::{SidecarProcess, Topology};
use serin_integration::{turn, wait_until};
use std::net::SocketAddr;
use tokio::task::JoinSet;

/// Part of the requests that the guard may refuse.
const SHARE: f64 = 0.3;
/// Workers of the guard's proxy, each of which may save up this many refusals.
const WORKERS: u32 = 2;
const SAVED_UP: f64 = 10.0;
/// Clients of the storm, and what each of them sends.
const CLIENTS: usize = 16;
const EACH: u64 = 100;
/// How a caller's proxy says which attempt this is.
const ATTEMPT: &str = "x-envoy-attempt-count";

/// A guard before the canary, with a stable that hardly ever fails.
fn guard() -> Value {
    let route = json!({
        "method": "GET", "path": Route::Products.template(), "exchanges": 5_000,
        "signals": {"outcome": [[200, 4_990], [500, 10]]}
    });
    let reference = json!({
        "serin_snapshot": 1, "destination": "shop", "version": "v1", "exchanges": 5_000,
        "routes": [route]
    });
    json!({
        "mode": "reject", "candidate": "v2", "warm_up": "0s",
        "reject": {"share": SHARE, "reference": reference}
    })
}

/// What became of requests.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    sent: u64,
    refused: u64,
}

/// Asks again and again, whatever the answer is, with these headers.
async fn ask(address: SocketAddr, headers: &[(&str, &str)], requests: u64) -> Result<Seen> {
    let mut seen = Seen::default();
    for _ in 0..requests {
        let path = Route::Products.template();
        let answer = http::request(address, Method::GET, path, headers, Bytes::new()).await?;
        seen.sent += 1;
        seen.refused += u64::from(answer.headers().contains_key(telemetry::REJECT_HEADER.name));
    }
    Ok(seen)
}

/// All clients at once.
async fn storm(address: SocketAddr, headers: &'static [(&str, &str)]) -> Result<Seen> {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(address, headers, EACH));
    }
    let mut all = Seen::default();
    while let Some(client) = clients.join_next().await {
        let seen = client??;
        all.sent += seen.sent;
        all.refused += seen.refused;
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_retries_makes_a_guard_refuse_no_more_than_its_share() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(120).await?;
    let topology = Topology::builder("refusal-storm", &shops)
        .weights(0, 100)
        .concurrency(WORKERS)
        .sidecar(SidecarProcess::Own, vec![filter(&guard())])
        .start()
        .await?;
    let sidecar = topology.sidecar_address().context("a sidecar")?;
    // It fails everything, and names it a refusal, which the guard takes away.
    shops.v2.set_refusing(true);
    let first = &[(ATTEMPT, "1")];
    // Each worker learns at its tick what is condemned.
    wait_until("refusals", async || {
        Ok(ask(sidecar, first, 20).await?.refused > 0)
    })
    .await?;

    // Straight to the guard: every request says that it is a first attempt and will be asked again.
    let received = shops.v2.received();
    let seen = storm(sidecar, first).await?;
    let most = SHARE * seen.sent as f64 + SAVED_UP * f64::from(WORKERS);
    assert!(seen.refused > 0 && seen.refused as f64 <= most, "{seen:?}");
    // What is not refused reaches the application, once.
    let reached = shops.v2.received() - received;
    assert_eq!(reached, seen.sent - seen.refused, "{seen:?}");

    // Who will not ask again, or does not say so, is never refused.
    for attempt in [
        &[(ATTEMPT, "2")],
        &[(ATTEMPT, "99")],
        &[(ATTEMPT, "-1")],
        &[("x-other", "1")],
    ] {
        let seen = ask(sidecar, attempt, 40).await?;
        assert_eq!(seen.refused, 0, "{attempt:?}");
    }

    // Through the front, which retries: each request is asked again once at most, and no refusal
    // reaches a client.
    let (v1, v2) = (shops.v1.received(), shops.v2.received());
    let upstream = async || -> Result<u64> {
        let stats = topology.front.stats().await?;
        let of = |version| stats.get(&format!("cluster.shop-{version}.upstream_rq_total"));
        Ok(of("v1").unwrap_or(0) + of("v2").unwrap_or(0))
    };
    let before = upstream().await?;
    let seen = storm(topology.address(), &[]).await?;
    let asked = upstream().await? - before;
    assert_eq!(seen.refused, 0, "{seen:?}");
    let retried = asked - seen.sent;
    let most = SHARE * (seen.sent + retried) as f64 + SAVED_UP * f64::from(WORKERS);
    assert!(
        retried > 0 && retried as f64 <= most,
        "{retried} of {seen:?}"
    );
    let reached = shops.v1.received() - v1 + shops.v2.received() - v2;
    assert_eq!(reached, seen.sent, "{retried} retries of {seen:?}");
    Ok(())
}
