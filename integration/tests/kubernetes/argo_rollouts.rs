//! Argo Rollouts promotes and aborts on Serin's word.

use super::scene::{FIRST, GOOD, NAMESPACE, Scene, assert_undisturbed, bad, template, text};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use serin_integration::istio::manifests::{of_kind, rendered};
use serin_integration::istio::mesh::DOMAIN;
use serin_integration::kubernetes::{Controller, Services};
use serin_integration::{turn, wait_until};

const SERVICES: Services = Services {
    namespace: NAMESPACE,
    stable: "shop-stable",
    canary: "shop-canary",
};
const ROLLOUT: &str = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/shop";
const ANALYSIS_RUNS: &str = "/apis/argoproj.io/v1alpha1/namespaces/shop/analysisruns";

/// The templates of the overlay, which measure each five seconds in place of thirty.
fn templates() -> Result<Vec<Value>> {
    let mut manifests = rendered("argo-rollouts")?;
    for template in of_kind(&mut manifests, "AnalysisTemplate") {
        let metrics = template.pointer_mut("/spec/metrics");
        let metrics = metrics.and_then(Value::as_array_mut).context("metrics")?;
        for metric in metrics {
            let metric = metric.as_object_mut().context("a metric")?;
            metric.insert("interval".to_owned(), json!("5s"));
        }
    }
    Ok(manifests)
}

/// The services, the routes and the Rollout, as the documentation has them.
fn shop() -> Vec<Value> {
    let service = |name: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"selector": {"app": "shop"}, "ports": [
                {"name": "http", "port": 8080, "targetPort": "http"},
            ]},
        })
    };
    let to = |name: &str, weight: u32| json!({"destination": {"host": name}, "weight": weight});
    let args = json!([
        {"name": "destination", "value": "shop"},
        {"name": "candidate", "value": "canary"},
    ]);
    let analysis =
        |template: &str| json!({"templates": [{"templateName": template}], "args": args});
    vec![
        service(SERVICES.stable),
        service(SERVICES.canary),
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "shop", "namespace": NAMESPACE},
            "spec": {"hosts": [DOMAIN], "gateways": ["shop"], "http": [
                {"name": "primary", "route": [to(SERVICES.stable, 100), to(SERVICES.canary, 0)]},
            ]},
        }),
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "shop", "namespace": NAMESPACE},
            "spec": {
                "selector": {"matchLabels": {"app": "shop"}},
                "template": template(FIRST),
                "strategy": {"canary": {
                    "stableService": SERVICES.stable,
                    "canaryService": SERVICES.canary,
                    "trafficRouting": {"istio": {"virtualService": {"name": "shop", "routes": ["primary"]}}},
                    "analysis": analysis("serin-guard-web"),
                    "steps": [
                        {"setWeight": 25},
                        {"analysis": analysis("serin-gate-web")},
                        {"setWeight": 50},
                        {"pause": {"duration": "60s"}},
                    ],
                }},
            },
        }),
    ]
}

/// Starts everything with the first release and waits until it is there.
async fn begin(name: &str, seed: u64) -> Result<(Scene, Controller)> {
    let scene = Scene::start(name, SERVICES, seed).await?;
    scene.plane.apply(&templates()?).await?;
    let listener = scene.mesh.listener();
    scene
        .apply("observe", &["gateway-compare"], &[listener], &[])
        .await?;
    let argo =
        Controller::argo_rollouts(&format!("{name}/argo"), &scene.plane, &scene.names).await?;
    scene.plane.apply(&shop()).await?;
    scene
        .wait_for("first release", ROLLOUT, |rollout| {
            Ok(text(rollout, "/status/phase") == "Healthy")
        })
        .await?;
    Ok((scene, argo))
}

/// Releases an image.
async fn release(scene: &Scene, image: &str) -> Result<()> {
    let change = json!({"spec": {"template": template(image)}});
    scene.plane.api().patch(ROLLOUT, &change).await
}

/// Whether the controller aborted the rollout.
fn aborted(rollout: &Value) -> bool {
    rollout.pointer("/status/abort") == Some(&json!(true))
}

/// Whether the newest pods are the stable ones.
fn promoted(rollout: &Value) -> bool {
    let current = text(rollout, "/status/currentPodHash");
    text(rollout, "/status/stableRS") == current
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_good_release_is_promoted() -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, argo) = begin("kubernetes-argo-good", 91).await?;
    let load = scene.load(92).await?;
    release(&scene, GOOD).await?;
    scene
        .wait_for("promotion", ROLLOUT, |rollout| {
            ensure!(!aborted(rollout), "{rollout}");
            let stable = scene.progress().images.0;
            Ok(promoted(rollout) && stable.as_deref() == Some(GOOD))
        })
        .await
        .with_context(|| argo.log())?;
    let tally = scene.end(load, "promoted by Argo Rollouts").await?;
    assert_undisturbed(&tally);
    let steps: Vec<u32> = scene.progress().steps().collect();
    ensure!(steps.starts_with(&[25, 50]), "{steps:?}");
    Ok(())
}

async fn is_aborted(regression: &str, seed: u64) -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, argo) = begin(&format!("kubernetes-argo-{regression}"), seed).await?;
    let load = scene.load(seed + 1).await?;
    release(&scene, &bad(regression)).await?;
    scene
        .wait_for("abort", ROLLOUT, |rollout| {
            ensure!(
                !promoted(rollout) || scene.progress().steps().count() == 0,
                "{rollout}"
            );
            Ok(aborted(rollout))
        })
        .await
        .with_context(|| argo.log())?;
    let what = format!("{regression}, aborted by Argo Rollouts");
    let tally = scene.end(load, &what).await?;
    assert_undisturbed(&tally);
    scene.assert_stable_is(FIRST)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_with_errors_is_aborted() -> Result<()> {
    is_aborted("errors", 93).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_slow_release_is_aborted() -> Result<()> {
    is_aborted("latency", 97).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_that_loses_a_field_is_aborted() -> Result<()> {
    is_aborted("lost-field", 99).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_without_traffic_is_neither_promoted_nor_aborted() -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, argo) = begin("kubernetes-argo-idle", 95).await?;
    release(&scene, GOOD).await?;
    wait_until("measurements of a gate that stays closed", async || {
        let runs = scene.plane.api().list(ANALYSIS_RUNS).await?;
        let unsure = runs.iter().filter_map(|run| {
            let results = run.pointer("/status/metricResults/0/inconclusive")?;
            results.as_u64()
        });
        Ok(unsure.sum::<u64>() >= 4)
    })
    .await
    .with_context(|| argo.log())?;
    let rollout = scene.plane.api().get(ROLLOUT).await?.context("a Rollout")?;
    ensure!(!aborted(&rollout) && !promoted(&rollout), "{rollout}");
    scene.assert_stable_is(FIRST)
}
