//! A real Envoy as a child process: start, admin pages, change of config while it runs.
//!
//! Each Envoy has a folder `target/integration/<name>/` in the workspace with everything it
//! read and wrote: `bootstrap.*`, `listeners.json`, `routes.json`, `envoy.log`. The folder stays
//! after the run; the next start empties it, and two runs cannot have one at the same time.
//! Listeners and routes come as file-based xDS; Envoy takes a new version when the file is replaced
//! by a move.

mod folder;
mod launch;
mod stats;
mod watcher;

pub use folder::{RunName, run_dir, workspace};
pub(crate) use launch::DRAIN_TIME;
pub use launch::{Launch, binary, free_port};
pub use stats::Stats;
pub use watcher::Watcher;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::http;
use crate::metrics::Metrics;
use crate::wait::{wait_for_metrics, wait_until};

/// Lines of the log that go into error messages and are printed when a test panics.
const TAIL: usize = 30;

/// A running Envoy; it is killed when dropped.
#[derive(Debug)]
pub struct Envoy {
    launch: Launch,
    folder: folder::Folder,
    admin: SocketAddr,
    child: Child,
    /// Ends it if this process is killed.
    watcher: Option<Watcher>,
    /// Number of the last config written.
    version: u64,
}

impl Envoy {
    /// The name it was launched under.
    #[must_use]
    pub fn name(&self) -> &str {
        self.launch.name()
    }

    /// Starts the same once more, which takes over the listeners and tells this one to drain and,
    /// after [`Launch::drain_time`] and a second, to leave. Its admin page is gone at once.
    ///
    /// # Errors
    /// As [`Launch::start`], and when it was not launched with [`Launch::hot_restart`].
    pub async fn hot_restart(&self) -> Result<Self> {
        self.launch.successor(self.dir())?.start().await
    }

    /// Its folder with config and log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.folder.path
    }

    /// Where its admin pages are.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Process id, for readings of CPU time and memory from `/proc`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process lives.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// An admin page, such as `/config_dump` or `/listeners?format=json`.
    ///
    /// # Errors
    /// When Envoy does not answer with 200.
    pub async fn admin(&self, path: &str) -> Result<String> {
        self.admin_call(Method::GET, path).await
    }

    /// A changing admin call (`POST`), such as `/logging?wasm=debug` or `/drain_listeners`.
    ///
    /// # Errors
    /// When Envoy does not answer with 200.
    pub async fn admin_post(&self, path: &str) -> Result<String> {
        self.admin_call(Method::POST, path).await
    }

    async fn admin_call(&self, method: Method, path: &str) -> Result<String> {
        let answer = http::request(self.admin, method, path, &[], Bytes::new())
            .await
            .with_context(|| format!("envoy {}: admin page", self.name()))?;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        ensure!(
            answer.status() == StatusCode::OK,
            "{path}: {} {text}",
            answer.status()
        );
        Ok(text)
    }

    /// All counters and gauges under Envoy's own names (`/stats`).
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn stats(&self) -> Result<Stats> {
        Ok(Stats::new(self.admin("/stats").await?))
    }

    /// One counter or gauge by its full name in `/stats`; `None` if there is no such number.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn counter(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.stats().await?.get(name))
    }

    /// The text of `/stats/prometheus`.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn prometheus(&self) -> Result<String> {
        self.admin("/stats/prometheus").await
    }

    /// `/stats/prometheus`, read.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics::parse(&self.prometheus().await?))
    }

    /// Waits until the numbers fulfil `predicate`, and gives them back.
    ///
    /// # Errors
    /// When that does not come true: with `what`, and the end of the log.
    pub async fn wait_for(&self, what: &str, predicate: impl Fn(&Stats) -> bool) -> Result<Stats> {
        let mut stats = Stats::default();
        wait_until(what, async || {
            stats = self.stats().await?;
            Ok(predicate(&stats))
        })
        .await
        .with_context(|| self.failure("does not do what was waited for"))?;
        Ok(stats)
    }

    /// As [`wait_for`](Self::wait_for), on the labelled metrics. What is published as one is on the
    /// page as one: what was being published when the predicate held first is complete.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for).
    pub async fn wait_for_metrics(
        &self,
        what: &str,
        predicate: impl Fn(&Metrics) -> bool,
    ) -> Result<Metrics> {
        wait_for_metrics(what, async || self.metrics().await, predicate)
            .await
            .with_context(|| self.failure("does not do what was waited for"))
    }

    /// Where the log is.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.dir().join(launch::LOG)
    }

    /// The whole log; empty if it cannot be read.
    #[must_use]
    pub fn log_text(&self) -> String {
        launch::read_log(self.dir())
    }

    /// The last 30 lines of the log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log_text())
    }

    /// Replaces all listeners (the full set; one that is missing is removed) and waits until
    /// the new ones serve. Listeners that only differ in their filters keep their socket; their
    /// old connections drain, see [`Launch::drain_time`].
    ///
    /// # Errors
    /// When Envoy rejects the listeners: with its reason. The old ones then stay.
    pub async fn replace_listeners(&mut self, listeners: &[Value]) -> Result<()> {
        self.replace(launch::LISTENERS, listeners, "listener_manager.lds")
            .await?;
        let warming = "listener_manager.total_listeners_warming";
        self.wait_for("warm listeners", |stats| stats.get(warming) == Some(0))
            .await?;
        Ok(())
    }

    /// Replaces the route configurations; `stat` is the prefix of the subscription's counters,
    /// `http.<stat_prefix>.rds.<route_config_name>`.
    ///
    /// # Errors
    /// When Envoy rejects the routes: with its reason. The old ones then stay.
    pub async fn replace_routes(&mut self, routes: &[Value], stat: &str) -> Result<()> {
        self.replace(launch::ROUTES, routes, stat).await
    }

    async fn replace(&mut self, file: &str, resources: &[Value], stat: &str) -> Result<()> {
        let success = format!("{stat}.update_success");
        let rejected = format!("{stat}.update_rejected");
        let before = self.stats().await?;
        self.version += 1;
        launch::write_resources(self.dir(), file, self.version, resources)?;
        let after = self
            .wait_for(&format!("answer to the new {file}"), |now| {
                now.get(&success) > before.get(&success)
                    || now.get(&rejected) > before.get(&rejected)
            })
            .await?;
        if after.get(&rejected) > before.get(&rejected) {
            bail!(
                "envoy {} rejected {file}:\n{}",
                self.name(),
                self.log_tail()
            );
        }
        Ok(())
    }

    /// Asks Envoy to leave, so that access logs are complete on disk, and waits for its end.
    ///
    /// # Errors
    /// When it does not end; it is killed then.
    pub async fn stop(mut self) -> Result<()> {
        // It may have left before its answer is out.
        let answer = self.admin_post("/quitquitquit").await;
        wait_until("end", async || Ok(!self.is_running()))
            .await
            .with_context(|| self.failure(&format!("does not leave ({answer:?})")))
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // First, while the process id is Envoy's for certain.
        drop(self.watcher.take());
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "envoy {}: end of {}:",
                self.name(),
                self.log_path().display()
            );
            eprintln!("{}", self.log_tail());
        }
    }
}

/// A `DiscoveryResponse` as Envoy reads it from a file.
fn discovery_response(version: u64, resources: &[Value]) -> Value {
    json!({"version_info": version.to_string(), "resources": resources})
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(TAIL)..)
        .unwrap_or_default()
        .join("\n")
}
