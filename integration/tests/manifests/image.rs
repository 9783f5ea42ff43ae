//! The images: what their files name is there, and the script that pushes does what it says.

use anyhow::{Context as _, Result, ensure};
use serin_integration::envoy::workspace;
use serin_integration::turn;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::render::{manifests, object, render};

/// The instructions of a Containerfile, continued lines joined.
pub(crate) fn instructions(path: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace().join(path))?.replace("\\\n", " ");
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect())
}

/// What the build gets to see: the entries of `.dockerignore` that begin with `!`.
pub(crate) fn context() -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace().join(".dockerignore"))?;
    let first = text.lines().find(|line| !line.starts_with('#'));
    ensure!(first == Some("*"), "everything else is left out first");
    let kept = text.lines().filter_map(|line| line.strip_prefix('!'));
    Ok(kept.map(str::to_owned).collect())
}

#[test]
fn the_modules_image_is_one_layer_with_the_file_that_istios_agent_looks_for() -> Result<()> {
    let lines = instructions("envoyfilter-manifests/image/Containerfile")?;
    ensure!(lines.first().is_some_and(|line| line == "FROM scratch"));
    let layers: Vec<_> = lines
        .iter()
        .filter(|line| {
            ["COPY ", "ADD ", "RUN "]
                .iter()
                .any(|word| line.starts_with(word))
        })
        .collect();
    ensure!(
        layers == ["COPY target/serin.wasm /plugin.wasm"],
        "{layers:?}"
    );
    ensure!(context()?.contains(&"target/serin.wasm".to_owned()));
    let version = lines
        .iter()
        .find_map(|line| line.strip_prefix("ARG VERSION="));
    ensure!(version == Some(env!("CARGO_PKG_VERSION")), "{version:?}");
    for label in ["title", "description", "licenses", "version", "revision"] {
        let label = format!("org.opencontainers.image.{label}=");
        ensure!(lines.iter().any(|line| line.contains(&label)), "{label}");
    }
    Ok(())
}

#[test]
fn pushing_writes_the_digest_that_the_registry_gave_into_the_manifests() -> Result<()> {
    let _turn = turn::busy();
    let folder = tempfile::tempdir()?;
    // A copy of what the script works in, and an engine that only says what an engine says.
    for name in [
        "scripts/image.sh",
        "scripts/manifest-settings.py",
        "Cargo.toml",
    ] {
        let target = folder.path().join(name);
        fs::create_dir_all(target.parent().context("a parent")?)?;
        fs::copy(workspace().join(name), target)?;
    }
    let base = folder.path().join("envoyfilter-manifests/base");
    fs::create_dir_all(&base)?;
    let digest = format!("sha256:{}", "5c".repeat(32));
    let engine = folder.path().join("docker");
    let said = format!(
        "#!/bin/sh\necho \"$@\" >> {}/calls\n[ \"$1\" != image ] || echo registry.example.org:5000/a/serin@{digest}\n",
        folder.path().display()
    );
    fs::write(&engine, said)?;
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH")?);
    let run = |action: &str, image: &str| {
        Command::new(folder.path().join("scripts/image.sh"))
            .args([action, image])
            .env("CONTAINER_ENGINE", "docker")
            .env("PATH", &path)
            .output()
    };
    let image = "registry.example.org:5000/a/serin:0.1.0";
    for action in ["build", "push"] {
        let output = run(action, image)?;
        ensure!(output.status.success(), "{output:?}");
    }
    let calls = fs::read_to_string(folder.path().join("calls"))?;
    ensure!(
        calls.contains("build --file envoyfilter-manifests/image/Containerfile"),
        "{calls}"
    );
    ensure!(calls.contains(&format!("push {image}")), "{calls}");
    let written = fs::read_to_string(base.join("image.yaml"))?;
    let url = format!("url: oci://registry.example.org:5000/a/serin@{digest}\n");
    ensure!(written.contains(&url), "{written}");
    // Without a name, and with a digest that only pushing can give, it says what it wants.
    for wrong in ["", "registry.example.org/serin@sha256:00"] {
        let output = run("build", wrong)?;
        ensure!(!output.status.success(), "{wrong} passes");
    }
    Ok(())
}

