//! A version of the shop with its sidecar.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::service::Service;
use crate::envoy::{Envoy, Launch, free_port};
use crate::shop::Shop;
use crate::topology::config::{Cluster, bootstrap, host, inbound_listener, static_listener};
use crate::topology::{WasmFilter, local};

/// What every answer takes at least: more than nine calls take, also where the machine is busy.
const PACE: Duration = Duration::from_millis(300);

/// A version of the shop behind its inbound listener, its own calls going through the outbound one.
#[derive(Debug)]
pub struct Pod {
    /// The application.
    pub shop: Shop,
    /// Its Envoy.
    pub sidecar: Envoy,
    inbound: u16,
}

impl Pod {
    pub(super) async fn start(
        name: &str,
        version: &str,
        seed: u64,
        module: &Path,
        services: &[Service],
    ) -> Result<Self> {
        let (inbound, outbound) = (free_port()?, free_port()?);
        let shop = Shop::start_calling(version, seed, local(outbound), PACE).await?;
        let mut clusters = vec![Cluster::inbound(&[shop.address()])];
        let mut hosts = Vec::new();
        for service in services {
            clusters.push(Cluster::service(service.name, service.address));
            hosts.push(host(service.name, &json!({"cluster": service.name})));
        }
        let filter = |name| {
            let config = json!({"signals": {"fan_out": true}});
            [WasmFilter::new(module, &config).name(name).to_json()]
        };
        let listeners = vec![
            inbound_listener(inbound, &filter("serin-in")),
            static_listener(
                "outbound",
                "OUTBOUND",
                outbound,
                &filter("serin-out"),
                &Value::from(hosts),
            ),
        ];
        let bootstrap = bootstrap(name, version, &clusters).to_string();
        let sidecar = Launch::new(name, bootstrap)
            .listeners(listeners)
            .start()
            .await?;
        Ok(Self {
            shop,
            sidecar,
            inbound,
        })
    }

    /// Where its sidecar listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        local(self.inbound)
    }
}
