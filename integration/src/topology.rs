//! The standard config: clients → front Envoy → two versions of the shop.
//!
//! ```text
//!              x-serin-steer: v1 ─────────────┐
//! clients ─→ front (OUTBOUND) ─┬─ weight v1 ──┴────────→ shop v1
//!                              └─ weight v2 ─→ [sidecar (INBOUND)] ─→ shop v2
//! ```
//!
//! The sidecar is optional. With it come the retries that carry a refusal of v2 to v1.

pub(crate) mod config;
mod filter;

pub use config::AFFINE_TO_V2;
pub use filter::WasmFilter;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::envoy::{DRAIN_TIME, Envoy, Launch, free_port};
use crate::shop::Shops;
use config::{Cluster, Front, Inbound};

/// Where the inbound sidecar of v2 runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SidecarProcess {
    /// In an Envoy of its own, as in a cluster: nothing is shared but the wire.
    Own,
    /// As a second listener of the front Envoy: both filters share one shared-data namespace.
    Front,
}

/// An access log of the front listener.
#[derive(Debug, Clone)]
pub struct AccessLog {
    /// File, absolute or relative to the folder of the test run.
    pub path: String,
    /// A string for the text format (with its `\n`), an object for the JSON format.
    pub format: Value,
}

/// A topology before it runs.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    front: Front,
    stable: Vec<SocketAddr>,
    canary: Vec<SocketAddr>,
    sidecar: Option<(SidecarProcess, Inbound)>,
    tracer: Option<SocketAddr>,
    services: Vec<(String, SocketAddr)>,
    concurrency: u32,
    log_level: String,
    component_log_level: String,
    drain_time: Duration,
    hot_restart: bool,
}

/// A running topology.
#[derive(Debug)]
pub struct Topology {
    /// The Envoy that clients talk to.
    pub front: Envoy,
    /// The canary's inbound Envoy, where it has a process of its own.
    pub sidecar: Option<Envoy>,
    config: Front,
    inbound: Option<(SidecarProcess, Inbound)>,
}

impl Topology {
    /// A front before one instance of each version: all traffic to v1, no filter, 2 workers.
    #[must_use]
    pub fn builder(name: &str, shops: &Shops) -> Builder {
        Self::of(name, &[shops.v1.address()], &[shops.v2.address()])
    }

    /// As [`builder`](Self::builder), with these instances of v1 and v2.
    #[must_use]
    pub fn of(name: &str, v1: &[SocketAddr], v2: &[SocketAddr]) -> Builder {
        Builder {
            name: name.to_owned(),
            front: Front::new(name),
            stable: v1.to_vec(),
            canary: v2.to_vec(),
            sidecar: None,
            tracer: None,
            services: Vec::new(),
            concurrency: 2,
            log_level: "warning".to_owned(),
            component_log_level: "wasm:info".to_owned(),
            drain_time: DRAIN_TIME,
            hot_restart: false,
        }
    }

