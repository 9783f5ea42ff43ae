//! Configs that come and go in one Envoy.

use super::common::{config, filter, load, with};
use anyhow::Result;
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::envoy::Envoy;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;

const MAX_SERIES: usize = 120;
const RELOADS: usize = 10;
/// Most that are made for a destination whatever the cap says.
const ALWAYS: usize = 20;

/// The same two versions as another service.
fn release(number: usize) -> Value {
    let name = format!("shop-{number}");
    let more = json!({
        "max_series": MAX_SERIES,
        "versions": {
            "from": "clusters",
            "destinations": {name: {"v1": ["shop-v1"], "v2": ["shop-v2"]}},
        },
    });
    with(config("observe"), more)
}

/// The series that Envoy has of Serin's.
async fn series(front: &Envoy) -> Result<usize> {
    let page = front.admin("/stats?filter=serin_").await?;
    Ok(page.lines().filter(|line| line.contains("serin_")).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_each_reload_names_anew_stay_under_one_cap_of_series() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(61).await?;
    let mut topology = Topology::builder("reload-series", &shops)
        .weights(50, 50)
        .concurrency(2)
        .filter(filter(&release(0)))
        .start()
        .await?;
    let load = load(&topology, 300.0, 62)?;
    let mut counts = Vec::new();
    for number in 0..RELOADS {
        if number > 0 {
            topology.set_filters(vec![filter(&release(number))]).await?;
        }
        // A verdict's gauges are there although the cap is reached.
        let name = format!("shop-{number}");
        let labels = [("destination", name.as_str()), ("version", "v2")];
        topology
            .front
            .wait_for_metrics("judged exchanges", |metrics| {
                metrics.value(telemetry::JUDGED_EXCHANGES.name, &labels) >= Some(50.0)
            })
            .await?;
        counts.push(series(&topology.front).await?);
    }
    let tally = load.stop().await;
    assert_eq!(tally.failed, 0, "{tally:?}");
    println!("series after each reload: {counts:?}");
    let most = MAX_SERIES + RELOADS * ALWAYS;
    assert!(counts.iter().all(|count| *count <= most), "{counts:?}");
    let labels = [("table", "series")];
    let refused = topology.front.metrics().await?;
    assert!(refused.value(telemetry::OVERFLOW.name, &labels) > Some(0.0));
    Ok(())
}
