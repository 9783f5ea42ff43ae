//! Which destination and version a proxy's cluster is: for the filter, which hears the cluster's
//! name, and for the command, which reads it in an access log.

use super::{Plan, VersionSource};
use std::borrow::Cow;

/// What a version is called that has no name of its own: Istio leaves the revision `latest` empty.
const LATEST: &str = "latest";

/// A destination and, where its cluster tells it, the version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream<'a> {
    /// The service.
    pub destination: Cow<'a, str>,
    /// The version; `None` when only the upstream host's metadata tells it.
    pub version: Option<Cow<'a, str>>,
}

impl Plan {
    /// The upstream behind a cluster: by the config's list, else as Istio names clusters,
    /// `outbound|port|subset|host`. `None` when it belongs to no destination that is watched.
    ///
    /// The `;` is left out with which Istio ends the name that statistics and access logs have.
    #[must_use]
    pub fn upstream<'a>(&'a self, cluster: &'a str) -> Option<Upstream<'a>> {
        let name = cluster.trim_end_matches(';');
        let listed = self.clusters.get(cluster);
        if let Some((destination, version)) = listed.or_else(|| self.clusters.get(name)) {
            return Some(Upstream {
                destination: Cow::Borrowed(destination),
                version: Some(Cow::Borrowed(version)),
            });
        }
        if self.version_source == VersionSource::Clusters {
            return None;
        }
        let mut parts = name.split('|');
        let (direction, port, subset, host) =
            (parts.next()?, parts.next(), parts.next(), parts.next());
        match (direction, port, subset, host) {
            ("outbound", Some(port), Some(subset), Some(host)) if !host.is_empty() => {
                Some(Upstream {
                    destination: Cow::Owned(format!("{host}:{port}")),
                    version: match self.version_source {
                        VersionSource::Workload => None,
                        _ if subset.is_empty() => None,
                        _ => Some(Cow::Borrowed(subset)),
                    },
                })
            }
            ("inbound" | "BlackHoleCluster" | "PassthroughCluster", ..) => None,
            _ => Some(Upstream {
                destination: Cow::Borrowed(name),
                version: None,
            }),
        }
    }
}

/// The revision in Istio's metadata of a workload, `workload;namespace;name;revision;cluster`.
#[must_use]
pub fn revision(workload: &str) -> Option<&str> {
    let revision = workload.split(';').nth(3)?;
    Some(if revision.is_empty() {
        LATEST
    } else {
        revision
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cluster: &str, config: &str) -> Option<(String, Option<String>)> {
        let plan = Plan::from_json(config).unwrap();
        let upstream = plan.upstream(cluster)?;
        Some((
            upstream.destination.into_owned(),
            upstream.version.map(Cow::into_owned),
        ))
    }

    fn is(destination: &str, version: Option<&str>) -> Option<(String, Option<String>)> {
        Some((destination.to_owned(), version.map(str::to_owned)))
    }

    const ISTIO: &str = "outbound|9080|v2|reviews.default.svc.cluster.local";
    const REVIEWS: &str = "reviews.default.svc.cluster.local:9080";

    #[test]
    fn clusters_are_read_by_the_list_then_as_istio_names_them() {
        let list = r#"{"versions": {"from": "clusters",
            "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2", "shop-v2b"]}}}}"#;
        assert_eq!(found("shop-v2b", list), is("shop", Some("v2")));
        assert_eq!(found("elsewhere", list), None);
        assert_eq!(found(ISTIO, "{}"), is(REVIEWS, Some("v2")));
        assert_eq!(found(&ISTIO.replace("v2", ""), "{}"), is(REVIEWS, None));
        let workload = r#"{"versions": {"from": "workload"}}"#;
        assert_eq!(found(ISTIO, workload), is(REVIEWS, None));
        assert_eq!(found("plain", "{}"), is("plain", None));
        for nobodys in ["inbound|9080||", "BlackHoleCluster", "PassthroughCluster"] {
            assert_eq!(found(nobodys, "{}"), None);
        }
    }

    #[test]
    fn the_end_that_istio_gives_a_name_in_logs_is_no_part_of_it() {
        assert_eq!(found(&format!("{ISTIO};"), "{}"), is(REVIEWS, Some("v2")));
        let list =
            format!(r#"{{"versions": {{"destinations": {{"shop": {{"v2": ["{ISTIO}"]}}}}}}}}"#);
        assert_eq!(found(&format!("{ISTIO};"), &list), is("shop", Some("v2")));
        assert_eq!(found("PassthroughCluster;", "{}"), None);
    }

    #[test]
    fn a_revision_without_a_name_is_latest() {
        assert_eq!(revision("shop-v2;prod;shop;v2;Kubernetes"), Some("v2"));
        assert_eq!(revision("shop;prod;shop;;Kubernetes"), Some("latest"));
        assert_eq!(revision("shop"), None);
    }
}
