//! What a release is made of: one version everywhere, an image that no engine built, workflows whose
//! steps cannot be exchanged.

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::Value;
use serin_integration::envoy::workspace;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::documents::files;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Files in which an older version may stay: examples in tests, what the changelog tells of the past,
/// and versions of other projects.
const MAY_KEEP: [&str; 3] = [".rs", "CHANGELOG.md", "Cargo.lock"];

fn run(folder: &Path, script: &str, arguments: &[&str]) -> Result<Output> {
    let output = Command::new("python3")
        .arg(folder.join("scripts").join(script))
        .args(arguments)
        .env("SOURCE_DATE_EPOCH", "1000000000")
        .output()?;
    Ok(output)
}

fn said(output: &Output) -> Result<String> {
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout.clone())?.trim().to_owned())
}

/// All files of the repository that are not built, relative to its root.
fn sources() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    files(&workspace(), &mut found)?;
    found.retain(|path| workspace().join(path).is_file());
    Ok(found)
}

/// A copy of the texts, to change them.
fn copied() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for path in sources()? {
        let target = folder.path().join(&path);
        fs::create_dir_all(target.parent().context("a parent")?)?;
        fs::copy(workspace().join(&path), target)?;
    }
    Ok(folder)
}

#[test]
fn every_place_has_the_version_of_the_crates() -> Result<()> {
    let output = run(&workspace(), "release-version.py", &["check"])?;
    assert_eq!(said(&output)?, VERSION);
    Ok(())
}

