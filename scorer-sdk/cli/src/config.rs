//! Config files: JSON or YAML, plain or inside of what configures a proxy: a WasmPlugin's manifest,
//! Envoy's own config, an EnvoyFilter.

use crate::open::open;
use crate::sniff;
use crate::yaml;
use anyhow::{Context, Result, anyhow, bail};
use scorer_sdk::Plan;
use scorer_sdk::config::ConfigError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::io::Read;

/// Largest config or snapshot that is read, in bytes: several times what a snapshot of as many
/// routes as there can be weighs.
pub const MAX_FILE_BYTES: u64 = 32 << 20;
/// Largest YAML and largest manifest: they are parsed as a whole, into many times their size, and a
/// cluster takes no more than this in one object.
const MAX_MANIFEST_BYTES: usize = 2 << 20;
/// Where a WasmPlugin has the config.
pub const PLUGIN_CONFIG: &str = "spec.pluginConfig";
/// Where Envoy's filter has the config.
const FILTER_CONFIG: &str = "typed_config.config.configuration";
/// The type of Envoy's filter.
const FILTER_TYPE: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
/// What Envoy's config has at its top and Serin's has not.
const OF_ENVOY: [&str; 3] = ["static_resources", "dynamic_resources", "resources"];
/// What an address begins with that is nobody's: the manifests' own.
const NOBODYS_HOST: &str = "registry.example.com/";

/// A config in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Name of the WasmPlugin or of Envoy's filter that it is in, where it is in one.
    pub plugin: Option<String>,
    /// The config as JSON.
    pub json: String,
    /// Where it is in what it is in; empty where it stands alone.
    pub at: &'static str,
    /// What would keep the proxy from running it, such as an image that is a placeholder.
    pub warnings: Vec<String>,
}

impl Found {
    /// Compiles the config.
    ///
    /// # Errors
    /// As [`Plan::from_json`]; the path begins where the file does.
    pub fn compile(&self) -> Result<Plan, ConfigError> {
        Plan::from_json(&self.json).map_err(|mut error| {
            if !self.at.is_empty() {
                error.path = match error.path.as_str() {
                    "." => self.at.to_owned(),
                    path => format!("{}.{path}", self.at),
                };
            }
            error
        })
    }
}

/// Reads a whole file of bounded size; `-` is the standard input.
///
/// # Errors
/// When it cannot be read, is too large or no text.
pub fn read_file(path: &str) -> Result<String> {
    let opened = open(path)?;
    let name = opened.name;
    let too_large = || {
        anyhow!("{name} has more than {MAX_FILE_BYTES} bytes: this is no config and no snapshot")
    };
    if opened.length.is_some_and(|length| length > MAX_FILE_BYTES) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    opened
        .reader
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large());
    }
    if let Some(problem) = sniff::no_text(&bytes) {
        bail!("{name} {problem}");
    }
    if bytes.starts_with(sniff::BYTE_ORDER_MARK) {
        bytes.drain(..sniff::BYTE_ORDER_MARK.len());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        anyhow!("{name}, line {line}: is no text in UTF-8; save it as UTF-8")
    })
}

/// Finds the configs in a text: those of each WasmPlugin and of each of Envoy's filters in a manifest
/// or in Envoy's own config, else the text itself.
///
/// # Errors
/// When it is neither JSON nor YAML, or a manifest or Envoy's config without Serin.
pub fn find(text: &str) -> Result<Vec<Found>> {
    let plain = |json: String| {
        vec![Found {
            plugin: None,
            json,
            at: "",
            warnings: Vec::new(),
        }]
    };
    // JSON first and as it stands: its own messages then name line and column.
    if text.trim().is_empty() || text.trim_start().starts_with('{') {
        return match serde_json::from_str::<Kind>(text) {
            Ok(kind) if kind.is_container() => {
                bound(text)?;
                plugins(&[serde_json::from_str(text)?])
            }
            _ => Ok(plain(text.to_owned())),
        };
    }
    bound(text)?;
    let documents = yaml::documents(text).context("is neither JSON nor YAML")?;
    match documents.as_slice() {
        [] => Ok(plain(String::new())),
        [value] if !is_container(value) => Ok(plain(value.to_string())),
        manifest => plugins(manifest),
    }
}

