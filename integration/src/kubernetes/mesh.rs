//! Istio on this API server: istiod, and a gateway that gets everything from it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{ControlPlane, Sidecars};
use crate::envoy::free_port;
use crate::istio::mesh::{DOMAIN, GATEWAY, workload};
use crate::istio::{Istiod, Modules, Proxy, Services};

/// Statistics that Envoy keeps beside Istio's choice: those of the clusters, from which
/// [`Controller`](super::Controller)s without Serin get their metrics.
const STATISTICS: (&str, &str) = (
    "sidecar.istio.io/statsInclusionPrefixes",
    "cluster.outbound",
);

/// The running mesh; it ends when dropped.
#[derive(Debug)]
pub struct Mesh {
    /// The gateway.
    pub gateway: Proxy,
    istiod: Arc<Istiod>,
    modules: Modules,
    entry: SocketAddr,
}

impl Mesh {
    /// Starts it. `name` is the folder under `target/integration/`.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(name: &str, plane: &ControlPlane) -> Result<Self> {
        let kubeconfig = std::fs::read_to_string(plane.kubeconfig()).context("kubeconfig")?;
        let folder = format!("{name}/istiod");
        let istiod = Istiod::start(&folder, &kubeconfig, Services::Kubernetes).await?;
        let labels = "istio=ingressgateway";
        let mut workload = workload(
            "router",
            "istio-system",
            "istio-ingressgateway",
            GATEWAY,
            labels,
        )?;
        let (key, value) = STATISTICS;
        workload
            .annotations
            .push((key.to_owned(), value.to_owned()));
        let gateway = Proxy::start(&format!("{name}/gateway"), &workload, &istiod).await?;
        Ok(Self {
            gateway,
            istiod: Arc::new(istiod),
            modules: Modules::start().await?,
            entry: SocketAddr::new(GATEWAY.parse::<IpAddr>().context("address")?, free_port()?),
        })
    }

    /// What starts sidecars for pods. `name` is their folder under `target/integration/`.
    ///
    /// # Errors
    /// When that folder cannot be made.
    pub fn sidecars(&self, name: &str) -> Result<Sidecars> {
        Sidecars::new(name, Arc::clone(&self.istiod))
    }

    /// Where clients send their requests, to [`DOMAIN`].
    #[must_use]
    pub fn entry(&self) -> SocketAddr {
        self.entry
    }

    /// The Gateway `shop`, listening on the entry.
    #[must_use]
    pub fn listener(&self) -> Value {
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "shop", "namespace": "shop"},
            "spec": {
                "selector": {"istio": "ingressgateway"},
                "servers": [{
                    "bind": self.entry.ip(),
                    "port": {"number": self.entry.port(), "name": "http", "protocol": "HTTP"},
                    "hosts": [DOMAIN],
                }],
            },
        })
    }

    /// A patch of the WasmPlugin `serin`: with the module that was built here, and these fields in
    /// its config.
    ///
    /// # Errors
    /// When the module's sum cannot be told.
    pub fn plugin(&self, config: &Value) -> Result<Value> {
        Ok(json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": {"name": "serin", "namespace": "istio-system"},
            "spec": {
                "url": self.modules.url(),
                "sha256": Modules::sha256()?,
                "pluginConfig": config,
            },
        }))
    }
}
