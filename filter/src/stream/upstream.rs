//! Which destination and version a request went to, from what the proxy says of its upstream.

use crate::host::{Host, properties};
use hashbrown::HashMap;
use scorer_sdk::config::{Plan, VersionSource};
use std::rc::Rc;

/// Most clusters that are remembered.
const MAX_CLUSTERS: usize = 1_024;
/// What a version is called that has no name of its own: Istio leaves the revision `latest` empty.
const LATEST: &str = "latest";

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
            .and_then(|name| upstream(name, plan));
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

/// Parses a cluster's name under the plan.
fn upstream(cluster: &str, plan: &Plan) -> Option<Upstream> {
    if let Some((destination, version)) = plan.clusters.get(cluster) {
        return Some(Upstream {
            destination: destination.as_str().into(),
            version: Some(version.as_str().into()),
        });
    }
    if plan.version_source == VersionSource::Clusters {
        return None;
    }
    // Istio: outbound|port|subset|host.
    let mut parts = cluster.split('|');
    let (direction, port, subset, name) = (parts.next()?, parts.next(), parts.next(), parts.next());
    match (direction, port, subset, name) {
        ("outbound", Some(port), Some(subset), Some(name)) if !name.is_empty() => Some(Upstream {
            destination: format!("{name}:{port}").into(),
            version: match plan.version_source {
                VersionSource::Workload => None,
                _ if subset.is_empty() => None,
                _ => Some(subset.into()),
            },
        }),
        ("inbound" | "BlackHoleCluster" | "PassthroughCluster", ..) => None,
        _ => Some(Upstream {
            destination: cluster.into(),
            version: None,
        }),
    }
}

/// The revision of the workload behind the upstream host, from Istio's metadata
/// `workload;namespace;canonical-name;canonical-revision;cluster`.
fn workload_version(host: &impl Host) -> Option<Rc<str>> {
    let workload = host.property(properties::UPSTREAM_WORKLOAD)?;
    let revision = core::str::from_utf8(&workload).ok()?.split(';').nth(3)?;
    Some(if revision.is_empty() {
        LATEST.into()
    } else {
        revision.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(cluster: &str, config: &str) -> Option<(String, Option<String>)> {
        upstream(cluster, &Plan::from_json(config).unwrap()).map(|upstream| {
            (
                upstream.destination.to_string(),
                upstream.version.map(|version| version.to_string()),
            )
        })
    }

    #[test]
    fn clusters_are_read_by_the_list_then_as_istio_names_them() {
        let list = r#"{"versions": {"from": "clusters",
            "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2", "shop-v2b"]}}}}"#;
        let found = |destination: &str, version: Option<&str>| {
            Some((destination.to_owned(), version.map(str::to_owned)))
        };
        assert_eq!(parse("shop-v2b", list), found("shop", Some("v2")));
        assert_eq!(parse("elsewhere", list), None);
        let istio = "outbound|9080|v2|reviews.default.svc.cluster.local";
        let destination = "reviews.default.svc.cluster.local:9080";
        assert_eq!(parse(istio, "{}"), found(destination, Some("v2")));
        assert_eq!(
            parse(&istio.replace("v2", ""), "{}"),
            found(destination, None)
        );
        let workload = r#"{"versions": {"from": "workload"}}"#;
        assert_eq!(parse(istio, workload), found(destination, None));
        assert_eq!(parse("inbound|9080||", "{}"), None);
    }
}
