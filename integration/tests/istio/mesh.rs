//! A real mesh: Istio's control plane and agents give real Envoys their whole config, and what they
//! are given are our overlays as kustomize renders them.
//!
//! Ignored unless asked for, because Istio has to be built first: `make test-istio` does both.

use super::common::{answered_by_both, assert_undisturbed, counted, destination, load, overlay};
use crate::live::common::ANOMALOUS;
use anyhow::{Context as _, Result};
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::istio::manifests::rendered;
use serin_integration::istio::mesh::{HOST, PORT, weights};
use serin_integration::istio::{Mesh, Proxy};
use serin_integration::load::{Load, LoadOptions, Tally};
use serin_integration::shop::Shops;
use serin_integration::{turn, wait_until};

/// The numbers of the plugin come to what clients saw, version by version.
async fn assert_every_exchange_is_counted(proxy: &Proxy, tally: &Tally) -> Result<()> {
    let answered = |version: &str| tally.version(version).answered as f64;
    let metrics = proxy
        .wait_for_metrics("all exchanges counted", |metrics| {
            let total = counted(metrics, "v1") + counted(metrics, "v2");
            total >= answered("v1") + answered("v2")
        })
        .await?;
    for version in ["v1", "v2"] {
        assert_eq!(
            counted(&metrics, version),
            answered(version),
            "{version}: {tally:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn the_plugin_arrives_and_versions_are_told_apart_by_subset() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(60).await?;
    let mesh = Mesh::start("istio-arrives", &shops, rendered("gateway-compare")?).await?;
    assert_eq!(
        mesh.modules.fetched(),
        1,
        "the gateway alone has the plugin"
    );
    mesh.gateway
        .wait_for_log(&["serin ", "observe as comparer"])
        .await?;
    let tally = answered_by_both(load(&mesh, 150.0, 61)?, 200).await?;
    assert_undisturbed(&tally);
    assert_every_exchange_is_counted(&mesh.gateway, &tally).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn versions_are_told_apart_by_workload_where_a_route_has_no_subsets() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(62).await?;
    let from_workload = json!({"versions": {"from": "workload"}});
    let mut manifests = overlay("gateway-compare", &from_workload)?;
    let mut service = weights(100, 0);
    let route = service.pointer_mut("/spec/http/0/route").context("route")?;
    *route = json!([{"destination": {"host": HOST, "port": {"number": PORT}}}]);
    manifests.push(service);
    let mesh = Mesh::start("istio-workload", &shops, manifests).await?;
    let tally = answered_by_both(load(&mesh, 150.0, 63)?, 100).await?;
    assert_undisturbed(&tally);
    assert_every_exchange_is_counted(&mesh.gateway, &tally).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn the_sidecar_of_a_caller_tells_the_versions_apart() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(58).await?;
    let name = "istio-caller";
    let mesh = Mesh::start(name, &shops, rendered("sidecar-compare")?).await?;
    let (sidecar, address) = mesh.caller(name).await?;
    sidecar
        .wait_for_log(&["serin", "observe as comparer"])
        .await?;
    let options = LoadOptions::new(address, 150.0).header("host", HOST);
    let tally = answered_by_both(Load::start(options.seed(59))?, 200).await?;
    assert_undisturbed(&tally);
    assert_every_exchange_is_counted(&sidecar, &tally).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn a_changed_config_is_picked_up_under_load_without_losing_count() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(64).await?;
    let mesh = Mesh::start("istio-change", &shops, rendered("gateway-compare")?).await?;
    let load = load(&mesh, 150.0, 65)?;
    for (margin, seconds) in [(1.3, "2s"), (1.4, "3s")] {
        let before = counted(&mesh.gateway.metrics().await?, "v1");
        let change = json!({"latency": {"margin": margin}, "warm_up": seconds});
        mesh.apply(overlay("gateway-compare", &change)?).await?;
        wait_until("the new config", async || {
            let dump = mesh
                .gateway
                .admin("/config_dump?resource=ecds_filters")
                .await?;
            Ok(dump.contains(&format!("\\\"warm_up\\\":\\\"{seconds}\\\"")))
        })
        .await?;
        mesh.gateway
            .wait_for_metrics("exchanges after the change", |metrics| {
                counted(metrics, "v1") > before + 200.0
            })
            .await?;
    }
    let tally = load.stop().await;
    assert_undisturbed(&tally);
    assert_every_exchange_is_counted(&mesh.gateway, &tally).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn removing_the_plugin_leaves_traffic_untouched() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(66).await?;
    let manifests = rendered("gateway-compare")?;
    let mesh = Mesh::start("istio-remove", &shops, manifests.clone()).await?;
    let load = load(&mesh, 150.0, 67)?;
    mesh.gateway
        .wait_for_metrics("exchanges", |metrics| counted(metrics, "v1") > 100.0)
        .await?;
    mesh.cluster.delete(&manifests).await?;
    wait_until("listeners without the plugin", async || {
        let dump = mesh
            .gateway
            .admin("/config_dump?resource=dynamic_listeners")
            .await?;
        Ok(!dump.contains("istio-system.serin"))
    })
    .await?;
    load.wait_for_answers(300).await?;
    assert_undisturbed(&load.stop().await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn a_canary_that_is_worse_is_steered_away_from() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(68).await?;
    let manifests = overlay("steer", &json!({"warm_up": "3s"}))?;
    let mesh = Mesh::start("istio-steer", &shops, manifests).await?;
    let load = load(&mesh, 250.0, 69)?;
    mesh.gateway
        .wait_for_metrics("enough of the canary", |metrics| {
            counted(metrics, "v2") > 250.0
        })
        .await?;
    shops.v2.set_regression("errors".parse()?);
    mesh.gateway
        .wait_for_metrics("the verdict", |metrics| {
            let labels = [("version", "v2"), ("destination", &*destination())];
            metrics.value(telemetry::VERDICT.name, &labels) == Some(ANOMALOUS)
        })
        .await?;
    load.wait_until_left_alone(&shops.v2).await?;
    assert_undisturbed(&load.stop().await);
    Ok(())
}
