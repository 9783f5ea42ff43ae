//! Collections with ids in their paths, from a cold start: whatever the ids look like, each
//! collection is a route, and a slow one is found.

use super::common::{UNHURRIED, config, filter, wait_for_anomalous, why_anomalous};
use anyhow::Result;
use scorer_sdk::telemetry;
use serin_integration::load::{Load, LoadOptions, Mix};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Regression, Route, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;

/// Each of two workers meets 132 names before its four nodes have collapsed, and has 100 places.
const WITHOUT_A_PLACE: f64 = 300.0;

fn counted(metrics: &Metrics, route: &str) -> f64 {
    let labels = [("route", route)];
    let of_route = metrics.select(telemetry::EXCHANGES.name, &labels);
    of_route.map(|sample| sample.value).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_canary_is_found_where_each_path_has_an_id_of_its_own() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(91).await?;
    shops.set_slowdown(UNHURRIED);
    shops.v2.set_regression(Regression::Latency);
    let topology = Topology::builder("ids-in-paths", &shops)
        .weights(75, 25)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let mix = Mix::only(Route::Cart).with(Route::Home, 1);
    let options = LoadOptions::new(topology.address(), 300.0).mix(mix);
    let load = Load::start(options.collections().seed(92))?;
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    assert!(
        why.contains("slower than") && why.contains("/api/cart/"),
        "{why}"
    );
    // The worker's counts of the second of the verdict are told by the next one.
    let metrics = topology
        .front
        .wait_for_metrics("all collections", |metrics| {
            (0..4).all(|number| {
                counted(metrics, &format!("GET /api/cart/ids-{number}/{{id}}")) > 0.0
                    && counted(
                        metrics,
                        &format!("GET /api/cart/names-{number}/{{x}}/lines"),
                    ) > 0.0
            })
        })
        .await?;
    let without_a_place = metrics.value(telemetry::OVERFLOW.name, &[("table", "routes")]);
    assert!(
        without_a_place.unwrap_or(0.0) < WITHOUT_A_PLACE,
        "{without_a_place:?}"
    );
    assert!(counted(&metrics, "* {other}") < WITHOUT_A_PLACE);
    println!("{why}; {without_a_place:?} without a place");
    load.stop().await;
    Ok(())
}
