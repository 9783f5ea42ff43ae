//! A real Kubernetes API with a real Istio, and the controllers that shift traffic, without a cluster.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`ControlPlane`] | etcd, kube-apiserver and kubectl, as they ship |
//! | [`Api`] | reads and changes objects |
//! | [`Controller`] | kube-controller-manager, Flagger and Argo Rollouts, as they ship |
//! | [`Mesh`] | istiod on this API server, and a gateway with Istio's agent and a real Envoy |
//! | [`Kubelet`] | a stand-in for scheduler and kubelet: a pod gets a shop that listens on its port |
//! | [`Sidecars`] | Istio's agent with a real Envoy, for pods that ask for one by the label `sidecar.istio.io/inject` |
//! | [`Names`] | a stand-in for the cluster's DNS: leads names of services to ports of this machine |
//! | [`Rollout`] | what becomes of a rollout: the weights that Envoy has, the images of the pods |
//!
//! What differs from a cluster: nothing is run from an image, so no pod is ever slow to come; and
//! the mesh differs as [`istio`](crate::istio) says. `scripts/get-kubernetes.sh`
//! and `scripts/get-istiod.sh` build the programs; `scripts/own-network.sh` gives pods addresses.

mod api;
mod control_plane;
mod controller;
mod kubelet;
mod mesh;
mod names;
mod rollout;
mod sidecars;

pub use api::Api;
pub use control_plane::ControlPlane;
pub use controller::Controller;
pub use kubelet::Kubelet;
pub use mesh::Mesh;
pub use names::Names;
pub use rollout::{Clusters, Progress, Rollout};
pub use sidecars::Sidecars;

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::envoy::workspace;

/// A program that `scripts/get-kubernetes.sh` has built.
fn program(name: &str) -> Result<PathBuf> {
    let path = folder(name).join(name);
    ensure!(
        path.is_file(),
        "no {}; run `make test-kubernetes`, or scripts/get-kubernetes.sh",
        path.display()
    );
    Ok(path)
}

/// The folder of a program, with the resource definitions that it comes with.
fn folder(name: &str) -> PathBuf {
    workspace().join(".cache/kubernetes").join(name)
}
