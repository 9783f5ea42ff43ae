//! Rendering: what `kubectl apply -k` would send.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use serin_integration::envoy::workspace;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with all of them.
pub(crate) fn manifests() -> PathBuf {
    workspace().join("envoyfilter-manifests")
}

/// The program that renders, with the arguments before the folder.
fn renderer() -> Option<(PathBuf, &'static [&'static str])> {
    let built = workspace().join(".cache/kustomize/kustomize");
    let works = |program: &Path, version: &[&str]| {
        let output = Command::new(program).args(version).output();
        output.is_ok_and(|output| output.status.success())
    };
    for program in [PathBuf::from("kustomize"), built] {
        if works(&program, &["version"]) {
            return Some((program, &["build"]));
        }
    }
    let kubectl = PathBuf::from("kubectl");
    works(&kubectl, &["version", "--client"]).then_some((kubectl, &["kustomize"]))
}

/// Says what a test leaves out, past the capture of what tests that pass print.
pub(crate) fn left_out(why: &str) {
    let _ = writeln!(std::io::stderr(), "LEFT OUT: {why}");
}

/// Renders a folder; `None`, with a word about it, where nothing can render here.
pub(crate) fn render(folder: &Path) -> Result<Option<Vec<Value>>> {
    let Some((program, arguments)) = renderer() else {
        left_out("neither kustomize nor kubectl is here; `make manifest-tools` says more");
        return Ok(None);
    };
    let output = Command::new(program).args(arguments).arg(folder).output()?;
    ensure!(
        output.status.success(),
        "{}: {}",
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    let objects = documents(&text)?;
    ensure!(!objects.is_empty(), "{}: nothing in it", folder.display());
    Ok(Some(objects))
}

/// The documents of a YAML text that are not empty.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>> {
    Ok(serde_saphyr::from_multiple(text)?)
}

/// All folders that can be applied by themselves: those with a kustomization that is no component.
pub(crate) fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            }
        }
        let file = folder.join("kustomization.yaml");
        if file.is_file() {
            let kind = &documents(&fs::read_to_string(&file)?)?[0]["kind"];
            if kind == "Kustomization" {
                found.push(folder);
            }
        }
    }
    found.sort();
    ensure!(found.len() >= 11, "only {found:?}");
    Ok(found)
}

/// The object of a kind and name.
pub(crate) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> Result<&'a Value> {
    objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
        .with_context(|| format!("no {kind} {name}"))
}

/// Copies the manifests, to change them.
pub(crate) fn copied() -> Result<tempfile::TempDir> {
    fn copy(from: &Path, to: &Path) -> Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let path = entry?.path();
            let target = to.join(path.file_name().context("a name")?);
            if path.is_dir() {
                copy(&path, &target)?;
            } else {
                fs::copy(&path, &target)?;
            }
        }
        Ok(())
    }
    let folder = tempfile::tempdir()?;
    copy(&manifests(), folder.path())?;
    Ok(folder)
}
