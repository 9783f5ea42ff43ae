//! The requests that a verdict names are in Envoy's access log, and v2 failed them.

use super::common::{
    ENOUGH, UNHURRIED, config, filter, load, tells_of_failures, wait_for_anomalous,
    wait_for_judged, why_anomalous, with,
};
use anyhow::{Context as _, Result};
use serde_json::json;
use serin_integration::shop::{Regression, Shops};
use serin_integration::topology::{AccessLog, Topology};
use serin_integration::turn;
use std::collections::HashMap;

/// What a verdict on a failing v2 says, and of each id in the access log the status and the cluster.
async fn verdict_and_log(
    name: &str,
    examples: bool,
) -> Result<(String, HashMap<String, (u16, String)>)> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(301).await?;
    shops.set_slowdown(UNHURRIED);
    let topology = Topology::builder(name, &shops)
        .weights(75, 25)
        .concurrency(2)
        .filter(filter(&with(
            config("observe"),
            json!({"examples": examples}),
        )))
        .access_log(AccessLog {
            path: "access.log".to_owned(),
            format: json!("%REQ(x-request-id)% %RESPONSE_CODE% %UPSTREAM_CLUSTER%\n"),
        })
        .start()
        .await?;
    let load = load(&topology, 300.0, 302)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression(Regression::Errors);
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    load.stop().await;
    let log = topology.front.dir().join("access.log");
    topology.front.stop().await?;
    let text = std::fs::read_to_string(&log).with_context(|| log.display().to_string())?;
    let mut answers = HashMap::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let mut word = || words.next().context("three words");
        let (id, status, cluster) = (word()?, word()?, word()?);
        answers.insert(id.to_owned(), (status.parse()?, cluster.to_owned()));
    }
    Ok((why, answers))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_names_requests_that_v2_failed() -> Result<()> {
    let (why, answers) = verdict_and_log("examples", true).await?;
    assert!(tells_of_failures(&why), "{why}");
    let (_, told) = why.split_once("for example ").context(why.clone())?;
    let told = told.split(';').next().unwrap_or_default();
    let ids: Vec<&str> = told
        .split(" ms)")
        .filter_map(|one| Some(one.trim_start_matches(", ").split_once(" (")?.0))
        .collect();
    assert!((1..=3).contains(&ids.len()), "{why}");
    for id in ids {
        let (status, cluster) = answers.get(id).with_context(|| format!("{id}: {why}"))?;
        // Where an unusual status is what is told of, a rare 404 is one, too.
        assert!(
            *status >= 400 && cluster == "shop-v2",
            "{id}: {status} {cluster}"
        );
    }
    println!("{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_names_none_where_the_config_says_so() -> Result<()> {
    let (why, answers) = verdict_and_log("no-examples", false).await?;
    assert!(!why.contains("for example"), "{why}");
    assert!(answers.keys().all(|id| !why.contains(id)), "{why}");
    Ok(())
}
