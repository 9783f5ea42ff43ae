//! What every rollout needs: an API server with its controllers and nodes, Istio with the shop behind
//! its gateway, a Prometheus, and `serin serve-verdict`.

use crate::manifests::render::copied;
use crate::prometheus::hooks::Hooks;
use crate::prometheus::manifests::hurried_rule_groups;
use crate::prometheus::server::{Prometheus, STEP, Settings, prometheus_binary};
use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use serin_integration::istio::mesh::DOMAIN;
use serin_integration::kubernetes::{
    Clusters, ControlPlane, Controller, Kubelet, Mesh, Names, Progress, Rollout,
};
use serin_integration::load::{Load, LoadOptions, Tally};
use serin_integration::process::{Memory, memory_mib};
use serin_integration::shop::VERSION_HEADER;
use serin_integration::{http, wait_until};
use std::fs;
use std::time::Instant;

/// The namespace of the shop.
pub(crate) const NAMESPACE: &str = "shop";
/// The release that is there from the beginning.
pub(crate) const FIRST: &str = "registry.example.com/shop:1.0";
/// One that is like it.
pub(crate) const GOOD: &str = "registry.example.com/shop:1.1";
/// Requests a second.
pub(crate) const RATE: f64 = 200.0;
/// Answers after which enough is known of the stable version.
const KNOWN: u64 = 600;

/// All but the controller that shifts traffic.
pub(crate) struct Scene {
    // Those who ask the API server end before it does.
    rollout: Rollout,
    prometheus: Prometheus,
    pub(crate) mesh: Mesh,
    pub(crate) kubelet: Kubelet,
    _controllers: Controller,
    pub(crate) plane: ControlPlane,
    pub(crate) names: Names,
    hooks: Hooks,
    clusters: Clusters,
}

impl Scene {
    /// Starts it. Serin comes with [`apply`](Self::apply).
    pub(crate) async fn start(name: &str, clusters: Clusters, seed: u64) -> Result<Self> {
        let binary = prometheus_binary().context("no Prometheus")?;
        let plane = ControlPlane::start(name).await?;
        plane.add_definitions().await?;
        plane.add_namespaces(&["istio-system", NAMESPACE]).await?;
        let controllers = Controller::own(&format!("{name}/controllers"), &plane)?;
        let mesh = Mesh::start(name, &plane).await?;
        let sidecars = mesh.sidecars(&format!("{name}/sidecars"))?;
        let targets = sidecars.targets().to_owned();
        let kubelet = Kubelet::start(&plane, sidecars, seed).await?;
        let settings = Settings {
            folder: &format!("{name}/prometheus"),
            step: STEP,
            alertmanager: None,
            // A regular expression: `|` would mean something.
            cluster: Some(&clusters.canary.replace('|', ".")),
            sidecars: Some(&targets),
        };
        let mut groups = hurried_rule_groups()?;
        groups.push(istio_metrics(&clusters));
        let gateway = mesh.gateway.admin_address();
        let prometheus =
            Prometheus::start_with(&binary, &[("gateway", gateway)], &groups, &settings).await?;
        let hooks = Hooks::start(prometheus.address()).await?;
        let names = Names::start(&[
            ("prometheus.istio-system:9090", prometheus.address()),
            ("serin-serve-verdict.istio-system:8095", hooks.address()),
        ])
        .await?;
        Ok(Self {
            rollout: Rollout::follow(*plane.api(), clusters.clone(), gateway),
            prometheus,
            mesh,
            kubelet,
            _controllers: controllers,
            plane,
            names,
            hooks,
            clusters,
        })
    }

