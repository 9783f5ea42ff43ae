//! NAB's files: series and windows, in its archive or unpacked.
//!
//! `data/<kind>/<name>.csv` with the columns timestamp and value, and
//! `labels/combined_windows.json` with the windows of each. Sizes and numbers are bounded before
//! anything is kept.

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use jiff::civil::DateTime;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Most bytes of one file; the largest known has 732 KB.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Most entries of an archive or folder.
const MAX_ENTRIES: usize = 10_000;
/// Most folders within each other.
const MAX_DEPTH: usize = 4;
/// Where the windows are.
const WINDOWS: &str = "combined_windows.json";

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its kind and file name.
    pub name: String,
    /// Seconds since the epoch of each row; the data's clock counts as UTC.
    pub times_s: Vec<i64>,
    /// The values.
    pub values: Vec<f64>,
    /// First and last row of each window, in order.
    pub windows: Vec<(usize, usize)>,
}

/// Files by kind and name, `realTweets/Twitter_volume_AAPL.csv`.
type Files = BTreeMap<String, String>;

/// Reads all series below `folder`, in the order of their names.
///
/// # Errors
/// When a file cannot be read or understood, a bound is exceeded, or the windows are missing.
pub fn read(folder: &Path) -> Result<Vec<Series>> {
    let mut files = Files::new();
    read_folder(folder, 0, &mut files)?;
    let windows = files
        .iter()
        .find(|(name, _)| name.ends_with(WINDOWS))
        .map(|(_, text)| text)
        .with_context(|| {
            format!(
                "{}: no {WINDOWS}; name the folder that holds NAB's data and labels, or their \
                 archive",
                folder.display()
            )
        })?;
    let windows: BTreeMap<String, Vec<[String; 2]>> =
        serde_json::from_str(windows).context(WINDOWS)?;
    windows
        .iter()
        .map(|(name, windows)| {
            let text = files
                .get(name)
                .with_context(|| format!("{WINDOWS} names {name}, which is missing"))?;
            series(name, text, windows).with_context(|| name.clone())
        })
        .collect()
}

fn read_folder(folder: &Path, depth: usize, files: &mut Files) -> Result<()> {
    let listed =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in listed {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        let read = || format!("cannot read {}", path.display());
        if path.is_dir() {
            if depth < MAX_DEPTH {
                read_folder(&path, depth + 1, files)?;
            }
        } else if path.to_string_lossy().ends_with(".tar.gz") {
            let archive = GzDecoder::new(fs::File::open(&path).with_context(read)?);
            for entry in tar::Archive::new(archive).entries().with_context(read)? {
                let entry = entry.with_context(read)?;
                let inside = entry.path().with_context(read)?.into_owned();
                if entry.header().entry_type().is_file() {
                    keep(&inside, entry, files).with_context(read)?;
                }
            }
        } else if wanted(&path).is_some() {
            keep(&path, fs::File::open(&path).with_context(read)?, files).with_context(read)?;
        }
    }
    Ok(())
}

/// The kind and name of a file that is of use.
fn wanted(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let kind = path.parent()?.file_name()?.to_str()?;
    (name.ends_with(".csv") || name == WINDOWS).then(|| format!("{kind}/{name}"))
}

fn keep(path: &Path, content: impl Read, files: &mut Files) -> Result<()> {
    let Some(name) = wanted(path) else {
        return Ok(());
    };
    let mut text = String::new();
    let read = content
        .take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(|| name.clone())? as u64;
    ensure!(
        read <= MAX_FILE_BYTES,
        "{name} has more than {MAX_FILE_BYTES} bytes"
    );
    ensure!(
        files.len() < MAX_ENTRIES,
        "more than {MAX_ENTRIES} files: this is not NAB"
    );
    if files.insert(name.clone(), text).is_some() {
        bail!("{name} is there twice: give either the archive or the unpacked folder");
    }
    Ok(())
}

fn series(name: &str, text: &str, windows: &[[String; 2]]) -> Result<Series> {
    let mut series = Series {
        name: name.to_owned(),
        times_s: Vec::new(),
        values: Vec::new(),
        windows: Vec::new(),
    };
    for (line, row) in text.lines().enumerate().skip(1) {
        let what = || format!("line {}: expected a timestamp and a value", line + 1);
        let (time, value) = row.split_once(',').with_context(what)?;
        series.times_s.push(seconds(time).with_context(what)?);
        series.values.push(value.trim().parse().with_context(what)?);
    }
    for [from, to] in windows {
        let index = |time: &str| -> Result<usize> {
            let wanted = seconds(time)?;
            series
                .times_s
                .iter()
                .position(|at| *at == wanted)
                .with_context(|| {
                    format!("a window begins or ends at {time}, where there is no row")
                })
        };
        let (from, to) = (index(from)?, index(to)?);
        let after = series.windows.last().is_none_or(|last| last.1 < from);
        ensure!(
            from < to && after,
            "the windows overlap or are out of order at row {from}"
        );
        series.windows.push((from, to));
    }
    Ok(series)
}

fn seconds(time: &str) -> Result<i64> {
    let time: DateTime = time.trim().parse()?;
    Ok(jiff::tz::Offset::UTC.to_timestamp(time)?.as_second())
}
