//! Every exchange is counted exactly once.

use super::common::{config, filter, load, with};
use anyhow::Result;
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::metrics::Metrics;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;

fn sum(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> u64 {
    metrics
        .select(name, labels)
        .map(|sample| sample.value as u64)
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_exchange_is_counted_once_over_both_workers_and_reloads_under_load() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(5).await?;
    let mut topology = Topology::builder("exactly-once", &shops)
        .weights(60, 40)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let load = load(&topology, 500.0, 6)?;
    for healthy_after in [201, 202, 203] {
        load.wait_for_answers(2_000).await?;
        // Another config: a new root context, while the old one's requests are still on their way.
        let changed = with(config("observe"), json!({"healthy_after": healthy_after}));
        topology.set_filters(vec![filter(&changed)]).await?;
    }
    load.wait_for_answers(2_000).await?;
    let tally = load.stop().await;
    assert_eq!(tally.lost() - tally.errors(), 0, "{tally:?}");
    // Workers hand over what they counted at their ticks.
    let metrics = topology
        .front
        .wait_for_metrics("every exchange to be counted", |metrics| {
            [telemetry::EXCHANGES.name, telemetry::MERGED_EXCHANGES.name]
                .iter()
                .all(|name| sum(metrics, name, &[]) >= tally.sent)
        })
        .await?;
    for name in [
        telemetry::EXCHANGES.name,
        telemetry::MERGED_EXCHANGES.name,
        telemetry::UNATTRIBUTED.name,
    ] {
        println!("{name}: {}", sum(&metrics, name, &[]));
    }
    println!(
        "sent {}: {:?}",
        tally.sent,
        metrics
            .select(telemetry::OVERFLOW.name, &[])
            .collect::<Vec<_>>()
    );
    for (shop, version) in [(&shops.v1, "v1"), (&shops.v2, "v2")] {
        let counted = sum(&metrics, telemetry::EXCHANGES.name, &[("version", version)]);
        assert_eq!(counted, shop.received(), "{version}");
    }
    assert_eq!(sum(&metrics, telemetry::EXCHANGES.name, &[]), tally.sent);
    assert_eq!(sum(&metrics, telemetry::UNATTRIBUTED.name, &[]), 0);
    assert_eq!(sum(&metrics, telemetry::OVERFLOW.name, &[]), 0);
    // What the workers counted has reached the judge, too: the last state knows of all of it.
    let judged = sum(&metrics, telemetry::MERGED_EXCHANGES.name, &[]);
    assert_eq!(judged, tally.sent);
    Ok(())
}
