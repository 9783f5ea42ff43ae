//! The folder of a run: whose it is, and where it is.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Held while the folder is in use; the system lets go of it when the process ends.
const LOCK: &str = "lock";
/// Runs of the same name at the same time.
const MOST_RUNS: u32 = 20;

/// A folder under `target/integration/` that belongs to one run until this drops.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes a folder and removes the files of an earlier run: Envoy appends to access logs.
    /// Folders inside stay, they belong to other Envoys.
    ///
    /// # Errors
    /// When another run has it.
    pub(super) fn take(name: &str) -> Result<Self> {
        let path = run_dir(name);
        fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        let lock = File::create(path.join(LOCK)).context("create the folder's lock")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another run uses {}: wait until it has ended",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {}", path.display()));
            }
        }
        empty(&path).with_context(|| format!("empty {}", path.display()))?;
        Ok(Self { path, _lock: lock })
    }
}

fn empty(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() && entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A name that no other run has while this lives: `name`, else `name-2` and so on.
#[derive(Debug)]
pub struct RunName {
    name: String,
    _lock: File,
}

impl RunName {
    /// Takes the first that is free.
    ///
    /// # Errors
    /// When twenty are taken, or the folder cannot be written.
    pub fn take(name: &str) -> Result<Self> {
        let folder = run_dir("");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        for number in 1..=MOST_RUNS {
            let name = match number {
                1 => name.to_owned(),
                number => format!("{name}-{number}"),
            };
            let lock = File::create(folder.join(format!("{name}.{LOCK}")))
                .with_context(|| format!("create a lock in {}", folder.display()))?;
            match lock.try_lock() {
                Ok(()) => return Ok(Self { name, _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("lock {name}"));
                }
            }
        }
        bail!("{MOST_RUNS} runs of {name} are under way: wait until one of them has ended")
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// The folder of an Envoy: `target/integration/<name>` in the workspace.
#[must_use]
pub fn run_dir(name: &str) -> PathBuf {
    workspace().join("target/integration").join(name)
}

/// The root of the workspace, absolute: the one that this program is run from. What was compiled in
/// is the last resort, because a checkout may have been moved or copied since.
#[must_use]
pub fn workspace() -> PathBuf {
    let run_by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let program = std::env::current_exe().ok();
    [run_by_cargo, program]
        .into_iter()
        .flatten()
        .find_map(|path| root_above(&path))
        .unwrap_or_else(|| {
            let here = Path::new(env!("CARGO_MANIFEST_DIR"));
            here.parent().unwrap_or(here).to_path_buf()
        })
}

/// The nearest folder above `path` that holds this workspace.
fn root_above(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .find(|folder| {
            folder.join("Cargo.lock").is_file() && folder.join("integration/Cargo.toml").is_file()
        })
        .map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copied_checkout_is_its_own_workspace() {
        let copy = tempfile::tempdir().unwrap();
        let root = copy.path();
        fs::create_dir_all(root.join("integration/eval")).unwrap();
        fs::create_dir_all(root.join("target/debug")).unwrap();
        for file in ["Cargo.lock", "integration/Cargo.toml", "target/debug/demo"] {
            fs::write(root.join(file), "").unwrap();
        }
        for within in ["integration", "integration/eval", "target/debug/demo"] {
            assert_eq!(root_above(&root.join(within)).as_deref(), Some(root));
        }
        assert_eq!(root_above(Path::new("/")), None);
    }

    #[test]
    fn two_runs_of_one_name_have_folders_of_their_own() {
        let first = RunName::take("test-run-name").unwrap();
        let second = RunName::take("test-run-name").unwrap();
        assert_eq!(first.as_str(), "test-run-name");
        assert_eq!(second.as_str(), "test-run-name-2");
        drop(first);
        assert_eq!(
            RunName::take("test-run-name").unwrap().as_str(),
            "test-run-name"
        );
    }

    #[test]
    fn a_folder_that_another_run_uses_is_not_emptied() {
        let folder = Folder::take("test-folder").unwrap();
        let file = folder.path.join("envoy.log");
        fs::write(&file, "").unwrap();
        let refused = Folder::take("test-folder").unwrap_err().to_string();
        assert!(refused.contains("another run uses"), "{refused}");
        assert!(file.is_file());
        drop(folder);
        drop(Folder::take("test-folder").unwrap());
        assert!(!file.is_file());
    }
}