/// What a manifest or Envoy's config has and Serin's has not; nothing of it is kept.
#[derive(Deserialize)]
struct Kind {
    kind: Option<IgnoredAny>,
    static_resources: Option<IgnoredAny>,
    dynamic_resources: Option<IgnoredAny>,
    resources: Option<IgnoredAny>,
}

impl Kind {
    fn is_container(&self) -> bool {
        self.kind.is_some()
            || self.static_resources.is_some()
            || self.dynamic_resources.is_some()
            || self.resources.is_some()
    }
}

fn is_container(value: &Value) -> bool {
    value.get("kind").is_some() || OF_ENVOY.iter().any(|name| value.get(*name).is_some())
}

fn bound(text: &str) -> Result<()> {
    if text.len() > MAX_MANIFEST_BYTES {
        bail!(
            "has more than {MAX_MANIFEST_BYTES} bytes, too many for YAML and for a manifest: write \
             the config alone, as JSON"
        );
    }
    Ok(())
}

fn plugins(documents: &[Value]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for document in documents {
        gather(document, &mut found);
    }
    // Other people's modules are filters of the same type.
    if found.iter().any(|(_, is_serins)| *is_serins) {
        found.retain(|(_, is_serins)| *is_serins);
    }
    if found.is_empty() {
        bail!(
            "has no WasmPlugin and no filter of the type {FILTER_TYPE}: nothing in it configures \
             Serin"
        );
    }
    Ok(found.into_iter().map(|(found, _)| found).collect())
}

/// Gathers what configures a module, wherever it is; and whether Serin's name is in it.
fn gather(value: &Value, found: &mut Vec<(Found, bool)>) {
    match value {
        Value::Object(fields) => {
            let text = |name: &str| fields.get(name).and_then(Value::as_str);
            if text("kind") == Some("WasmPlugin") {
                found.push((of_plugin(value), true));
            } else if text("@type").is_some_and(|name| name.ends_with(FILTER_TYPE)) {
                found.push(of_filter(value));
            } else {
                fields.values().for_each(|inner| gather(inner, found));
            }
        }
        Value::Array(items) => items.iter().for_each(|inner| gather(inner, found)),
        _ => {}
    }
}

fn of_plugin(plugin: &Value) -> Found {
    let text = |path: &str| plugin.pointer(path).and_then(Value::as_str);
    let config = plugin
        .pointer("/spec/pluginConfig")
        .filter(|value| !value.is_null());
    let url = text("/spec/url").unwrap_or_default();
    Found {
        plugin: Some(
            text("/metadata/name")
                .unwrap_or("without a name")
                .to_owned(),
        ),
        json: config.map(Value::to_string).unwrap_or_default(),
        at: PLUGIN_CONFIG,
        warnings: placeholders(url, text("/spec/sha256").unwrap_or_default()),
    }
}

/// The config in Envoy's filter, and whether it is Serin's by any of its names.
fn of_filter(filter: &Value) -> (Found, bool) {
    let text = |path: &str| {
        filter
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let name = text("/config/name");
    let remote = text("/config/vm_config/code/remote/http_uri/uri");
    let names = [
        name,
        text("/config/root_id"),
        text("/config/vm_config/code/local/filename"),
        remote,
    ];
    let is_serins = names.iter().any(|name| name.contains("serin"));
    // A text that is JSON, or a struct of which the fields stand in `value`.
    let json = match filter.pointer("/config/configuration/value") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(value) => value.to_string(),
    };
    let found = Found {
        plugin: Some(
            if name.is_empty() {
                "without a name"
            } else {
                name
            }
            .to_owned(),
        ),
        json,
        at: FILTER_CONFIG,
        warnings: placeholders(remote, text("/config/vm_config/code/remote/sha256")),
    };
    (found, is_serins)
}

/// Says where a module's address or sum is a placeholder.
fn placeholders(url: &str, sum: &str) -> Vec<String> {
    let of_url = url.rsplit_once("sha256:").map_or("", |(_, digest)| digest);
    let is_zero = |sum: &str| !sum.is_empty() && sum.bytes().all(|digit| digit == b'0');
    if !url.contains(NOBODYS_HOST) && ![sum, of_url].into_iter().any(is_zero) {
        return Vec::new();
    }
    vec![format!(
        "the module's address {url} is a placeholder: nothing can be fetched there, and traffic \
         passes unwatched; push an image and write its address, as `make manifest-image IMAGE=…` \
         does"
    )]
}

