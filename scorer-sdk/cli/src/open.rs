//! Files as input; `-` is the standard input. What is compressed with gzip is read as what it holds.

use crate::output::note;
use anyhow::{Context, Result, bail};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, stdin};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;
/// How every gzip file begins.
const GZIP: &[u8] = b"\x1f\x8b";
/// Whether the standard input was opened: what one reader takes, the next would miss.
static STDIN_TAKEN: AtomicBool = AtomicBool::new(false);

/// An open file.
pub struct Opened {
    /// What messages call it.
    pub name: String,
    /// The length in bytes of what it holds, where that is known.
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
    let length = facts.is_file().then_some(facts.len());
    opened(path, length, file).with_context(|| format!("cannot read {path}"))
}

/// Unpacks on the way what is compressed, however its name ends.
fn opened(name: &str, length: Option<u64>, input: impl Read + 'static) -> io::Result<Opened> {
    let mut reader = BufReader::with_capacity(BUFFER, input);
    let name = name.to_owned();
    Ok(if reader.fill_buf()?.starts_with(GZIP) {
        // A log that is rotated by appending has several members.
        let unpacked = Unpacked(MultiGzDecoder::new(reader));
        Opened {
            name,
            length: None,
            reader: Box::new(BufReader::with_capacity(BUFFER, unpacked)),
        }
    } else {
        Opened {
            name,
            length,
            reader: Box::new(reader),
        }
    })
}

/// Says of what is damaged that it is compressed.
struct Unpacked<Packed>(Packed);

impl<Packed: Read> Read for Unpacked<Packed> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            let text = format!("it is compressed with gzip, and damaged or cut off ({error})");
            io::Error::new(error.kind(), text)
        })
    }
}

fn standard_input() -> Result<Opened> {
    if STDIN_TAKEN.swap(true, Ordering::Relaxed) {
        bail!("the standard input (`-`) can be read only once: give the other as a file");
    }
    if stdin().is_terminal() {
        note("reading what is typed here; Ctrl-D ends it");
    }
    let input = BufReader::with_capacity(BUFFER, stdin().lock());
    opened("standard input", None, input).context("cannot read the standard input")
}
