//! What every rollout needs: an API server, the shop behind an Envoy with Serin, a Prometheus, and
//! `serin serve-verdict`.

use crate::live::common::{config, filter, with};
use crate::prometheus::hooks::Hooks;
use crate::prometheus::manifests::hurried_rule_groups;
use crate::prometheus::server::{Prometheus, STEP, Settings, prometheus_binary};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use serin_integration::kubernetes::{ControlPlane, Names, Pods, Progress, Rollout, Services};
use serin_integration::load::{Load, LoadOptions, Tally};
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::wait_until;
use std::net::SocketAddr;

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

/// All but the controller.
pub(crate) struct Scene {
    // Those who ask the API server end before it does.
    rollout: Rollout,
    _pods: Pods,
    pub(crate) plane: ControlPlane,
    pub(crate) names: Names,
    hooks: Hooks,
    address: SocketAddr,
    _prometheus: Prometheus,
}

impl Scene {
    /// Starts it with a filter that observes. The versions are called `primary` and `canary`, the
    /// destination `shop`.
    pub(crate) async fn start(name: &str, services: Services, seed: u64) -> Result<Self> {
        Self::start_in("observe", name, services, seed).await
    }

    /// The same with a filter in another mode.
    pub(crate) async fn start_in(
        mode: &str,
        name: &str,
        services: Services,
        seed: u64,
    ) -> Result<Self> {
        let binary = prometheus_binary().context("no Prometheus")?;
        let plane = ControlPlane::start(name).await?;
        plane.add_definitions().await?;
        plane.add_namespaces(&["istio-system", NAMESPACE]).await?;
        let shops = Shops::start(seed).await?;
        let config = with(
            config(mode),
            json!({
                "baseline": "primary",
                "candidate": "canary",
                "body": {},
                "versions": {
                    "from": "clusters",
                    "destinations": {"shop": {"primary": ["shop-v1"], "canary": ["shop-v2"]}},
                },
            }),
        );
        let topology = Topology::builder(name, &shops)
            .weights(100, 0)
            .filter(filter(&config))
            .start()
            .await?;
        let (address, admin) = (topology.address(), topology.front.admin_address());
        let settings = Settings {
            folder: &format!("{name}/prometheus"),
            step: STEP,
            alertmanager: None,
            cluster: Some("shop-v2"),
        };
        let mut groups = hurried_rule_groups()?;
        groups.push(istio_metrics());
        let prometheus =
            Prometheus::start_with(&binary, &[("gateway", admin)], &groups, &settings).await?;
        let hooks = Hooks::start(prometheus.address()).await?;
        let names = Names::start(&[
            ("prometheus.istio-system:9090", prometheus.address()),
            ("serin-serve-verdict.istio-system:8095", hooks.address()),
        ])
        .await?;
        let api = *plane.api();
        Ok(Self {
            plane,
            names,
            hooks,
            rollout: Rollout::start(api, services, topology, shops)?,
            address,
            _pods: Pods::start(api),
            _prometheus: prometheus,
        })
    }

    /// Users, once Serin has seen enough of the stable version.
    pub(crate) async fn load(&self, seed: u64) -> Result<Load> {
        let load = Load::start(LoadOptions::new(self.address, RATE).seed(seed))?;
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
        let columns =
            "custom-columns=TYPE:.type,REASON:.reason,OBJECT:.involvedObject.kind,MESSAGE:.message";
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
        let canary = tally.version("v2");
        println!(
            "{what}: weights {:?}, {:.1} s with traffic on the canary, {} of its {} requests lost, {} of {} in all",
            progress.steps().collect::<Vec<_>>(),
            progress.exposed().context("exposed")?.as_secs_f64(),
            canary.errors,
            canary.answered,
            tally.lost(),
            tally.sent,
        );
        println!("{}", self.events().await?);
        Ok(tally)
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

/// What Istio's sidecar would say of the canary's pods, from what Envoy says of their cluster: the
/// metrics that Flagger asks for by default. Durations are in milliseconds.
fn istio_metrics() -> Value {
    let labels = json!({
        "reporter": "destination",
        "destination_workload_namespace": NAMESPACE,
        "destination_workload": "shop",
    });
    let of_canary = "{envoy_cluster_name=\"shop-v2\"}";
    let requests = format!(
        "label_replace(sum by (envoy_response_code) (envoy_cluster_upstream_rq{of_canary}), \"response_code\", \"$1\", \"envoy_response_code\", \"(.*)\")"
    );
    let durations = format!("sum by (le) (envoy_cluster_upstream_rq_time_bucket{of_canary})");
    json!({"name": "istio", "interval": format!("{STEP}s"), "rules": [
        {"record": "istio_requests_total", "expr": requests, "labels": labels},
        {"record": "istio_request_duration_milliseconds_bucket", "expr": durations, "labels": labels},
    ]})
}

/// The pods' template of an image.
pub(crate) fn template(image: &str) -> Value {
    json!({
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [
            {"name": "shop", "image": image, "ports": [{"containerPort": 8080}]},
        ]},
    })
}

/// Text of a field; empty where there is none.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let field = object.pointer(pointer).and_then(Value::as_str);
    field.unwrap_or_default()
}
