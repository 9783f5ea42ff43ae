//! A real Kubernetes API, and the controllers that shift traffic on it, without a cluster.
//!
//! | part | what it is |
//! | --- | --- |
//! | [`ControlPlane`] | etcd, kube-apiserver and kubectl, as they ship |
//! | [`Api`] | reads and changes objects |
//! | [`Controller`] | Flagger and Argo Rollouts, as they ship |
//! | [`Pods`] | a stand-in for kubelets: says of every Deployment and ReplicaSet that its pods are ready |
//! | [`Names`] | a stand-in for the cluster's DNS: leads names of services to ports of this machine |
//! | [`Rollout`] | a stand-in for the mesh: moves Envoy's weights to those of a VirtualService, and gives the shop the behaviour of the images that are rolled out |
//!
//! What differs from a cluster: nothing is run from an image, so no pod is ever slow to come, and
//! nothing collects objects whose owner has gone. `scripts/get-kubernetes.sh` builds the programs.

mod api;
mod control_plane;
mod controller;
mod names;
mod pods;
mod rollout;

pub use api::Api;
pub use control_plane::ControlPlane;
pub use controller::Controller;
pub use names::Names;
pub use pods::Pods;
pub use rollout::{Progress, Rollout, Services};

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
