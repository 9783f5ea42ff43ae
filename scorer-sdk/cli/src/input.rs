//! Recordings as input: several files, two formats, bad lines counted.
//!
//! Each file should be in the order of its exchanges' ends, as access logs are; several files, one a
//! proxy, are merged by that order. One line of each is held at a time.

use crate::envoy::{self, Entry};
use crate::lines::{self, Line};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use scorer_sdk::Plan;
use scorer_sdk::recording::{MAX_LINE_BYTES, Record};
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};

/// Most files of one run.
pub const MAX_FILES: usize = 256;
/// Refusals that are kept to be shown.
const SHOWN_REFUSALS: usize = 5;
/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 300;
/// Most header names of one exchange: many times what proxies let through.
const MAX_HEADERS: usize = 512;

/// How the lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Serin's own JSON lines
    Serin,
    /// Envoy's JSON access log
    Envoy,
}

/// A line that was not used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The file.
    pub file: String,
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What became of the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Lines, blank ones included.
    pub lines: u64,
    /// Lines that were exchanges.
    pub read: u64,
    /// Lines that were nothing of the kind.
    pub refused: u64,
    /// Requests that no version is known for.
    pub unattributed: u64,
    /// The first refusals.
    pub first_refusals: Vec<Refusal>,
    /// The first request without a version.
    pub first_unattributed: Option<Refusal>,
}

/// An exchange from a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The exchange.
    pub record: Record,
    /// Length of its line in bytes.
    pub bytes: usize,
}

struct Source {
    name: String,
    reader: Box<dyn BufRead>,
    line: u64,
    head: Option<Item>,
    ended: bool,
}

/// All files of one run, merged.
pub struct Input<'a> {
    plan: &'a Plan,
    format: Option<Format>,
    strict: bool,
    sources: Vec<Source>,
    counted: Counted,
    buffer: Vec<u8>,
    total_bytes: Option<u64>,
    bytes: u64,
}

impl<'a> Input<'a> {
    /// Opens files; `-` is the standard input. Without a `format` each line's is found. `strict`
    /// makes the first bad line an error.
    ///
    /// # Errors
    /// When a file cannot be opened, or there are more than [`MAX_FILES`].
    pub fn open(
        files: &[String],
        plan: &'a Plan,
        format: Option<Format>,
        strict: bool,
    ) -> Result<Self> {
        if files.len() > MAX_FILES {
            bail!(
                "{} files are above the limit of {MAX_FILES}: join some",
                files.len()
            );
        }
        let mut total_bytes = Some(0);
        let mut sources = Vec::new();
        for name in files {
            let reader: Box<dyn BufRead> = if name == "-" {
                total_bytes = None;
                Box::new(stdin().lock())
            } else {
                let file = File::open(name).with_context(|| format!("cannot open {name}"))?;
                let length = file.metadata().ok().filter(|facts| facts.is_file());
                total_bytes = total_bytes
                    .zip(length)
                    .map(|(sum, facts): (u64, _)| sum.saturating_add(facts.len()));
                Box::new(BufReader::with_capacity(1 << 18, file))
            };
            let name = if name == "-" {
                "standard input"
            } else {
                name.as_str()
            }
            .to_owned();
            sources.push(Source {
                name,
                reader,
                line: 0,
                head: None,
                ended: false,
            });
        }
        Ok(Self {
            plan,
            format,
            strict,
            sources,
            counted: Counted::default(),
            buffer: Vec::new(),
            total_bytes,
            bytes: 0,
        })
    }

    /// The next exchange in the order of ends, as far as the files themselves are in that order.
    ///
    /// # Errors
    /// When a file cannot be read; when `strict`, at the first bad line.
    pub fn next_item(&mut self) -> Result<Option<Item>> {
        let mut sources = core::mem::take(&mut self.sources);
        for source in &mut sources {
            if source.head.is_none() && !source.ended {
                source.head = self.read(source)?;
                source.ended = source.head.is_none();
            }
        }
        self.sources = sources;
        let first = self
            .sources
            .iter_mut()
            .filter(|source| source.head.is_some())
            .min_by_key(|source| source.head.as_ref().map(|item| item.record.end()));
        Ok(first.and_then(|source| source.head.take()))
    }

