//! A bad config is named with its path, and traffic flows as before.

use super::common::{
    ENOUGH, config, filter, load, wait_for_anomalous, wait_for_judged, wait_for_line, with,
};
use anyhow::Result;
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_config_on_start_lets_traffic_pass() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(7).await?;
    let bad = with(config("observe"), json!({"latency": {"margn": 0.2}}));
    let topology = Topology::builder("bad-start", &shops)
        .filter(filter(&bad))
        .start()
        .await?;
    let load = load(&topology, 200.0, 8)?;
    load.wait_for_answers(600).await?;
    let tally = load.stop().await;
    assert_eq!((tally.failed, tally.answered), (0, tally.sent), "{tally:?}");
    let complaint = "serin: config latency.margn: unknown field `margn`";
    wait_for_line(&topology.front, complaint).await?;
    let consequence = "traffic passes unwatched until it is repaired";
    wait_for_line(&topology.front, consequence).await?;
    let metrics = topology.front.metrics().await?;
    assert_eq!(metrics.value(telemetry::CONFIG_BROKEN.name, &[]), Some(1.0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_config_on_reload_leaves_the_one_before_it_in_force() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(9).await?;
    let mut topology = Topology::builder("bad-reload", &shops)
        .weights(70, 30)
        .concurrency(2)
        .filter(filter(&config("steer")))
        .start()
        .await?;
    let load = load(&topology, 300.0, 10)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    let bad = with(config("steer"), json!({"false_alarm": 2}));
    topology.set_filters(vec![filter(&bad)]).await?;
    let complaint = "serin: config false_alarm: 2 is out of range; use a chance";
    wait_for_line(&topology.front, complaint).await?;
    wait_for_line(&topology.front, "the config before it stays in force").await?;
    // It still judges and acts.
    shops.v2.set_regression("errors".parse()?);
    wait_for_anomalous(&topology).await?;
    let tally = load.stop().await;
    assert_eq!(tally.failed, 0, "{tally:?}");
    Ok(())
}
