//! What one client does over and over is no fault of the version that answers it.

use super::common::{
    ANOMALOUS, ENOUGH, HEALTHY, config, filter, verdict, wait_for_anomalous, wait_for_judged,
    watch, why_anomalous,
};
use anyhow::{Result, ensure};
use hyper::StatusCode;
use hyper::header::HeaderValue;
use serin_integration::load::{Load, LoadOptions, storm};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{EXPIRED, Fault, Shops};
use serin_integration::topology::{AFFINE_TO_V2, Topology};
use serin_integration::turn;

/// Requests per second of a client that does not wait before it tries again.
const LOOP_RATE: f64 = 90.0;
/// Five seconds of them.
const LOOPS: u32 = 450;

/// A cart like those of all clients.
const CART: &str = "/api/cart/0b5dfc1e-7a04-4d3c-9a52-5f1c2e8b6d70";

/// One client on v2, on one connection, is answered with `status` over and over.
async fn loops(topology: &Topology, token: &'static str, path: &str, status: u16) -> Result<()> {
    let mut client = LoadOptions::new(topology.address(), LOOP_RATE).header("authorization", token);
    let cookie = HeaderValue::from_static(AFFINE_TO_V2);
    client.headers.insert("cookie", cookie);
    let answers = storm(&client, path, LOOPS).await?;
    // A healthy version fails 0.3% of the time.
    let alike = answers.get(&status).copied().unwrap_or(0);
    ensure!(alike + 10 > LOOPS, "{answers:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_loops_on_refusals_is_no_verdict_and_refusals_to_many_clients_are()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(291).await?;
    let topology = Topology::builder("client-storm", &shops)
        .weights(75, 25)
        .affinity()
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 300.0).clients(200);
    let load = Load::start(options.header("authorization", "Bearer good").seed(292))?;
    wait_for_judged(&topology.front, ENOUGH).await?;

    let never = |metrics: &Metrics| verdict(metrics) == Some(ANOMALOUS);
    let expired = loops(&topology, EXPIRED, CART, 401);
    watch(&topology.front, expired, never).await?;
    let missing = loops(&topology, "Bearer good", "/api/products/0", 404);
    watch(&topology.front, missing, never).await?;
    watch(&topology.front, load.wait_for_answers(900), never).await?;
    let healthy = topology
        .front
        .wait_for_metrics("verdict healthy", |metrics| {
            verdict(metrics) == Some(HEALTHY)
        });
    healthy.await?;

    // The same answers to the requests of all clients.
    let fault = Fault::all(StatusCode::UNAUTHORIZED).share(0.3);
    shops.v2.set_fault(Some(fault));
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    assert!(why.contains("refuse"), "{why}");
    println!("{why}");
    Ok(())
}
