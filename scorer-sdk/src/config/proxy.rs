//! What the proxy does with a verdict, and where it reads versions and sessions from: the settings
//! that the filter alone acts on.

use super::check::{MAX_LIST, duration, number, unknown, whole};
use super::error::ConfigError;
use super::raw::{Config, ProbationSection};
use crate::wire::reference::Reference;
use core::time::Duration;
use std::collections::BTreeMap;

/// What the filter may do to traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Judge and report, without changing traffic.
    Observe,
    /// Like `observe`, and write the verdict into a response header.
    Annotate,
    /// Like `observe`, and send requests to the baseline after a verdict.
    Steer,
    /// On the candidate's own listener, refuse requests after a verdict.
    Reject,
}

impl Mode {
    /// Whether a verdict keeps requests from the candidate.
    #[must_use]
    pub fn acts(self) -> bool {
        matches!(self, Self::Steer | Self::Reject)
    }

    /// The name in config and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Annotate => "annotate",
            Self::Steer => "steer",
            Self::Reject => "reject",
        }
    }
}

/// Whether the filter compares two versions or guards one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Guard on inbound listeners, comparer elsewhere.
    Auto,
    /// Sees both versions.
    Comparer,
    /// Sees one version, its own.
    Guard,
}

/// Where the filter reads a version's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionSource {
    /// The list of clusters where there is one, else the subset in the cluster's name, else the
    /// upstream host's workload metadata.
    Auto,
    /// The upstream host's Istio workload metadata.
    Workload,
    /// The subset in the cluster's name.
    Subset,
    /// The list of clusters.
    Clusters,
}

/// A second chance for a candidate that was found anomalous.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Probation {
    /// Time from the verdict to the start of the trickle.
    pub after: Duration,
    /// Share of the requests that Serin then does not steer.
    pub share: f64,
}

/// When a guard refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectPhase {
    /// Before the application sees the request.
    Request,
    /// When the response meets the category; safe methods only.
    Response,
}

/// Settings of a guard.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reject {
    /// Snapshot of stable.
    pub reference: Option<Reference>,
    /// Largest share of the requests that a guard may refuse.
    pub share: f64,
    /// Highest attempt that a guard may refuse.
    pub attempts: u64,
    /// When it refuses.
    pub phase: RejectPhase,
}

/// What makes requests one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionSource {
    /// They came from one client: one address, or one connection where addresses do not tell
    /// clients apart. The config names no session.
    Client,
    /// They came over one connection.
    Connection,
    /// This cookie has the same value.
    Cookie(String),
    /// This header has the same value.
    Header(String),
}

pub(super) fn mode(text: Option<&str>) -> Result<Mode, ConfigError> {
    match text {
        None | Some("observe") => Ok(Mode::Observe),
        Some("annotate") => Ok(Mode::Annotate),
        Some("steer") => Ok(Mode::Steer),
        Some("reject") => Ok(Mode::Reject),
        Some(other) => Err(unknown("mode", other, "observe, annotate, steer or reject")),
    }
}

pub(super) fn role(text: Option<&str>) -> Result<Role, ConfigError> {
    match text {
        None | Some("auto") => Ok(Role::Auto),
        Some("comparer") => Ok(Role::Comparer),
        Some("guard") => Ok(Role::Guard),
        Some(other) => Err(unknown("role", other, "auto, comparer or guard")),
    }
}

pub(super) fn session(raw: &Config) -> Result<SessionSource, ConfigError> {
    let name = || match raw.session.name.as_deref() {
        Some(name) if (1..=128).contains(&name.len()) => Ok(name.to_owned()),
        _ => Err(ConfigError::new(
            "session.name",
            "a cookie or header needs a name of 1 to 128 bytes",
            "name it, as in {\"from\": \"cookie\", \"name\": \"sid\"}",
        )),
    };
    match raw.session.from.as_deref() {
        None => Ok(SessionSource::Client),
        Some("connection") => Ok(SessionSource::Connection),
        Some("cookie") => Ok(SessionSource::Cookie(name()?)),
        Some("header") => Ok(SessionSource::Header(name()?.to_ascii_lowercase())),
        Some(other) => Err(unknown(
            "session.from",
            other,
            "connection, cookie or header",
        )),
    }
}

pub(super) fn version_source(raw: &Config) -> Result<VersionSource, ConfigError> {
    match raw.versions.from.as_deref() {
        None | Some("auto") => Ok(VersionSource::Auto),
        Some("workload") => Ok(VersionSource::Workload),
        Some("subset") => Ok(VersionSource::Subset),
        Some("clusters") if raw.versions.destinations.is_empty() => Err(ConfigError::new(
            "versions.destinations",
            "is empty",
            "list the clusters, as in {\"shop\": {\"v1\": [\"shop-v1\"], \"v2\": [\"shop-v2\"]}}",
        )),
        Some("clusters") => Ok(VersionSource::Clusters),
        Some(other) => Err(unknown(
            "versions.from",
            other,
            "auto, workload, subset or clusters",
        )),
    }
}

pub(super) fn clusters(raw: &Config) -> Result<BTreeMap<String, (String, String)>, ConfigError> {
    let mut found = BTreeMap::new();
    for (destination, versions) in &raw.versions.destinations {
        for (version, clusters) in versions {
            for cluster in clusters {
                let owner = (destination.clone(), version.clone());
                let path = format!("versions.destinations.{destination}.{version}");
                if let Some((other, at)) = found.insert(cluster.clone(), owner) {
                    return Err(ConfigError::new(
                        &path,
                        format!("cluster `{cluster}` is already listed for {other} {at}"),
                        "list each cluster once",
                    ));
                }
                if found.len() > MAX_LIST {
                    return Err(ConfigError::new(
                        &path,
                        format!("more than {MAX_LIST} clusters"),
                        "list only the services that are rolled out",
                    ));
                }
            }
        }
    }
    Ok(found)
}

pub(super) fn probation(raw: &ProbationSection) -> Result<Probation, ConfigError> {
    Ok(Probation {
        after: duration("steer.probation.after", Some(&raw.after), "10m", "1s", "7d")?,
        share: number(
            "steer.probation.share",
            Some(raw.share),
            0.0,
            1e-4..=1.0,
            "a share from 0.0001 to 1, such as 0.01",
        )?,
    })
}

pub(super) fn reject(raw: &Config) -> Result<Reject, ConfigError> {
    let phase = match raw.reject.phase.as_deref() {
        None | Some("request") => RejectPhase::Request,
        Some("response") => RejectPhase::Response,
        Some(other) => return Err(unknown("reject.phase", other, "request or response")),
    };
    if let Some(reference) = &raw.reject.reference {
        reference.check().map_err(|problem| {
            ConfigError::new(
                "reject.reference",
                problem,
                "make it anew with `serin snapshot`",
            )
        })?;
    }
    Ok(Reject {
        reference: raw.reject.reference.clone(),
        share: number(
            "reject.share",
            raw.reject.share,
            0.5,
            0.0..=1.0,
            "a share from 0 to 1",
        )?,
        attempts: whole("reject.attempts", raw.reject.attempts, 1, 1..=10)?,
        phase,
    })
}
