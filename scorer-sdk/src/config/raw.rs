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
    /// For how long Serin does not judge the latency of a young host.
    pub warm_up: WarmUpSection,
    /// Half-life of an arm's remembered past.
    pub memory: Option<String>,
    /// Candidate exchanges that Serin has to judge before the verdict can be `healthy`.
    pub healthy_after: Option<u64>,
    /// Name of the stable version; automatic when missing.
    pub baseline: Option<String>,
    /// Name of the new version; automatic when missing.
    pub candidate: Option<String>,
    /// Name of this rollout. Another name starts learning over, for example when a fixed release comes
    /// under the name of a condemned one.
    pub rollout: Option<String>,
    /// Where versions are read from.
    pub versions: Versions,
    /// Tolerated odds ratio per category.
    pub tolerance: BTreeMap<String, f64>,
    /// Margins of the latency signal.
    pub latency: Latency,
    /// Margin of the size signal.
    pub size: Size,
    /// Smallest difference that Serin reports.
    pub differs: DiffersSection,
    /// Which signals are on; all by default.
    pub signals: BTreeMap<String, bool>,
    /// Response headers whose presence does not matter.
    pub ignored_headers: Vec<String>,
    /// Intended differences of this release, which do not count.
    pub expected: Vec<ExpectedSection>,
    /// Whether Serin compares two halves of the baseline with each other; on by default.
    pub placebo: Option<bool>,
    /// How Serin compares versions with their own past.
    pub drift: DriftSection,
    /// How Serin compares a version that has taken over the traffic with the past of the one before.
    pub past: PastSection,
    /// What makes requests one session.
    pub session: Session,
    /// Which response bodies Serin reads, and how far; none when missing.
    pub body: Option<Body>,
    /// Whether Serin scores how unusual each exchange is; not when missing.
    pub surprise: Option<SurpriseSection>,
    /// How Serin tells routes apart.
    pub routes: Routes,
    /// Settings of mode `steer`.
    pub steer: Steer,
    /// Where the leader asks for the verdict of all proxies; nowhere when missing.
    pub fleet: Option<FleetSection>,
    /// Settings of mode `reject`.
    pub reject: RejectSection,
    /// Exchanges per second that one worker looks at in full; 0 for all.
    pub looks_per_second: Option<u64>,
    /// Most metric series that the module makes.
    pub max_series: Option<u64>,
    /// Whether the filter puts each exchange into the filter state `serin.exchange` for the access log.
    pub record: bool,
    /// Whether reasons name a few requests by their ids; on by default.
    pub examples: Option<bool>,
    /// Whether the filter puts version, verdict and surprise into the filter state for traces.
    pub traces: bool,
    /// Whether to count requests that were retried and then answered by the baseline.
    pub count_rescued: bool,
}

/// For how long Serin does not judge the latency of a young host. A string sets both ends: `"30s"` is
/// exactly 30 s, and `"0s"` no time at all.
#[derive(Debug, Clone, Default)]
pub struct WarmUpSection {
    /// Shortest warm-up.
    pub min: Option<String>,
    /// Longest warm-up.
    pub max: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WarmUpTimes {
    min: Option<String>,
    max: Option<String>,
}

/// Written by hand: serde's untagged enums copy any value, and lose its position in the text.
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

/// Reads a config from its JSON.
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

/// Smallest difference, for better or worse, that Serin reports.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiffersSection {
    /// Shift of the median duration, as a share of the baseline's.
    pub latency: Option<f64>,
    /// Shift of the median duration as a time.
    pub floor: Option<String>,
    /// Change of the share of exchanges with any one token.
    pub share: Option<f64>,
}

/// An intended difference of this release. Either `category` or `signal` is set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedSection {
    /// The route as in reasons and metrics, such as `GET /api/search`. An asterisk at the end matches any
    /// rest. Every route when missing.
    pub route: Option<String>,
    /// The category that may be worse, such as `size`.
    pub category: Option<String>,
    /// The signal that may differ in any way, such as `header_names`.
    pub signal: Option<String>,
}

/// Which response bodies Serin reads, and how far. It keeps only key names and types.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Body {
    /// Media types. When empty: JSON, formats built on it, and gRPC.
    pub content_types: Vec<String>,
    /// Share of the responses whose body Serin reads.
    pub sample: Option<f64>,
    /// Most bytes of a body that Serin reads.
    pub max_bytes: Option<u64>,
    /// Keys that are data themselves: `alice`, `user-*`, or `users{*}` for all keys of the objects
    /// under `users`.
    pub masked_keys: Vec<String>,
}

/// How Serin compares versions with their own past.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftSection {
    /// Length of the window for one value of a series; `0s` switches drift off.
    pub window: Option<String>,
}

/// How Serin compares a version that has taken over the traffic with the past of the one before it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PastSection {
    /// Length of a window; `0s` switches the comparison off.
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

/// How Serin scores how unusual an exchange is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SurpriseSection {
    /// Length of an epoch. A new value becomes known in the next one at the earliest.
    pub epoch: Option<String>,
    /// Most values that one worker remembers.
    pub max_values: Option<u64>,
    /// In mode `reject`: percentile above which a guard refuses a response to a safe method.
    pub refuse_above: Option<f64>,
}

/// How Serin tells routes apart.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Routes {
    /// Path templates such as `/api/items/{id}`.
    pub templates: Vec<String>,
    /// Most routes that Serin tells apart.
    pub max: Option<u64>,
    /// Whether the proxy's route name is part of the key.
    pub by_name: bool,
}

/// Settings of mode `steer`.
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
    /// Time from the verdict to the start of the trickle.
    pub after: String,
    /// Share of the requests that Serin then does not steer.
    pub share: f64,
}

/// Settings of mode `reject`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RejectSection {
    /// Snapshot of stable, made by `serin snapshot`.
    pub reference: Option<Reference>,
    /// Largest share of the requests that a guard may refuse.
    pub share: Option<f64>,
    /// Highest attempt (`x-envoy-attempt-count`) that a guard may refuse.
    pub attempts: Option<u64>,
    /// `request` or `response`.
    pub phase: Option<String>,
}

/// Where the leader asks for the verdict of all proxies.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetSection {
    /// The proxy's cluster of `serin serve-verdict`.
    pub cluster: String,
    /// Path of the question.
    pub path: Option<String>,
    /// Time between two questions.
    pub every: Option<String>,
    /// Bearer token to send.
    pub token: Option<String>,
    /// Most proxies that compare the same versions.
    pub proxies: Option<u64>,
    /// Whether proxies hand on what they have learned.
    pub memory: Option<bool>,
}
