//! Recordings as input: several files, two formats, bad lines counted.
//!
//! Each file should be in the order of its exchanges' ends, as access logs are; several files, one a
//! proxy, are merged by that order. A few lines of each are held at a time: an exchange whose time
//! leaps far ahead of what follows it has a wrong clock and is refused.

use crate::envoy::{self, Entry};
use crate::lines::{Line, Lines};
use crate::open::open;
use crate::output::grouped;
use crate::sniff;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use memchr::memmem::Finder;
use scorer_sdk::Plan;
use scorer_sdk::wire::recording::{MAX_LINE_BYTES, Record, RecordEnding};
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};
use std::fs::canonicalize;
use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

/// Most files of one run.
pub const MAX_FILES: usize = 256;
/// Refusals that are kept to be shown.
const SHOWN_REFUSALS: usize = 5;
/// Longest reason that is kept, in characters.
const MAX_REASON: usize = 300;
/// Exchanges of a file that are looked at before the one that comes next is taken.
const LOOKAHEAD: usize = 16;
/// An exchange that ends this much later than three in four of those that follow is not believed.
const LEAP: Duration = Duration::from_secs(3_600);
/// Followers without which nothing is said about a leap.
const FEWEST_FOLLOWERS: usize = 4;
/// About what an allocated header name weighs.
const HEADER_WEIGHT: usize = 56;

/// How the lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Serin's own JSON lines
    Serin,
    /// Envoy's JSON access log
    Envoy,
}

/// A line that was not used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The file.
    pub file: String,
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What became of the lines: `lines` is the sum of `read`, `refused`, `unattributed` and `blank`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Lines, blank ones included.
    pub lines: u64,
    /// Lines that were exchanges.
    pub read: u64,
    /// Lines that were nothing of the kind.
    pub refused: u64,
    /// Requests that no version is known for.
    pub unattributed: u64,
    /// Lines with nothing in them, or only with the `-` that Envoy writes for nothing.
    pub blank: u64,
    /// The first refusals.
    pub first_refusals: Vec<Refusal>,
    /// The first request without a version.
    #[serde(skip)]
    pub first_unattributed: Option<Refusal>,
    /// Exchanges whose gRPC status was taken though the log has no content type.
    pub grpc_without_content_type: u64,
    /// Exchanges that look like gRPC, of which the log has neither content type nor gRPC status.
    pub grpc_without_status: u64,
    /// Files that ended without a single exchange.
    pub files_without_exchanges: Vec<String>,
}

impl Counted {
    /// What a log without content types leaves open about gRPC; `None` where it leaves nothing open.
    #[must_use]
    pub fn grpc_warning(&self) -> Option<String> {
        const REPAIR: &str = "add `content_type: %RESP(CONTENT-TYPE)%` to the log's format";
        if self.grpc_without_status > 0 {
            return Some(format!(
                "{} exchanges look like gRPC and have no grpc_status: their failures are not seen; add \
                 `grpc_status: %GRPC_STATUS_NUMBER%`, and {REPAIR}",
                grouped(self.grpc_without_status)
            ));
        }
        (self.grpc_without_content_type > 0).then(|| {
            format!(
                "{} exchanges have a grpc_status and no content_type, and were taken for gRPC; {REPAIR}",
                grouped(self.grpc_without_content_type)
            )
        })
    }

    /// Counts what a line of Envoy's log leaves open about gRPC.
    fn note_grpc(&mut self, record: &Record) {
        let is_whole = record.ending == RecordEnding::Complete && record.status == Some(200);
        if !record.content_type.is_empty() || !is_whole {
            return;
        }
        if record.grpc_status.is_some() {
            self.grpc_without_content_type += 1;
        } else if envoy::looks_like_grpc(&record.method, &record.path) {
            self.grpc_without_status += 1;
        }
    }
}

/// An exchange from a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The exchange.
    pub record: Record,
    /// About what it weighs in memory, in bytes.
    pub bytes: usize,
}

struct Queued {
    item: Item,
    end: Duration,
    line: u64,
}

struct Source {
    name: String,
    lines: Lines<Box<dyn BufRead>>,
    queue: VecDeque<Queued>,
    /// Whether the queue's front was looked at and may be taken.
    ready: bool,
    exchanges: u64,
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
    envoys_mark: Finder<'static>,
}

