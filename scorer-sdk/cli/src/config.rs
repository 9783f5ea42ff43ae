//! Config files: JSON or YAML, plain or inside a WasmPlugin's manifest.

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
/// Where a manifest has the config.
const PLUGIN_CONFIG: &str = "spec.pluginConfig";

/// A config in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Name of the WasmPlugin that it is in, where it is in one.
    pub plugin: Option<String>,
    /// The config as JSON.
    pub json: String,
}

impl Found {
    /// Compiles the config.
    ///
    /// # Errors
    /// As [`Plan::from_json`]; the path begins where the file does.
    pub fn compile(&self) -> Result<Plan, ConfigError> {
        Plan::from_json(&self.json).map_err(|mut error| {
            if self.plugin.is_some() {
                error.path = match error.path.as_str() {
                    "." => PLUGIN_CONFIG.to_owned(),
                    path => format!("{PLUGIN_CONFIG}.{path}"),
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

/// Finds the configs in a text: each WasmPlugin of a manifest, else the text itself.
///
/// # Errors
/// When it is neither JSON nor YAML, or a manifest without a WasmPlugin.
pub fn find(text: &str) -> Result<Vec<Found>> {
    let plain = |json: String| vec![Found { plugin: None, json }];
    // JSON first and as it stands: its own messages then name line and column.
    if text.trim().is_empty() || text.trim_start().starts_with('{') {
        return match serde_json::from_str::<Kind>(text) {
            Ok(Kind { kind: Some(_) }) => {
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
        [value] if value.get("kind").is_none() => Ok(plain(value.to_string())),
        manifest => plugins(manifest),
    }
}

/// What a manifest has and a config has not; nothing of it is kept.
#[derive(Deserialize)]
struct Kind {
    kind: Option<IgnoredAny>,
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

fn plugins(manifest: &[Value]) -> Result<Vec<Found>> {
    let found: Vec<Found> = manifest
        .iter()
        .filter(|document| document.get("kind").and_then(Value::as_str) == Some("WasmPlugin"))
        .map(|plugin| {
            let name = plugin.pointer("/metadata/name").and_then(Value::as_str);
            let config = plugin
                .pointer("/spec/pluginConfig")
                .filter(|value| !value.is_null());
            Found {
                plugin: Some(name.unwrap_or("without a name").to_owned()),
                json: config.map(Value::to_string).unwrap_or_default(),
            }
        })
        .collect();
    if found.is_empty() {
        bail!("is a manifest without a WasmPlugin: nothing in it configures Serin");
    }
    Ok(found)
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
            "{path} has {} WasmPlugins: put the one config in its own file",
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
    fn plain_yaml_is_a_config() {
        let found = find("tick: 2s\nfalse_alarm: 0.05\n").unwrap();
        assert_eq!(found[0].compile().ok().unwrap().tick.as_secs(), 2);
    }
}