    /// Where clients send their requests.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        local(self.config.port)
    }

    /// Where the canary's sidecar listens, if there is one.
    #[must_use]
    pub fn sidecar_address(&self) -> Option<SocketAddr> {
        self.inbound
            .as_ref()
            .map(|(_, inbound)| local(inbound.port))
    }

    /// Changes the weights of v1 and v2; their sum must be above 0. The workers follow within
    /// milliseconds of the return.
    ///
    /// # Errors
    /// When the front Envoy rejects the routes.
    pub async fn set_weights(&mut self, v1: u32, v2: u32) -> Result<()> {
        self.config.weights = (v1, v2);
        self.replace_routes().await.context("change weights")
    }

    /// Whether requests with `x-beta: yes` go to v2 and all others to v1, as a header rule does that
    /// lets chosen users try a release; without it the weights assign the requests.
    ///
    /// # Errors
    /// When the front Envoy rejects the routes.
    pub async fn set_beta_rule(&mut self, rule: bool) -> Result<()> {
        self.config.beta_rule = rule;
        self.replace_routes().await.context("change the rule")
    }

    /// Replaces all filters of the front listener, under load if there is some.
    ///
    /// # Errors
    /// When the front Envoy rejects the listener; the old filters then stay.
    pub async fn set_filters(&mut self, filters: Vec<WasmFilter>) -> Result<()> {
        self.config.filters = filters.iter().map(WasmFilter::to_json).collect();
        self.replace_front_listeners()
            .await
            .context("replace the front's filters")
    }

    /// As [`set_filters`](Self::set_filters), with any HTTP filters as Envoy's own JSON.
    ///
    /// # Errors
    /// As [`set_filters`](Self::set_filters).
    pub async fn set_raw_filters(&mut self, filters: Vec<Value>) -> Result<()> {
        self.config.filters = filters;
        self.replace_front_listeners()
            .await
            .context("replace the front's filters")
    }

    /// Replaces all filters of the canary's sidecar.
    ///
    /// # Errors
    /// When there is no sidecar, or its Envoy rejects the listener.
    pub async fn set_sidecar_filters(&mut self, filters: Vec<WasmFilter>) -> Result<()> {
        let (process, inbound) = self
            .inbound
            .as_mut()
            .context("the topology has no sidecar")?;
        inbound.filters = filters.iter().map(WasmFilter::to_json).collect();
        match process {
            SidecarProcess::Front => self.replace_front_listeners().await,
            SidecarProcess::Own => {
                let listeners = [inbound.listener()];
                let envoy = self.sidecar.as_mut().context("the sidecar's Envoy")?;
                envoy.replace_listeners(&listeners).await
            }
        }
        .context("replace the sidecar's filters")
    }

    async fn replace_routes(&mut self) -> Result<()> {
        let routes = [self.config.routes()];
        self.front
            .replace_routes(&routes, config::ROUTES_STAT)
            .await
    }

    async fn replace_front_listeners(&mut self) -> Result<()> {
        let listeners = front_listeners(&self.config, self.inbound.as_ref());
        self.front.replace_listeners(&listeners).await
    }
}

impl Builder {
    /// Weights of v1 and v2; their sum must be above 0.
    #[must_use]
    pub fn weights(mut self, v1: u32, v2: u32) -> Self {
        self.front.weights = (v1, v2);
        self
    }

    /// Begins with the rule of [`Topology::set_beta_rule`].
    #[must_use]
    pub fn beta_rule(mut self) -> Self {
        self.front.beta_rule = true;
        self
    }

    /// Keeps a client on v2 whose cookie contains [`AFFINE_TO_V2`], as session affinity does; the
    /// weights assign all others.
    #[must_use]
    pub fn affinity(mut self) -> Self {
        self.front.affinity = true;
        self
    }

    /// Adds a wasm filter to the front; several run in the order in which they were added.
    #[must_use]
    pub fn filter(mut self, filter: WasmFilter) -> Self {
        self.front.filters.push(filter.to_json());
        self
    }

    /// Adds any HTTP filter to the front, as Envoy's own JSON.
    #[must_use]
    pub fn raw_filter(mut self, filter: Value) -> Self {
        self.front.filters.push(filter);
        self
    }

    /// Puts an inbound sidecar before v2, with its filters, and lets the front retry on the
    /// other version what an answer with `x-serin-reject` refuses.
    #[must_use]
    pub fn sidecar(mut self, process: SidecarProcess, filters: Vec<WasmFilter>) -> Self {
        let filters = filters.iter().map(WasmFilter::to_json).collect();
        self.sidecar = Some((process, Inbound { port: 0, filters }));
        self.rescue(true)
    }

    /// Whether the front retries refusals on the other version.
    #[must_use]
    pub fn rescue(mut self, rescue: bool) -> Self {
        self.front.rescue = rescue;
        self
    }

    /// More instances of v1, beside the one of the shops: hosts of the same cluster.
    #[must_use]
    pub fn more_v1(mut self, addresses: &[SocketAddr]) -> Self {
        self.stable.extend_from_slice(addresses);
        self
    }

    /// More instances of v2. Behind a sidecar they are its hosts.
    #[must_use]
    pub fn more_v2(mut self, addresses: &[SocketAddr]) -> Self {
        self.canary.extend_from_slice(addresses);
        self
    }