    /// `kubectl apply -k` of a kustomization as a user would write it: overlays by name, objects of
    /// one's own, and patches (one with a `target` is an entry of `patches` as it is), to which come the module that was built here and Serin's settings for
    /// the two sides. The versions are called `primary` and `canary`, the destination `shop`.
    pub(crate) async fn apply(
        &self,
        mode: &str,
        overlays: &[&str],
        objects: &[Value],
        patches: &[Value],
    ) -> Result<()> {
        let folder = copied()?;
        let folder = folder.path().join("applied");
        fs::create_dir(&folder)?;
        let plugin = self.mesh.plugin(&json!({
            "mode": mode,
            "baseline": "primary",
            "candidate": "canary",
            "warm_up": "3s",
            "body": {},
            "versions": {
                "from": "clusters",
                "destinations": {"shop": {
                    "primary": [self.clusters.stable],
                    "canary": [self.clusters.canary],
                }},
            },
        }))?;
        let mut resources: Vec<String> = overlays.iter().map(|name| format!("../{name}")).collect();
        for (index, object) in objects.iter().enumerate() {
            let file = format!("object-{index}.yaml");
            fs::write(folder.join(&file), object.to_string())?;
            resources.push(file);
        }
        let mut paths = Vec::new();
        for (index, patch) in patches.iter().chain([&plugin]).enumerate() {
            if patch.get("target").is_some() {
                paths.push(patch.clone());
                continue;
            }
            let file = format!("patch-{index}.yaml");
            fs::write(folder.join(&file), patch.to_string())?;
            paths.push(json!({"path": file}));
        }
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": resources,
            "patches": paths,
        });
        fs::write(folder.join("kustomization.yaml"), kustomization.to_string())?;
        let folder = folder.to_str().context("a folder's name")?;
        let apply = ["apply", "--server-side", "--validate=strict", "-k", folder];
        self.plane.kubectl(&apply).await?;
        Ok(())
    }

    /// Users, once Serin has seen enough of the stable version.
    pub(crate) async fn load(&self, seed: u64) -> Result<Load> {
        wait_until("route to the shop", async || Ok(self.progress().routed)).await?;
        let ready = ["serin ", "as comparer"];
        self.mesh.gateway.wait_for_log(&ready).await?;
        // A route may be there before its cluster is.
        wait_until("answer of the shop", async || {
            let host = [("host", DOMAIN)];
            let answer = http::request(self.mesh.entry(), Method::GET, "/", &host, "").await?;
            Ok(answer.headers().contains_key(VERSION_HEADER))
        })
        .await?;
        let options = LoadOptions::new(self.mesh.entry(), RATE).header("host", DOMAIN);
        let load = Load::start(options.seed(seed))?;
        load.wait_for_answers(KNOWN).await?;
        Ok(load)
    }

    /// What serve-verdict says of the canary.
    pub(crate) async fn verdict(&self) -> Result<Value> {
        let (status, verdict) = self
            .hooks
            .get("/verdict?destination=shop&candidate=canary")
            .await?;
        ensure!(status == 200, "{status} {verdict}");
        Ok(verdict)
    }

    /// Waits until Prometheus has the canary's requests under the names that controllers ask for by
    /// themselves: where they find nothing, they judge nothing.
    pub(crate) async fn wait_for_istio_metrics(&self) -> Result<()> {
        let requests = "sum(rate(istio_requests_total[1m])) > 0";
        self.prometheus.wait_for(requests).await?;
        Ok(())
    }

    pub(crate) fn progress(&self) -> Progress {
        self.rollout.progress()
    }

    /// Waits until `holds` is true of an object; an error of it ends the wait, with the events.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        path: &str,
        holds: impl Fn(&Value) -> Result<bool>,
    ) -> Result<()> {
        let waited = wait_until(what, async || {
            let object = self.plane.api().get(path).await?;
            object.as_ref().map_or(Ok(false), &holds)
        })
        .await;
        match waited {
            Ok(()) => Ok(()),
            Err(error) => {
                let progress = self.progress();
                Err(error.context(format!("{progress:?}\n{}", self.events().await?)))
            }
        }
    }

    /// What Kubernetes has recorded of the shop, oldest first.
    pub(crate) async fn events(&self) -> Result<String> {
        let sorted = "--sort-by=.metadata.creationTimestamp";
        let columns = "custom-columns=TIME:.metadata.creationTimestamp,TYPE:.type,REASON:.reason,OBJECT:.involvedObject.kind,MESSAGE:.message";
        let namespace = format!("--namespace={NAMESPACE}");
        let arguments = ["get", "events", &namespace, sorted, "--output", columns];
        self.plane.kubectl(&arguments).await
    }

    /// Waits until no request goes to the canary any more, ends the load, and says what it came to.
    pub(crate) async fn end(&self, load: Load, what: &str) -> Result<Tally> {
        wait_until("weights back at the stable version", async || {
            Ok(self.progress().exposed().is_some())
        })
        .await?;
        let tally = load.stop().await;
        let progress = self.progress();
        println!(
            "{what}: weights {:?}, {:.1} s with traffic on the canary, {} of {} requests lost",
            progress.steps().collect::<Vec<_>>(),
            progress.exposed().context("exposed")?.as_secs_f64(),
            tally.lost(),
            tally.sent,
        );
        for (version, of_version) in &tally.by_version {
            let (errors, answered) = (of_version.errors, of_version.answered);
            println!("{version:?}: {errors} of {answered} lost");
        }
        println!("{}", self.events().await?);
        let namespace = format!("--namespace={NAMESPACE}");
        let kinds = "canaries,rollouts,virtualservices,deployments,replicasets,pods";
        let objects = self.plane.kubectl(&["get", kinds, &namespace]).await?;
        println!("{objects}\n{}", memory()?);
        Ok(tally)
    }

    /// Prints how long the canary has had traffic since then.
    pub(crate) fn say_since(&self, begin: Instant) {
        if let Some((end, _)) = self.progress().weights.last() {
            let time = end.duration_since(begin);
            println!(
                "{:.1} s from the regression to the end of its traffic",
                time.as_secs_f64()
            );
        }
    }

    /// Checks which images the stable version's pods have.
    pub(crate) fn assert_stable_is(&self, image: &str) -> Result<()> {
        let (stable, _) = self.progress().images;
        ensure!(
            stable.as_deref() == Some(image),
            "{stable:?} and not {image}"
        );
        Ok(())
    }
}

