//! Rescue under Istio, as its overlay is rendered: stable is recorded at the gateway, the guard in
//! the canary's own sidecar refuses, the gateway asks stable, and nobody notices.
//!
//! Ignored unless asked for, because Istio has to be built first: `make test-istio` does both.

use super::common::{assert_undisturbed, counted, destination, overlay};
use super::reference::snapshot;
use anyhow::{Context as _, Result};
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::istio::Mesh;
use serin_integration::istio::manifests::{configure, of_kind, rendered};
use serin_integration::istio::mesh::{DOMAIN, weights};
use serin_integration::load::{Load, LoadOptions, Mix};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Route, Shops};
use serin_integration::{turn, wait_until};

fn start_load(mesh: &Mesh, seed: u64) -> Result<Load> {
    Load::start(
        LoadOptions::new(mesh.address(), 200.0)
            .header("host", DOMAIN)
            .mix(Mix::only(Route::Product))
            .seed(seed),
    )
}

/// The sum of a counter over all of its labels.
fn sum(metrics: &Metrics, name: &str) -> f64 {
    metrics.value(name, &[]).unwrap_or_default()
}

/// What stable does, from the gateway's recording and by the command's own code.
async fn reference(mesh: &Mesh, settings: &Value) -> Result<Value> {
    let load = start_load(mesh, 81)?;
    load.wait_for_answers(1_200).await?;
    let answered = load.stop().await.answered;
    snapshot(mesh.gateway.dir(), answered, settings).await
}

/// The overlay with a reference for the guard, half of the traffic on the canary, and short waits.
fn rescue(reference: &Value) -> Result<Vec<Value>> {
    let mut manifests = rendered("rescue")?;
    configure(&mut manifests, "serin", &json!({"warm_up": "3s"}));
    // A guard has no defence against shared change, and others may work on the machine.
    let guard = json!({"warm_up": "1s", "signals": {"latency": false}});
    configure(&mut manifests, "serin-guard", &guard);
    for plugin in of_kind(&mut manifests, "WasmPlugin") {
        if let Some(reject) = plugin.pointer_mut("/spec/pluginConfig/reject") {
            reject["reference"] = reference.clone();
        }
    }
    for service in of_kind(&mut manifests, "VirtualService") {
        for route in ["/spec/http/1/route/0/weight", "/spec/http/1/route/1/weight"] {
            *service.pointer_mut(route).context("a weight")? = json!(50);
        }
    }
    Ok(manifests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Istio: make test-istio"]
async fn what_the_guard_refuses_is_answered_by_stable_and_then_everything_is_steered() -> Result<()>
{
    let _turn = turn::alone().await;
    let shops = Shops::start(80).await?;
    let settings = json!({"mode": "observe", "record": true});
    let mut manifests = overlay("gateway-compare", &settings)?;
    manifests.push(weights(100, 0));
    let mesh = Mesh::start("istio-rescue", &shops, manifests).await?;
    let reference = reference(&mesh, &settings).await?;
    assert_eq!(
        reference["destination"],
        json!(destination()),
        "{reference}"
    );

    // The gateway only watches at first: steering would leave nothing to rescue.
    let mut watching = rescue(&reference)?;
    configure(&mut watching, "serin", &json!({"mode": "observe"}));
    mesh.apply(watching).await?;
    mesh.canary
        .wait_for_log(&["serin ", "reject as guard"])
        .await?;
    // Before the load: a listener that is replaced closes the connections that it had.
    wait_until("guard and route in force", async || {
        let listeners = "/config_dump?resource=dynamic_listeners";
        let guard = mesh.canary.admin(listeners).await?;
        let routes = "/config_dump?resource=dynamic_route_configs";
        let route = mesh.gateway.admin(routes).await?;
        Ok(guard.contains("serin-guard")
            && !guard.contains("draining_state")
            && !guard.contains("warming_state")
            && route.contains("refresh_cluster_on_retry"))
    })
    .await?;
    let load = start_load(&mesh, 82)?;
    mesh.gateway
        .wait_for_metrics("enough of the canary", |metrics| {
            counted(metrics, "v2") > 250.0
        })
        .await?;
    assert_eq!(
        sum(&mesh.canary.metrics().await?, telemetry::REJECTED.name),
        0.0
    );
    shops.v2.set_regression("headers".parse()?);
    mesh.canary
        .wait_for_metrics("refusals", |metrics| {
            sum(metrics, telemetry::REJECTED.name) > 200.0
        })
        .await?;
    let tally = load.stop().await;
    // A refusal that nobody rescued would be a 503 without a version.
    assert_undisturbed(&tally);
    // Each refusal was rescued, but for the few that stable also failed to answer. The two proxies
    // count at their own ticks.
    let (mut refused, mut rescued) = (0.0, 0.0);
    wait_until("refusals counted as rescued", async || {
        refused = sum(&mesh.canary.metrics().await?, telemetry::REJECTED.name);
        rescued = sum(&mesh.gateway.metrics().await?, telemetry::RESCUED.name);
        Ok((0.95 * refused..=refused).contains(&rescued))
    })
    .await?;
    println!(
        "{refused} refused, {rescued} rescued of {} requests",
        tally.sent
    );

    // As rendered, the gateway steers, too: then the canary is left alone.
    mesh.apply(rescue(&reference)?).await?;
    let load = start_load(&mesh, 83)?;
    load.wait_until_left_alone(&shops.v2).await?;
    assert_undisturbed(&load.stop().await);
    Ok(())
}
