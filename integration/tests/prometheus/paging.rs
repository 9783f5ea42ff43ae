//! From a regression to the owner's page, and to its end, as long as it takes in production: scrapes
//! and rules each 15 seconds, real Prometheus, real Alertmanager, the manifests' rules and routes.

use super::alertmanager::{Alertmanager, Webhook};
use super::manifests::rule_groups;
use super::server::{self, Prometheus, Settings};
use crate::live::common::{ENOUGH, UNHURRIED, config, filter, load, wait_for_judged};
use anyhow::{Context as _, Result, ensure};
use hyper::StatusCode;
use serin_integration::shop::{Fault, Shops};
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::time::{Duration, Instant};

/// Time between two scrapes in seconds, as Prometheus has it by default in most charts.
const STEP: u64 = 15;
/// A scrape, an evaluation of the rules and Alertmanager's first wait come to 35 s at most; the rest is
/// the verdict, and a busy machine.
const SOON: Duration = Duration::from_secs(75);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_hears_of_a_gross_failure_and_of_its_end_and_nobody_else_does() -> Result<()> {
    let (Some(prometheus), Some(alertmanager)) =
        (server::prometheus_binary(), Alertmanager::binary())
    else {
        return Ok(());
    };
    let _turn = turn::alone().await;
    let shops = Shops::start(91).await?;
    shops.set_slowdown(UNHURRIED);
    let mut topology = Topology::builder("paging", &shops)
        .weights(75, 25)
        .concurrency(1)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let load = load(&topology, 120.0, 92)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    let webhook = Webhook::start()?;
    let alertmanager = Alertmanager::start(&alertmanager, &webhook).await?;
    let target = (topology.front.name(), topology.front.admin_address());
    let prometheus = Prometheus::start_with(
        &prometheus,
        &[target],
        &rule_groups()?,
        &Settings {
            folder: "prometheus-paging",
            step: STEP,
            alertmanager: Some(alertmanager.address()),
            cluster: None,
            sidecars: None,
        },
    )
    .await?;
    // A rollout that has been under way for two scrapes.
    prometheus
        .wait_for("serin:asked:increase1h{destination=\"shop\", version=\"v2\"} > 0")
        .await?;

    let broken = Instant::now();
    shops
        .v2
        .set_fault(Some(Fault::all(StatusCode::INTERNAL_SERVER_ERROR)));
    let page = webhook
        .wait_for("owner-of-shop", "SerinAnomalous", "firing")
        .await?;
    let paged = page.at.duration_since(broken);
    let description = page.alert["annotations"]["description"]
        .as_str()
        .context("a description")?;
    ensure!(
        description.contains("error on ") && !description.trim_end().ends_with(';'),
        "{description}"
    );

    let rolled_back = Instant::now();
    topology.set_weights(100, 0).await?;
    let end = webhook
        .wait_for("owner-of-shop", "SerinAnomalous", "resolved")
        .await?;
    let resolved = end.at.duration_since(rolled_back);
    println!(
        "paging: {:.0} s from the regression to the owner, {:.0} s from the rollback to the all-clear",
        paged.as_secs_f64(),
        resolved.as_secs_f64()
    );
    load.stop().await;
    let elsewhere: Vec<_> = webhook
        .told()
        .into_iter()
        .filter(|told| told.receiver != "owner-of-shop")
        .collect();
    ensure!(elsewhere.is_empty(), "{elsewhere:?}");
    ensure!(paged <= SOON, "the page took {paged:?}");
    Ok(())
}
