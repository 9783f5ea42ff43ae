//! A real Prometheus as a child process, and its API.

use super::daemon::Daemon;
use anyhow::{Context as _, Result, ensure};
use hyper::Method;
use serde_json::{Value, json};
use serin_cli::fetch::encoded;
use serin_integration::envoy::{free_port, run_dir, workspace};
use serin_integration::{http, wait_until};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Time between two scrapes and two evaluations in seconds. A page that took longer would be lost.
pub(crate) const STEP: u64 = 2;

/// A value with its labels.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Sample {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// A program of a fetched package; where it is missing, says so past the test runner's capture.
pub(crate) fn binary(package: &str, name: &str) -> Option<PathBuf> {
    let path = workspace().join(".cache").join(package).join(name);
    if path.is_file() {
        return Some(path);
    }
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED: there is no {}; `make setup` fetches it, or says why it cannot",
        path.display()
    );
    None
}

/// Prometheus itself.
pub(crate) fn prometheus_binary() -> Option<PathBuf> {
    binary("prometheus", "prometheus")
}

/// What a Prometheus is started with beside its rules.
pub(crate) struct Settings<'a> {
    /// Its folder; its own among those that run at the same time.
    pub(crate) folder: &'a str,
    /// Time between two scrapes and two evaluations in seconds.
    pub(crate) step: u64,
    /// Who is told of alerts.
    pub(crate) alertmanager: Option<SocketAddr>,
    /// A cluster of which Envoy's own statistics are taken, what was answered and how fast.
    pub(crate) cluster: Option<&'a str>,
    /// A file that names further Envoys, of whose inbound listeners the answers are taken, too.
    pub(crate) sidecars: Option<&'a Path>,
}

/// A running Prometheus; it is killed when dropped.
pub(crate) struct Prometheus(Daemon);

impl Prometheus {
    /// Scrapes the Envoys' admin pages, and evaluates the rules as often.
    pub(crate) async fn start(
        binary: &Path,
        targets: &[(&str, SocketAddr)],
        groups: &[Value],
    ) -> Result<Self> {
        let settings = Settings {
            folder: "prometheus",
            step: STEP,
            alertmanager: None,
            cluster: None,
            sidecars: None,
        };
        Self::start_with(binary, targets, groups, &settings).await
    }

    /// The same with other times, and somebody to tell.
    pub(crate) async fn start_with(
        binary: &Path,
        targets: &[(&str, SocketAddr)],
        groups: &[Value],
        settings: &Settings<'_>,
    ) -> Result<Self> {
        let targets: Vec<Value> = targets
            .iter()
            .map(|(name, address)| json!({"targets": [address.to_string()], "labels": {"proxy": name}}))
            .collect();
        let step = format!("{}s", settings.step);
        let of_cluster = settings
            .cluster
            .map(|name| format!("|^cluster.{name}.*upstream_rq"));
        let of_sidecars = settings
            .sidecars
            .map(|_| "|^http.inbound.*downstream_rq_(.xx|time)");
        let filter = format!(
            "serin_|server.memory{}{}",
            of_cluster.unwrap_or_default(),
            of_sidecars.unwrap_or_default()
        );
        let discovered: Vec<_> = settings
            .sidecars
            .iter()
            .map(|file| json!({"files": [file], "refresh_interval": "1s"}))
            .collect();
        let alertmanagers: Vec<_> = settings
            .alertmanager
            .iter()
            .map(|address| json!({"static_configs": [{"targets": [address.to_string()]}]}))
            .collect();
        let config = json!({
            "global": {"scrape_interval": step, "scrape_timeout": step, "evaluation_interval": step},
            "alerting": {"alertmanagers": alertmanagers},
            "scrape_configs": [{
                "job_name": "envoy",
                "metrics_path": "/stats/prometheus",
                // Envoy's own hundreds of series take time that a busy machine may not have.
                "params": {"filter": [filter]},
                "static_configs": targets,
                "file_sd_configs": discovered,
                "metric_relabel_configs": [{
                    "source_labels": ["__name__"],
                    "regex": "serin_.*|envoy_server_.*|envoy_wasm_.*|envoy_cluster_upstream_rq.*|envoy_http_.*downstream_rq.*",
                    "action": "keep",
                }],
            }],
        });
        Self::start_config(binary, settings.folder, config, groups).await
    }

