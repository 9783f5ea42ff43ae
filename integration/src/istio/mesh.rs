//! The shop as a mesh: cluster, control plane, a gateway and the sidecars of both versions.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::proxy::{Proxy, Workload};
use super::{Cluster, Istiod, Modules, Services, manifests};
use crate::envoy::free_port;
use crate::shop::Shops;

/// The shop's service in the mesh.
pub const HOST: &str = "shop.shop.svc.cluster.local";
/// Its port.
pub const PORT: u16 = 8080;
/// What clients call it.
pub const DOMAIN: &str = "shop.example.com";
/// Each workload has an address of its own, as pods have.
pub(crate) const GATEWAY: &str = "127.0.0.10";
const STABLE: &str = "127.0.0.11";
const CANARY: &str = "127.0.0.12";
const CALLER: &str = "127.0.0.13";

/// A mesh with the shop in it; everything ends when it is dropped.
///
/// ```text
/// clients ─→ gateway (127.0.0.10) ─┬─→ sidecar of v1 (127.0.0.11) ─→ shop v1
///                                  └─→ sidecar of v2 (127.0.0.12) ─→ shop v2
/// ```
#[derive(Debug)]
pub struct Mesh {
    /// The gateway.
    pub gateway: Proxy,
    /// The sidecar of v1.
    pub stable: Proxy,
    /// The sidecar of v2.
    pub canary: Proxy,
    /// The control plane.
    pub istiod: Istiod,
    /// What it reads.
    pub cluster: Cluster,
    /// Where the agents fetch the module.
    pub modules: Modules,
    entry: SocketAddr,
}

impl Mesh {
    /// Starts all of it with `manifests` applied from the beginning, as [`apply`](Self::apply) does
    /// it. `name` is the folder under `target/integration/`.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(name: &str, shops: &Shops, manifests: Vec<Value>) -> Result<Self> {
        let entry = SocketAddr::new(GATEWAY.parse::<IpAddr>().context("address")?, free_port()?);
        let modules = Modules::start().await?;
        let cluster = Cluster::start(name).await?;
        cluster
            .apply(&foundation(entry, shops, free_port()?))
            .await?;
        cluster.apply(&fitted(manifests, entry, &modules)?).await?;
        let istiod = Istiod::start(
            &format!("{name}/istiod"),
            &cluster.kubeconfig()?,
            Services::Entries,
        )
        .await?;
        let start = async |workload: Workload| {
            Proxy::start(&format!("{name}/{}", workload.name), &workload, &istiod).await
        };
        let stable = start(workload(
            "sidecar",
            "shop",
            "shop-v1",
            STABLE,
            "app=shop,version=v1",
        )?)
        .await?;
        let canary = start(workload(
            "sidecar",
            "shop",
            "shop-v2",
            CANARY,
            "app=shop,version=v2",
        )?)
        .await?;
        let gateway = start(workload(
            "router",
            "istio-system",
            "istio-ingressgateway",
            GATEWAY,
            "istio=ingressgateway",
        )?)
        .await?;
        Ok(Self {
            gateway,
            stable,
            canary,
            istiod,
            cluster,
            modules,
            entry,
        })
    }

    /// Applies manifests, fitted to this mesh: a Gateway listens on the mesh's entry, and a
    /// WasmPlugin that names an image (`oci://`) gets the module's URL and sum.
    ///
    /// # Errors
    /// When one of them cannot be applied.
    pub async fn apply(&self, manifests: Vec<Value>) -> Result<()> {
        self.cluster
            .apply(&fitted(manifests, self.entry, &self.modules)?)
            .await
    }

    /// Adds a workload that calls the shop: its sidecar, and where its application would send its
    /// requests to the shop.
    ///
    /// # Errors
    /// When the sidecar does not start.
    pub async fn caller(&self, name: &str) -> Result<(Proxy, SocketAddr)> {
        let entry = SocketAddr::new(CALLER.parse::<IpAddr>().context("address")?, PORT);
        self.cluster
            .apply(&[
                networking(
                    "Sidecar",
                    "storefront",
                    json!({
                        "workloadSelector": {"labels": {"app": "storefront"}},
                        "egress": [{
                            "port": {"number": PORT, "name": "http", "protocol": "HTTP"},
                            "bind": CALLER,
                            "captureMode": "NONE",
                            "hosts": [format!("./{HOST}")]
                        }]
                    }),
                ),
                networking(
                    "VirtualService",
                    "shop-inside",
                    json!({
                        "hosts": [HOST],
                        "gateways": ["mesh"],
                        "http": [{"route": [to("v1", 50), to("v2", 50)]}]
                    }),
                ),
            ])
            .await?;
        let workload = workload("sidecar", "shop", "storefront", CALLER, "app=storefront")?;
        let sidecar = Proxy::start(&format!("{name}/storefront"), &workload, &self.istiod).await?;
        Ok((sidecar, entry))
    }

    /// Where clients send their requests.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.entry
    }
}

