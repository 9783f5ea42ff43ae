//! Flagger promotes and rolls back on Serin's word.

mod guard;

use super::scene::{
    FIRST, GOOD, NAMESPACE, RATE, Scene, assert_nothing_else_lost, assert_undisturbed, bad,
    template, text,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use serin_integration::istio::manifests::rendered;
use serin_integration::istio::mesh::DOMAIN;
use serin_integration::kubernetes::{Clusters, Controller};
use serin_integration::shop::Regression;
use serin_integration::{turn, wait_until};
use std::time::Instant;

/// The services that Flagger makes for Canary `shop`.
const CLUSTERS: Clusters = Clusters {
    stable: "outbound|8080||shop-primary.shop.svc.cluster.local",
    canary: "outbound|8080||shop-canary.shop.svc.cluster.local",
};
const CANARY: &str = "/apis/flagger.app/v1beta1/namespaces/shop/canaries/shop";

/// A patch for the Canary of the example: the shortest interval that Flagger takes, and where the
/// shop listens.
fn canary() -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1",
        "kind": "Canary",
        "metadata": {"name": "shop", "namespace": NAMESPACE},
        "spec": {"service": {"targetPort": "http"}, "analysis": {"interval": "10s"}},
    })
}

/// The same, without Serin: with the metrics and ranges of Flagger's own documentation.
fn canary_without_serin() -> Value {
    let mut canary = canary();
    canary["spec"]["analysis"]["webhooks"] = Value::Null;
    canary["spec"]["analysis"]["metrics"] = json!([
        {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}},
        {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}},
    ]);
    canary
}

/// Starts everything with the first release and waits until Flagger has taken it over.
async fn begin(name: &str, seed: u64) -> Result<(Scene, Controller)> {
    begin_with("observe", canary(), name, seed).await
}

/// The same with a mode of the filter, and with another patch for the Canary.
async fn begin_with(
    mode: &str,
    mut canary: Value,
    name: &str,
    seed: u64,
) -> Result<(Scene, Controller)> {
    let (scene, flagger) = deploy(&template(FIRST), name, seed).await?;
    let listener = scene.mesh.listener();
    if mode == "observe" {
        // Flagger's VirtualService is the one of the host.
        canary["spec"]["service"]["hosts"] = json!([DOMAIN]);
        canary["spec"]["service"]["gateways"] = json!(["shop/shop"]);
        let overlays = ["gateway-compare", "flagger-example"];
        scene.apply(mode, &overlays, &[listener], &[canary]).await?;
    } else {
        let patches = [canary, listener];
        scene.apply(mode, &["flagger-steer"], &[], &patches).await?;
    }
    reach(&scene, "Initialized", "Failed").await?;
    Ok((scene, flagger))
}

/// Starts everything with a Deployment of these pods, and Flagger, which has no Canary yet.
async fn deploy(template: &Value, name: &str, seed: u64) -> Result<(Scene, Controller)> {
    let scene = Scene::start(name, CLUSTERS, seed).await?;
    scene.plane.apply(&rendered("flagger")?).await?;
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": template},
    });
    scene.plane.apply(&[deployment]).await?;
    let flagger =
        Controller::flagger(&format!("{name}/flagger"), &scene.plane, &scene.names).await?;
    Ok((scene, flagger))
}

/// Releases an image as a person would.
async fn release(scene: &Scene, image: &str) -> Result<()> {
    let namespace = format!("--namespace={NAMESPACE}");
    let image = format!("shop={image}");
    let arguments = ["set", "image", "deployment/shop", &image, &namespace];
    scene.plane.kubectl(&arguments).await?;
    Ok(())
}