    /// With a config of its own, in a folder of its own; the rules are put into both.
    pub(crate) async fn start_config(
        binary: &Path,
        folder: &str,
        mut config: Value,
        groups: &[Value],
    ) -> Result<Self> {
        let dir = run_dir(folder);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let rules = dir.join("rules.yaml");
        fs::write(
            &rules,
            serde_saphyr::to_string(&json!({ "groups": groups }))?,
        )?;
        config["rule_files"] = json!([rules]);
        let file = dir.join("prometheus.yaml");
        fs::write(&file, serde_saphyr::to_string(&config)?)?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let log = dir.join("prometheus.log");
        let mut command = Command::new(binary);
        command
            .current_dir(&dir)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        Daemon::start("Prometheus", &mut command, address, log)
            .await
            .map(Self)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Ends it, as a crash would.
    pub(crate) fn stop(&mut self) {
        self.0.stop();
    }

    async fn api(&self, path: &str, form: &[(&str, &str)]) -> Result<Value> {
        let body: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let answer = http::request(
            self.address(),
            Method::POST,
            path,
            &[("content-type", "application/x-www-form-urlencoded")],
            body.join("&"),
        )
        .await?;
        let value: Value = serde_json::from_slice(answer.body())
            .with_context(|| String::from_utf8_lossy(answer.body()).into_owned())?;
        ensure!(value["status"] == "success", "{form:?}: {value}");
        Ok(value["data"].clone())
    }

    /// An instant vector, now.
    pub(crate) async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        self.query_with(&[("query", expression)]).await
    }

    /// An instant vector at a time in seconds since the Unix epoch.
    pub(crate) async fn query_at(&self, expression: &str, at: f64) -> Result<Vec<Sample>> {
        self.query_with(&[("query", expression), ("time", &format!("{at:.3}"))])
            .await
    }

    async fn query_with(&self, form: &[(&str, &str)]) -> Result<Vec<Sample>> {
        let data = self.api("/api/v1/query", form).await?;
        let result = data["result"].as_array().context("a vector")?;
        result
            .iter()
            .map(|series| {
                let text = series["value"][1].as_str().context("a value")?;
                Ok(Sample {
                    labels: serde_json::from_value(series["metric"].clone())?,
                    value: text.parse()?,
                })
            })
            .collect()
    }

    /// All samples of a selector within the last `seconds`, with their times.
    pub(crate) async fn raw(&self, selector: &str, seconds: u64) -> Result<Vec<Value>> {
        let query = format!("{selector}[{seconds}s]");
        let data = self.api("/api/v1/query", &[("query", &query)]).await?;
        Ok(data["result"].as_array().context("a matrix")?.clone())
    }

    /// Name, destination and severity of the alerts that fire.
    pub(crate) async fn firing(&self) -> Result<Vec<Sample>> {
        self.query("ALERTS{alertstate=\"firing\"}").await
    }

    /// Annotations of the first alert of this name.
    pub(crate) async fn annotations(&self, alert: &str) -> Result<Value> {
        let answer = http::get(self.address(), "/api/v1/alerts").await?;
        let value: Value = serde_json::from_slice(answer.body())?;
        let alerts = value["data"]["alerts"].as_array().context("alerts")?;
        let found = alerts
            .iter()
            .find(|found| found["labels"]["alertname"] == alert);
        Ok(found.with_context(|| format!("no {alert}"))?["annotations"].clone())
    }

    /// Waits until an expression has a sample.
    pub(crate) async fn wait_for(&self, expression: &str) -> Result<Vec<Sample>> {
        let mut found = Vec::new();
        let what = format!("sample of {expression}");
        let waited = wait_until(&what, async || {
            found = self.query(expression).await?;
            Ok(!found.is_empty())
        });
        if let Err(error) = waited.await {
            let verdicts = self
                .query("{__name__=~\"serin_(verdict|rollout_evidence|judged_exchanges)\"}")
                .await?;
            return Err(error.context(format!("{verdicts:?}; {}", self.0.log())));
        }
        Ok(found)
    }
}
