//! A real mesh: Istio's control plane and agents around real Envoys, without a cluster.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`Cluster`] | what istiod reads its objects from: a stand-in, [`Kubernetes`], or a real API server |
//! | [`Istiod`] | Istio's own `pilot-discovery`, as it ships |
//! | [`Proxy`] | Istio's own `pilot-agent`, which makes the bootstrap, fetches the module and starts Envoy |
//! | [`Modules`] | where the agents fetch the module over HTTP |
//! | [`mesh`] | the shop with its service, its workloads and a gateway |
//! | [`manifests`] | our overlays, rendered |
//!
//! What differs from a cluster: Envoy is the plain one and not Istio's build, so the filters that
//! only that has are switched off in istiod; no mutual TLS, for nobody signs certificates; no
//! iptables, so sidecars listen where they say; the agent keeps modules below its own folder.
//! `scripts/get-istiod.sh` builds Istio; the environment variable `ISTIO` chooses a version.

mod cluster;
mod events;
mod istiod;
mod kinds;
mod kubernetes;
pub mod manifests;
pub mod mesh;
mod modules;
mod proxy;
mod store;

pub use cluster::Cluster;
pub use istiod::{Istiod, Services};
pub use kubernetes::Kubernetes;
pub use mesh::Mesh;
pub use modules::Modules;
pub use proxy::{Proxy, Workload};

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::envoy::workspace;

/// The version that is tested unless `ISTIO` says otherwise.
const VERSION: &str = "1.31";

/// The version of Istio that is tested: `ISTIO`, else the newest.
#[must_use]
pub fn version() -> String {
    std::env::var("ISTIO").unwrap_or_else(|_| VERSION.to_owned())
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A file of the Istio that is tested.
fn binary(program: &str) -> Result<PathBuf> {
    let path = workspace()
        .join(".cache/istio")
        .join(version())
        .join(program);
    ensure!(
        path.is_file(),
        "no {}; run `make test-istio`, or scripts/get-istiod.sh and set ISTIO to one of its versions",
        path.display()
    );
    Ok(path)
}
