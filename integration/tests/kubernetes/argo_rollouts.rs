//! Argo Rollouts promotes and aborts on Serin's word.

use super::scene::{FIRST, GOOD, NAMESPACE, Scene, assert_undisturbed, bad, template, text};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use serin_integration::istio::manifests::{of_kind, rendered};
use serin_integration::istio::mesh::DOMAIN;
use serin_integration::kubernetes::{Clusters, Controller};
use serin_integration::shop::Regression;
use serin_integration::{turn, wait_until};
use std::time::Instant;

/// The services of the two sides.
const CLUSTERS: Clusters = Clusters {
    stable: "outbound|8080||shop-stable.shop.svc.cluster.local",
    canary: "outbound|8080||shop-canary.shop.svc.cluster.local",
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

/// The analysis of Argo Rollouts' own documentation, by the requests of the mesh alone.
fn success_rate() -> Value {
    let requests = |more: &str| {
        format!("sum(irate(istio_requests_total{{destination_workload=\"shop\"{more}}}[1m]))")
    };
    let query = format!(
        "{} / {}",
        requests(", response_code!~\"5.*\""),
        requests("")
    );
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "success-rate", "namespace": NAMESPACE},
        "spec": {"metrics": [{
            "name": "success-rate",
            "interval": "5s",
            // Before the first requests there is nothing to divide.
            "successCondition": "len(result) == 0 || isNaN(result[0]) || result[0] >= 0.95",
            "failureLimit": 3,
            "provider": {"prometheus": {
                "address": "http://prometheus.istio-system:9090",
                "query": query,
            }},
        }]},
    })
}

/// Who judges a release.
#[derive(Clone, Copy, PartialEq)]
enum Judge {
    Serin,
    SuccessRate,
}

/// How long the second step lasts.
const PAUSE: &str = "60s";
/// The same where a verdict has to fall before it ends: it takes longer or shorter by chance.
const LONG_PAUSE: &str = "180s";

/// The services, the routes and the Rollout, as the documentation has them.
fn shop(judge: Judge, pause: &str) -> Vec<Value> {
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
        {"name": "release", "valueFrom": {"podTemplateHashValue": "Latest"}},
    ]);
    let analysis =
        |template: &str| json!({"templates": [{"templateName": template}], "args": args});
    let (guard, gate) = match judge {
        Judge::Serin => (
            analysis("serin-guard-web"),
            json!({"analysis": analysis("serin-gate-web")}),
        ),
        Judge::SuccessRate => (
            json!({"templates": [{"templateName": "success-rate"}]}),
            json!({"pause": {"duration": "10s"}}),
        ),
    };
    vec![
        service("shop-stable"),
        service("shop-canary"),
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            "metadata": {"name": "shop", "namespace": NAMESPACE},
            "spec": {"hosts": [DOMAIN], "gateways": ["shop"], "http": [
                {
                    "name": "serin-steer",
                    "match": [{"headers": {"x-serin-steer": {"exact": "primary"}}}],
                    "route": [to("shop-stable", 100)],
                },
                {"name": "serin-split", "route": [to("shop-stable", 100), to("shop-canary", 0)]},
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
                    "stableService": "shop-stable",
                    "canaryService": "shop-canary",
                    "trafficRouting": {"istio": {"virtualService": {"name": "shop", "routes": ["serin-split"]}}},
                    "analysis": guard,
                    "steps": [
                        {"setWeight": 25},
                        gate,
                        {"setWeight": 50},
                        {"pause": {"duration": pause}},
                    ],
                }},
            },
        }),
    ]
}

/// Starts everything with the first release and waits until it is there.
async fn begin(name: &str, seed: u64) -> Result<(Scene, Controller)> {
    begin_with("observe", Judge::Serin, PAUSE, name, seed).await
}

