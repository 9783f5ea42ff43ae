//! A proxy of the mesh: Istio's agent and the Envoy that it starts.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Istiod, binary, local};
use crate::child::Process;
use crate::envoy::{self, free_port};
use crate::http;
use crate::metrics::Metrics;
use crate::wait::{wait_for_metrics, wait_until};

/// A workload: whom the agent says that it stands beside.
#[derive(Debug, Clone)]
pub struct Workload {
    /// `router` or `sidecar`.
    pub role: &'static str,
    /// Name of the workload.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its address; sidecars find their service by it.
    pub address: String,
    /// Pod labels.
    pub labels: Vec<(String, String)>,
    /// Pod annotations, as the overlays give them.
    pub annotations: Vec<(String, String)>,
}

/// A running agent with its Envoy; both end when dropped.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    admin: SocketAddr,
}

impl Proxy {
    /// Starts the agent, which makes Envoy's bootstrap and starts it, and waits until Envoy has its
    /// config from istiod. `name` is the folder under `target/integration/`.
    ///
    /// # Errors
    /// When the agent or Envoy is not there, ends, or does not get ready.
    pub async fn start(name: &str, workload: &Workload, istiod: &Istiod) -> Result<Self> {
        let admin = local(free_port()?);
        let (status, prometheus, agent) = (free_port()?, free_port()?, free_port()?);
        let config = json!({
            "binaryPath": envoy::binary()?.to_string_lossy(),
            "proxyBootstrapTemplatePath": binary("envoy_bootstrap.json")?.to_string_lossy(),
            "discoveryAddress": istiod.xds_address().to_string(),
            "controlPlaneAuthPolicy": "NONE",
            "proxyAdminPort": admin.port(),
            "statusPort": agent,
            "concurrency": 2,
            "drainDuration": "5s",
            "terminationDrainDuration": "0.1s"
        });
        let process = Process::start(
            name,
            &binary("pilot-agent")?,
            |dir| pod_info(dir, workload),
            |command| {
                command
                    .args(["proxy", workload.role, "--proxyLogLevel=warning,wasm:info"])
                    .env("PROXY_CONFIG", config.to_string())
                    .env("INSTANCE_IP", &workload.address)
                    .env("POD_NAME", format!("{}-0", workload.name))
                    .env("POD_NAMESPACE", &workload.namespace)
                    .env("SERVICE_ACCOUNT", &workload.name)
                    .env("ISTIO_META_WORKLOAD_NAME", &workload.name)
                    .env("ISTIO_META_CLUSTER_ID", "Kubernetes")
                    // No iptables here: listeners are bound where they say.
                    .env("ISTIO_META_INTERCEPTION_MODE", "NONE")
                    // Nobody signs certificates here.
                    .env("FILE_MOUNTED_CERTS", "true")
                    .env("ENVOY_STATUS_PORT", status.to_string())
                    .env("ENVOY_PROMETHEUS_PORT", prometheus.to_string())
                    // A module that cannot be fetched is to show in seconds.
                    .env("WASM_HTTP_REQUEST_MAX_RETRIES", "1");
            },
        )?;
        let mut proxy = Self { process, admin };
        wait_until("proxy ready", async || {
            proxy.process.check()?;
            let answer = http::get(admin, "/ready").await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
        .with_context(|| proxy.process.tail())?;
        Ok(proxy)
    }

    /// Where Envoy's admin pages are.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// An admin page of Envoy.
    ///
    /// # Errors
    /// When Envoy does not answer with 200.
    pub async fn admin(&self, path: &str) -> Result<String> {
        let answer = http::get(self.admin, path).await?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        ensure!(
            answer.status().is_success(),
            "{path}: {} {text}",
            answer.status()
        );
        Ok(text)
    }

    /// What it tells Prometheus.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics::parse(&self.admin("/stats/prometheus").await?))
    }

    /// The config in force, as Envoy's `/config_dump` tells it.
    ///
    /// # Errors
    /// When Envoy does not answer, or with something else than JSON.
    pub async fn config(&self, query: &str) -> Result<Value> {
        let text = self.admin(&format!("/config_dump{query}")).await?;
        serde_json::from_str(&text).context("config dump")
    }

    /// Everything that agent and Envoy have said.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The folder in which they run.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.process.dir()
    }

    /// Waits until its metrics fulfil `predicate`, and gives them back: as
    /// [`Envoy::wait_for_metrics`](envoy::Envoy::wait_for_metrics) does it.
    ///
    /// # Errors
    /// When that does not come true: with `what` and the end of the log.
    pub async fn wait_for_metrics(
        &self,
        what: &str,
        predicate: impl Fn(&Metrics) -> bool,
    ) -> Result<Metrics> {
        wait_for_metrics(what, async || self.metrics().await, predicate)
            .await
            .with_context(|| self.process.tail())
    }

    /// Waits until the log of agent and Envoy has a line with all of `words`, and gives it back.
    ///
    /// # Errors
    /// When no such line comes: with the end of the log.
    pub async fn wait_for_log(&self, words: &[&str]) -> Result<String> {
        let mut found = None;
        wait_until(&format!("{words:?} in the log"), async || {
            let log = self.log();
            let mut lines = log.lines();
            let line = lines.find(|line| words.iter().all(|word| line.contains(word)));
            found = line.map(str::to_owned);
            Ok(found.is_some())
        })
        .await
        .with_context(|| self.process.tail())?;
        found.context("a line of the log")
    }
}

/// Labels and annotations in files, as Kubernetes' downward API writes them.
fn pod_info(dir: &Path, workload: &Workload) -> Result<()> {
    let folder = dir.join("etc/istio/pod");
    fs::create_dir_all(&folder).context("pod info")?;
    // Where the agent writes the bootstrap, and keeps the modules.
    fs::create_dir_all(dir.join("etc/istio/proxy")).context("proxy folder")?;
    fs::create_dir_all(dir.join("var/lib/istio/data")).context("data folder")?;
    for (file, pairs) in [
        ("labels", &workload.labels),
        ("annotations", &workload.annotations),
    ] {
        let mut text = String::new();
        for (key, value) in pairs {
            writeln!(text, "{key}={value:?}").context("pod info")?;
        }
        fs::write(folder.join(file), text).with_context(|| format!("pod {file}"))?;
    }
    Ok(())
}
