//! Flagger.

use anyhow::{Context, Result};

use super::{ControlPlane, Names, program};
use crate::child::Process;
use crate::envoy::free_port;
use crate::http;
use crate::topology::local;
use crate::wait::wait_until;

/// A running Flagger, for Istio and for all namespaces; it ends when dropped.
#[derive(Debug)]
pub struct Flagger {
    process: Process,
}

impl Flagger {
    /// Starts it on an API server and waits until it is ready. `name` is its folder under
    /// `target/integration/`.
    ///
    /// # Errors
    /// When it was not built, ends, or does not get ready.
    pub async fn start(name: &str, plane: &ControlPlane, names: &Names) -> Result<Self> {
        let port = free_port()?;
        let process = Process::start(
            name,
            &program("flagger")?,
            |_| Ok(()),
            |command| {
                command
                    .env("HTTP_PROXY", names.url())
                    .arg(format!("-kubeconfig={}", plane.kubeconfig().display()))
                    .args(["-mesh-provider=istio", "-log-level=info"])
                    .arg("-metrics-server=http://prometheus.istio-system:9090")
                    .arg(format!("-port={port}"));
            },
        )?;
        let mut flagger = Self { process };
        wait_until("Flagger ready", async || {
            flagger.process.check()?;
            let answer = http::get(local(port), "/healthz").await;
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
        .await
        .with_context(|| flagger.process.tail())?;
        Ok(flagger)
    }

    /// Everything it has said: a line of JSON each.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}
