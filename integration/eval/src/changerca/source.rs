//! The files of a ChangeRCA folder: day archives as they are published, or unpacked day folders.
//!
//! A case is a folder that holds `<its name>.json` and files `<pod>_<source>_<destination>.csv`;
//! everything else is left alone. Sizes and numbers of entries are bounded before anything is kept.

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Most bytes of one file; the largest known has 90 KB.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Most bytes of all files of a data set.
const MAX_BYTES: u64 = 1 << 30;
/// Most entries of an archive or folder.
const MAX_ENTRIES: usize = 200_000;
/// Most folders within each other.
const MAX_DEPTH: usize = 4;

/// A case's files, as text.
#[derive(Debug, Default)]
pub struct Case {
    /// The case's JSON.
    pub json: String,
    /// The CSV files by name.
    pub tables: BTreeMap<String, String>,
}

/// All cases by name.
pub type Cases = BTreeMap<String, Case>;

#[derive(Default)]
struct Reader {
    cases: Cases,
    bytes: u64,
    entries: usize,
}

/// Reads all cases below `folder`.
///
/// # Errors
/// When a file cannot be read, a bound is exceeded, a case is there twice, or there is none.
pub fn read(folder: &Path) -> Result<Cases> {
    let mut reader = Reader::default();
    reader.folder(folder, 0)?;
    let cases: Cases = reader
        .cases
        .into_iter()
        .filter(|(_, case)| !case.json.is_empty())
        .collect();
    if cases.is_empty() {
        bail!(
            "{}: no case found; name the folder that holds the day archives (2023-09-22.tar.gz) or \
             unpacked day folders",
            folder.display()
        );
    }
    Ok(cases)
}

impl Reader {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<()> {
        let listed =
            fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let mut paths = Vec::new();
        for entry in listed {
            self.count_entry()?;
            let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
            paths.push(entry.path());
        }
        // The order of a folder is the file system's.
        paths.sort();
        for path in paths {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                if depth < MAX_DEPTH {
                    self.folder(&path, depth + 1)?;
                }
            } else if name.ends_with(".tar.gz") {
                self.archive(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
            } else if wanted(&path) {
                let file = fs::File::open(&path)
                    .with_context(|| format!("cannot open {}", path.display()))?;
                self.file(&path, file)
                    .with_context(|| format!("cannot read {}", path.display()))?;
            }
        }
        Ok(())
    }

    fn archive(&mut self, path: &Path) -> Result<()> {
        let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(path)?));
        for entry in archive.entries()? {
            self.count_entry()?;
            let entry = entry?;
            let inside = entry.path()?.into_owned();
            if entry.header().entry_type().is_file() && wanted(&inside) {
                self.file(&inside, entry)
                    .with_context(|| inside.display().to_string())?;
            }
        }
        Ok(())
    }

    fn count_entry(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            bail!("more than {MAX_ENTRIES} files: this is not the data set");
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, content: impl Read) -> Result<()> {
        let Some((case, name)) = case_and_name(path) else {
            return Ok(());
        };
        let mut text = String::new();
        let read = content.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)? as u64;
        self.bytes += read;
        if read > MAX_FILE_BYTES || self.bytes > MAX_BYTES {
            bail!(
                "is too large: at most {} MiB a file and {} MiB in all",
                MAX_FILE_BYTES >> 20,
                MAX_BYTES >> 20
            );
        }
        let known = self.cases.entry(case.to_owned()).or_default();
        let twice = if name.ends_with(".json") {
            !std::mem::replace(&mut known.json, text).is_empty()
        } else {
            known.tables.insert(name.to_owned(), text).is_some()
        };
        if twice {
            bail!("the case {case} is there twice: give either archives or unpacked folders");
        }
        Ok(())
    }
}

/// The folder that a file is in, and its own name.
fn case_and_name(path: &Path) -> Option<(&str, &str)> {
    let name = path.file_name()?.to_str()?;
    let case = path.parent()?.file_name()?.to_str()?;
    Some((case, name))
}

/// Whether a file belongs to a case.
fn wanted(path: &Path) -> bool {
    let Some((case, name)) = case_and_name(path) else {
        return false;
    };
    let table = name
        .strip_suffix(".csv")
        .is_some_and(|stem| stem.splitn(4, '_').count() == 3);
    table || name.strip_suffix(".json") == Some(case)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cases_own_files_are_wanted() {
        for (path, expected) in [
            ("d/2023-09-22_1/2023-09-22_1.json", true),
            ("d/2023-09-22_1/gied.json", false),
            ("d/2023-09-22_1/ad-v1-5_frontend_ad.csv", true),
            ("d/2023-09-22_1/dependency.csv", false),
            ("d/2023-09-22_1/a_b_c_d.csv", false),
        ] {
            assert_eq!(wanted(Path::new(path)), expected, "{path}");
        }
    }
}
