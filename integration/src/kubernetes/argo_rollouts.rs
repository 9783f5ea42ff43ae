//! Argo Rollouts.

use anyhow::{Context, Result};

use super::{ControlPlane, Names, program};
use crate::child::Process;
use crate::envoy::free_port;
use crate::http;
use crate::topology::local;
use crate::wait::wait_until;

/// A running Argo Rollouts, for all namespaces; it ends when dropped.
#[derive(Debug)]
pub struct ArgoRollouts {
    process: Process,
}

impl ArgoRollouts {
    /// Starts it on an API server and waits until it is ready. `name` is its folder under
    /// `target/integration/`.
    ///
    /// # Errors
    /// When it was not built, ends, or does not get ready.
    pub async fn start(name: &str, plane: &ControlPlane, names: &Names) -> Result<Self> {
        let (port, metrics) = (free_port()?, free_port()?);
        let process = Process::start(
            name,
            &program("argo-rollouts")?,
            |_| Ok(()),
            |command| {
                command
                    .env("HTTP_PROXY", names.url())
                    .arg(format!("--kubeconfig={}", plane.kubeconfig().display()))
                    .args(["--leader-elect=false", "--loglevel=info"])
                    .arg(format!("--metricsport={metrics}"))
                    .arg(format!("--healthzPort={port}"));
            },
        )?;
        let mut argo = Self { process };
        wait_until("Argo Rollouts ready", async || {
            argo.process.check()?;
            let answer = http::get(local(port), "/healthz").await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
        .with_context(|| argo.process.tail())?;
        Ok(argo)
    }

    /// Everything it has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
