//! Gateways that ask one serve-verdict, and what they show.

use crate::live::common::{config, filter, with};
use anyhow::Result;
use scorer_sdk::telemetry::{Metric, label};
use serde_json::json;
use serin_cli::fetch::Access;
use serin_cli::verdict_server::Options;
use serin_cli::verdict_server::http::Server;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::wait_until;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;

pub(crate) const TOKEN: &str = "s3cret";
pub(crate) const CLUSTER: &str = "serve-verdict";

/// `serin serve-verdict` at one address, which can be ended and started again.
pub(crate) struct ServeVerdict {
    prometheus: SocketAddr,
    address: SocketAddr,
    /// A file with [`TOKEN`].
    token_file: PathBuf,
    pub(crate) task: Option<JoinHandle<()>>,
}

impl ServeVerdict {
    /// Starts it with [`TOKEN`] in a file in `folder`.
    pub(crate) async fn begin(
        prometheus: SocketAddr,
        address: SocketAddr,
        folder: &Path,
    ) -> Result<Self> {
        let token_file = folder.join("token");
        fs::write(&token_file, TOKEN)?;
        let mut served = Self {
            prometheus,
            address,
            token_file,
            task: None,
        };
        served.start().await?;
        Ok(served)
    }

    pub(crate) async fn start(&mut self) -> Result<()> {
        let options = Options {
            prometheus: format!("http://{}", self.prometheus),
            access: Access::default(),
            timeout: Duration::from_secs(9),
            window: Duration::from_secs(300),
            fleet_token_file: Some(self.token_file.display().to_string()),
        };
        let server = Server::bind(self.address, options).await?;
        self.task = Some(tokio::spawn(server.run(std::future::pending())));
        Ok(())
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for ServeVerdict {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// The sum of a metric's series in one gateway, of the candidate where they have a version.
pub(crate) async fn value(gateway: &Topology, metric: &Metric) -> Result<f64> {
    let labels: &[(&str, &str)] = if metric.labels.contains(&label::VERSION) {
        &[("destination", "shop"), ("version", "v2")]
    } else {
        &[]
    };
    let metrics = gateway.front.metrics().await?;
    Ok(metrics.value(metric.name, labels).unwrap_or(0.0))
}

/// Waits until each gateway's metric exceeds a bound of its own.
pub(crate) async fn all_exceed(
    gateways: &[Topology],
    metric: &Metric,
    bounds: &[f64],
) -> Result<()> {
    wait_until(metric.name, async || {
        for (gateway, bound) in gateways.iter().zip(bounds) {
            if value(gateway, metric).await? <= *bound {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

pub(crate) async fn values(gateways: &[Topology], metric: &Metric) -> Result<Vec<f64>> {
    let mut values = Vec::new();
    for gateway in gateways {
        values.push(value(gateway, metric).await?);
    }
    Ok(values)
}

/// One of three gateways that steer. With an address it asks serve-verdict there, as often as `every`
/// says; without, it judges alone.
pub(crate) async fn gateway(
    name: &str,
    shops: &Shops,
    asked: Option<(SocketAddr, &str)>,
) -> Result<Topology> {
    let every = asked.map_or("5s", |(_, every)| every);
    let fleet = json!({
        "fleet": {"cluster": CLUSTER, "every": every, "token": TOKEN, "proxies": 3},
        "rollout": "1.4.2",
    });
    let settings = match asked {
        Some(_) => with(config("steer"), fleet),
        None => config("steer"),
    };
    let builder = Topology::builder(name, shops)
        .concurrency(1)
        .weights(50, 50)
        .filter(filter(&settings));
    let builder = match asked {
        Some((address, _)) => builder.service(CLUSTER, address),
        None => builder,
    };
    builder.start().await
}
