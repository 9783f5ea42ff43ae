//! Each regression of the demo is caught in a real Envoy, and no further request of the route
//! reaches the canary.

use super::common::{
    ENOUGH, FAILURES, UNHURRIED, config, filter, wait_for_anomalous, wait_for_judged, why_anomalous,
};
use anyhow::Result;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::time::Duration;

/// How long clients wait unless said otherwise.
const PATIENCE: Duration = Duration::from_secs(2);

/// For regressions that do not change how long answers take.
async fn caught(regression: &str, categories: &[&str]) -> Result<()> {
    let _turn = turn::beside_another().await;
    is_caught(regression, regression, PATIENCE, categories).await
}

/// For regressions that change it.
async fn caught_alone(
    name: &str,
    regression: &str,
    patience: Duration,
    categories: &[&str],
) -> Result<()> {
    let _turn = turn::alone().await;
    is_caught(name, regression, patience, categories).await
}

async fn is_caught(
    name: &str,
    regression: &str,
    patience: Duration,
    categories: &[&str],
) -> Result<()> {
    let shops = Shops::start(1).await?;
    shops.set_slowdown(UNHURRIED);
    let topology = Topology::builder(&format!("caught-{name}"), &shops)
        .weights(75, 25)
        .concurrency(2)
        .filter(filter(&config("steer")))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 300.0).seed(2);
    let load = Load::start(options.timeout(patience))?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression(regression.parse()?);
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    assert!(
        categories.iter().any(|category| why.contains(category)),
        "{regression} was explained with: {why}"
    );
    load.wait_until_left_alone(&shops.v2).await?;
    println!("{regression}: {why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_caught_and_steered_away() -> Result<()> {
    caught("errors", &FAILURES).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latency_is_caught_and_steered_away() -> Result<()> {
    caught_alone("latency", "latency", PATIENCE, &["slower than"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_canary_is_caught_and_steered_away() -> Result<()> {
    // Beside an error that v2 has anyway, the end that clients put to it is one of two that are named.
    let categories = &[
        "slower than",
        " fail ",
        "gave up waiting",
        "given up by the client",
    ];
    caught_alone("hang", "hang", PATIENCE, categories).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_size_is_caught_and_steered_away() -> Result<()> {
    caught("size", &["have a body of"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_headers_are_caught_and_steered_away() -> Result<()> {
    caught("headers", &["lack the header", "lack headers"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_content_type_is_caught_and_steered_away() -> Result<()> {
    caught("content-type", &["content type"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_canary_is_caught_while_all_clients_still_wait() -> Result<()> {
    // Nothing that hangs has ended by then: only what is in flight can speak.
    let patience = Duration::from_secs(30);
    caught_alone("patience", "hang", patience, &["slower than"]).await
}
