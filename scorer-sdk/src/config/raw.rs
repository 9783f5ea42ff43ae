//! The config as it is written: JSON, or the YAML of a WasmPlugin's `pluginConfig`.
//!
//! Durations are texts such as `"1s"`, `"500ms"`, `"10m"`. Every field has a default; unknown
//! fields are refused.

use super::error::ConfigError;
use super::place;
use crate::wire::reference::Reference;
use core::fmt;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;

/// The whole config.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `observe`, `annotate`, `steer` or `reject`.
    pub mode: Option<String>,
    /// `auto`, `comparer` or `guard`.
    pub role: Option<String>,
    /// Bound on the chance that a healthy rollout is ever called anomalous.
    pub false_alarm: Option<f64>,
    /// Time between two looks at the evidence.
    pub tick: Option<String>,
    /// How long the latency of a young host is not judged.
    pub warm_up: WarmUpSection,
    /// Half-life of what is remembered of an arm's past.
    pub memory: Option<String>,
    /// Exchanges of the candidate that have to be judged before it is called healthy.
    pub healthy_after: Option<u64>,
    /// Name of the stable version; automatic when missing.
    pub baseline: Option<String>,
    /// Name of the new version; automatic when missing.
    pub candidate: Option<String>,
    /// Name of this rollout; another one starts all learning anew, as when a fixed release comes
    /// under the name of one that was condemned.
    pub rollout: Option<String>,
    /// Where versions are read from.
    pub versions: Versions,
    /// Tolerated odds ratio per category.
    pub tolerance: BTreeMap<String, f64>,
    /// Margins of the latency signal.
    pub latency: Latency,
    /// Margin of the size signal.
    pub size: Size,
    /// How large a difference has to be before it is told.
    pub differs: DiffersSection,
    /// Which signals are on; all by default.
    pub signals: BTreeMap<String, bool>,
    /// Response headers whose presence does not matter.
    pub ignored_headers: Vec<String>,
    /// Differences that the owner expects of this release: they do not count.
    pub expected: Vec<ExpectedSection>,
    /// Whether the baseline is compared with itself, half against half; on by default.
    pub placebo: Option<bool>,
    /// How versions are held against their own past.
    pub drift: DriftSection,
    /// How a version that has taken over the traffic is held against the past of the one before.
    pub past: PastSection,
    /// What makes requests one session.
    pub session: Session,
    /// Which response bodies are looked at, and how far; none when missing.
    pub body: Option<Body>,
    /// Whether each exchange is held against what was usual before; not when missing.
    pub surprise: Option<SurpriseSection>,
    /// How routes are told apart.
    pub routes: Routes,
    /// What `steer` does.
    pub steer: Steer,
    /// Whom the leader asks what all proxies together think; nobody when missing.
    pub fleet: Option<FleetSection>,
    /// What `reject` does.
    pub reject: RejectSection,
    /// Exchanges a second that one worker looks at in full, a random part of heavy traffic; 0 for all.
    pub looks_per_second: Option<u64>,
    /// Most metric series that the module makes.
    pub max_series: Option<u64>,
    /// Whether each exchange is left in the filter state `serin.exchange` for the access log.
    pub record: bool,
    /// Whether reasons come with the ids of a few requests; on by default.
    pub examples: Option<bool>,
    /// Whether version, verdict and surprise are left in the filter state for the proxy's traces.
    pub traces: bool,
    /// Whether requests that were retried and then answered by the baseline are counted.
    pub count_rescued: bool,
}

/// How long the latency of a young host is not judged: a text stands for both, so that `"30s"` is
/// exactly so long and `"0s"` no time at all.
#[derive(Debug, Clone, Default)]
pub struct WarmUpSection {
    /// At least so long.
    pub min: Option<String>,
    /// At most so long.
    pub max: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WarmUpTimes {
    min: Option<String>,
    max: Option<String>,
}

/// By hand: serde's untagged enums keep a copy of any value, and know no place in the text.
struct WarmUpForms;

impl<'de> Visitor<'de> for WarmUpForms {
    type Value = WarmUpSection;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as \"30s\", or an object with `min` and `max`")
    }

    fn visit_str<E>(self, both: &str) -> Result<Self::Value, E> {
        Ok(WarmUpSection {
            min: Some(both.to_owned()),
            max: Some(both.to_owned()),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let WarmUpTimes { min, max } = Deserialize::deserialize(MapAccessDeserializer::new(map))?;
        Ok(WarmUpSection { min, max })
    }
}

impl<'de> Deserialize<'de> for WarmUpSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WarmUpForms)
    }
}

