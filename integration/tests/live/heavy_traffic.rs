//! Traffic beyond the budget: a part is looked at in full and the rest costs a glance, in a real
//! Envoy.

use super::common::{
    config, filter, tells_of_failures, wait_for_anomalous, wait_for_counted, why_anomalous, with,
};
use anyhow::Result;
use scorer_sdk::telemetry::{self, STEER_HEADER};
use serde_json::json;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;

/// Requests a second; one in twenty is looked at.
const RATE: f64 = 400.0;
const LOOKS: u64 = 20;

/// Looked at, cases, only glanced at, and those of no version.
const BOOKS: [&str; 4] = [
    telemetry::EXCHANGES.name,
    telemetry::CASES.name,
    telemetry::NOT_LOOKED_AT.name,
    telemetry::UNATTRIBUTED.name,
];

/// Requests that reached a shop with the header that steers.
fn steered(shops: &Shops) -> u64 {
    let served = [&shops.v1, &shops.v2].map(|shop| shop.served());
    let routes = served.iter().flat_map(|routes| routes.values());
    routes.map(|route| route.steered).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_beyond_the_budget_condemn_a_version_and_every_exchange_is_in_the_books()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(91).await?;
    let budget = json!({"looks_per_second": LOOKS});
    let topology = Topology::builder("heavy-traffic", &shops)
        .weights(75, 25)
        .filter(filter(&with(config("steer"), budget)))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), RATE)
        .seed(92)
        .header(STEER_HEADER.name, "")
        .header(STEER_HEADER.name, "v1");
    let load = Load::start(options)?;
    // All of the first second, and a part of what follows.
    wait_for_counted(&topology.front, "v2", 1.5 * RATE / 4.0).await?;
    assert_eq!(steered(&shops), 0, "a forged header got past a glance");
    shops.v2.set_regression("errors".parse()?);
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    assert!(tells_of_failures(&why), "{why}");
    load.wait_until_left_alone(&shops.v2).await?;
    let tally = load.stop().await;
    let metrics = topology
        .front
        .wait_for_metrics("every exchange to be in the books", |metrics| {
            BOOKS.iter().map(|name| metrics.sum(name, &[])).sum::<u64>() >= tally.sent
        })
        .await?;
    let books = BOOKS.map(|name| metrics.sum(name, &[]));
    assert_eq!(books.iter().sum::<u64>(), tally.sent, "{books:?}");
    let [looked_at, cases, unlooked, of_none] = books;
    assert!(unlooked > looked_at, "{books:?}");
    assert!(cases > 0, "{books:?}");
    assert_eq!(of_none, 0, "{books:?}");
    assert!(steered(&shops) > 0);
    println!("{books:?}: {why}");
    Ok(())
}
