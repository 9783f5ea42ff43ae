//! The tags of spans: the form for a plain Envoy says what Istio's says.

use anyhow::{Context as _, Result};
use serde_json::Value;
use serin_integration::envoy::workspace;
use std::collections::BTreeMap;
use std::fs;

const TELEMETRY: &str = "envoyfilter-manifests/traces/telemetry.yaml";
const DOCUMENT: &str = "docs/traces.md";

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("no text")
}

/// The block of the document that begins so.
fn plain_form() -> Result<Value> {
    let document = fs::read_to_string(workspace().join(DOCUMENT))?;
    let (_, rest) = document
        .split_once("```yaml\ncustom_tags:")
        .context("no tags in the document")?;
    let (block, _) = rest.split_once("```").context("no end of the block")?;
    Ok(serde_saphyr::from_str(&format!("custom_tags:{block}"))?)
}

#[test]
fn a_plain_envoy_gets_the_same_tags_as_istio() -> Result<()> {
    let telemetry = fs::read_to_string(workspace().join(TELEMETRY))?;
    let telemetry: Value = serde_saphyr::from_str(&telemetry)?;
    let istio: BTreeMap<String, String> = telemetry
        .pointer("/spec/tracing/0/customTags")
        .and_then(Value::as_object)
        .context("no tags in the Telemetry")?
        .iter()
        .map(|(name, tag)| Ok((name.clone(), text(&tag["formatter"]["value"])?)))
        .collect::<Result<_>>()?;
    let plain: BTreeMap<String, String> = plain_form()?["custom_tags"]
        .as_array()
        .context("no list")?
        .iter()
        .map(|tag| Ok((text(&tag["tag"])?, text(&tag["value"])?)))
        .collect::<Result<_>>()?;
    assert_eq!(plain, istio);
    for (name, value) in istio {
        assert_eq!(value, format!("%FILTER_STATE(wasm.{name}:PLAIN)%"));
    }
    Ok(())
}