impl<'a> Input<'a> {
    /// Opens files; `-` is the standard input. Without a `format` each line's is found. `strict`
    /// makes the first bad line an error.
    ///
    /// # Errors
    /// When a file cannot be opened or is named twice, or there are more than [`MAX_FILES`].
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
        let mut total_bytes = Some(0_u64);
        let mut sources = Vec::new();
        let mut seen = BTreeSet::new();
        for path in files {
            let opened = open(path)?;
            // What is no file, such as a pipe, may have no path of its own.
            if path != "-"
                && !seen.insert(canonicalize(path).unwrap_or_else(|_| PathBuf::from(path)))
            {
                bail!("{path} is named twice: its exchanges would count twice");
            }
            total_bytes = total_bytes
                .zip(opened.length)
                .map(|(sum, length)| sum.saturating_add(length));
            sources.push(Source {
                name: opened.name,
                lines: Lines::new(opened.reader, MAX_LINE_BYTES),
                queue: VecDeque::new(),
                ready: false,
                exchanges: 0,
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
            // In JSON no text can hold this but as a whole value, and no field of ours does.
            envoys_mark: Finder::new("\"start_time\""),
        })
    }

    /// The next exchange in the order of ends, as far as the files themselves are in that order.
    ///
    /// # Errors
    /// When a file cannot be read or is no recording; when `strict`, at the first bad line.
    pub fn next_item(&mut self) -> Result<Option<Item>> {
        let mut sources = core::mem::take(&mut self.sources);
        let filled = sources.iter_mut().try_for_each(|source| self.fill(source));
        let first = sources
            .iter_mut()
            .filter(|source| !source.queue.is_empty())
            .min_by_key(|source| source.queue.front().map(|queued| queued.end));
        let item = first.and_then(|source| {
            let queued = source.queue.pop_front()?;
            source.ready = false;
            source.exchanges += 1;
            self.counted.read += 1;
            Some(queued.item)
        });
        self.sources = sources;
        filled?;
        Ok(item)
    }

    /// Fills a file's queue, and takes away what leaps ahead of it.
    fn fill(&mut self, source: &mut Source) -> Result<()> {
        while !source.ready {
            while source.queue.len() <= LOOKAHEAD && !source.ended {
                match self.read(source)? {
                    Some(queued) => source.queue.push_back(queued),
                    None => source.ended = true,
                }
            }
            source.ready = true;
            let Some(front) = source.queue.front() else {
                if source.exchanges == 0 {
                    self.counted
                        .files_without_exchanges
                        .push(source.name.clone());
                }
                return Ok(());
            };
            let followers = source.queue.len() - 1;
            let behind = source
                .queue
                .iter()
                .filter(|queued| queued.end.saturating_add(LEAP) < front.end)
                .count();
            if followers < FEWEST_FOLLOWERS || behind * 4 < followers * 3 {
                return Ok(());
            }
            let line = front.line;
            source.ready = false;
            source.queue.pop_front();
            self.refuse(
                &source.name,
                line,
                "ends more than an hour after the lines that follow: is its clock right? Sort the \
                 lines by time, or give each proxy's log as a file of its own",
            )?;
        }
        Ok(())
    }

    /// The next exchange of a file; other lines are counted.
    fn read(&mut self, source: &mut Source) -> Result<Option<Queued>> {
        loop {
            let number = source.lines.number();
            let cannot = || format!("cannot read {} after line {number}", source.name);
            if source.lines.bytes() == 0 {
                let head = source.lines.peek().with_context(cannot)?;
                if let Some(problem) = sniff::no_recording(head) {
                    bail!("{} {problem}", source.name);
                }
                if head.starts_with(sniff::BYTE_ORDER_MARK) {
                    source.lines.skip(sniff::BYTE_ORDER_MARK.len());
                }
            }
            let line = source.lines.next(&mut self.buffer).with_context(cannot)?;
            if line == Line::End {
                return Ok(None);
            }
            let number = source.lines.number();
            self.counted.lines += 1;
            match self.parse(line) {
                Ok(None) => self.counted.blank += 1,
                Ok(Some(Entry::Exchange(record))) => {
                    let end = record.end();
                    let names = [&record.headers, &record.request_headers];
                    let names: usize = names.into_iter().flatten().map(Vec::len).sum();
                    let bytes = size_of::<Record>() + self.buffer.len() + names * HEADER_WEIGHT;
                    let item = Item {
                        record: *record,
                        bytes,
                    };
                    return Ok(Some(Queued {
                        item,
                        end,
                        line: number,
                    }));
                }
                Ok(Some(Entry::Unattributed(reason))) => {
                    self.counted.unattributed += 1;
                    self.counted
                        .first_unattributed
                        .get_or_insert_with(|| refusal(&source.name, number, &reason));
                }
                Err(reason) => self.refuse(&source.name, number, &reason)?,
            }
        }
    }