/// Waits until the Canary has a phase, and fails at once where it has the other.
async fn reach(scene: &Scene, wanted: &str, other: &str) -> Result<()> {
    scene
        .wait_for(wanted, CANARY, |canary| {
            let phase = text(canary, "/status/phase");
            ensure!(phase != other, "{phase}");
            Ok(phase == wanted)
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_good_release_is_promoted() -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, flagger) = begin("kubernetes-flagger-good", 81).await?;
    let load = scene.load(82).await?;
    release(&scene, GOOD).await?;
    reach(&scene, "Succeeded", "Failed").await?;
    let tally = scene.end(load, "promoted by Flagger").await?;
    assert_undisturbed(&tally);
    let steps: Vec<u32> = scene.progress().steps().collect();
    assert_eq!(steps, [10, 20, 30, 40, 50, 0], "{}", flagger.log());
    scene.assert_stable_is(GOOD)
}

async fn is_rolled_back(regression: &str, mode: &str, seed: u64) -> Result<()> {
    let _turn = turn::alone().await;
    let name = format!("kubernetes-flagger-{regression}-{mode}");
    let (scene, flagger) = begin_with(mode, canary(), &name, seed).await?;
    let load = scene.load(seed + 1).await?;
    release(&scene, &bad(regression)).await?;
    reach(&scene, "Failed", "Succeeded").await?;
    let what = format!("{regression}, mode {mode}, rolled back by Flagger");
    let tally = scene.end(load, &what).await?;
    assert_undisturbed(&tally);
    ensure!(
        scene.names.answered("/flagger/rollback", 200) > 0,
        "it was not Serin's word: {}",
        flagger.log()
    );
    scene.assert_stable_is(FIRST)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_with_errors_is_rolled_back() -> Result<()> {
    is_rolled_back("errors", "observe", 83).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_with_errors_is_rolled_back_after_its_requests_were_steered() -> Result<()> {
    is_rolled_back("errors", "steer", 87).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_slow_release_is_rolled_back() -> Result<()> {
    is_rolled_back("latency", "observe", 101).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_that_loses_a_field_is_rolled_back() -> Result<()> {
    is_rolled_back("lost-field", "observe", 103).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_that_goes_bad_within_a_step_is_rolled_back() -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, flagger) = begin("kubernetes-flagger-between", 115).await?;
    let load = scene.load(116).await?;
    release(&scene, GOOD).await?;
    wait_until("the second step", async || {
        Ok(scene.progress().steps().last() == Some(20))
    })
    .await?;
    let begin = Instant::now();
    scene.kubelet.spoil(GOOD, Regression::LostField);
    reach(&scene, "Failed", "Succeeded")
        .await
        .with_context(|| flagger.log())?;
    let tally = scene
        .end(load, "gone bad within a step, rolled back by Flagger")
        .await?;
    scene.say_since(begin);
    assert_undisturbed(&tally);
    scene.assert_stable_is(FIRST)
}

/// What Flagger does with its own metrics, to hold Serin's figures against: printed, not required.
async fn without_serin(regression: &str, seed: u64) -> Result<()> {
    let _turn = turn::alone().await;
    let name = format!("kubernetes-flagger-{regression}-alone");
    let (scene, _flagger) = begin_with("observe", canary_without_serin(), &name, seed).await?;
    let load = scene.load(seed + 1).await?;
    release(&scene, &bad(regression)).await?;
    scene.wait_for_istio_metrics().await?;
    scene
        .wait_for("end of the rollout", CANARY, |canary| {
            Ok(["Succeeded", "Failed"].contains(&text(canary, "/status/phase")))
        })
        .await?;
    let canary = scene.plane.api().get(CANARY).await?.context("a Canary")?;
    let what = format!(
        "{regression}, Flagger with its own metrics: {}",
        text(&canary, "/status/phase")
    );
    assert_undisturbed(&scene.end(load, &what).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_with_errors_ends_without_serin() -> Result<()> {
    without_serin("errors", 105).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_that_loses_a_field_ends_without_serin() -> Result<()> {
    without_serin("lost-field", 107).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_good_release_after_a_bad_one_is_promoted() -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, _flagger) = begin("kubernetes-flagger-two", 109).await?;
    let load = scene.load(110).await?;
    release(&scene, &bad("errors")).await?;
    reach(&scene, "Failed", "Succeeded").await?;
    wait_until("a minute without traffic on the canary", async || {
        Ok(scene.verdict().await?["withdrawn"] == true)
    })
    .await?;
    release(&scene, GOOD).await?;
    scene
        .wait_for("the next analysis", CANARY, |canary| {
            Ok(text(canary, "/status/phase") == "Progressing")
        })
        .await?;
    reach(&scene, "Succeeded", "Failed").await?;
    let tally = scene.end(load, "errors, then a good release").await?;
    assert_undisturbed(&tally);
    scene.assert_stable_is(GOOD)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_flagger_that_is_started_anew_goes_on_with_the_rollout() -> Result<()> {
    let _turn = turn::alone().await;
    let name = "kubernetes-flagger-restart";
    let (scene, flagger) = begin(name, 111).await?;
    let load = scene.load(112).await?;
    release(&scene, GOOD).await?;
    wait_until("the first step", async || {
        Ok(scene.progress().steps().count() > 0)
    })
    .await?;
    drop(flagger);
    let _flagger =
        Controller::flagger(&format!("{name}/flagger"), &scene.plane, &scene.names).await?;
    reach(&scene, "Succeeded", "Failed").await?;
    let tally = scene.end(load, "promoted by a restarted Flagger").await?;
    assert_undisturbed(&tally);
    scene.assert_stable_is(GOOD)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn an_api_server_that_hangs_for_half_a_minute_stops_neither_traffic_nor_verdict() -> Result<()>
{
    let _turn = turn::alone().await;
    let (scene, _flagger) = begin("kubernetes-flagger-outage", 113).await?;
    let load = scene.load(114).await?;
    release(&scene, &bad("errors")).await?;
    wait_until("the first step", async || {
        Ok(scene.progress().steps().count() > 0)
    })
    .await?;
    scene.plane.pause()?;
    // Half a minute of traffic.
    load.wait_for_answers(30 * RATE as u64).await?;
    wait_until("verdict while nobody answers the controller", async || {
        Ok(scene.verdict().await?["decision"] == "abort")
    })
    .await?;
    assert_nothing_else_lost(&load.snapshot());
    scene.plane.resume()?;
    reach(&scene, "Failed", "Succeeded").await?;
    // istiod takes up its watches one by one. It may hear that the canary's pod ends before it hears of
    // the weight, and what is drawn for the canary meanwhile has nowhere to go.
    scene.end(load, "rolled back after an outage").await?;
    scene.assert_stable_is(FIRST)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_without_traffic_is_neither_promoted_nor_rolled_back() -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, flagger) = begin("kubernetes-flagger-idle", 85).await?;
    release(&scene, GOOD).await?;
    let refused = |hook| scene.names.answered(hook, 409);
    wait_until("gates that stay closed", async || {
        Ok(refused("/flagger/gate") + refused("/flagger/increase") >= 4)
    })
    .await
    .with_context(|| flagger.log())?;
    let canary = scene.plane.api().get(CANARY).await?.context("a Canary")?;
    let phase = text(&canary, "/status/phase");
    ensure!(
        ["Progressing", "WaitingPromotion"].contains(&phase),
        "{phase}: {}",
        scene.events().await?
    );
    assert_eq!(scene.names.answered("/flagger/rollback", 200), 0);
    scene.assert_stable_is(FIRST)
}
