//! A canary that answers 200, as fast and as large as ever, and is broken all the same.

use super::common::{
    ENOUGH, config, filter, load, wait_for_anomalous, wait_for_judged, why_anomalous, with,
};
use anyhow::Result;
use serde_json::json;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;

async fn caught(regression: &str, words: &[&str]) -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(1).await?;
    let config = with(config("steer"), json!({"body": {}}));
    let topology = Topology::builder(&format!("behaviour-{regression}"), &shops)
        .weights(75, 25)
        .filter(filter(&config))
        .start()
        .await?;
    let load = load(&topology, 300.0, 2)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression(regression.parse()?);
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    for word in words {
        assert!(why.contains(word), "{regression} was explained with: {why}");
    }
    load.wait_until_left_alone(&shops.v2).await?;
    println!("{regression}: {why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_field_is_caught_and_named_by_its_path() -> Result<()> {
    caught("lost-field", &["$[].price_cents is missing"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_became_a_string_is_caught_and_named_by_its_path() -> Result<()> {
    let words = ["$[].price_cents is not always of type number"];
    caught("type-change", &words).await
}
