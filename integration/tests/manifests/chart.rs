//! The Helm chart: it makes the objects of the overlays, and refuses values that mean nothing.
//!
//! A file `chart/ci/NAME-values.yaml` says with which values the chart is the overlay NAME. Without
//! helm the tests say so and are left out.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use serin_integration::envoy::workspace;
use serin_integration::turn;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::render::{documents, folders, left_out, manifests, render};

/// What routes traffic is the user's own: the chart has no such object, whatever an overlay has.
const ROUTING: [&str; 7] = [
    "DestinationRule",
    "EnvoyFilter",
    "Gateway",
    "GRPCRoute",
    "HTTPRoute",
    "Service",
    "VirtualService",
];
/// Overlays that the chart cannot make: examples to copy from, and the base.
const NOT_OFFERED: [&str; 3] = ["base", "flagger-example", "flagger-steer"];

type Objects = BTreeMap<(String, String, String), Value>;

fn chart() -> PathBuf {
    manifests().join("chart")
}

/// Helm from the path or the cache; `None`, with a word about it, where there is none.
fn helm() -> Option<PathBuf> {
    let built = workspace().join(".cache/helm/helm");
    let found = [PathBuf::from("helm"), built].into_iter().find(|program| {
        let output = Command::new(program).args(["version", "--short"]).output();
        output.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        left_out("helm is not here; `make helm` builds it");
    }
    found
}

/// What `helm template` makes of a file of values, with more values on the command line.
fn template(helm: &Path, values: &Path, more: &[&str]) -> Result<Output> {
    let mut command = Command::new(helm);
    command
        .args(["template", "serin"])
        .arg(chart())
        .args(["--namespace", "istio-system", "--values"])
        .arg(values);
    for value in more {
        command.args(["--set", value]);
    }
    Ok(command.output()?)
}

fn by_name(objects: Vec<Value>) -> Result<Objects> {
    let mut named = Objects::new();
    for object in objects {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &object["metadata"];
        let name = (
            text(&object["kind"]),
            text(&metadata["namespace"]),
            text(&metadata["name"]),
        );
        ensure!(!name.0.is_empty() && !name.2.is_empty(), "{object}");
        let twice = named.insert(name.clone(), object);
        ensure!(twice.is_none(), "{name:?} is there twice");
    }
    Ok(named)
}

/// The overlays that there are values for, with the file.
fn offered() -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(chart().join("ci"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.strip_suffix("-values.yaml"));
        found.insert(name.context("a name of values")?.to_owned(), path);
    }
    Ok(found)
}

#[test]
fn every_overlay_is_offered_by_the_chart_or_named_as_not_offered() -> Result<()> {
    let mut overlays = BTreeSet::new();
    for folder in folders(&manifests())? {
        let name = folder.strip_prefix(manifests())?.display().to_string();
        overlays.insert(name);
    }
    let mut known: BTreeSet<String> = offered()?.into_keys().collect();
    known.extend(NOT_OFFERED.map(str::to_owned));
    assert_eq!(known, overlays);
    Ok(())
}

#[test]
fn the_charts_objects_are_those_of_the_overlays() -> Result<()> {
    let _turn = turn::busy();
    let Some(helm) = helm() else {
        return Ok(());
    };
    for (name, values) in offered()? {
        let Some(expected) = render(&manifests().join(&name))? else {
            return Ok(());
        };
        let mut expected = by_name(expected)?;
        // An overlay with a plugin also has routes where it steers; one without has none.
        if expected.keys().any(|(kind, ..)| kind == "WasmPlugin") {
            expected.retain(|(kind, _, name), _| {
                !ROUTING.contains(&kind.as_str()) || name == "serin-serve-verdict"
            });
        }
        let output = template(&helm, &values, &[])?;
        ensure!(output.status.success(), "{name}: {output:?}");
        let made = by_name(documents(&String::from_utf8(output.stdout)?)?)?;
        ensure!(!made.is_empty(), "{name}: nothing");
        assert_eq!(made, expected, "{name}");
    }
    Ok(())
}

#[test]
fn helm_finds_nothing_wrong_with_the_chart() -> Result<()> {
    let _turn = turn::busy();
    let Some(helm) = helm() else {
        return Ok(());
    };
    for (name, values) in offered()? {
        let output = Command::new(&helm)
            .args(["lint", "--strict", "--values"])
            .arg(&values)
            .arg(chart())
            .output()?;
        ensure!(output.status.success(), "{name}: {output:?}");
    }
    Ok(())
}

#[test]
fn values_that_mean_nothing_are_refused_with_their_path() -> Result<()> {
    let _turn = turn::busy();
    let Some(helm) = helm() else {
        return Ok(());
    };
    let values = chart().join("ci/gateway-compare-values.yaml");
    let other = "1".repeat(64);
    let sum = format!("module.sha256={other}");
    for (wrong, said) in [
        ("modul.url=x", "modul"),
        ("module.url=", "module.url is missing"),
        (
            "module.url=oci://registry.example.org/serin:1",
            "/module/url",
        ),
        (
            "module.url=https://files.example.org/serin.wasm",
            "/module/sha256",
        ),
        (sum.as_str(), "not the digest"),
        ("comparer.traffic=BOTH", "/comparer/traffic"),
        ("comparer.matchLabels=null", "selects no proxies"),
        (
            "comparer.targetRefs[0].kind=Gateway,comparer.targetRefs[0].name=a",
            "exclude each other",
        ),
        ("guard.enabled=true", "/guard/matchLabels"),
        ("serveVerdict.enabled=true", "/serveVerdict/image"),
    ] {
        let output = template(&helm, &values, &[wrong])?;
        ensure!(!output.status.success(), "{wrong} passes");
        let error = String::from_utf8(output.stderr)?;
        ensure!(error.contains(said), "{wrong}: {error}");
    }
    Ok(())
}

#[test]
fn addresses_secrets_and_snapshots_come_from_the_values() -> Result<()> {
    let _turn = turn::busy();
    let Some(helm) = helm() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let snapshot = folder.path().join("v1.json");
    let reference = serde_json::json!({"serin_snapshot": 1, "destination": "shop", "version": "v1",
        "exchanges": 12_345_678, "routes": []});
    fs::write(&snapshot, reference.to_string())?;
    let output = Command::new(&helm)
        .args(["template", "serin"])
        .arg(chart())
        .args(["--namespace", "canaries", "--values"])
        .arg(chart().join("ci/guard-values.yaml"))
        .arg(format!("--set-file=guard.reference={}", snapshot.display()))
        .args(["--set", "module.imagePullSecret=registry"])
        .args(["--set", "argoRollouts.enabled=true"])
        .args(["--set", "prometheus=https://prometheus.example.org/a"])
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    ensure!(!text.contains("istio-system"), "{text}");
    let objects = by_name(documents(&text)?)?;
    let guard = &objects[&("WasmPlugin".into(), "shop".into(), "serin-guard".into())];
    ensure!(guard["spec"]["imagePullSecret"] == "registry", "{guard}");
    ensure!(
        guard["spec"]["pluginConfig"]["reject"]["reference"] == reference,
        "{guard}"
    );
    ensure!(text.contains("https://prometheus.example.org/a"), "{text}");
    ensure!(
        text.contains("http://serin-serve-verdict.canaries:8095"),
        "{text}"
    );
    Ok(())
}
