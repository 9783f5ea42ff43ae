//! Sidecars of pods: Istio's agent with its Envoy, as the injector would add them to the pod.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Api;
use crate::envoy::run_dir;
use crate::http;
use crate::istio::manifests::annotations;
use crate::istio::{Istiod, Proxy, Workload};
use crate::wait::wait_until;

/// The label by which a pod asks for a sidecar, as on a cluster.
const ASKS: &str = "sidecar.istio.io/inject";
/// A label that each pod with a sidecar gets: its address. No iptables lead a pod's traffic to its
/// sidecar here, so each one has a `Sidecar` that says where to listen, and this label selects it.
const ADDRESS: &str = "serin.test/address";
/// Statistics that Envoy keeps beside Istio's choice: those of the inbound listener.
const STATISTICS: (&str, &str) = ("sidecar.istio.io/statsInclusionPrefixes", "http.inbound");

/// Starts sidecars.
#[derive(Debug)]
pub struct Sidecars {
    name: String,
    istiod: Arc<Istiod>,
    targets: PathBuf,
}

impl Sidecars {
    /// `name` is the folder of all of them under `target/integration/`.
    pub(super) fn new(name: &str, istiod: Arc<Istiod>) -> Result<Self> {
        let folder = run_dir(name);
        std::fs::create_dir_all(&folder).context("folder of the sidecars")?;
        let sidecars = Self {
            name: name.to_owned(),
            istiod,
            targets: folder.join("targets.json"),
        };
        sidecars.tell([].into_iter())?;
        Ok(sidecars)
    }

    /// The file that says to Prometheus where the sidecars that run have their statistics: `app` is
    /// the pod's label of that name.
    #[must_use]
    pub fn targets(&self) -> &Path {
        &self.targets
    }

    /// Writes that file anew.
    pub(super) fn tell<'a>(
        &self,
        running: impl Iterator<Item = (&'a str, SocketAddr)>,
    ) -> Result<()> {
        let groups: Vec<Value> = running
            .map(|(app, admin)| json!({"targets": [admin.to_string()], "labels": {"proxy": "sidecar", "app": app}}))
            .collect();
        // Renamed, for Prometheus may read at any time.
        let new = self.targets.with_extension("new");
        std::fs::write(&new, json!(groups).to_string()).context("targets")?;
        std::fs::rename(&new, &self.targets).context("targets")
    }

    /// Starts the sidecar of a pod, which listens at `address` and hands requests to `application`,
    /// and waits until one comes through.
    pub(super) async fn start(
        &self,
        api: &Api,
        pod: &Value,
        address: SocketAddr,
        application: SocketAddr,
    ) -> Result<Proxy> {
        let text = |pointer| pod.pointer(pointer).and_then(Value::as_str);
        let name = text("/metadata/name").context("a name")?;
        let namespace = text("/metadata/namespace").context("a namespace")?;
        let own = json!({ADDRESS: address.ip()});
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}");
        api.patch(&path, &json!({"metadata": {"labels": own}}))
            .await?;
        let sidecar = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Sidecar",
            "metadata": {
                "name": format!("pod-{}", address.ip()),
                "ownerReferences": [{
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": name,
                    "uid": text("/metadata/uid"),
                }],
            },
            "spec": {
                "workloadSelector": {"labels": own},
                // They call nobody: no listeners for that.
                "egress": [{"hosts": ["~/*"]}],
                "ingress": [{
                    "port": {"number": address.port(), "name": "http", "protocol": "HTTP"},
                    "bind": address.ip(),
                    "captureMode": "NONE",
                    "defaultEndpoint": application.to_string(),
                }],
            },
        });
        let path = format!("/apis/networking.istio.io/v1/namespaces/{namespace}/sidecars");
        api.create(&path, &sidecar).await?;
        let workload = workload(pod, namespace, name, address)?;
        let folder = format!("{}/{name}", self.name);
        let proxy = Proxy::start(&folder, &workload, &self.istiod).await?;
        wait_until("answer through the sidecar", async || {
            let answer = http::get(address, "/health").await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await?;
        Ok(proxy)
    }
}

/// Whether a pod asks for a sidecar.
pub(super) fn is_asked_for(pod: &Value) -> bool {
    let labels = pod.pointer("/metadata/labels");
    labels.and_then(|labels| labels.get(ASKS)) == Some(&json!("true"))
}

fn workload(pod: &Value, namespace: &str, name: &str, address: SocketAddr) -> Result<Workload> {
    let labels = pod.pointer("/metadata/labels").and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    let mut labels: Vec<(String, String)> = labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    labels.push((ADDRESS.to_owned(), address.ip().to_string()));
    let mut annotations = annotations()?;
    let (key, value) = STATISTICS;
    annotations.push((key.to_owned(), value.to_owned()));
    Ok(Workload {
        role: "sidecar",
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        address: address.ip().to_string(),
        labels,
        annotations,
    })
}
