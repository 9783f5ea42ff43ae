//! The script that writes what only the user knows: the image and the guard's reference.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use serin_integration::envoy::workspace;
use serin_integration::turn;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::render::{copied, folders, object, render};

fn script(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let script = workspace().join("scripts/manifest-settings.py");
    let mut command = Command::new("python3");
    command
        .arg(script)
        .args(arguments)
        .arg("--manifests")
        .arg(folder);
    Ok(command.output()?)
}

fn plugins(objects: &[Value]) -> impl Iterator<Item = &Value> {
    objects
        .iter()
        .filter(|object| object["kind"] == "WasmPlugin")
}

#[test]
fn one_command_sets_the_image_in_every_overlay() -> Result<()> {
    let _turn = turn::busy();
    let folder = copied()?;
    let digest = "0123456789abcdef".repeat(4);
    let address = format!("registry.example.org:5000/team/serin@sha256:{digest}");
    let output = script(folder.path(), &["image", &address])?;
    ensure!(output.status.success(), "{output:?}");
    let mut seen = 0;
    for overlay in folders(folder.path())? {
        let Some(objects) = render(&overlay)? else {
            return Ok(());
        };
        for plugin in plugins(&objects) {
            ensure!(
                plugin["spec"]["url"] == format!("oci://{address}"),
                "{plugin}"
            );
            ensure!(plugin["spec"]["sha256"] == digest, "{plugin}");
            seen += 1;
        }
    }
    ensure!(seen >= 13, "only {seen} plugins");
    Ok(())
}

#[test]
fn a_file_on_the_proxys_disk_has_no_sum_and_one_behind_https_needs_it() -> Result<()> {
    let _turn = turn::busy();
    let folder = copied()?;
    let overlay = folder.path().join("gateway-compare");
    let digest = "ab".repeat(32);
    let file = "https://files.example.org/serin.wasm";
    for (arguments, sum) in [
        (vec!["image", file, &digest], json!(digest)),
        (vec!["image", "file:///etc/serin/serin.wasm"], Value::Null),
    ] {
        let output = script(folder.path(), &arguments)?;
        ensure!(output.status.success(), "{output:?}");
        let Some(objects) = render(&overlay)? else {
            return Ok(());
        };
        let plugin = object(&objects, "WasmPlugin", "serin")?;
        ensure!(plugin["spec"]["url"] == arguments[1], "{plugin}");
        ensure!(plugin["spec"]["sha256"] == sum, "{plugin}");
    }
    Ok(())
}

#[test]
fn an_image_without_a_digest_and_a_file_without_a_sum_are_refused_and_nothing_is_written()
-> Result<()> {
    let _turn = turn::busy();
    let folder = copied()?;
    let before = fs::read_to_string(folder.path().join("base/image.yaml"))?;
    let short = format!("registry.example.org/serin@sha256:{}", "a".repeat(63));
    for (address, said) in [
        ("registry.example.org/serin:0.1.0", "has no digest"),
        (short.as_str(), "has no digest"),
        ("https://files.example.org/serin.wasm", "needs the SHA-256"),
        ("ftp://files.example.org/serin.wasm", "begins with"),
    ] {
        let output = script(folder.path(), &["image", address])?;
        ensure!(!output.status.success(), "{address} passes");
        let error = String::from_utf8(output.stderr)?;
        ensure!(error.contains(said), "{address}: {error}");
    }
    ensure!(fs::read_to_string(folder.path().join("base/image.yaml"))? == before);
    Ok(())
}

#[test]
fn a_snapshot_becomes_the_reference_of_every_guard() -> Result<()> {
    let _turn = turn::busy();
    let folder = copied()?;
    let snapshot = json!({"serin_snapshot": 1, "destination": "shop", "version": "v1",
        "exchanges": 3, "routes": [{"method": "GET", "path": "/", "exchanges": 3,
            "signals": {"outcome": [[200, 3]]}}]});
    let file = folder.path().join("v1.json");
    fs::write(&file, snapshot.to_string())?;
    let output = script(folder.path(), &["reference", &file.display().to_string()])?;
    ensure!(output.status.success(), "{output:?}");
    for overlay in ["guard", "guard-reject", "rescue", "rescue-failover"] {
        let Some(objects) = render(&folder.path().join(overlay))? else {
            return Ok(());
        };
        let guard = object(&objects, "WasmPlugin", "serin-guard")?;
        ensure!(
            guard["spec"]["pluginConfig"]["reject"]["reference"] == snapshot,
            "{guard}"
        );
        let found = serin_cli::config::find(&guard.to_string())?;
        found[0].compile()?;
    }
    fs::write(&file, "{}")?;
    let output = script(folder.path(), &["reference", &file.display().to_string()])?;
    ensure!(!output.status.success());
    Ok(())
}
