//! Where the objects of a mesh are kept.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Kubernetes;
use crate::kubernetes::ControlPlane;

/// The environment variable that asks for a real API server.
const REAL: &str = "KUBERNETES";

/// An API server: the stand-in, or a real one where the environment has `KUBERNETES=real`.
///
/// The stand-in needs no build and is there at once. The real one holds each object against its
/// schema.
#[derive(Debug)]
pub enum Cluster {
    /// The stand-in.
    StandIn(Kubernetes),
    /// kube-apiserver, with all definitions.
    Real(Box<ControlPlane>),
}

impl Cluster {
    /// Starts it. `name` is the folder under `target/integration/`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(name: &str) -> Result<Self> {
        if std::env::var(REAL).is_ok_and(|which| which == "real") {
            let plane = ControlPlane::start(name).await?;
            plane.add_definitions().await?;
            return Ok(Self::Real(Box::new(plane)));
        }
        Kubernetes::start().await.map(Self::StandIn)
    }

    /// Adds objects, or replaces those of the same kind and name.
    ///
    /// # Errors
    /// When one of them is refused.
    pub async fn apply(&self, manifests: &[Value]) -> Result<()> {
        match self {
            Self::StandIn(cluster) => cluster.apply(manifests),
            Self::Real(cluster) => cluster.apply(manifests).await,
        }
    }

    /// Removes the objects that the manifests name; one that is not there is passed over.
    ///
    /// # Errors
    /// When one of them cannot be removed.
    pub async fn delete(&self, manifests: &[Value]) -> Result<()> {
        match self {
            Self::StandIn(cluster) => cluster.delete(manifests),
            Self::Real(cluster) => cluster.delete(manifests).await,
        }
    }

    /// The content of a kubeconfig that leads here.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn kubeconfig(&self) -> Result<String> {
        match self {
            Self::StandIn(cluster) => Ok(cluster.kubeconfig()),
            Self::Real(cluster) => {
                std::fs::read_to_string(cluster.kubeconfig()).context("kubeconfig")
            }
        }
    }
}
