//! Flagger promotes and rolls back on Serin's word.

use super::scene::{BAD, FIRST, GOOD, NAMESPACE, Scene, template, text};
use crate::istio::common::assert_undisturbed;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use serin_integration::istio::manifests::{of_kind, rendered};
use serin_integration::kubernetes::{Controller, Services};
use serin_integration::{turn, wait_until};

/// What Flagger makes of Deployment and Canary `shop`.
const SERVICES: Services = Services {
    namespace: NAMESPACE,
    virtual_service: "shop",
    stable: "shop-primary",
    canary: "shop-canary",
};
const CANARY: &str = "/apis/flagger.app/v1beta1/namespaces/shop/canaries/shop";

/// The Canary of the example with the shortest interval that Flagger takes.
fn canary() -> Result<Vec<Value>> {
    let mut manifests = rendered("flagger-example")?;
    for canary in of_kind(&mut manifests, "Canary") {
        let analysis = canary.pointer_mut("/spec/analysis");
        let analysis = analysis.and_then(Value::as_object_mut);
        let analysis = analysis.context("an analysis")?;
        analysis.insert("interval".to_owned(), json!("10s"));
    }
    Ok(manifests)
}

/// Starts everything with the first release and waits until Flagger has taken it over.
async fn begin(name: &str, seed: u64) -> Result<(Scene, Controller)> {
    let scene = Scene::start(name, SERVICES, seed).await?;
    scene.plane.apply(&rendered("flagger")?).await?;
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop", "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": {"app": "shop"}}, "template": template(FIRST)},
    });
    scene.plane.apply(&[deployment]).await?;
    let flagger =
        Controller::flagger(&format!("{name}/flagger"), &scene.plane, &scene.names).await?;
    scene.plane.apply(&canary()?).await?;
    reach(&scene, "Initialized", "Failed").await?;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_with_errors_is_rolled_back() -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, flagger) = begin("kubernetes-flagger-bad", 83).await?;
    let load = scene.load(84).await?;
    release(&scene, BAD).await?;
    reach(&scene, "Failed", "Succeeded").await?;
    let tally = scene.end(load, "rolled back by Flagger").await?;
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
