//! The plan: a config that was checked and compiled.

use super::ConfigError;
use super::check::{duration, number, unknown, whole};
use super::expected::{Expected, expected};
use super::raw::{Body, Config, ProbationSection};
use super::signals::signals;
use super::surprise::SurprisePlan;
use crate::count::delta::MAX_ROUTES;
use crate::route::{Limits, PathConfig, RouteKey, TemplateSet};
use crate::signal::{Question, Signal};
use crate::wire::reference::Reference;
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the filter may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Judge and report; touch nothing.
    Observe,
    /// As observe, and say the verdict in a response header.
    Annotate,
    /// As annotate without the header, and send requests to the baseline after a verdict.
    Steer,
    /// On the candidate's own listener, refuse requests after a verdict.
    Reject,
}

impl Mode {
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

/// Where the filter sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Guard on inbound listeners, comparer elsewhere.
    Auto,
    /// Sees both versions.
    Comparer,
    /// Sees one version, its own.
    Guard,
}

/// Where the name of a version is read from.
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
pub struct Probation {
    /// Time from the verdict until the trickle begins.
    pub after: Duration,
    /// Share of the requests that are not steered then.
    pub share: f64,
}

/// When a guard refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectPhase {
    /// Before the application sees the request.
    Request,
    /// When the answer is in the category, safe methods only.
    Response,
}

/// What a guard does.
#[derive(Debug, Clone)]
pub struct Reject {
    /// What stable does.
    pub reference: Option<Reference>,
    /// Largest share of the requests that may be refused.
    pub share: f64,
    /// Highest attempt that may be refused.
    pub attempts: u64,
    /// When it refuses.
    pub phase: RejectPhase,
}

/// Which response bodies are looked at, and how far.
#[derive(Debug, Clone, PartialEq)]
pub struct BodyPlan {
    /// Media types in lower case; JSON, what is built on it, and gRPC when empty.
    pub content_types: Vec<String>,
    /// Share of the answers that are looked at.
    pub sample: f64,
    /// Bounds of each.
    pub limits: Arc<crate::shape::Limits>,
}

/// What makes requests one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionSource {
    /// They came over one connection.
    Connection,
    /// This cookie has the same value.
    Cookie(String),
    /// This header has the same value.
    Header(String),
}

/// What the engine and the filter run on.
pub struct Plan {
    /// What the filter may do.
    pub mode: Mode,
    /// Where it sits.
    pub role: Role,
    /// Bound on the chance that a healthy rollout is ever called anomalous.
    pub false_alarm: f64,
    /// Time between two looks.
    pub tick: Duration,
    /// Time in which a new version is counted and not judged.
    pub warm_up: Duration,
    /// Half-life of an arm's past.
    pub memory: Duration,
    /// Judged candidate exchanges that a healthy verdict needs.
    pub healthy_after: u64,
    /// Name of the stable version; automatic when `None`.
    pub baseline: Option<String>,
    /// Name of the new version; automatic when `None`.
    pub candidate: Option<String>,
    /// Name of this rollout.
    pub rollout: Option<String>,
    /// Where versions are read from.
    pub version_source: VersionSource,
    /// Cluster name to destination and version.
    pub clusters: BTreeMap<String, (String, String)>,
    /// Path templates and limits.
    pub paths: PathConfig,
    /// Most routes that are told apart.
    pub max_routes: usize,
    /// Whether the proxy's route name is part of a route's key.
    pub routes_by_name: bool,
    /// The signals that are on.
    pub signals: Vec<Box<dyn Signal>>,
    /// Their questions, each with the index of its signal; weights sum to one.
    pub questions: Vec<(usize, Question)>,
    /// Differences that were declared and do not count.
    pub expected: Vec<Expected>,
    /// Whether the baseline is compared with itself.
    pub placebo: bool,
    /// Time that makes one value of a drift's series; zero where drift is off.
    pub drift_window: Duration,
    /// What makes requests one session.
    pub session: SessionSource,
    /// Which response bodies are looked at; `None` for none.
    pub body: Option<BodyPlan>,
    /// How each exchange is held against what was usual before; `None` for not at all.
    pub surprise: Option<SurprisePlan>,
    /// Second chance after a verdict.
    pub probation: Option<Probation>,
    /// What a guard does.
    pub reject: Reject,
    /// Most metric series.
    pub max_series: usize,
    /// Whether exchanges are left for the access log.
    pub record: bool,
    /// Whether rescued requests are counted.
    pub count_rescued: bool,
}

/// Most entries of a list in the config.
pub(super) const MAX_LIST: usize = 512;
/// The tables hold one route more for each destination.
const MOST_ROUTES: u64 = MAX_ROUTES as u64 - 300;

