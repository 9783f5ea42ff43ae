//! Each overlay is accepted by a real API server, which checks every field.

use crate::manifests::render::{copied, folders, manifests};
use anyhow::{Context as _, Result, ensure};
use serin_integration::kubernetes::ControlPlane;
use serin_integration::turn;
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

/// The names of all objects, but for what the server itself records.
async fn objects(plane: &ControlPlane) -> Result<String> {
    let list = ["api-resources", "--verbs=list", "--output=name"];
    let kinds = plane.kubectl(&list).await?;
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| {
            ![
                "events",
                "events.events.k8s.io",
                "leases.coordination.k8s.io",
            ]
            .contains(kind)
        })
        .collect();
    let get = ["get", &kinds.join(","), "--all-namespaces", "--output=name"];
    plane.kubectl(&get).await
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
    let before = objects(&plane).await?;
    for folder in folders(&manifests())? {
        let applied = with_folder(&plane, &["apply", "--server-side"], &folder).await?;
        ensure!(applied.contains("serverside-applied"), "{applied}");
        with_folder(&plane, &["delete"], &folder).await?;
    }
    let after = objects(&plane).await?;
    ensure!(after == before, "{after}");
    Ok(())
}