    fn refuse(&mut self, file: &str, line: u64, reason: &str) -> Result<()> {
        if self.strict {
            bail!("{}", refusal(file, line, reason));
        }
        self.counted.refused += 1;
        if self.counted.first_refusals.len() < SHOWN_REFUSALS {
            self.counted
                .first_refusals
                .push(refusal(file, line, reason));
        }
        Ok(())
    }

    /// The entry in the buffer; `None` for a blank line and for the `-` that Envoy writes where the
    /// filter left no exchange.
    fn parse(&mut self, line: Line) -> Result<Option<Entry>, String> {
        if line == Line::TooLong {
            return Err(too_long(&self.buffer));
        }
        let text = match core::str::from_utf8(&self.buffer) {
            Ok(text) => text.trim_end(),
            Err(error) if error.error_len().is_none() && line == Line::Unended => {
                return Err(format!(
                    "is cut off after {} bytes, in the middle of a character",
                    self.buffer.len()
                ));
            }
            Err(error) => return Err(no_text(&self.buffer, error.valid_up_to())),
        };
        if text.trim_start().is_empty() || text == "-" {
            return Ok(None);
        }
        let format = self
            .format
            .unwrap_or_else(|| match self.envoys_mark.find(text.as_bytes()) {
                Some(_) => Format::Envoy,
                None => Format::Serin,
            });
        Ok(Some(match format {
            Format::Envoy => {
                let entry = envoy::parse(text, self.plan)?;
                if let Entry::Exchange(record) = &entry {
                    self.counted.note_grpc(record);
                }
                entry
            }
            Format::Serin => Entry::Exchange(Box::new(Record::parse(text)?)),
        }))
    }

    /// What became of the lines so far.
    #[must_use]
    pub fn counted(&self) -> &Counted {
        &self.counted
    }

    /// Bytes read so far, and of all files where that is known.
    #[must_use]
    pub fn bytes(&self) -> (u64, Option<u64>) {
        let read = self.sources.iter().map(|source| source.lines.bytes());
        (read.sum(), self.total_bytes)
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
        let lines = match counted.lines {
            1 => "1 line".to_owned(),
            number => format!("{} lines", grouped(number)),
        };
        if let Some(first) = counted.first_refusals.first() {
            bail!("no exchange in {lines}; {first}");
        }
        if let Some(first) = &counted.first_unattributed {
            bail!(
                "no exchange of a known version in {lines}; {first}; list the clusters under \
                 versions.destinations in the file of --config"
            );
        }
        let files = counted.files_without_exchanges.join(", ");
        if counted.lines == 0 {
            bail!("there is no exchange in the input: nothing in {files}");
        }
        bail!(
            "there is no exchange in the input: only {} blank lines in {files}; does the \
             filter's config have `record: true`?",
            counted.blank
        );
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            formatter,
            "{}, line {}: {}",
            self.file, self.line, self.reason
        )
    }
}

fn refusal(file: &str, line: u64, reason: &str) -> Refusal {
    Refusal {
        file: file.to_owned(),
        line,
        reason: reason.chars().take(MAX_REASON).collect(),
    }
}

fn too_long(head: &[u8]) -> String {
    let head: String = String::from_utf8_lossy(head).chars().take(40).collect();
    format!(
        "the line has more than {MAX_LINE_BYTES} bytes (begins with `{head}`); let the log's format \
         cut the path, as in %REQ(:PATH):4096%"
    )
}

fn no_text(line: &[u8], valid: usize) -> String {
    let byte = line.get(valid).copied().unwrap_or_default();
    format!(
        "is no text in UTF-8: byte {byte:#04x} at column {}",
        valid + 1
    )
}
