//! Reads the manifests that are tested.

use super::server::STEP;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use serin_integration::envoy::workspace;
use std::fs;

/// All documents of a file under `envoyfilter-manifests`.
pub(crate) fn documents(path: &str) -> Result<Vec<Value>> {
    let path = workspace().join("envoyfilter-manifests").join(path);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let found: Vec<Value> = text
        .split("\n---\n")
        .map(serde_saphyr::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| path.display().to_string())?;
    ensure!(!found.is_empty(), "{} is empty", path.display());
    Ok(found)
}

/// Groups of recording rules, then of alerts.
pub(crate) fn rule_groups() -> Result<Vec<Value>> {
    let mut groups = Vec::new();
    for file in [
        "alerts/recording.yaml",
        "alerts/fleet.yaml",
        "alerts/alerts.yaml",
    ] {
        for document in documents(file)? {
            groups.extend(
                document["spec"]["groups"]
                    .as_array()
                    .context("groups")?
                    .clone(),
            );
        }
    }
    Ok(groups)
}

/// All rules.
pub(crate) fn rules() -> Result<Vec<Value>> {
    let mut rules = Vec::new();
    for group in rule_groups()? {
        rules.extend(group["rules"].as_array().context("rules")?.clone());
    }
    ensure!(rules.len() > 20, "only {} rules", rules.len());
    Ok(rules)
}

/// The groups with the times of a short run: evaluated with each scrape in place of each 15 s, and
/// alerts that wait for a second in place of minutes. The expressions stay.
pub(crate) fn hurried_rule_groups() -> Result<Vec<Value>> {
    let mut groups = rule_groups()?;
    for group in &mut groups {
        group["interval"] = format!("{STEP}s").into();
        for rule in group["rules"].as_array_mut().context("rules")? {
            if rule.get("for").is_some() {
                rule["for"] = "1s".into();
            }
        }
    }
    Ok(groups)
}