fn fitted(mut manifests: Vec<Value>, entry: SocketAddr, modules: &Modules) -> Result<Vec<Value>> {
    for gateway in manifests::of_kind(&mut manifests, "Gateway") {
        let server = gateway.pointer_mut("/spec/servers/0");
        let server = server.and_then(Value::as_object_mut).context("a server")?;
        server.insert("bind".to_owned(), json!(entry.ip().to_string()));
        let port = json!({"number": entry.port(), "name": "http", "protocol": "HTTP"});
        server.insert("port".to_owned(), port);
    }
    let sum = Modules::sha256()?;
    for plugin in manifests::of_kind(&mut manifests, "WasmPlugin") {
        let spec = plugin.get_mut("spec").and_then(Value::as_object_mut);
        let spec = spec.context("a spec")?;
        let url = spec.get("url").and_then(Value::as_str).unwrap_or_default();
        if url.starts_with("oci://") {
            spec.insert("url".to_owned(), json!(modules.url()));
            spec.insert("sha256".to_owned(), json!(sum));
        }
    }
    Ok(manifests)
}

/// A workload with the annotations that our manifests ask for.
pub(crate) fn workload(
    role: &'static str,
    namespace: &str,
    name: &str,
    address: &str,
    labels: &str,
) -> Result<Workload> {
    let labels = labels.split(',').filter_map(|label| label.split_once('='));
    Ok(Workload {
        role,
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        address: address.to_owned(),
        labels: labels
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        annotations: manifests::annotations()?,
    })
}

fn networking(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec
    })
}

/// A weighted destination of a VirtualService.
fn to(subset: &str, weight: u32) -> Value {
    json!({
        "destination": {"host": HOST, "subset": subset, "port": {"number": PORT}},
        "weight": weight
    })
}

/// What a cluster would have without Serin: namespaces, the shop's service and workloads, subsets,
/// a gateway.
fn foundation(entry: SocketAddr, shops: &Shops, port: u16) -> Vec<Value> {
    let namespace =
        |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let mut manifests = vec![
        namespace("istio-system"),
        namespace("shop"),
        json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "PeerAuthentication",
            "metadata": {"name": "default", "namespace": "istio-system"},
            "spec": {"mtls": {"mode": "DISABLE"}}
        }),
        networking(
            "ServiceEntry",
            "shop",
            json!({
                "hosts": [HOST],
                "location": "MESH_INTERNAL",
                "resolution": "STATIC",
                "ports": [{"number": PORT, "name": "http", "protocol": "HTTP"}],
                "workloadSelector": {"labels": {"app": "shop"}}
            }),
        ),
        networking(
            "DestinationRule",
            "shop",
            json!({
                "host": HOST,
                "subsets": [
                    {"name": "v1", "labels": {"version": "v1"}},
                    {"name": "v2", "labels": {"version": "v2"}}
                ]
            }),
        ),
        networking(
            "Gateway",
            "shop",
            json!({
                "selector": {"istio": "ingressgateway"},
                "servers": [{
                    "port": {"number": entry.port(), "name": "http", "protocol": "HTTP"},
                    "bind": entry.ip().to_string(),
                    "hosts": [DOMAIN]
                }]
            }),
        ),
        weights(50, 50),
    ];
    for (version, address, application) in [
        ("v1", STABLE, shops.v1.address()),
        ("v2", CANARY, shops.v2.address()),
    ] {
        let name = format!("shop-{version}");
        let labels = json!({"app": "shop", "version": version});
        manifests.push(networking(
            "WorkloadEntry",
            &name,
            json!({"address": address, "labels": labels, "ports": {"http": port}}),
        ));
        manifests.push(networking(
            "Sidecar",
            &name,
            json!({
                "workloadSelector": {"labels": labels},
                // They call nobody: no listeners for that.
                "egress": [{"hosts": ["~/*"]}],
                "ingress": [{
                    "port": {"number": port, "name": "http", "protocol": "HTTP"},
                    "bind": address,
                    "captureMode": "NONE",
                    "defaultEndpoint": application.to_string()
                }]
            }),
        ));
    }
    manifests
}

/// The VirtualService `shop` as it is without Serin: one weighted route.
#[must_use]
pub fn weights(v1: u32, v2: u32) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "shop", "namespace": "shop"},
        "spec": {
            "hosts": [DOMAIN],
            "gateways": ["shop"],
            "http": [{"route": [to("v1", v1), to("v2", v2)]}]
        }
    })
}