/// The plan of `--config`; the default plan without one.
///
/// # Errors
/// When the file cannot be read, has several configs or a wrong one.
pub fn plan(path: Option<&str>) -> Result<Plan> {
    let Some(path) = path else {
        return Ok(Plan::from_json("")?);
    };
    let found = find(&read_file(path)?).with_context(|| path.to_owned())?;
    match found.as_slice() {
        [config] => config.compile().with_context(|| path.to_owned()),
        several => bail!(
            "{path} has {} configs: put the one that is meant in its own file",
            several.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_several_documents_gives_each_plugin() {
        let manifest = "kind: Service\n---\nkind: WasmPlugin\nmetadata: {name: one}\nspec:\n  \
            pluginConfig: {mode: steer}\n---\nkind: WasmPlugin\nspec: {}\n";
        let found = find(manifest).unwrap();
        assert_eq!(found[0].plugin.as_deref(), Some("one"));
        assert_eq!(found[0].json, r#"{"mode":"steer"}"#);
        assert_eq!(found[1].json, "");
        assert!(found.iter().all(|config| config.compile().is_ok()));
        assert!(find("kind: Service\n").is_err());
    }

    #[test]
    fn a_wrong_field_in_a_manifest_is_named_from_the_top() {
        let found = find("kind: WasmPlugin\nspec: {pluginConfig: {steer: {probe: 1}}}\n").unwrap();
        assert_eq!(
            found[0].compile().err().unwrap().path,
            "spec.pluginConfig.steer.probe"
        );
    }

    #[test]
    fn a_filter_in_envoys_config_gives_its_config() {
        let wasm = |name: &str, configuration: &str| {
            format!(
                r#"{{"name": "x", "typed_config": {{"@type": "type.googleapis.com/{FILTER_TYPE}",
                    "config": {{"name": "{name}", "configuration": {configuration}}}}}}}"#
            )
        };
        let text = r#"{"@type": "s", "value": "{\"tick\": \"2s\"}"}"#;
        let fields = r#"{"@type": "s", "value": {"tick": "3s"}}"#;
        let filters = [
            wasm("serin", text),
            wasm("others", "{}"),
            wasm("serin-2", fields),
        ];
        let bootstrap = format!(
            r#"{{"admin": {{}}, "static_resources": {{"listeners": [{}]}}}}"#,
            filters.join(",")
        );
        let found = find(&bootstrap).unwrap();
        let ticks = found
            .iter()
            .map(|one| one.compile().ok().unwrap().tick.as_secs());
        assert_eq!(ticks.collect::<Vec<_>>(), [2, 3]);
        assert_eq!(found[0].plugin.as_deref(), Some("serin"));
        // Of an EnvoyFilter's patch, too; and of any name where none is Serin's.
        let patch = format!(
            r#"{{"kind": "EnvoyFilter", "spec": {{"value": {}}}}}"#,
            wasm("mine", r#"{"value": "{\"tik\": 1}"}"#)
        );
        let found = find(&patch).unwrap();
        let path = found[0].compile().err().unwrap().path;
        assert_eq!(path, format!("{FILTER_CONFIG}.tik"));
        let error = find(r#"{"admin": {}, "static_resources": {}}"#).unwrap_err();
        assert!(error.to_string().contains("nothing in it configures Serin"));
    }

    #[test]
    fn an_image_that_is_a_placeholder_is_a_warning() {
        let warnings = |spec: &str| {
            let found = find(&format!("kind: WasmPlugin\nspec: {spec}\n")).unwrap();
            found[0].warnings.len()
        };
        let zeros = "0".repeat(64);
        assert_eq!(
            warnings(&format!("{{url: 'oci://a/serin@sha256:{zeros}'}}")),
            1
        );
        assert_eq!(
            warnings(&format!(
                "{{url: 'https://a/serin.wasm', sha256: '{zeros}'}}"
            )),
            1
        );
        assert_eq!(warnings("{url: 'oci://registry.example.com/serin:1'}"), 1);
        assert_eq!(
            warnings("{url: 'oci://registry.example.org/serin@sha256:0a'}"),
            0
        );
        assert_eq!(warnings("{}"), 0);
    }

    #[test]
    fn plain_yaml_is_a_config() {
        let found = find("tick: 2s\nfalse_alarm: 0.05\n").unwrap();
        assert_eq!(found[0].compile().ok().unwrap().tick.as_secs(), 2);
    }
}