    fn read(&mut self, source: &mut Source) -> Result<Option<Item>> {
        loop {
            let mut buffer = core::mem::take(&mut self.buffer);
            let line = lines::next(&mut source.reader, &mut buffer, MAX_LINE_BYTES)
                .with_context(|| format!("cannot read {}", source.name))?;
            self.buffer = buffer;
            if line == Line::End {
                return Ok(None);
            }
            source.line += 1;
            self.counted.lines += 1;
            self.bytes += self.buffer.len() as u64 + 1;
            let entry = match line {
                Line::TooLong => Err(format!("the line has more than {MAX_LINE_BYTES} bytes")),
                _ => self.parse(),
            };
            match entry {
                Ok(None) => {}
                Ok(Some(Entry::Exchange(record))) => {
                    self.counted.read += 1;
                    return Ok(Some(Item {
                        record: *record,
                        bytes: self.buffer.len(),
                    }));
                }
                Ok(Some(Entry::Unattributed(reason))) => {
                    self.counted.unattributed += 1;
                    self.counted
                        .first_unattributed
                        .get_or_insert_with(|| refusal(&source.name, source.line, &reason));
                }
                Err(reason) => {
                    let refusal = refusal(&source.name, source.line, &reason);
                    if self.strict {
                        bail!(
                            "{}, line {}: {}",
                            refusal.file,
                            refusal.line,
                            refusal.reason
                        );
                    }
                    self.counted.refused += 1;
                    if self.counted.first_refusals.len() < SHOWN_REFUSALS {
                        self.counted.first_refusals.push(refusal);
                    }
                }
            }
        }
    }

    /// The entry in the buffer; `None` for a blank line and for the `-` that Envoy writes where the
    /// filter left no exchange.
    fn parse(&self) -> Result<Option<Entry>, String> {
        let text = core::str::from_utf8(&self.buffer)
            .map_err(|error| format!("is no text in UTF-8: {error}"))?
            .trim();
        if text.is_empty() || text == "-" {
            return Ok(None);
        }
        let format = self.format.unwrap_or_else(|| {
            // In JSON no text can hold this but as a whole value, and no field of ours does.
            if text.contains("\"start_time\"") {
                Format::Envoy
            } else {
                Format::Serin
            }
        });
        let entry = match format {
            Format::Envoy => envoy::parse(text, self.plan)?,
            Format::Serin => Entry::Exchange(Box::new(Record::parse(text)?)),
        };
        if let Entry::Exchange(record) = &entry
            && record
                .headers
                .as_ref()
                .is_some_and(|names| names.len() > MAX_HEADERS)
        {
            return Err(format!("headers has more than {MAX_HEADERS} names"));
        }
        Ok(Some(entry))
    }

    /// What became of the lines so far.
    #[must_use]
    pub fn counted(&self) -> &Counted {
        &self.counted
    }

    /// Bytes read so far, and of all files where that is known.
    #[must_use]
    pub fn bytes(&self) -> (u64, Option<u64>) {
        (self.bytes, self.total_bytes)
    }

    /// Fails when there was not one exchange: a verdict on nothing would look like a good one.
    ///
    /// # Errors
    /// Says what there was instead.
    pub fn require_exchanges(&self) -> Result<()> {
        let counted = &self.counted;
        if counted.read > 0 {
            return Ok(());
        }
        let because = |refusal: &Refusal| {
            format!(
                "{}, line {}: {}",
                refusal.file, refusal.line, refusal.reason
            )
        };
        if let Some(first) = counted.first_refusals.first() {
            bail!("no exchange in {} lines; {}", counted.lines, because(first));
        }
        if let Some(first) = &counted.first_unattributed {
            bail!(
                "no exchange of a known version in {} lines; {}; list the clusters under \
                 versions.destinations in the file of --config",
                counted.lines,
                because(first)
            );
        }
        bail!("there is no exchange in the input");
    }
}

fn refusal(file: &str, line: u64, reason: &str) -> Refusal {
    Refusal {
        file: file.to_owned(),
        line,
        reason: reason.chars().take(MAX_REASON).collect(),
    }
}
