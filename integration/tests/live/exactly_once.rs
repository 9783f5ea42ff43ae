//! Every exchange is counted exactly once.

use super::common::{config, filter, with};
use anyhow::Result;
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;

/// Seconds of load between two reloads.
const SECONDS_BETWEEN: f64 = 1.5;

/// Sends under load while the config changes again and again, and holds every count against what was
/// sent.
async fn counted_once(name: &str, workers: u32, reloads: u32, rate: f64) -> Result<()> {
    let shops = Shops::start(5).await?;
    let mut topology = Topology::builder(name, &shops)
        .weights(60, 40)
        .concurrency(workers)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    // Connections of their own, so that each worker has some.
    let options = LoadOptions::new(topology.address(), rate).clients(4 * workers);
    let load = Load::start(options.max_in_flight(4_096).seed(6))?;
    let between = (rate * SECONDS_BETWEEN) as u64;
    for number in 0..reloads {
        load.wait_for_answers(between).await?;
        // Another config: a new root context, while the old one's requests are still on their way.
        let changed = with(config("observe"), json!({"healthy_after": 201 + number}));
        topology.set_filters(vec![filter(&changed)]).await?;
    }
    load.wait_for_answers(between).await?;
    let tally = load.stop().await;
    assert_eq!(
        (tally.lost() - tally.errors(), tally.held_back),
        (0, 0),
        "{tally:?}"
    );
    // Workers hand over what they counted at their ticks.
    let metrics = topology
        .front
        .wait_for_metrics("every exchange to be counted", |metrics| {
            [telemetry::EXCHANGES.name, telemetry::MERGED_EXCHANGES.name]
                .iter()
                .all(|name| metrics.sum(name, &[]) >= tally.sent)
        })
        .await?;
    for (shop, version) in [(&shops.v1, "v1"), (&shops.v2, "v2")] {
        let counted = metrics.sum(telemetry::EXCHANGES.name, &[("version", version)]);
        assert_eq!(counted, shop.received(), "{version}");
    }
    assert_eq!(metrics.sum(telemetry::EXCHANGES.name, &[]), tally.sent);
    assert_eq!(metrics.sum(telemetry::UNATTRIBUTED.name, &[]), 0);
    assert_eq!(metrics.sum(telemetry::OVERFLOW.name, &[]), 0);
    // What the workers counted has reached the judge, too: the last state knows of all of it.
    let judged = metrics.sum(telemetry::MERGED_EXCHANGES.name, &[]);
    assert_eq!(judged, tally.sent);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exchange_is_counted_once_over_two_workers_and_reloads_under_load() -> Result<()> {
    let _turn = turn::beside_another().await;
    counted_once("exactly-once", 2, 3, 500.0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exchange_is_counted_once_over_eight_workers_and_fourteen_reloads_under_load()
-> Result<()> {
    let _turn = turn::alone().await;
    counted_once("exactly-once-eight", 8, 14, 300.0).await
}
