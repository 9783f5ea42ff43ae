//! The controllers: Kubernetes' own, and those that shift traffic.

use anyhow::{Context, Result};

use super::{ControlPlane, Names, program};
use crate::child::Process;
use crate::envoy::free_port;
use crate::http;
use crate::topology::local;
use crate::wait::wait_until;

/// A running controller, for all namespaces; it ends when dropped.
#[derive(Debug)]
pub struct Controller {
    process: Process,
}

/// What Kubernetes' own controllers do here: pods for Deployments, endpoints for services, and an end
/// for what nobody owns any more.
const OWN: &str = "--controllers=deployment-controller,replicaset-controller,endpointslice-controller,garbage-collector-controller,namespace-controller";

impl Controller {
    /// Starts kube-controller-manager on an API server. `name` is its folder under
    /// `target/integration/`.
    ///
    /// # Errors
    /// When it was not built.
    pub fn own(name: &str, plane: &ControlPlane) -> Result<Self> {
        let kubeconfig = format!("--kubeconfig={}", plane.kubeconfig().display());
        let process = Process::start(
            name,
            &program("kube-controller-manager")?,
            |_| Ok(()),
            |command| {
                command
                    .args([kubeconfig.as_str(), OWN, "--leader-elect=false"])
                    // It serves nothing that is asked for here.
                    .arg("--secure-port=0");
            },
        )?;
        Ok(Self { process })
    }

    /// Starts Flagger for Istio on an API server and waits until it is ready. `name` is its folder
    /// under `target/integration/`.
    ///
    /// # Errors
    /// When it was not built, ends, or does not get ready.
    pub async fn flagger(name: &str, plane: &ControlPlane, names: &Names) -> Result<Self> {
        let port = free_port()?;
        let arguments = [
            format!("-kubeconfig={}", plane.kubeconfig().display()),
            "-mesh-provider=istio".to_owned(),
            "-log-level=info".to_owned(),
            "-metrics-server=http://prometheus.istio-system:9090".to_owned(),
            format!("-port={port}"),
        ];
        Self::start(name, "flagger", names, port, &arguments).await
    }

    /// Starts Argo Rollouts on an API server and waits until it is ready. `name` is its folder under
    /// `target/integration/`.
    ///
    /// # Errors
    /// When it was not built, ends, or does not get ready.
    pub async fn argo_rollouts(name: &str, plane: &ControlPlane, names: &Names) -> Result<Self> {
        let (port, metrics) = (free_port()?, free_port()?);
        let arguments = [
            format!("--kubeconfig={}", plane.kubeconfig().display()),
            "--leader-elect=false".to_owned(),
            "--loglevel=info".to_owned(),
            format!("--metricsport={metrics}"),
            format!("--healthzPort={port}"),
        ];
        Self::start(name, "argo-rollouts", names, port, &arguments).await
    }

    /// `port` is where it says whether it is ready.
    async fn start(
        name: &str,
        program_name: &str,
        names: &Names,
        port: u16,
        arguments: &[String],
    ) -> Result<Self> {
        let process = Process::start(
            name,
            &program(program_name)?,
            |_| Ok(()),
            |command| {
                command.env("HTTP_PROXY", names.url()).args(arguments);
            },
        )?;
        let mut controller = Self { process };
        wait_until(&format!("{program_name} ready"), async || {
            controller.process.check()?;
            let answer = http::get(local(port), "/healthz").await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
        .with_context(|| controller.process.tail())?;
        Ok(controller)
    }

    /// Everything it has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
