//! Which destination and version a request went to, from what the proxy says of its upstream.

use crate::host::{Host, properties};
use hashbrown::HashMap;
use scorer_sdk::config::{Plan, revision};
use std::rc::Rc;

/// Most clusters that are remembered.
const MAX_CLUSTERS: usize = 1_024;

/// A destination and, where it can be told, the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The service.
    pub destination: Rc<str>,
    /// The version; `None` when it has to be read from the upstream host.
    pub version: Option<Rc<str>>,
}

/// Reads names of clusters, each one once.
#[derive(Debug, Default)]
pub struct Upstreams {
    known: HashMap<Vec<u8>, Option<Upstream>>,
}

impl Upstreams {
    /// The upstream of the current stream: from the route before the request is sent, from where it
    /// really went afterwards. `None` when it belongs to no destination that is watched.
    pub fn current(&mut self, host: &impl Host, plan: &Plan) -> Option<Upstream> {
        let cluster = host.property(properties::CLUSTER_NAME)?;
        if let Some(known) = self.known.get(&cluster) {
            return known.clone();
        }
        let found = core::str::from_utf8(&cluster)
            .ok()
            .and_then(|name| plan.upstream(name))
            .map(|found| Upstream {
                destination: found.destination.into(),
                version: found.version.map(Rc::from),
            });
        if self.known.len() < MAX_CLUSTERS {
            self.known.insert(cluster, found.clone());
        }
        found
    }

    /// The upstream of the current stream with its version, for a stream that has reached a host.
    pub fn served(&mut self, host: &impl Host, plan: &Plan) -> Option<(Rc<str>, Rc<str>)> {
        let upstream = self.current(host, plan)?;
        let version = match upstream.version {
            Some(version) => version,
            None => workload_version(host)?,
        };
        Some((upstream.destination, version))
    }
}

/// The revision of the workload behind the upstream host, from Istio's metadata.
fn workload_version(host: &impl Host) -> Option<Rc<str>> {
    let workload = host.property(properties::UPSTREAM_WORKLOAD)?;
    revision(core::str::from_utf8(&workload).ok()?).map(Rc::from)
}