/// What follows each `name` in the line that builds.
fn built<'a>(lines: &'a [String], name: &str) -> Result<Vec<&'a str>> {
    let build = lines
        .iter()
        .find(|line| line.starts_with("RUN cargo build --locked --release "));
    let words: Vec<&str> = build.context("a build")?.split(' ').collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == name);
    Ok(pairs.map(|pair| pair[1]).collect())
}

/// The build gets all sources, and its toolchain is the pinned one.
fn can_be_built(lines: &[String]) -> Result<()> {
    ensure!(lines.iter().any(|line| line == "COPY . ."), "{lines:?}");
    let kept = context()?;
    let manifest = fs::read_to_string(workspace().join("Cargo.toml"))?;
    let (_, members) = manifest.split_once("\nmembers = [").context("members")?;
    let (members, _) = members.split_once(']').context("the end of the members")?;
    for member in members.split(", ") {
        let member = member.trim_matches('"');
        let top = member.split('/').next().unwrap_or(member);
        ensure!(
            kept.iter().any(|name| name == top),
            "{member} is left out of the build"
        );
    }
    for name in &kept {
        let built = name == "target/serin.wasm";
        ensure!(
            built || workspace().join(name).exists(),
            "there is no {name}"
        );
    }
    let toolchain = fs::read_to_string(workspace().join("rust-toolchain.toml"))?;
    let pinned = lines[0].split_once("rust:").context("a rust image")?.1;
    let pinned = pinned.split('-').next().context("a version")?;
    ensure!(
        toolchain.contains(&format!("channel = \"{pinned}\"")),
        "{pinned}"
    );
    Ok(())
}

#[test]
fn the_shops_image_builds_programs_that_there_are_from_files_that_it_gets() -> Result<()> {
    let lines = instructions("compose/Containerfile")?;
    let programs = built(&lines, "--bin")?;
    ensure!(programs == ["serin-shop", "serin-load"], "{programs:?}");
    can_be_built(&lines)
}

#[test]
fn the_commands_image_is_what_serve_verdict_runs() -> Result<()> {
    let lines = instructions("envoyfilter-manifests/serve-verdict/Containerfile")?;
    can_be_built(&lines)?;
    let manifest = fs::read_to_string(workspace().join("scorer-sdk/cli/Cargo.toml"))?;
    for (option, section) in [("--package", "[package]"), ("--bin", "[[bin]]")] {
        let [name] = built(&lines, option)?[..] else {
            anyhow::bail!("{option} is not there once: {lines:?}");
        };
        let named = format!("{section}\nname = \"{name}\"\n");
        ensure!(manifest.contains(&named), "no {named}");
    }
    let program = built(&lines, "--bin")?[0];
    let copied = format!("COPY --from=build /serin/target/release/{program} /usr/local/bin/");
    ensure!(
        lines.iter().any(|line| line.starts_with(&copied)),
        "{lines:?}"
    );
    ensure!(lines.last() == Some(&format!("ENTRYPOINT [\"{program}\"]")));
    // The pod asks for a user that is not root, by number: the image's own.
    let Some(objects) = render(&manifests().join("serve-verdict"))? else {
        return Ok(());
    };
    let pod = &object(&objects, "Deployment", "serin-serve-verdict")?["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let user = &container["securityContext"]["runAsUser"];
    ensure!(lines.contains(&format!("USER {user}:{user}")), "{user}");
    ensure!(container["command"].is_null(), "the image says what runs");
    ensure!(container["args"][0] == "serve-verdict");
    // The document sets the image that the manifest has.
    let image = container["image"].as_str().context("an image")?;
    let name = image.rsplit_once(':').context("a tag")?.0;
    let said = fs::read_to_string(workspace().join("docs/delivery-tools.md"))?;
    ensure!(
        said.contains(&format!("kustomize edit set image {name}=")),
        "{name}"
    );
    Ok(())
}