/// Lines that speak of a version of ours.
fn lines_with(folder: &Path, version: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in sources()? {
        let name = path.display().to_string();
        if MAY_KEEP.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        // What is no text has no version to read.
        let Ok(text) = fs::read_to_string(folder.join(&path)) else {
            continue;
        };
        for line in text.lines() {
            let lower = line.to_lowercase();
            let ours = ["serin", "version", "tag"]
                .iter()
                .any(|word| lower.contains(word));
            let whole = line.match_indices(version).any(|(at, _)| {
                let digit = |letter: Option<char>| {
                    letter.is_some_and(|letter| letter.is_ascii_digit() || letter == '.')
                };
                !digit(line[..at].chars().next_back())
                    && !digit(line[at + version.len()..].chars().next())
            });
            if ours && whole {
                found.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    Ok(found)
}

#[test]
fn one_command_writes_another_version_everywhere_and_dates_the_changelog() -> Result<()> {
    let folder = copied()?;
    let before = lines_with(folder.path(), VERSION)?;
    ensure!(before.len() >= 10, "{before:#?}");
    said(&run(
        folder.path(),
        "release-version.py",
        &["set", "98.7.6-rc.5"],
    )?)?;
    let kept = lines_with(folder.path(), VERSION)?;
    ensure!(kept.is_empty(), "these keep {VERSION}: {kept:#?}");
    assert_eq!(
        lines_with(folder.path(), "98.7.6-rc.5")?.len(),
        before.len()
    );
    let output = run(folder.path(), "release-version.py", &["check"])?;
    assert_eq!(said(&output)?, "98.7.6-rc.5");
    // The lock file fits the manifests.
    let lock = fs::read_to_string(folder.path().join("Cargo.lock"))?;
    let manifest = fs::read_to_string(folder.path().join("Cargo.toml"))?;
    let members = manifest.split_once("\nmembers = [").context("members")?.1;
    let members = members
        .split_once(']')
        .context("an end")?
        .0
        .split(',')
        .count();
    assert_eq!(
        lock.matches("\nversion = \"98.7.6-rc.5\"\n").count(),
        members
    );
    // What was unreleased is the new version's, and nothing is unreleased.
    let changelog = fs::read_to_string(folder.path().join("CHANGELOG.md"))?;
    ensure!(changelog.contains("## [Unreleased]\n\n## [98.7.6-rc.5] - 2001-09-09\n"));
    let notes = run(
        folder.path(),
        "release-version.py",
        &["notes", "98.7.6-rc.5"],
    )?;
    ensure!(changelog.contains(&said(&notes)?));
    // A second time is refused, and so is what is no version.
    for (version, why) in [("98.7.6-rc.5", "already"), ("1.2", "three numbers")] {
        let output = run(folder.path(), "release-version.py", &["set", version])?;
        ensure!(!output.status.success(), "{version} passes");
        let error = String::from_utf8(output.stderr)?;
        ensure!(error.contains(why), "{error}");
    }
    Ok(())
}

#[test]
fn a_place_with_another_version_is_named() -> Result<()> {
    let folder = copied()?;
    let path = folder.path().join("envoyfilter-manifests/chart/Chart.yaml");
    let text = fs::read_to_string(&path)?;
    fs::write(
        &path,
        text.replace(&format!("appVersion: {VERSION}"), "appVersion: 9.9.9"),
    )?;
    let output = run(folder.path(), "release-version.py", &["check"])?;
    ensure!(!output.status.success());
    let error = String::from_utf8(output.stderr)?;
    ensure!(error.contains("chart/Chart.yaml: 9.9.9"), "{error}");
    Ok(())
}

/// What `sha256sum` says.
fn digest(path: &Path) -> Result<String> {
    let output = Command::new("sha256sum").arg(path).output()?;
    let text = said(&output)?;
    Ok(text.split(' ').next().context("a sum")?.to_owned())
}

#[test]
fn the_layout_is_an_image_with_the_module_and_a_damaged_one_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let module = folder.path().join("module.wasm");
    let bytes = [b"\0asm\x01\0\0\0".as_slice(), &[7; 100_000]].concat();
    fs::write(&module, &bytes)?;
    let module = module.display().to_string();
    let layout = folder.path().join("oci");
    let write = |target: &Path| -> Result<String> {
        let target = target.display().to_string();
        let arguments = [
            "write",
            &module,
            &target,
            "--version",
            "1.2.3",
            "--revision",
            "abc",
        ];
        said(&run(&workspace(), "oci-layout.py", &arguments)?)
    };
    let image = write(&layout)?;
    // The same in another folder: nothing of the machine or the time is in it.
    assert_eq!(write(&folder.path().join("again"))?, image);

    let json = |path: &Path| -> Result<Value> { Ok(serde_json::from_slice(&fs::read(path)?)?) };
    let blob = |entry: &Value| -> Result<PathBuf> {
        let name = entry["digest"].as_str().context("a digest")?;
        let name = name.strip_prefix("sha256:").context("SHA-256")?;
        let path = layout.join("blobs/sha256").join(name);
        assert_eq!(digest(&path)?, name);
        assert_eq!(Some(fs::metadata(&path)?.len()), entry["size"].as_u64());
        Ok(path)
    };
    let index = json(&layout.join("index.json"))?;
    let entry = &index["manifests"][0];
    assert_eq!(entry["digest"], *image);
    let manifest = json(&blob(entry)?)?;
    let config = json(&blob(&manifest["config"])?)?;
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.version"], "1.2.3");
    assert_eq!(labels["org.opencontainers.image.revision"], "abc");
    assert_eq!(labels["org.opencontainers.image.title"], "serin");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    let layer = blob(&manifest["layers"][0])?;
    let mut archive = Vec::new();
    GzDecoder::new(fs::File::open(&layer)?).read_to_end(&mut archive)?;
    // A tar file: a header of 512 bytes that begins with the name, then the content.
    ensure!(archive.starts_with(b"plugin.wasm\0"), "another name");
    assert_eq!(&archive[512..512 + bytes.len()], &bytes[..]);

    let target = layout.display().to_string();
    let read = || run(&workspace(), "oci-layout.py", &["read", &target, &module]);
    assert_eq!(said(&read()?)?, image);
    let mut damaged = fs::read(&layer)?;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&layer, damaged)?;
    let output = read()?;
    ensure!(!output.status.success(), "a damaged layer passes");
    let error = String::from_utf8(output.stderr)?;
    ensure!(error.contains("other bytes"), "{error}");
    Ok(())
}

#[test]
fn every_action_is_pinned_by_its_commit_and_named_with_its_version() -> Result<()> {
    let mut seen = 0;
    for name in ["ci.yml", "release.yml"] {
        let text = fs::read_to_string(workspace().join(".github/workflows").join(name))?;
        let workflow: Value = serde_saphyr::from_str(&text)?;
        ensure!(workflow["permissions"]["contents"] == "read", "{name}");
        for line in text.lines() {
            let Some((_, action)) = line.split_once("uses: ") else {
                continue;
            };
            if action.starts_with("./") {
                ensure!(workspace().join(action).is_file(), "{name}: {line}");
                continue;
            }
            seen += 1;
            let (_, rest) = action.split_once('@').context("a commit")?;
            let (commit, version) = rest
                .split_once(" # v")
                .context("a version behind the commit")?;
            let is_commit =
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            ensure!(is_commit, "{name}: {line}");
            ensure!(version.split('.').count() == 3, "{name}: {line}");
        }
    }
    ensure!(seen >= 8, "only {seen} actions");
    let text = fs::read_to_string(workspace().join(".github/workflows/ci.yml"))?;
    ensure!(text.contains("- run: .ci/run\n"), "{text}");
    Ok(())
}

/// The number that a constant has in a source.
fn constant(path: &str, name: &str) -> Result<String> {
    let text = fs::read_to_string(workspace().join(path))?;
    let (_, rest) = text
        .split_once(&format!("const {name}: u16 = "))
        .context("a constant")?;
    Ok(rest.split_once(';').context("an end")?.0.to_owned())
}

#[test]
fn the_changelog_and_the_page_on_upgrades_have_the_layouts_of_the_sources() -> Result<()> {
    let shared = constant("filter/src/sync/mailbox.rs", "VERSION")?;
    let state = constant("scorer-sdk/src/judge/mod.rs", "STATE_VERSION")?;
    let changelog = fs::read_to_string(workspace().join("CHANGELOG.md"))?;
    // The first line that names layouts is the newest version's.
    let newest = changelog.lines().find(|line| line.contains("shared data "));
    let newest = newest.context("no layouts in the changelog")?;
    ensure!(
        newest.contains(&format!("shared data {shared}, state {state}")),
        "the changelog has other layouts than shared data {shared}, state {state}: {newest}"
    );
    let upgrading = fs::read_to_string(workspace().join("docs/upgrading.md"))?;
    ensure!(
        upgrading.contains(&format!("now: state {state}, shared data {shared}")),
        "docs/upgrading.md has other layouts than state {state}, shared data {shared}"
    );
    Ok(())
}
