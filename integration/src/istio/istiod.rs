//! The control plane.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::{binary, local};
use crate::child::Process;
use crate::envoy::free_port;
use crate::http;
use crate::wait::wait_until;

/// Mesh config: everything from the API server; no mutual TLS, for nobody issues certificates; and
/// where a WasmPlugin has `record: true`, the recording in the proxy's folder. The second line of an
/// entry is for whoever looks into a test that failed.
const MESH_CONFIG: &str = "\
rootNamespace: istio-system
configSources:
- address: k8s://
enableAutoMtls: false
accessLogFile: ./exchanges.jsonl
accessLogFormat: |
  %FILTER_STATE(wasm.serin.exchange:PLAIN)%
  %START_TIME% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %UPSTREAM_CLUSTER% attempt %UPSTREAM_REQUEST_ATTEMPT_COUNT%
";

/// What istiod is told by its environment, beside who it is.
const SETTINGS: [(&str, &str); 9] = [
    ("POD_NAME", "istiod"),
    ("POD_NAMESPACE", "istio-system"),
    ("CLUSTER_ID", "Kubernetes"),
    // These two filters are in Istio's own build of Envoy only.
    ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
    ("PILOT_ENABLE_ALPN_FILTER", "false"),
    // Nothing to sign and nothing to inject.
    ("ENABLE_CA_SERVER", "false"),
    ("PILOT_CERT_PROVIDER", "none"),
    ("INJECT_ENABLED", "false"),
    ("PILOT_ENABLE_GATEWAY_API", "false"),
];

/// Where istiod finds services and their endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Services {
    /// In ServiceEntries and WorkloadEntries alone.
    Entries,
    /// In the cluster's Services, EndpointSlices and pods too.
    Kubernetes,
}

/// A running istiod; it ends when dropped.
#[derive(Debug)]
pub struct Istiod {
    process: Process,
    xds: SocketAddr,
    http: SocketAddr,
}

impl Istiod {
    /// Starts it on a cluster and waits until it is ready. `name` is its folder under
    /// `target/integration/`, `kubeconfig` the content of the file that leads to the cluster.
    ///
    /// # Errors
    /// When it was not built, ends, or does not get ready.
    pub async fn start(name: &str, kubeconfig: &str, services: Services) -> Result<Self> {
        let registries = match services {
            Services::Entries => "--registries=",
            Services::Kubernetes => "--registries=Kubernetes",
        };
        let xds = local(free_port()?);
        let http = local(free_port()?);
        let monitoring = local(free_port()?);
        let process = Process::start(
            name,
            &binary("pilot-discovery")?,
            |dir| {
                fs::write(dir.join("kubeconfig"), kubeconfig).context("kubeconfig")?;
                fs::write(dir.join("mesh.yaml"), MESH_CONFIG).context("mesh config")
            },
            |command| {
                command
                    .envs(SETTINGS)
                    .args(["discovery", registries])
                    .args(["--kubeconfig", "kubeconfig", "--meshConfig", "mesh.yaml"])
                    .args(["--grpcAddr", &xds.to_string()])
                    .args(["--httpAddr", &http.to_string()])
                    .args(["--monitoringAddr", &monitoring.to_string()])
                    .args(["--httpsAddr=", "--secureGRPCAddr="])
                    .args(["--ctrlz_address", "127.0.0.1", "--ctrlz_port", "0"]);
            },
        )?;
        let mut istiod = Self { process, xds, http };
        wait_until("istiod ready", async || {
            istiod.process.check()?;
            let answer = http::get(istiod.http, "/ready").await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
        .with_context(|| istiod.process.tail())?;
        Ok(istiod)
    }

    /// Where proxies get their config, without TLS.
    #[must_use]
    pub fn xds_address(&self) -> SocketAddr {
        self.xds
    }

    /// Everything it has said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
