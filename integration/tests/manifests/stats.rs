//! Labels: the same list wherever a proxy is told of it.

use anyhow::{Context as _, Result, ensure};
use serin_integration::envoy::workspace;
use serin_integration::topology::STAT_TAGS;
use std::collections::BTreeSet;
use std::fs;

use crate::render::{copied, documents, manifests, object, render};

const ANNOTATION: &str = "sidecar.istio.io/extraStatTags";

/// The tags of a bootstrap.
fn tags(path: &str) -> Result<BTreeSet<String>> {
    let bootstrap = &documents(&fs::read_to_string(workspace().join(path))?)?[0];
    let tags = bootstrap["stats_config"]["stats_tags"].as_array();
    tags.context("tags")?
        .iter()
        .map(|tag| Ok(tag["tag_name"].as_str().context("a name")?.to_owned()))
        .collect()
}

/// The labels of the plain bootstrap, which `documents.rs` holds against those that the filter gives.
fn expected() -> Result<BTreeSet<String>> {
    tags("envoyfilter-manifests/plain-envoy/envoy.yaml")
}

fn listed(annotation: &serde_json::Value) -> Result<BTreeSet<String>> {
    let text = annotation.as_str().context("an annotation")?;
    Ok(text.split(',').map(str::to_owned).collect())
}

#[test]
fn annotations_mesh_config_and_bootstraps_have_the_same_labels() -> Result<()> {
    let stats = manifests().join("stats");
    let deployment = &documents(&fs::read_to_string(stats.join("deployment.yaml"))?)?[0];
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    ensure!(listed(&annotations[ANNOTATION])? == expected()?);
    let mesh = &documents(&fs::read_to_string(stats.join("mesh-config.yaml"))?)?[0];
    let tags: BTreeSet<String> =
        serde_json::from_value(mesh["meshConfig"]["defaultConfig"]["extraStatTags"].clone())?;
    ensure!(tags == expected()?);
    ensure!(crate::stats::tags("compose/envoy.yaml")? == expected()?);
    let live = STAT_TAGS.map(str::to_owned).into();
    ensure!(expected()?.is_subset(&live), "the live tests know {live:?}");
    let steer = manifests().join("gateway-api-steer/gateway.yaml");
    let gateway = &documents(&fs::read_to_string(steer)?)?[0];
    let annotations = &gateway["spec"]["infrastructure"]["annotations"];
    ensure!(listed(&annotations[ANNOTATION])? == expected()?);
    Ok(())
}

#[test]
fn the_component_annotates_the_pods_of_every_deployment_and_keeps_what_they_have() -> Result<()> {
    let folder = copied()?;
    let mine = folder.path().join("mine");
    fs::create_dir(&mine)?;
    fs::write(
        mine.join("kustomization.yaml"),
        "resources: [deployments.yaml]\ncomponents: [../stats]\n",
    )?;
    let deployment = |name: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  template:\n    \
             metadata: {{annotations: {{mine: kept}}}}\n    spec: {{containers: []}}\n"
        )
    };
    let both = format!("{}---\n{}", deployment("a"), deployment("b"));
    fs::write(mine.join("deployments.yaml"), both)?;
    let Some(objects) = render(&mine)? else {
        return Ok(());
    };
    for name in ["a", "b"] {
        let deployment = object(&objects, "Deployment", name)?;
        let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
        ensure!(annotations["mine"] == "kept", "{deployment}");
        ensure!(listed(&annotations[ANNOTATION])? == expected()?);
    }
    Ok(())
}