impl Plan {
    /// Parses and compiles a config. An empty text is the default config.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path and repair.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::with_signals(text, Vec::new())
    }

    /// As [`Plan::from_json`], with signals of the user's own beside the built-in ones.
    ///
    /// # Errors
    /// As [`Plan::from_json`].
    pub fn with_signals(text: &str, own: Vec<Box<dyn Signal>>) -> Result<Self, ConfigError> {
        let raw = if text.trim().is_empty() {
            Config::default()
        } else {
            parse(text)?
        };
        Self::compile(raw, own)
    }

    fn compile(raw: Config, own: Vec<Box<dyn Signal>>) -> Result<Self, ConfigError> {
        let version_source = version_source(&raw)?;
        let reject = reject(&raw)?;
        let mode = match raw.mode.as_deref() {
            None | Some("observe") => Mode::Observe,
            Some("annotate") => Mode::Annotate,
            Some("steer") => Mode::Steer,
            Some("reject") => Mode::Reject,
            Some(other) => {
                return Err(unknown("mode", other, "observe, annotate, steer or reject"));
            }
        };
        if mode == Mode::Reject && reject.reference.is_none() {
            return Err(ConfigError::new(
                "reject.reference",
                "mode `reject` has nothing to compare with",
                "put the output of `serin snapshot` here, or use another mode",
            ));
        }
        let role = match raw.role.as_deref() {
            None | Some("auto") => Role::Auto,
            Some("comparer") => Role::Comparer,
            Some("guard") => Role::Guard,
            Some(other) => return Err(unknown("role", other, "auto, comparer or guard")),
        };
        if raw.baseline.is_some() && raw.baseline == raw.candidate {
            return Err(ConfigError::new(
                "candidate",
                "is the same version as `baseline`",
                "name two versions, or leave one out to have it found",
            ));
        }
        let (signals, questions) = signals(&raw, own)?;
        let memory = duration("memory", raw.memory.as_deref(), "10m", "10s", "7d")?;
        Ok(Self {
            mode,
            role,
            false_alarm: number(
                "false_alarm",
                raw.false_alarm,
                0.01,
                1e-6..=0.5,
                "a chance from 0.000001 to 0.5, such as 0.01",
            )?,
            tick: duration("tick", raw.tick.as_deref(), "1s", "100ms", "1m")?,
            warm_up: duration("warm_up", raw.warm_up.as_deref(), "30s", "0s", "1h")?,
            memory,
            surprise: raw
                .surprise
                .as_ref()
                .map(|raw| SurprisePlan::compile(raw, memory))
                .transpose()?,
            healthy_after: raw.healthy_after.unwrap_or(200),
            baseline: name("baseline", raw.baseline.clone())?,
            candidate: name("candidate", raw.candidate.clone())?,
            rollout: name("rollout", raw.rollout.clone())?,
            clusters: clusters(&raw)?,
            version_source,
            paths: paths(&raw)?,
            expected: expected(&raw, &signals, &questions)?,
            placebo: raw.placebo.unwrap_or(true),
            drift_window: duration(
                "drift.window",
                raw.drift.window.as_deref(),
                "1m",
                "0s",
                "1h",
            )?,
            session: session(&raw)?,
            body: raw
                .body
                .as_ref()
                .filter(|_| signals.iter().any(|signal| signal.name() == "body_shape"))
                .map(body)
                .transpose()?,
            max_routes: whole("routes.max", raw.routes.max, 100, 1..=MOST_ROUTES)? as usize,
            routes_by_name: raw.routes.by_name,
            signals,
            questions,
            probation: raw.steer.probation.as_ref().map(probation).transpose()?,
            reject,
            max_series: whole("max_series", raw.max_series, 2_000, 50..=100_000)? as usize,
            record: raw.record,
            count_rescued: raw.count_rescued,
        })
    }

    /// The place of the signal with this name, if it is on.
    #[must_use]
    pub fn signal(&self, name: &str) -> Option<usize> {
        self.signals.iter().position(|signal| signal.name() == name)
    }

    /// Whether a yes to this question on this route was declared.
    #[must_use]
    pub fn is_expected(&self, route: &RouteKey, question: usize) -> bool {
        self.questions
            .get(question)
            .is_some_and(|(signal, question)| {
                self.expected
                    .iter()
                    .any(|expected| expected.covers_category(route, *signal, question.name))
            })
    }

    /// Whether this signal was declared to differ on this route, as a whole or in one category.
    #[must_use]
    pub fn is_expected_to_differ(&self, route: &RouteKey, signal: usize) -> bool {
        self.expected
            .iter()
            .any(|expected| expected.covers_signal(route, signal))
    }

    /// The arm's share of what it remembered that is kept over one tick.
    #[must_use]
    pub fn keep_per_tick(&self) -> f32 {
        (-self.tick.as_secs_f64() / self.memory.as_secs_f64()).exp2() as f32
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    // Serde would take a list for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(ConfigError::new(
            ".",
            "is not an object",
            "write the config as {\"mode\": \"observe\", …}",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let config = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let problem = error.inner().to_string();
        let repair = if problem.starts_with("unknown field") {
            "correct the name or remove the field"
        } else if error.inner().is_syntax() || error.inner().is_eof() {
            "make it valid JSON"
        } else {
            "give a value of that type"
        };
        let path = error.path().to_string();
        // A field at the top whose name is empty.
        let path = if path.is_empty() { "\"\"" } else { &path };
        ConfigError::new(path, problem, repair)
    })?;
    deserializer.end().map_err(|error| {
        ConfigError::new(
            ".",
            error.to_string(),
            "remove what follows the closing brace",
        )
    })?;
    Ok(config)
}

