//! A page that lost its links answers 200, as fast and as large as ever; its users go round in a
//! circle.

use super::common::{
    ANOMALOUS, config, filter, said_anomalous, verdict, wait_for_anomalous, wait_for_judged,
    why_anomalous, with,
};
use anyhow::{Context as _, Result};
use serde_json::json;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::{Regression, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;

/// What is followed by what is known when a session has been quiet for thirty ticks.
const TICK: &str = "200ms";

/// What the filter says of a canary with this regression; of a healthy one, while its users get some
/// thousands of answers.
async fn announced(name: &str, regression: Regression) -> Result<Option<String>> {
    let _turn = turn::alone().await;
    let shops = Shops::start(51).await?;
    let settings = with(
        config("observe"),
        json!({"tick": TICK, "session": {"from": "cookie", "name": "session"}}),
    );
    let topology = Topology::builder(name, &shops)
        .weights(70, 30)
        .filter(filter(&settings))
        .start()
        .await?;
    // Each of the users comes back more than once a second.
    let options = LoadOptions::new(topology.address(), 300.0);
    let load = Load::start(options.follow_links().seed(52))?;
    // Each tick's exchanges are charged some seconds later.
    wait_for_judged(&topology.front, 1_200.0).await?;
    shops.v2.set_regression(regression);
    let said = if regression == Regression::None {
        load.wait_for_answers(3_000).await?;
        let metrics = topology.front.metrics().await?;
        assert_ne!(verdict(&metrics), Some(ANOMALOUS));
        said_anomalous(&topology.front)
    } else {
        wait_for_anomalous(&topology).await?;
        Some(why_anomalous(&topology.front).await?)
    };
    let tally = load.stop().await;
    // It failed no more than a healthy version.
    let v2 = tally.version("v2");
    assert!(v2.answered > 300, "{tally:?}");
    assert!(v2.errors * 50 < v2.answered, "{tally:?}");
    Ok(said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_lost_its_links_is_caught_by_where_its_users_go_next() -> Result<()> {
    let why = announced("next-call-loop", Regression::RedirectLoop)
        .await?
        .context("nothing was said of the canary")?;
    println!("{why}");
    for words in ["shop GET /: ", "are followed by GET /"] {
        assert!(why.contains(words), "explained with: {why}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_find_their_way_cause_no_alarm() -> Result<()> {
    let said = announced("next-call-healthy", Regression::None).await?;
    assert_eq!(said, None);
    Ok(())
}
