//! Labels and buckets: the same wherever a proxy is told of them.

use anyhow::{Context as _, Result, ensure};
use scorer_sdk::telemetry::{LABELS, STAT_PREFIX, tag_regex};
use serin_integration::envoy::workspace;
use serin_integration::turn;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::render::{copied, documents, manifests, object, render};

const ANNOTATION: &str = "sidecar.istio.io/extraStatTags";
const BUCKETS: &str = "sidecar.istio.io/statsHistogramBuckets";
const BOOTSTRAPS: [&str; 2] = [
    "envoyfilter-manifests/plain-envoy/envoy.yaml",
    "integration/compose/envoy.yaml",
];

/// The tags of a bootstrap, whose regexes have to be those of Istio.
fn tags(path: &str) -> Result<BTreeSet<String>> {
    let bootstrap = &documents(&fs::read_to_string(workspace().join(path))?)?[0];
    let tags = bootstrap["stats_config"]["stats_tags"].as_array();
    tags.context("tags")?
        .iter()
        .map(|tag| {
            let name = tag["tag_name"].as_str().context("a name")?;
            ensure!(tag["regex"] == tag_regex(name), "{path}: {tag}");
            Ok(name.to_owned())
        })
        .collect()
}

/// The labels of the metrics.
fn expected() -> BTreeSet<String> {
    LABELS.iter().map(|label| (*label).to_owned()).collect()
}

fn listed(annotation: &serde_json::Value) -> Result<BTreeSet<String>> {
    let text = annotation.as_str().context("an annotation")?;
    Ok(text.split(',').map(str::to_owned).collect())
}

#[test]
fn annotations_mesh_config_and_bootstraps_have_the_labels_of_the_metrics() -> Result<()> {
    let stats = manifests().join("stats");
    let deployment = &documents(&fs::read_to_string(stats.join("deployment.yaml"))?)?[0];
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    ensure!(listed(&annotations[ANNOTATION])? == expected());
    let mesh = &documents(&fs::read_to_string(stats.join("mesh-config.yaml"))?)?[0];
    let tags: BTreeSet<String> =
        serde_json::from_value(mesh["meshConfig"]["defaultConfig"]["extraStatTags"].clone())?;
    ensure!(tags == expected());
    for bootstrap in BOOTSTRAPS {
        ensure!(super::stats::tags(bootstrap)? == expected(), "{bootstrap}");
    }
    let steer = manifests().join("gateway-api-steer/gateway.yaml");
    let gateway = &documents(&fs::read_to_string(steer)?)?[0];
    let annotations = &gateway["spec"]["infrastructure"]["annotations"];
    ensure!(listed(&annotations[ANNOTATION])? == expected());
    Ok(())
}

/// Bounds of the buckets by the prefix of the histograms' names, as the annotation has them.
type Buckets = BTreeMap<String, Vec<f64>>;

/// The bounds of a bootstrap.
fn bounds(path: &str) -> Result<Buckets> {
    let bootstrap = &documents(&fs::read_to_string(workspace().join(path))?)?[0];
    let settings = bootstrap["stats_config"]["histogram_bucket_settings"].as_array();
    settings
        .with_context(|| format!("{path}: no settings"))?
        .iter()
        .map(|setting| {
            let prefix = setting["match"]["prefix"].as_str().context("a prefix")?;
            let bounds = serde_json::from_value(setting["buckets"].clone())?;
            Ok((prefix.to_owned(), bounds))
        })
        .collect()
}

fn annotated(annotation: &serde_json::Value) -> Result<Buckets> {
    let text = annotation.as_str().context("an annotation")?;
    Ok(serde_json::from_str(text)?)
}

#[test]
fn annotations_and_bootstraps_have_the_same_buckets() -> Result<()> {
    let expected = bounds(BOOTSTRAPS[0])?;
    // `plain_envoy.rs` shows that Envoy's names of Serin's metrics begin so.
    let bounds = expected.get(STAT_PREFIX).context(STAT_PREFIX)?;
    ensure!(bounds.len() > 5 && bounds.is_sorted() && bounds[0] > 0.0);
    ensure!(super::stats::bounds(BOOTSTRAPS[1])? == expected);
    let read = |path: &str| documents(&fs::read_to_string(manifests().join(path))?);
    let deployment = &read("stats/deployment.yaml")?[0];
    let annotations = &deployment["spec"]["template"]["metadata"]["annotations"];
    ensure!(annotated(&annotations[BUCKETS])? == expected);
    let gateway = &read("gateway-api-steer/gateway.yaml")?[0];
    let annotations = &gateway["spec"]["infrastructure"]["annotations"];
    ensure!(annotated(&annotations[BUCKETS])? == expected);
    Ok(())
}

#[test]
fn the_patch_names_the_deployment_that_the_documents_patch() -> Result<()> {
    // An apiserver refuses a patch whose name is another than that of the object.
    let deployment = manifests().join("stats/deployment.yaml");
    let deployment = &documents(&fs::read_to_string(deployment)?)?[0];
    let name = deployment["metadata"]["name"].as_str().context("a name")?;
    let command =
        format!("patch deployment {name} --patch-file envoyfilter-manifests/stats/deployment.yaml");
    for document in ["docs/install.md", "envoyfilter-manifests/README.md"] {
        let text = fs::read_to_string(workspace().join(document))?;
        ensure!(text.contains(&command), "{document}: no `{command}`");
        ensure!(text.matches("patch deployment ").count() == 1, "{document}");
    }
    Ok(())
}

#[test]
fn the_component_annotates_the_pods_of_every_deployment_and_keeps_what_they_have() -> Result<()> {
    let _turn = turn::busy();
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
        ensure!(listed(&annotations[ANNOTATION])? == expected());
        ensure!(annotated(&annotations[BUCKETS])? == bounds(BOOTSTRAPS[0])?);
    }
    Ok(())
}
