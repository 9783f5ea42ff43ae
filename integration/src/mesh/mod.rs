//! Two versions of the shop with a sidecar each, and services behind them.
//!
//! ```text
//! clients ─→ gateway ─┬─→ [inbound] shop v1 ─→ [outbound] ─┬─→ auth
//!                     └─→ [inbound] shop v2 ─→ [outbound] ─┼─→ stock
//!                                                          └─→ tracker
//! ```
//!
//! The gateway compares; each shop's sidecar, an Envoy with two listeners, reports the calls that
//! belong to a request.

mod pod;
mod service;

pub use pod::Pod;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use crate::envoy::{Envoy, Launch, free_port};
use crate::topology::config::{
    Cluster, access_log, bootstrap, logged, static_listener, steered_route, weighted_route,
};
use crate::topology::{AccessLog, WasmFilter, local};
use service::Service;

/// The services behind the shop. It has no reason to call the last.
pub const SERVICES: [&str; 3] = ["auth", "stock", "tracker"];

/// A mesh before it runs.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    module: PathBuf,
    config: Value,
    weights: (u32, u32),
    seed: u64,
    access_log: Option<AccessLog>,
}

/// A running mesh.
#[derive(Debug)]
pub struct Mesh {
    /// The Envoy that clients talk to; it compares.
    pub gateway: Envoy,
    /// The stable version.
    pub v1: Pod,
    /// The new version.
    pub v2: Pod,
    port: u16,
    _services: Vec<Service>,
}

impl Mesh {
    /// All traffic to v1; `module` is the filter of all proxies, and `config` that of the gateway's.
    #[must_use]
    pub fn builder(name: &str, module: impl Into<PathBuf>, config: &Value) -> Builder {
        Builder {
            name: name.to_owned(),
            module: module.into(),
            config: config.clone(),
            weights: (100, 0),
            seed: 1,
            access_log: None,
        }
    }

    /// Where clients send their requests.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        local(self.port)
    }
}

impl Builder {
    /// Weights of v1 and v2; their sum must be above 0.
    #[must_use]
    pub fn weights(mut self, v1: u32, v2: u32) -> Self {
        self.weights = (v1, v2);
        self
    }

    /// Replaces the seed of the shops.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// An access log of the gateway.
    #[must_use]
    pub fn access_log(mut self, log: AccessLog) -> Self {
        self.access_log = Some(log);
        self
    }

    /// Starts everything and waits until it serves.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub async fn start(self) -> Result<Mesh> {
        let mut services = Vec::new();
        for name in SERVICES {
            services.push(Service::start(name).await?);
        }
        let v1 = self.pod("v1", self.seed, &services).await?;
        let v2 = self.pod("v2", self.seed.wrapping_add(1), &services).await?;
        let port = free_port()?;
        let clusters = [
            Cluster::shop("v1", &[v1.address()]),
            Cluster::shop("v2", &[v2.address()]),
        ];
        let (stable, canary) = self.weights;
        let hosts = json!([{
            "name": "shop",
            "domains": ["*"],
            "routes": [steered_route(), weighted_route(stable, canary)]
        }]);
        let filter = WasmFilter::new(&self.module, &self.config).to_json();
        let bootstrap = bootstrap("gateway", "v1", &clusters).to_string();
        let mut listener = static_listener("front", "OUTBOUND", port, &[filter], &hosts);
        if let Some(log) = &self.access_log {
            listener = logged(listener, &access_log(&self.name, log));
        }
        let gateway = Launch::new(&self.name, bootstrap)
            .listeners(vec![listener])
            .start()
            .await?;
        Ok(Mesh {
            gateway,
            v1,
            v2,
            port,
            _services: services,
        })
    }

    async fn pod(&self, version: &str, seed: u64, services: &[Service]) -> Result<Pod> {
        let name = format!("{}/{version}", self.name);
        Pod::start(&name, version, seed, &self.module, services).await
    }
}
