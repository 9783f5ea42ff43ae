//! Rescue beside Flagger: a guard in the canary's sidecar refuses, the gateway asks stable.

use super::{CANARY, CLUSTERS, canary, canary_without_serin, deploy, reach, release};
use crate::istio::reference::snapshot;
use crate::kubernetes::scene::{FIRST, NAMESPACE, Scene, bad, template, text};
use anyhow::{Context as _, Result, ensure};
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::istio::manifests::rendered;
use serin_integration::kubernetes::Controller;
use serin_integration::load::{Load, Tally};
use serin_integration::metrics::Metrics;
use serin_integration::{http, turn, wait_until};

/// Answers of stable from which the guard learns what is usual.
const RECORDED: u64 = 3_000;

/// The first pods, with a sidecar.
fn with_sidecar() -> Value {
    let mut template = template(FIRST);
    template["metadata"]["labels"]["sidecar.istio.io/inject"] = json!("true");
    template
}

/// A patch of a Canary for rescue: half of the traffic at the first step, and how many requests may
/// be retried at a time.
fn rescued(mut canary: Value) -> Value {
    canary["spec"]["analysis"]["stepWeight"] = json!(50);
    canary["spec"]["service"]["trafficPolicy"] =
        json!({"connectionPool": {"http": {"maxRetries": 50}}});
    canary
}

/// What a user adds to `flagger-steer` and `guard-reject`, as `docs/delivery-tools.md` says: the
/// EnvoyFilter of the folder `rescue`, and patches of the split and of the guard.
fn parts(scene: &Scene, reference: &Value) -> Result<(Vec<Value>, Vec<Value>)> {
    let filters = rendered("rescue")?
        .into_iter()
        .filter(|object| object["kind"] == "EnvoyFilter")
        .collect();
    let split = json!([
        {"op": "add", "path": "/spec/http/1/retries", "value": {
            "attempts": 2,
            "retryOn": "retriable-headers",
        }},
        {"op": "add", "path": "/spec/http/1/headers", "value": {
            "request": {"set": {"x-envoy-retriable-header-names": "x-serin-reject"}},
        }},
    ]);
    // A guard has no defence against shared change, and others may work on the machine.
    let mut guard = scene.mesh.plugin(&json!({
        "candidate": "canary",
        "warm_up": "1s",
        "signals": {"latency": false},
        "reject": {"reference": reference},
    }))?;
    guard["metadata"] = json!({"name": "serin-guard", "namespace": NAMESPACE});
    guard["spec"]["selector"] = json!({"matchLabels": {"app": "shop", "version": null}});
    let counting = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "serin", "namespace": "istio-system"},
        "spec": {"pluginConfig": {"count_rescued": true}},
    });
    let patches = vec![
        json!({"patch": split.to_string(), "target": {"kind": "VirtualService", "name": "shop-entry"}}),
        json!({"patch": guard.to_string(), "target": {"kind": "WasmPlugin", "name": "serin-guard"}}),
        counting,
    ];
    Ok((filters, patches))
}

/// Records stable at the gateway, applies all parts of rescue, and starts the users. The gateway only
/// watches: steering would leave nothing to rescue.
async fn begin(canary: &Value, name: &str, seed: u64) -> Result<(Scene, Controller, Load)> {
    let (scene, flagger) = deploy(&with_sidecar(), name, seed).await?;
    // Nobody signs certificates here.
    let plain = json!({
        "apiVersion": "security.istio.io/v1",
        "kind": "PeerAuthentication",
        "metadata": {"name": "default", "namespace": "istio-system"},
        "spec": {"mtls": {"mode": "DISABLE"}},
    });
    scene.plane.apply(&[plain]).await?;
    let recording = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": {"name": "serin", "namespace": "istio-system"},
        "spec": {"pluginConfig": {"record": true}},
    });
    let patches = [canary.clone(), scene.mesh.listener(), recording];
    scene
        .apply("observe", &["flagger-steer"], &[], &patches)
        .await?;
    reach(&scene, "Initialized", "Failed").await?;
    let load = scene.load(seed + 1).await?;
    load.wait_for_answers(RECORDED).await?;
    let answered = load.stop().await.answered;
    let settings = json!({"mode": "observe", "record": true});
    let reference = snapshot(scene.mesh.gateway.dir(), answered, &settings).await?;
    ensure!(reference["destination"] == "shop", "{reference}");

    let (filters, mut patches) = parts(&scene, &reference)?;
    patches.extend([canary.clone(), scene.mesh.listener()]);
    let overlays = ["flagger-steer", "guard-reject"];
    scene
        .apply("observe", &overlays, &filters, &patches)
        .await?;
    wait_until("the route that retries at stable", async || {
        let routes = "/config_dump?resource=dynamic_route_configs";
        let routes = scene.mesh.gateway.admin(routes).await?;
        Ok(routes.contains("refresh_cluster_on_retry") && routes.contains("x-serin-reject"))
    })
    .await?;
    let load = scene.load(seed + 2).await?;
    Ok((scene, flagger, load))
}

