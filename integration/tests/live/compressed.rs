//! Bodies that are compressed, as most services send them, in a real Envoy.

use super::common::{
    ANOMALOUS, ENOUGH, config, filter, load, verdict, wait_for_anomalous, wait_for_judged,
    why_anomalous, with,
};
use super::operating::{doctor, status, url};
use anyhow::Result;
use scorer_sdk::shape::{LeftOut, Limits};
use scorer_sdk::telemetry::{self, Metric};
use serde_json::json;
use serin_integration::metrics::Metrics;
use serin_integration::process::{Memory, memory_mib};
use serin_integration::shop::{BOMB_CONTENT, Encoding, Regression, Shops, bomb};
use serin_integration::topology::Topology;
use serin_integration::{http, turn};
use std::time::{Duration, Instant};

/// Bodies of both versions with these labels.
fn bodies(metrics: &Metrics, metric: &Metric, labels: &[(&str, &str)]) -> f64 {
    let samples = metrics.select(metric.name, labels);
    samples.map(|sample| sample.value).sum()
}

fn looking_at_bodies(mode: &str) -> serde_json::Value {
    with(config(mode), json!({"body": {}}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_lost_in_compressed_bodies_is_caught_and_named_by_its_path() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(61).await?;
    for shop in [&shops.v1, &shops.v2] {
        shop.set_encoding(Encoding::Gzip);
    }
    let topology = Topology::builder("compressed-lost-field", &shops)
        .weights(75, 25)
        .filter(filter(&looking_at_bodies("steer")))
        .start()
        .await?;
    let answer = http::get(topology.address(), "/api/products").await?;
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let load = load(&topology, 300.0, 62)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression(Regression::LostField);
    wait_for_anomalous(&topology).await?;
    let why = why_anomalous(&topology.front).await?;
    assert!(why.contains("$[].price_cents is missing"), "{why}");
    load.wait_until_left_alone(&shops.v2).await?;
    let metrics = topology.front.metrics().await?;
    for version in ["v1", "v2"] {
        let labels = [("version", version)];
        assert!(bodies(&metrics, &telemetry::BODIES, &labels) > 0.0);
    }
    assert_eq!(bodies(&metrics, &telemetry::BODIES_LEFT_OUT, &[]), 0.0);
    println!("{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_in_an_encoding_that_is_not_undone_are_counted_and_named_and_no_regression()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(63).await?;
    // Both say so, so that nothing but the bodies is unknown.
    for shop in [&shops.v1, &shops.v2] {
        shop.set_encoding(Encoding::Brotli);
    }
    shops.v2.set_regression(Regression::LostField);
    let topology = Topology::builder("compressed-brotli", &shops)
        .weights(75, 25)
        .filter(filter(&looking_at_bodies("observe")))
        .start()
        .await?;
    let load = load(&topology, 300.0, 64)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    let labels = [("version", "v2"), ("reason", LeftOut::Brotli.name())];
    let metrics = topology
        .front
        .wait_for_metrics("bodies that were left out", |metrics| {
            bodies(metrics, &telemetry::BODIES_LEFT_OUT, &labels) >= ENOUGH / 2.0
        })
        .await?;
    assert_eq!(bodies(&metrics, &telemetry::BODIES, &[]), 0.0);
    assert_ne!(verdict(&metrics), Some(ANOMALOUS));
    let words = "of the bodies on GET /api/products were not looked at: content-encoding br";
    let findings = doctor(&topology.front).await?;
    let said = findings.iter().any(|finding| finding.text.contains(words));
    assert!(said, "{findings:#?}");
    let fleet = format!("{:?}", status(&[url(&topology.front)]).await?);
    assert!(fleet.contains(words), "{fleet}");
    load.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_passes_untouched_and_costs_bounded_time_and_memory() -> Result<()> {
    const BOMBS: usize = 20;
    let _turn = turn::alone().await;
    let shops = Shops::start(65).await?;
    let topology = Topology::builder("compressed-bomb", &shops)
        .weights(100, 0)
        .concurrency(1)
        .filter(filter(&looking_at_bodies("observe")))
        .start()
        .await?;
    let bomb = bomb()?;
    assert!(bomb.len() < BOMB_CONTENT / 500, "{} bytes", bomb.len());
    let get = async || http::get(topology.address(), "/api/products").await;
    // The memory that bodies take at all, and the one of a client here, is there before.
    shops.v1.set_encoding(Encoding::Gzip);
    for _ in 0..BOMBS {
        get().await?;
    }
    let before = memory_mib(topology.front.pid(), Memory::Most)?;
    shops.v1.set_encoding(Encoding::Bomb);
    let mut fastest = Duration::MAX;
    let mut bombs = 0.0;
    while bombs < BOMBS as f64 {
        let start = Instant::now();
        let answer = get().await?;
        fastest = fastest.min(start.elapsed());
        if answer.status() != 200 {
            continue;
        }
        bombs += 1.0;
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        assert_eq!(*answer.body(), bomb);
    }
    let labels = [("reason", LeftOut::TooLarge.name())];
    topology
        .front
        .wait_for_metrics("bombs that were left out", |metrics| {
            bodies(metrics, &telemetry::BODIES_LEFT_OUT, &labels) >= bombs
        })
        .await?;
    let more = memory_mib(topology.front.pid(), Memory::Most)? - before;
    println!(
        "{BOMBS} bombs of {} bytes: the fastest took {fastest:?}, {more:.1} MiB more; {} are looked at",
        bomb.len(),
        Limits::default().max_bytes
    );
    // A whole one takes half a second and 95 MiB.
    assert!(more < 40.0, "{more} MiB");
    assert!(fastest < Duration::from_millis(150), "{fastest:?}");
    Ok(())
}
