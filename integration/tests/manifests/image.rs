//! The images: what their files name is there, and the script that pushes does what it says.

use anyhow::{Context as _, Result, ensure};
use serin_integration::envoy::workspace;
use serin_integration::turn;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
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

/// What follows each `name` on the line that builds.
fn built<'a>(lines: &'a [String], name: &str) -> Result<Vec<&'a str>> {
    let line = lines.iter().find(|line| line.contains("cargo build "));
    let (_, build) = line
        .and_then(|line| line.split_once("cargo build "))
        .context("a build")?;
    let build = build.split(" && ").next().unwrap_or(build);
    ensure!(build.starts_with("--locked "), "{build}");
    let words: Vec<&str> = build.split(' ').collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == name);
    Ok(pairs.map(|pair| pair[1]).collect())
}

/// What the stage that builds gets from the repository.
fn sources(lines: &[String]) -> Vec<&str> {
    let stage = lines.iter().take_while(|line| *line != "WORKDIR /serin");
    let stage = lines.iter().skip(stage.count() + 1);
    let copies = stage.map_while(|line| line.strip_prefix("COPY "));
    copies
        .flat_map(|copy| copy.split(' ').rev().skip(1))
        .collect()
}

/// Whether cargo finds each member of the workspace, and each target's file, in a folder with these
/// sources alone. What they depend on beside each other is not looked at.
fn is_enough(sources: &[&str]) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    for source in sources {
        symlink(workspace().join(source), folder.path().join(source))?;
    }
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(folder.path())
        .output()?;
    Ok(metadata.status.success())
}

/// The build gets what it needs and no more, and its toolchain is the pinned one.
fn can_be_built(lines: &[String]) -> Result<()> {
    let sources = sources(lines);
    let kept = context()?;
    for source in &sources {
        ensure!(
            kept.iter().any(|name| name == source),
            "{source} is left out of the build"
        );
        ensure!(workspace().join(source).exists(), "there is no {source}");
    }
    ensure!(is_enough(&sources)?, "{sources:?} do not build");
    for folder in ["scorer-sdk", "filter", "integration", "Cargo.toml"] {
        let others: Vec<&str> = sources
            .iter()
            .filter(|source| **source != folder)
            .copied()
            .collect();
        ensure!(others.len() + 1 == sources.len(), "{folder}: {sources:?}");
        ensure!(!is_enough(&others)?, "{folder} need not be copied");
    }
    ensure!(sources.contains(&"Cargo.lock"), "{sources:?}");
    let build = lines.iter().find(|line| line.contains("cargo build "));
    let build = build.context("a build")?;
    for cached in ["/usr/local/cargo/registry", "/serin/target"] {
        let mount = format!("--mount=type=cache,target={cached}");
        ensure!(build.contains(&mount), "{build}");
    }
    // What lies in a cache is no part of an image: all that is taken later is put elsewhere first.
    let (_, installed) = build
        .split_once(" && install -D --target-directory=/built ")
        .context("what is built is kept")?;
    for line in lines {
        let Some(copied) = line.strip_prefix("COPY --from=build ") else {
            continue;
        };
        for file in copied.split(' ').rev().skip(1) {
            let name = file.strip_prefix("/built/").context("from /built")?;
            ensure!(
                installed
                    .split(' ')
                    .any(|path| path.ends_with(&format!("/{name}"))),
                "{name} is not in {installed}"
            );
        }
    }
    let toolchain = fs::read_to_string(workspace().join("rust-toolchain.toml"))?;
    let image = lines.iter().find(|line| line.ends_with(" AS build"));
    let pinned = image.and_then(|line| line.split_once("rust:"));
    let pinned = pinned.context("a rust image")?.1;
    let pinned = pinned.split('-').next().context("a version")?;
    ensure!(
        toolchain.contains(&format!("channel = \"{pinned}\"")),
        "{pinned}"
    );
    Ok(())
}

#[test]
fn every_image_is_named_by_a_full_version() -> Result<()> {
    let mut images = 0;
    for file in [
        "integration/compose/Containerfile",
        "envoyfilter-manifests/serve-verdict/Containerfile",
    ] {
        let lines = instructions(file)?;
        for line in &lines {
            let named = ["FROM ", "ARG ENVOY_IMAGE="];
            let image = named.iter().find_map(|word| line.strip_prefix(word));
            let Some(image) = image.filter(|image| !image.starts_with("${ENVOY_IMAGE}")) else {
                continue;
            };
            let image = image.split(' ').next().unwrap_or(image);
            let tag = image.rsplit_once(':').context("a tag")?.1;
            ensure!(
                image.starts_with("docker.io/") && tag.contains('.'),
                "{image}"
            );
            images += 1;
        }
    }
    ensure!(images == 5, "{images} images");
    Ok(())
}

#[test]
fn what_compose_builds_are_programs_that_there_are_and_the_module_that_ships() -> Result<()> {
    let lines = instructions("integration/compose/Containerfile")?;
    can_be_built(&lines)?;
    let programs = built(&lines, "--bin")?;
    ensure!(programs == ["serin-shop", "serin-load"], "{programs:?}");
    // The module is what `make wasm` builds, without the check for tools that the image lacks.
    let build = lines.iter().find(|line| line.contains("cargo build "));
    let build = build.context("a build")?;
    ensure!(
        build.contains(" CI=true make --old-file=require wasm && "),
        "{build}"
    );
    ensure!(sources(&lines).contains(&"Makefile"));
    let run = |arguments: &[&str]| -> Result<Vec<String>> {
        let output = Command::new("make")
            .args(["--dry-run", "--no-print-directory"])
            .args(arguments)
            .current_dir(workspace())
            .env_remove("MAKEFLAGS")
            .env("CI", "true")
            .output()?;
        ensure!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().map(str::to_owned).collect())
    };
    let (here, there) = (run(&["wasm"])?, run(&["--old-file=require", "wasm"])?);
    ensure!(here.first().is_some_and(|line| line.contains("require.sh")));
    ensure!(here[1..] == there[..], "{here:?} {there:?}");
    ensure!(there[0].starts_with("cargo rustc --locked "), "{there:?}");
    // Envoy's image has it where the config looks for it: compose mounts none.
    let target = "COPY --from=build /built/serin.wasm /etc/envoy/serin.wasm";
    ensure!(lines.iter().any(|line| line == target), "{lines:?}");
    let envoy = fs::read_to_string(workspace().join("integration/compose/envoy.yaml"))?;
    ensure!(envoy.contains("filename: /etc/envoy/serin.wasm"));
    Ok(())
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
    let copied = format!("COPY --from=build /built/{program} /usr/local/bin/");
    ensure!(lines.contains(&copied), "{lines:?}");
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