/// The same with a mode of the filter, another judge, and another second step.
async fn begin_with(
    mode: &str,
    judge: Judge,
    pause: &str,
    name: &str,
    seed: u64,
) -> Result<(Scene, Controller)> {
    let scene = Scene::start(name, CLUSTERS, seed).await?;
    scene.plane.apply(&templates()?).await?;
    scene.plane.apply(&[success_rate()]).await?;
    let listener = scene.mesh.listener();
    scene
        .apply(mode, &["gateway-compare"], &[listener], &[])
        .await?;
    let argo =
        Controller::argo_rollouts(&format!("{name}/argo"), &scene.plane, &scene.names).await?;
    scene.plane.apply(&shop(judge, pause)).await?;
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

async fn is_aborted(regression: &str, mode: &str, seed: u64) -> Result<()> {
    let _turn = turn::alone().await;
    let name = format!("kubernetes-argo-{regression}-{mode}");
    let (scene, argo) = begin_with(mode, Judge::Serin, LONG_PAUSE, &name, seed).await?;
    let load = scene.load(seed + 1).await?;
    release(&scene, &bad(regression)).await?;
    wait_for_abort(&scene).await.with_context(|| argo.log())?;
    let what = format!("{regression}, mode {mode}, aborted by Argo Rollouts");
    let tally = scene.end(load, &what).await?;
    assert_undisturbed(&tally);
    scene.assert_stable_is(FIRST)
}

async fn wait_for_abort(scene: &Scene) -> Result<()> {
    scene
        .wait_for("abort", ROLLOUT, |rollout| {
            ensure!(
                !promoted(rollout) || scene.progress().steps().count() == 0,
                "{rollout}"
            );
            Ok(aborted(rollout))
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_with_errors_is_aborted() -> Result<()> {
    is_aborted("errors", "observe", 93).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_with_errors_is_aborted_after_its_requests_were_steered() -> Result<()> {
    is_aborted("errors", "steer", 121).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_slow_release_is_aborted() -> Result<()> {
    is_aborted("latency", "observe", 97).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_that_loses_a_field_is_aborted() -> Result<()> {
    is_aborted("lost-field", "observe", 99).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_that_goes_bad_within_a_step_is_aborted_before_the_next() -> Result<()> {
    let _turn = turn::alone().await;
    let (scene, argo) = begin("kubernetes-argo-between", 123).await?;
    let load = scene.load(124).await?;
    release(&scene, GOOD).await?;
    wait_until("the last step", async || {
        Ok(scene.progress().steps().last() == Some(50))
    })
    .await?;
    let begin = Instant::now();
    scene.kubelet.spoil(GOOD, Regression::LostField);
    wait_for_abort(&scene).await.with_context(|| argo.log())?;
    let tally = scene
        .end(load, "gone bad within a step, aborted by Argo Rollouts")
        .await?;
    scene.say_since(begin);
    assert_undisturbed(&tally);
    let steps: Vec<u32> = scene.progress().steps().collect();
    assert_eq!(steps, [25, 50, 0]);
    scene.assert_stable_is(FIRST)
}

/// What Argo Rollouts does with a success rate, to hold Serin's figures against: printed, not
/// required.
async fn without_serin(regression: &str, seed: u64) -> Result<()> {
    let _turn = turn::alone().await;
    let name = format!("kubernetes-argo-{regression}-alone");
    let (scene, _argo) = begin_with("observe", Judge::SuccessRate, PAUSE, &name, seed).await?;
    let load = scene.load(seed + 1).await?;
    release(&scene, &bad(regression)).await?;
    scene.wait_for_istio_metrics().await?;
    let over = |rollout: &Value| aborted(rollout) || promoted(rollout);
    scene
        .wait_for("end of the rollout", ROLLOUT, |rollout| {
            Ok(scene.progress().steps().count() > 0 && over(rollout))
        })
        .await?;
    let rollout = scene.plane.api().get(ROLLOUT).await?.context("a Rollout")?;
    let end = if aborted(&rollout) {
        "aborted"
    } else {
        "promoted"
    };
    let what = format!("{regression}, Argo Rollouts with a success rate: {end}");
    assert_undisturbed(&scene.end(load, &what).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_with_errors_ends_without_serin() -> Result<()> {
    without_serin("errors", 125).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_release_that_loses_a_field_ends_without_serin() -> Result<()> {
    without_serin("lost-field", 127).await
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
