//! Each overlay is accepted by a real API server, which checks every field.

use crate::manifests::render::{copied, folders, manifests};
use anyhow::{Context as _, Result, ensure};
use serin_integration::kubernetes::ControlPlane;
use serin_integration::turn;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Runs `kubectl` with a folder: `-k FOLDER` behind these arguments.
async fn with_folder(plane: &ControlPlane, arguments: &[&str], folder: &Path) -> Result<String> {
    let folder = folder.to_str().context("a folder's name")?;
    plane.kubectl(&[arguments, &["-k", folder]].concat()).await
}

/// What `kubectl apply` would do with a folder, without doing it.
async fn dry_run(plane: &ControlPlane, folder: &Path) -> Result<String> {
    let apply = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
    ];
    with_folder(plane, &apply, folder).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn each_overlay_is_accepted_by_a_real_api_server() -> Result<()> {
    let _turn = turn::beside_another().await;
    let plane = ControlPlane::start("kubernetes-overlays").await?;
    plane.add_definitions().await?;
    plane.add_namespaces(&["istio-system", "shop"]).await?;
    for folder in folders(&manifests())? {
        let said = dry_run(&plane, &folder).await?;
        ensure!(
            said.contains("server dry run"),
            "{}: {said}",
            folder.display()
        );
    }
    // A field that the server does not know is refused.
    let broken = copied()?;
    let file = broken.path().join("flagger-example/canary.yaml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("stepWeight:", "stepWeights:"))?;
    let refusal = dry_run(&plane, &broken.path().join("flagger-example")).await;
    let refusal = format!("{:#}", refusal.err().context("it was accepted")?);
    ensure!(refusal.contains("stepWeights"), "{refusal}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kubernetes: make test-kubernetes"]
async fn each_overlay_leaves_nothing_behind_when_it_is_deleted() -> Result<()> {
    let _turn = turn::beside_another().await;
    let plane = ControlPlane::start("kubernetes-deleted").await?;
    plane.add_definitions().await?;
    plane.add_namespaces(&["istio-system", "shop"]).await?;
    let mut applied = BTreeSet::new();
    for folder in folders(&manifests())? {
        let apply = ["apply", "--server-side", "--output=name"];
        let names = with_folder(&plane, &apply, &folder).await?;
        ensure!(!names.is_empty(), "{}", folder.display());
        applied.extend(names.lines().map(str::to_owned));
        with_folder(&plane, &["delete"], &folder).await?;
    }
    let kinds = applied.iter().filter_map(|name| name.split_once('/'));
    let kinds: BTreeSet<&str> = kinds.map(|(kind, _)| kind).collect();
    let kinds = Vec::from_iter(kinds).join(",");
    let get = ["get", &kinds, "--all-namespaces", "--output=name"];
    let there = plane.kubectl(&get).await?;
    let left: Vec<&str> = there
        .lines()
        .filter(|name| applied.contains(*name))
        .collect();
    ensure!(left.is_empty(), "{left:?}");
    Ok(())
}
