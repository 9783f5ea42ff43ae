//! Every file of tests belongs to a binary: cargo does not look for further ones.

use anyhow::{Context as _, Result};
use serin_integration::envoy::workspace;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const CRATES: [&str; 4] = [
    "scorer-sdk",
    "scorer-sdk/cli",
    "integration",
    "integration/eval",
];

/// Files and folders of modules that lie beside `file`.
fn beside(file: &Path) -> Result<BTreeSet<String>> {
    let folder = file.parent().context("a folder")?;
    let mut modules = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() || path.extension().is_some_and(|end| end == "rs") && path != file {
            let name = path.file_stem().context("a name")?;
            modules.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(modules)
}

/// Checks that `file` declares what lies beside it, but for `others`, and so on down the folders.
fn assert_declares_all(file: &Path, others: &BTreeSet<String>) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let declared: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'))
        .map(str::to_owned)
        .collect();
    let found = &beside(file)? - others;
    assert_eq!(declared, found, "{}", file.display());
    for module in found {
        let inner = file.with_file_name(module).join("mod.rs");
        if inner.exists() {
            assert_declares_all(&inner, &BTreeSet::new())?;
        }
    }
    Ok(())
}

#[test]
fn no_file_of_tests_is_left_out() -> Result<()> {
    for name in CRATES {
        let folder = workspace().join(name);
        let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
        let binaries: BTreeSet<String> = manifest
            .split("[[test]]\nname = \"")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
            .collect();
        assert!(binaries.contains("main"), "{name}: {binaries:?}");
        assert_declares_all(&folder.join("tests/main.rs"), &binaries)?;
    }
    Ok(())
}