/// Reads a config as it is written.
pub(super) fn parse(text: &str) -> Result<Config, ConfigError> {
    // Serde would take a list for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(ConfigError::new(
            ".",
            "is not an object",
            "write the config as {\"mode\": \"observe\", …}",
        ));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let config = Config::deserialize(&mut deserializer).map_err(|error| {
        let problem = error.to_string();
        let repair = if problem.starts_with("unknown field") {
            "correct the name or remove the field"
        } else if error.is_syntax() || error.is_eof() {
            "make it valid JSON"
        } else {
            "give a value of that type"
        };
        ConfigError::new(&place::path(text, &error), problem, repair)
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

/// Where versions are read from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Versions {
    /// `auto`, `workload`, `subset` or `clusters`.
    pub from: Option<String>,
    /// With `clusters`: per destination, the clusters of each version.
    pub destinations: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Margins of the latency signal.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Latency {
    /// Relative margin on the baseline's quantiles.
    pub margin: Option<f64>,
    /// Absolute margin.
    pub floor: Option<String>,
}

/// Margin of the size signal.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Size {
    /// Relative margin around the baseline's range.
    pub margin: Option<f64>,
}

/// How large a difference, for better or worse, has to be before it is told.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffersSection {
    /// Shift of the median duration, as a share of the baseline's.
    pub latency: Option<f64>,
    /// Shift of the median duration as a time.
    pub floor: Option<String>,
    /// Change of the share of the exchanges that have some token.
    pub share: Option<f64>,
}

/// A difference that the owner expects of this release. One of `category` and `signal` is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedSection {
    /// The route as reasons and metrics write it, such as `GET /api/search`; an asterisk at the end
    /// stands for any rest; every route when missing.
    pub route: Option<String>,
    /// The category that may be worse, such as `size`.
    pub category: Option<String>,
    /// The signal that may differ in any way, such as `header_names`.
    pub signal: Option<String>,
}

/// Which response bodies are looked at, and how far. Only key names and types are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Body {
    /// Media types; JSON, what is built on it, and gRPC when empty.
    pub content_types: Vec<String>,
    /// Share of the answers that are looked at.
    pub sample: Option<f64>,
    /// Bytes of a body that are looked at.
    pub max_bytes: Option<u64>,
    /// Keys that are data themselves: `alice`, `user-*`, or `users{*}` for all keys of the objects
    /// under `users`.
    pub masked_keys: Vec<String>,
}

/// How versions are held against their own past.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSection {
    /// Time that makes one value of a series; `0s` switches drift off.
    pub window: Option<String>,
}

/// How a version that has taken over the traffic is held against the past of the one before it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PastSection {
    /// Time that makes one window; `0s` switches it off.
    pub window: Option<String>,
    /// Whether it may lead to the verdict `anomalous`.
    pub act: bool,
}

/// What makes requests one session.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// `connection`, `cookie` or `header`.
    pub from: Option<String>,
    /// Name of the cookie or header.
    pub name: Option<String>,
}

/// How each exchange is held against what was usual before.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SurpriseSection {
    /// Length of an epoch: what is new is known at the earliest in the next one.
    pub epoch: Option<String>,
    /// Most values that one worker remembers.
    pub max_values: Option<u64>,
    /// In mode `reject`: percentile above which an answer to a safe method is refused.
    pub refuse_above: Option<f64>,
}

/// How routes are told apart.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routes {
    /// Path templates such as `/api/items/{id}`.
    pub templates: Vec<String>,
    /// Most routes that are told apart.
    pub max: Option<u64>,
    /// Whether the proxy's route name is part of the key.
    pub by_name: bool,
}

/// What `steer` does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Steer {
    /// Lets a trickle through again some time after the verdict.
    pub probation: Option<ProbationSection>,
}

/// A second chance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbationSection {
    /// Time from the verdict until the trickle begins.
    pub after: String,
    /// Share of the requests that are not steered then.
    pub share: f64,
}

/// What `reject` does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RejectSection {
    /// What stable does, as made by `serin snapshot`.
    pub reference: Option<Reference>,
    /// Largest share of the requests that may be refused.
    pub share: Option<f64>,
    /// Highest attempt (`x-envoy-attempt-count`) that may be refused.
    pub attempts: Option<u64>,
    /// `request` or `response`.
    pub phase: Option<String>,
}

/// Whom the leader asks what all proxies together think.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetSection {
    /// The proxy's cluster of `serin serve-verdict`.
    pub cluster: String,
    /// Path of the question.
    pub path: Option<String>,
    /// Time between two questions.
    pub every: Option<String>,
    /// Sent as a bearer token.
    pub token: Option<String>,
    /// Most proxies that compare the same versions.
    pub proxies: Option<u64>,
    /// Whether proxies hand on what they have learned.
    pub memory: Option<bool>,
}
