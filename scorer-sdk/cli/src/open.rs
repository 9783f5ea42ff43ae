//! Files as input; `-` is the standard input.

use crate::output::note;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, stdin};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;
/// Whether the standard input was opened: what one reader takes, the next would miss.
static STDIN_TAKEN: AtomicBool = AtomicBool::new(false);

/// An open file.
pub struct Opened {
    /// What messages call it.
    pub name: String,
    /// Its length in bytes, where it has one.
    pub length: Option<u64>,
    /// Its bytes.
    pub reader: Box<dyn BufRead>,
}

/// Opens a file.
///
/// # Errors
/// When it cannot be opened, is a directory, or is the standard input for the second time.
pub fn open(path: &str) -> Result<Opened> {
    if path == "-" {
        return standard_input();
    }
    let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
    let facts = file
        .metadata()
        .with_context(|| format!("cannot open {path}"))?;
    if facts.is_dir() {
        bail!("{path} is a directory: name the files in it");
    }
    Ok(Opened {
        name: path.to_owned(),
        length: facts.is_file().then_some(facts.len()),
        reader: Box::new(BufReader::with_capacity(BUFFER, file)),
    })
}

fn standard_input() -> Result<Opened> {
    if STDIN_TAKEN.swap(true, Ordering::Relaxed) {
        bail!("the standard input (`-`) can be read only once: give the other as a file");
    }
    if stdin().is_terminal() {
        note("reading what is typed here; Ctrl-D ends it");
    }
    Ok(Opened {
        name: "standard input".to_owned(),
        length: None,
        reader: Box::new(BufReader::with_capacity(BUFFER, stdin().lock())),
    })
}