/// An image with a [`serin_integration::shop::Regression`].
pub(crate) fn bad(regression: &str) -> String {
    format!("registry.example.com/shop:1.2-{regression}")
}

/// What Istio's sidecar would say of the canary's pods, in the metrics that Flagger and Argo Rollouts
/// ask for by default. Istio's filter for that is in its own build of Envoy only. So this is what plain
/// Envoy says: of the sidecar's inbound listener where the pods have sidecars, else of their cluster
/// at the gateway. Durations are in milliseconds.
fn istio_metrics(clusters: &Clusters) -> Value {
    let labels = json!({
        "reporter": "destination",
        "destination_workload_namespace": NAMESPACE,
        "destination_workload": "shop",
    });
    let of_canary = format!("{{cluster_name=\"{}\"}}", clusters.canary);
    let inbound =
        |what: &str| format!("{{__name__=~\"envoy_http_.*downstream_rq{what}\",app=\"shop\"}}");
    // Classes in place of codes: `5xx` matches what asks for `5.*`.
    let requests = format!(
        "sum by (response_code) (label_replace({}, \"response_code\", \"$1\", \"response_code_class\", \"(.*)\")) or (sum by (response_code) (envoy_cluster_upstream_rq{of_canary}) unless on () count({}))",
        inbound(""),
        inbound(""),
    );
    let durations = format!(
        "sum by (le) ({}) or (sum by (le) (envoy_cluster_upstream_rq_time_bucket{of_canary}) unless on () count({}))",
        inbound("_time_bucket"),
        inbound("_time_bucket"),
    );
    json!({"name": "istio", "interval": format!("{STEP}s"), "rules": [
        {"record": "istio_requests_total", "expr": requests, "labels": labels},
        {"record": "istio_request_duration_milliseconds_bucket", "expr": durations, "labels": labels},
    ]})
}

/// Nobody lost an answer but for the failures that each release has by itself, and everybody got one.
pub(crate) fn assert_undisturbed(tally: &Tally) {
    assert_nothing_else_lost(tally);
    let answered = tally.by_version.iter().filter(|(name, _)| !name.is_empty());
    let answered: u64 = answered.map(|(_, release)| release.answered).sum();
    assert_eq!(answered, tally.sent, "{tally:?}");
}

/// The same while requests are under way.
pub(crate) fn assert_nothing_else_lost(tally: &Tally) {
    let of_releases = tally.by_version.iter().filter(|(name, _)| !name.is_empty());
    let errors: u64 = of_releases.map(|(_, release)| release.errors).sum();
    assert_eq!(tally.lost(), errors, "{tally:?}");
}

/// The resident memory of this process and of all that it started.
fn memory() -> Result<String> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // One that ends meanwhile counts no longer.
        let Ok(status) = fs::read_to_string(format!("/proc/{process}/stat")) else {
            continue;
        };
        let after_name = status.rsplit_once(')').map_or("", |(_, fields)| fields);
        let parent = after_name.split_whitespace().nth(1);
        if let Some(parent) = parent.and_then(|parent| parent.parse::<u32>().ok()) {
            parents.push((process, parent));
        }
    }
    let mut family = vec![std::process::id()];
    let mut next = 0;
    while let Some(process) = family.get(next).copied() {
        let children = parents.iter().filter(|(_, parent)| *parent == process);
        family.extend(children.map(|(child, _)| *child));
        next += 1;
    }
    let memory = family
        .iter()
        .filter_map(|process| memory_mib(*process, Memory::Now).ok());
    let memory: f64 = memory.sum();
    Ok(format!("{memory:.0} MiB in {} processes", family.len()))
}

/// The pods' template of an image.
pub(crate) fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "shop"}},
        "spec": {
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {"name": "shop", "image": image, "ports": [{"name": "http", "containerPort": 8080}]},
            ],
        },
    })
}

/// Text of a field; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let field = object.pointer(pointer).and_then(Value::as_str);
    field.unwrap_or_default()
}
