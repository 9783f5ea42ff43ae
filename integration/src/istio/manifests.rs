//! The overlays as they are applied: rendered by kustomize, fitted to the test's mesh.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::envoy::workspace;

/// The manifests of an overlay, as `kubectl apply -k envoyfilter-manifests/<overlay>` would send
/// them.
///
/// # Errors
/// When nothing here can render it, or it is broken.
pub fn rendered(overlay: &str) -> Result<Vec<Value>> {
    let folder = workspace().join("envoyfilter-manifests").join(overlay);
    let built = workspace().join(".cache/kustomize/kustomize");
    let programs = [
        (Path::new("kustomize"), "build"),
        (built.as_path(), "build"),
        (Path::new("kubectl"), "kustomize"),
    ];
    for (program, argument) in programs {
        let Ok(output) = Command::new(program).arg(argument).arg(&folder).output() else {
            continue;
        };
        ensure!(
            output.status.success(),
            "{} {argument} {}: {}",
            program.display(),
            folder.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        return documents(&String::from_utf8_lossy(&output.stdout));
    }
    bail!("neither kustomize nor kubectl is here; `make manifest-tools` says more")
}

/// The documents of a YAML text, empty ones left out.
///
/// # Errors
/// When it is no YAML.
pub fn documents(yaml: &str) -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(yaml).context("a manifest")
}

/// The pod annotations with which Serin's numbers get their labels, from
/// `envoyfilter-manifests/stats`.
///
/// # Errors
/// When the patch is not there or has none.
pub fn annotations() -> Result<Vec<(String, String)>> {
    let path = workspace().join("envoyfilter-manifests/stats/deployment.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let documents = documents(&text)?;
    let annotations = documents
        .first()
        .and_then(|patch| patch.pointer("/spec/template/metadata/annotations"))
        .and_then(Value::as_object)
        .with_context(|| format!("{}: no annotations", path.display()))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(annotations
        .iter()
        .map(|(key, value)| (key.clone(), text(value)))
        .collect())
}

/// Puts fields into the `pluginConfig` of the WasmPlugin `name`, in place of its own.
pub fn configure(manifests: &mut [Value], name: &str, fields: &Value) {
    for manifest in of_kind(manifests, "WasmPlugin") {
        if manifest.pointer("/metadata/name").and_then(Value::as_str) != Some(name) {
            continue;
        }
        let Some(spec) = manifest.get_mut("spec").and_then(Value::as_object_mut) else {
            continue;
        };
        let config = spec.entry("pluginConfig").or_insert_with(|| json!({}));
        if let (Some(config), Some(fields)) = (config.as_object_mut(), fields.as_object()) {
            config.extend(fields.clone());
        }
    }
}

/// The manifests of a kind.
pub fn of_kind<'a>(
    manifests: &'a mut [Value],
    kind: &'a str,
) -> impl Iterator<Item = &'a mut Value> {
    manifests
        .iter_mut()
        .filter(move |manifest| manifest.get("kind").and_then(Value::as_str) == Some(kind))
}