/// The sum of a counter over all of its labels; `None` where the proxy does not answer.
async fn sum(scene: &Scene, name: &str) -> Option<f64> {
    let sidecar = scene.kubelet.sidecar("shop")?;
    let page = http::get(sidecar, "/stats/prometheus?filter=serin_").await;
    let page = page.ok()?;
    let metrics = Metrics::parse(&String::from_utf8_lossy(page.body()));
    Some(metrics.value(name, &[]).unwrap_or_default())
}

/// Follows a bad release to its end, and gives the phase that Flagger ended in and how many
/// requests the guard refused.
async fn follow(scene: &Scene) -> Result<(String, f64)> {
    release(scene, &bad("headers")).await?;
    scene
        .wait_for("the analysis", CANARY, |canary| {
            Ok(text(canary, "/status/phase") == "Progressing")
        })
        .await?;
    let (mut phase, mut refused) = (String::new(), 0.0_f64);
    // Until the canary's pod is gone, for the guard publishes at its own ticks.
    wait_until("end of the canary", async || {
        if let Some(now) = sum(scene, telemetry::REJECTED.name).await {
            refused = refused.max(now);
        }
        let canary = scene.plane.api().get(CANARY).await?.context("a Canary")?;
        phase = text(&canary, "/status/phase").to_owned();
        let over = ["Succeeded", "Failed"].contains(&phase.as_str());
        Ok(over && scene.kubelet.sidecar("shop").is_none())
    })
    .await?;
    Ok((phase, refused))
}

/// Checks that nobody lost an answer but for the failures that each release has by itself, and for
/// requests to a canary that has no pods any more; says how many these are. When Flagger ends a
/// release, it removes the weights and the pods within milliseconds, and Envoy may hear of the pods
/// first. A refusal that nobody rescued would be a 503 without a version, too, but with another
/// reason.
async fn assert_only_emptied(scene: &Scene, tally: &Tally) -> Result<u64> {
    let nameless = tally.version("").answered;
    let log = scene.mesh.gateway.dir().join("exchanges.jsonl");
    let reason = format!(" 503 no_healthy_upstream {}", CLUSTERS.canary);
    // Envoy writes its log once a second.
    wait_until("reasons of lost requests", async || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let lines = log.lines();
        let emptied = lines.filter(|line| line.contains(&reason));
        let emptied = emptied.count() as u64;
        ensure!(emptied <= nameless, "{emptied} of {tally:?}");
        Ok(emptied == nameless)
    })
    .await
    .with_context(|| format!("{tally:?}"))?;
    let of_releases = tally.by_version.values();
    let (errors, answered) = of_releases.fold((0, 0), |(errors, answered), release| {
        (errors + release.errors, answered + release.answered)
    });
    assert_eq!(tally.lost(), errors, "{tally:?}");
    assert_eq!(answered, tally.sent, "{tally:?}");
    Ok(nameless)
}

async fn is_guarded(canary: &Value, name: &str, seed: u64) -> Result<(Scene, Controller, String)> {
    let (scene, flagger, load) = begin(canary, name, seed).await?;
    let (phase, refused) = follow(&scene).await?;
    let tally = scene.end(load, &format!("guarded, {phase}")).await?;
    let emptied = assert_only_emptied(&scene, &tally).await?;
    ensure!(refused > 0.0, "the guard refused nothing");
    // Each refusal was rescued, but for the few that stable also failed to answer.
    let mut rescued = 0.0;
    wait_until("refusals counted as rescued", async || {
        let metrics = scene.mesh.gateway.metrics().await?;
        rescued = metrics
            .value(telemetry::RESCUED.name, &[])
            .unwrap_or_default();
        Ok((0.95 * refused..=refused).contains(&rescued))
    })
    .await
    .with_context(|| format!("{refused} refused, {rescued} rescued"))?;
    println!(
        "{phase}: {refused} refused, {rescued} rescued; {} of {} requests lost, {emptied} of them to a canary without pods",
        tally.lost(),
        tally.sent
    );
    Ok((scene, flagger, phase))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn what_the_guard_refuses_is_answered_by_stable_until_the_release_is_rolled_back()
-> Result<()> {
    let _turn = turn::alone().await;
    let name = "kubernetes-flagger-guard";
    let (scene, flagger, phase) = is_guarded(&rescued(canary()), name, 121).await?;
    ensure!(phase == "Failed", "{phase}: {}", flagger.log());
    ensure!(
        scene.names.answered("/flagger/rollback", 200) > 0,
        "it was not Serin's word: {}",
        flagger.log()
    );
    scene.assert_stable_is(FIRST)
}

/// What Flagger does with its own metrics while a guard refuses: printed, not required.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn a_guarded_release_ends_without_serin() -> Result<()> {
    let _turn = turn::alone().await;
    let name = "kubernetes-flagger-guard-alone";
    let (_scene, flagger, _phase) = is_guarded(&rescued(canary_without_serin()), name, 125).await?;
    println!("{}", flagger.log());
    Ok(())
}
