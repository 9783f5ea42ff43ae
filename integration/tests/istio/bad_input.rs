//! What one sees under Istio when a manifest is wrong, and that traffic goes on. The log lines that
//! are looked for here are the ones that the documentation names.
//!
//! Ignored unless asked for, because Istio has to be built first: `make test-istio` does both.

use super::common::{assert_undisturbed, counted, load, overlay};
use anyhow::{Context as _, Result};
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::istio::manifests::{of_kind, rendered};
use serin_integration::istio::mesh::weights;
use serin_integration::istio::{Mesh, Modules};
use serin_integration::shop::Shops;
use serin_integration::{turn, wait_until};

/// The overlay with another URL or sum of the module.
fn module_from(url: &str, sha256: &str) -> Result<Vec<Value>> {
    let mut manifests = rendered("gateway-compare")?;
    for plugin in of_kind(&mut manifests, "WasmPlugin") {
        plugin["spec"]["url"] = json!(url);
        plugin["spec"]["sha256"] = json!(sha256);
    }
    Ok(manifests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn a_module_that_cannot_be_fetched_or_has_another_sum_leaves_traffic_untouched() -> Result<()>
{
    let _turn = turn::alone().await;
    let shops = Shops::start(70).await?;
    let sum = Modules::sha256()?;
    let mesh = Mesh::start("istio-module", &shops, rendered("gateway-compare")?).await?;
    let load = load(&mesh, 100.0, 71)?;
    mesh.gateway
        .wait_for_metrics("exchanges", |metrics| counted(metrics, "v1") > 50.0)
        .await?;

    // The agent says what it could not do and what it does instead.
    const INSTEAD: &str = "applying allow RBAC filter";
    mesh.apply(module_from(&mesh.modules.missing_url(), &sum)?)
        .await?;
    let line = mesh
        .gateway
        .wait_for_log(&[
            "error in converting the wasm config",
            "missing.wasm",
            INSTEAD,
        ])
        .await?;
    println!("cannot be fetched: {line}");
    load.wait_for_answers(200).await?;

    let wrong = "0".repeat(64);
    mesh.apply(module_from(&mesh.modules.url(), &wrong)?)
        .await?;
    let line = mesh
        .gateway
        .wait_for_log(&["error in converting the wasm config", &wrong, INSTEAD])
        .await?;
    println!("another sum: {line}");
    load.wait_for_answers(200).await?;
    // Nobody counts meanwhile.
    let mut before = f64::NAN;
    wait_until("an end of the counting", async || {
        load.wait_for_answers(100).await?;
        let now = counted(&mesh.gateway.metrics().await?, "v1");
        Ok(std::mem::replace(&mut before, now) == now)
    })
    .await?;

    // Repaired, it is back without a restart.
    mesh.apply(rendered("gateway-compare")?).await?;
    mesh.gateway
        .wait_for_metrics("exchanges after the repair", |metrics| {
            counted(metrics, "v1") > before
        })
        .await?;
    assert_undisturbed(&load.stop().await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn a_typo_in_the_config_is_said_and_the_config_before_it_stays() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(72).await?;
    let mesh = Mesh::start("istio-typo", &shops, rendered("gateway-compare")?).await?;
    let load = load(&mesh, 100.0, 73)?;
    mesh.apply(overlay("gateway-compare", &json!({"warmup": "3s"}))?)
        .await?;
    let line = mesh
        .gateway
        .wait_for_log(&["serin: config", "unknown field `warmup`", "stays in force"])
        .await?;
    println!("typo: {line}");
    let metrics = mesh
        .gateway
        .wait_for_metrics("the gauge", |metrics| {
            metrics.value(telemetry::CONFIG_BROKEN.name, &[]) == Some(1.0)
        })
        .await?;
    let before = counted(&metrics, "v1");
    mesh.gateway
        .wait_for_metrics("exchanges under the old config", |metrics| {
            counted(metrics, "v1") > before + 100.0
        })
        .await?;
    mesh.apply(rendered("gateway-compare")?).await?;
    mesh.gateway
        .wait_for_metrics("the gauge at 0", |metrics| {
            metrics.value(telemetry::CONFIG_BROKEN.name, &[]) == Some(0.0)
        })
        .await?;
    assert_undisturbed(&load.stop().await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn a_baseline_that_does_not_exist_is_said_and_nothing_is_judged() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(74).await?;
    let manifests = overlay("steer", &json!({"baseline": "v9", "warm_up": "2s"}))?;
    let mesh = Mesh::start("istio-version", &shops, manifests).await?;
    mesh.apply(vec![weights(50, 50)]).await?;
    let load = load(&mesh, 100.0, 75)?;
    let line = mesh
        .gateway
        .wait_for_log(&["nothing to compare", "no exchange of v9"])
        .await?;
    println!("unknown version: {line}");
    load.wait_for_answers(300).await?;
    let metrics = mesh
        .gateway
        .wait_for_metrics("candidate", |metrics| {
            metrics
                .value(telemetry::JUDGED_EXCHANGES.name, &[])
                .is_some()
        })
        .await?;
    assert_eq!(
        metrics.value(telemetry::JUDGED_EXCHANGES.name, &[]),
        Some(0.0)
    );
    assert!(
        metrics
            .value(telemetry::STEERED.name, &[])
            .is_none_or(|steered| steered == 0.0)
    );
    assert_undisturbed(&load.stop().await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn a_subset_that_does_not_exist_costs_its_own_share_and_shows_as_unattributed() -> Result<()>
{
    let _turn = turn::alone().await;
    let shops = Shops::start(76).await?;
    let mesh = Mesh::start("istio-subset", &shops, rendered("gateway-compare")?).await?;
    let mut service = weights(80, 20);
    let subset = service.pointer_mut("/spec/http/0/route/1/destination/subset");
    *subset.context("subset")? = json!("v3");
    mesh.apply(vec![service]).await?;
    wait_until("the route", async || {
        let dump = mesh
            .gateway
            .admin("/config_dump?resource=dynamic_route_configs")
            .await?;
        Ok(dump.contains("|v3|"))
    })
    .await?;
    let load = load(&mesh, 100.0, 77)?;
    load.wait_for_answers(500).await?;
    let tally = load.stop().await;
    // Istio sends that share nowhere: Envoy itself answers 503, whether Serin is there or not.
    let nowhere = tally.version("");
    assert!(
        nowhere.answered > 50 && nowhere.answered == nowhere.errors,
        "{tally:?}"
    );
    let v1 = tally.version("v1");
    assert_eq!(v1.answered + nowhere.answered, tally.sent, "{tally:?}");
    assert_eq!(tally.lost(), v1.errors + nowhere.errors, "{tally:?}");
    mesh.gateway
        .wait_for_metrics("the unattributed", |metrics| {
            metrics.value(telemetry::UNATTRIBUTED.name, &[]) == Some(nowhere.answered as f64)
                && counted(metrics, "v1") == v1.answered as f64
        })
        .await?;
    Ok(())
}
