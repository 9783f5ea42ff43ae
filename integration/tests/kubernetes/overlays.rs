//! Each overlay is accepted by a real API server, which checks every field.

use crate::manifests::render::{copied, folders, manifests};
use anyhow::{Context as _, Result, ensure};
use serin_integration::kubernetes::ControlPlane;
use serin_integration::turn;
use std::fs;
use std::path::Path;

/// What `kubectl apply` would do with a folder, without doing it.
async fn dry_run(plane: &ControlPlane, folder: &Path) -> Result<String> {
    let folder = folder.to_str().context("a folder's name")?;
    plane
        .kubectl(&[
            "apply",
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
            "-k",
            folder,
        ])
        .await
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