    /// An access log of the front.
    #[must_use]
    pub fn access_log(mut self, log: AccessLog) -> Self {
        self.front
            .access_logs
            .push(config::access_log(&self.name, &log));
        self
    }

    /// A span of each request to the front, with these tags as Envoy's own JSON, for a
    /// [`Receiver`](crate::spans::Receiver) at this address.
    #[must_use]
    pub fn tracing(mut self, receiver: SocketAddr, tags: &Value) -> Self {
        self.front.tracing = Some(config::tracing(tags));
        self.tracer = Some(receiver);
        self
    }

    /// A further cluster of the front: a service that the filter asks.
    #[must_use]
    pub fn service(mut self, name: &str, address: SocketAddr) -> Self {
        self.services.push((name.to_owned(), address));
        self
    }

    /// Workers of each Envoy.
    #[must_use]
    pub fn concurrency(mut self, workers: u32) -> Self {
        self.concurrency = workers;
        self
    }

    /// Log levels, as in [`Launch::log_level`] and [`Launch::component_log_level`].
    #[must_use]
    pub fn log_levels(mut self, level: &str, by_component: &str) -> Self {
        self.log_level = level.to_owned();
        self.component_log_level = by_component.to_owned();
        self
    }

    /// How long old connections may stay after a change of filters.
    #[must_use]
    pub fn drain_time(mut self, time: Duration) -> Self {
        self.drain_time = time;
        self
    }

    /// A fixed port for clients instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.front.port = port;
        self
    }

    /// Starts the Envoys and waits until they serve.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub async fn start(mut self) -> Result<Topology> {
        if self.front.port == 0 {
            self.front.port = free_port()?;
        }
        let mut clusters = vec![Cluster::shop("v1", &self.stable)];
        let mut inbound = self.sidecar.take();
        let mut sidecar = None;
        match &mut inbound {
            None => clusters.push(Cluster::shop("v2", &self.canary)),
            Some((process, inbound)) => {
                inbound.port = free_port()?;
                clusters.push(Cluster::shop("v2", &[local(inbound.port)]));
                let application = Cluster::inbound(&self.canary);
                match process {
                    SidecarProcess::Front => clusters.push(application),
                    SidecarProcess::Own => {
                        let name = format!("{}/sidecar", self.name);
                        let bootstrap = config::bootstrap("sidecar-v2", "v2", &[application]);
                        let launch = self.launch(&name, &bootstrap);
                        sidecar = Some(launch.listeners(vec![inbound.listener()]).start().await?);
                    }
                }
            }
        }
        clusters.extend(self.tracer.map(Cluster::tracer));
        let services = self.services.iter();
        clusters.extend(services.map(|(name, address)| Cluster::service(name, *address)));
        let bootstrap = config::bootstrap("front", "v1", &clusters);
        let mut launch = self.launch(&self.name, &bootstrap);
        if self.hot_restart {
            launch = launch.hot_restart();
        }
        let front = launch
            .listeners(front_listeners(&self.front, inbound.as_ref()))
            .routes(vec![self.front.routes()])
            .start()
            .await?;
        Ok(Topology {
            front,
            sidecar,
            config: self.front,
            inbound,
        })
    }

    fn launch(&self, name: &str, bootstrap: &Value) -> Launch {
        Launch::new(name, bootstrap.to_string())
            .concurrency(self.concurrency)
            .log_level(&self.log_level)
            .component_log_level(&self.component_log_level)
            .drain_time(self.drain_time)
    }

    /// Makes [`Envoy::hot_restart`] of the front possible.
    #[must_use]
    pub fn hot_restart(mut self) -> Self {
        self.hot_restart = true;
        self
    }
}

/// The listeners of the front Envoy: its own, and the sidecar's where that lives in it.
fn front_listeners(front: &Front, inbound: Option<&(SidecarProcess, Inbound)>) -> Vec<Value> {
    let mut listeners = vec![front.listener()];
    if let Some((SidecarProcess::Front, inbound)) = inbound {
        listeners.push(inbound.listener());
    }
    listeners
}

/// A port of this machine.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
