//! Headers that only Serin may set, labels, and annotations.

use super::common::{ENOUGH, config, filter, load, wait_for_judged};
use anyhow::Result;
use scorer_sdk::telemetry;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::{Route, Shops};
use serin_integration::topology::Topology;
use serin_integration::{http, turn, wait_until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_serins_headers_itself_changes_nothing() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(11).await?;
    let topology = Topology::builder("forged", &shops)
        .weights(50, 50)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 200.0)
        .seed(12)
        .header(telemetry::STEER_HEADER.name, "v1")
        .header(telemetry::REJECT_HEADER.name, "all;of it");
    let load = Load::start(options)?;
    load.wait_for_answers(800).await?;
    let tally = load.stop().await;
    assert_eq!(tally.failed, 0);
    // Had the header counted, v1 would have got everything.
    let share = shops.v2.received() as f64 / tally.sent as f64;
    assert!((0.4..0.6).contains(&share), "v2 got {share}");
    for shop in [&shops.v1, &shops.v2] {
        assert!(shop.served().values().all(|route| route.steered == 0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_come_out_as_labels_and_annotations_name_the_version() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(13).await?;
    let topology = Topology::builder("labels", &shops)
        .weights(50, 50)
        .concurrency(2)
        .filter(filter(&config("annotate")))
        .start()
        .await?;
    let load = load(&topology, 200.0, 14)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    let (mut annotation, mut version) = (String::new(), String::new());
    // A worker hears of the candidate at its next tick.
    wait_until("annotation with a candidate", async || {
        let answer = http::get(topology.address(), "/api/products").await?;
        let header = |name: &str| -> String {
            let value = answer.headers().get(name);
            let value = value.and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        (annotation, version) = (
            header(telemetry::VERDICT_HEADER.name),
            header("x-shop-version"),
        );
        Ok(annotation.contains("candidate=v2"))
    })
    .await?;
    let (verdict, rest) = annotation.split_once(';').unwrap_or_default();
    assert!(
        ["learning", "healthy", "suspect"].contains(&verdict),
        "{annotation}"
    );
    assert_eq!(rest, format!("candidate=v2;version={version}"));
    load.stop().await;
    let labels = [
        ("destination", "shop"),
        ("route", "GET /api/products/{int}"),
        ("version", "v2"),
    ];
    let received = shops.v2.served()[&Route::Product].received as f64;
    let metrics = topology
        .front
        .wait_for_metrics("all exchanges of a route", |metrics| {
            metrics.value(telemetry::EXCHANGES.name, &labels) >= Some(received)
        })
        .await?;
    let page = topology.front.prometheus().await?;
    let counted = metrics.value(telemetry::EXCHANGES.name, &labels);
    assert_eq!(counted, Some(received), "{page}");
    assert!(
        metrics
            .value(telemetry::EVIDENCE_FOR.name, &[("category", "error")])
            .is_some(),
        "{page}"
    );
    for line in page.lines().filter(|line| line.contains("serin_")) {
        assert!(!line.contains("=.="), "a tag was left in a name: {line}");
    }
    Ok(())
}