fn name(path: &str, value: Option<String>) -> Result<Option<String>, ConfigError> {
    match value {
        Some(name) if name.is_empty() || name.len() > crate::count::delta::MAX_VERSION_BYTES => {
            Err(ConfigError::new(
                path,
                "a version needs a name of 1 to 128 bytes",
                "name the version as the proxy reports it, or leave the field out",
            ))
        }
        other => Ok(other),
    }
}

fn body(raw: &Body) -> Result<BodyPlan, ConfigError> {
    if raw.content_types.len().max(raw.masked_keys.len()) > MAX_LIST {
        return Err(ConfigError::new(
            "body",
            format!("a list has more than {MAX_LIST} entries"),
            "list fewer",
        ));
    }
    let limits = crate::shape::Limits::default();
    Ok(BodyPlan {
        content_types: raw
            .content_types
            .iter()
            .map(|media_type| media_type.to_ascii_lowercase())
            .collect(),
        sample: number(
            "body.sample",
            raw.sample,
            1.0,
            1e-4..=1.0,
            "a share from 0.0001 to 1",
        )?,
        limits: Arc::new(crate::shape::Limits {
            max_bytes: whole(
                "body.max_bytes",
                raw.max_bytes,
                limits.max_bytes,
                1..=16 * 1024 * 1024,
            )?,
            masks: crate::shape::Masks::new(&raw.masked_keys),
            ..limits
        }),
    })
}

fn session(raw: &Config) -> Result<SessionSource, ConfigError> {
    let name = || match raw.session.name.as_deref() {
        Some(name) if (1..=128).contains(&name.len()) => Ok(name.to_owned()),
        _ => Err(ConfigError::new(
            "session.name",
            "a cookie or header needs a name of 1 to 128 bytes",
            "name it, as in {\"from\": \"cookie\", \"name\": \"sid\"}",
        )),
    };
    match raw.session.from.as_deref() {
        None | Some("connection") => Ok(SessionSource::Connection),
        Some("cookie") => Ok(SessionSource::Cookie(name()?)),
        Some("header") => Ok(SessionSource::Header(name()?.to_ascii_lowercase())),
        Some(other) => Err(unknown(
            "session.from",
            other,
            "connection, cookie or header",
        )),
    }
}

fn version_source(raw: &Config) -> Result<VersionSource, ConfigError> {
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

fn clusters(raw: &Config) -> Result<BTreeMap<String, (String, String)>, ConfigError> {
    let mut found = BTreeMap::new();
    for (destination, versions) in &raw.versions.destinations {
        for (version, clusters) in versions {
            for cluster in clusters {
                let index = (destination.clone(), version.clone());
                let path = format!("versions.destinations.{destination}.{version}");
                if let Some((other, at)) = found.insert(cluster.clone(), index) {
                    return Err(ConfigError::new(
                        &path,
                        format!("cluster `{cluster}` is listed for {other} {at} too"),
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

fn paths(raw: &Config) -> Result<PathConfig, ConfigError> {
    let templates =
        TemplateSet::parse(raw.routes.templates.iter().map(String::as_str)).map_err(|error| {
            ConfigError::new(
                "routes.templates",
                error.to_string(),
                "write templates as /api/items/{id} or /static/*",
            )
        })?;
    Ok(PathConfig {
        templates,
        limits: Limits::default(),
    })
}

fn probation(raw: &ProbationSection) -> Result<Probation, ConfigError> {
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

fn reject(raw: &Config) -> Result<Reject, ConfigError> {
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
