//! `serin report`: one page for a browser.

use super::Exit;
use crate::args;
use crate::config::{self, read_file};
use crate::fetch::Fetcher;
use crate::input::Input;
use crate::output;
use crate::report::page::{self, Section};
use crate::report::{document, live, recording, scrape};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read, stdin, stdout};
use std::path::Path;
use std::sync::Arc;

/// Bytes of a file that tell what it is.
const LOOKED_AT: u64 = 64 << 10;

/// Runs the command.
///
/// # Errors
/// When an input or a config cannot be used, a proxy not be reached, or the page not be written.
pub fn run(args: &args::Report) -> Result<Exit> {
    if args.output.is_none() && stdout().is_terminal() {
        bail!("a page is not for a terminal: name a file with -o report.html, or redirect");
    }
    if let Some(path) = &args.output {
        can_be_written(path)?;
    }
    let sections = match &args.scrape {
        Some(url) => from_proxy(url, args)?,
        None => from_files(args)?,
    };
    let name = match sections.first() {
        Some(first) => format!("{} · Serin", first.name),
        None => "Serin".to_owned(),
    };
    write(args, &page::page(&name, &command(args), &sections))?;
    Ok(Exit::Good)
}

fn from_proxy(url: &str, args: &args::Report) -> Result<Vec<Section>> {
    let fetcher = Fetcher::new(&args.access)?;
    let time = args.look;
    // Hidden where the standard error is no terminal.
    let bar = ProgressBar::new(time.as_secs());
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} s") {
        bar.set_style(style);
    }
    let seen = scrape::watch(&fetcher, url, time, &mut |passed| {
        bar.set_position(passed.as_secs());
    });
    bar.finish_and_clear();
    Ok(live::sections(&seen?, url))
}

fn from_files(args: &args::Report) -> Result<Vec<Section>> {
    let mut recordings = Vec::new();
    let mut documents = Vec::new();
    for file in &args.files {
        if args.format.is_none() && is_document(&beginning(file)?) {
            documents.push(file);
        } else {
            recordings.push(file.clone());
        }
    }
    let mut sections = Vec::new();
    if !recordings.is_empty() {
        let plan = Arc::new(config::plan(args.config.as_deref())?);
        let mut input = Input::open(&recordings, &plan, args.format, args.strict)?;
        sections = recording::sections(&recording::read(&plan, &mut input)?);
    }
    for (index, file) in documents.into_iter().enumerate() {
        let found = document::find(&read_file(file)?).with_context(|| file.clone())?;
        let id = format!("document-{}", index + 1);
        sections.push(Section {
            body: document::section(&found, &id),
            name: found.title,
            id,
        });
    }
    Ok(sections)
}

/// The first bytes of a file; those of the standard input stay there to be read. A pipe gives its
/// bytes once, so that nothing is taken of it: it is a recording.
fn beginning(file: &str) -> Result<Vec<u8>> {
    if file == "-" {
        let mut input = stdin().lock();
        let bytes = input.fill_buf().context("cannot read the standard input")?;
        return Ok(bytes.to_vec());
    }
    let facts = std::fs::metadata(file).with_context(|| format!("cannot open {file}"))?;
    if !facts.is_file() {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    let open = File::open(file).with_context(|| format!("cannot open {file}"))?;
    BufReader::new(open)
        .take(LOOKED_AT)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {file}"))?;
    Ok(bytes)
}

/// Whether this is the beginning of a document and not of a recording. A recording has a whole
/// object in each line, with a field that begins with `start`.
fn is_document(beginning: &[u8]) -> bool {
    let text = String::from_utf8_lossy(beginning);
    let line = text.trim_start().lines().next().unwrap_or_default().trim();
    if !line.starts_with('{') {
        return false;
    }
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(value) => ["document", "tables", "plots", "decisions"]
            .iter()
            .any(|name| value.get(name).is_some()),
        // An object over several lines, or a line longer than what was looked at.
        Err(_) => line == "{" || line.contains("\"document\"") || line.contains("\"tables\""),
    }
}

/// The command line that makes the page again, but for where it is written.
fn command(args: &args::Report) -> String {
    let mut words = vec!["serin report".to_owned()];
    if let Some(url) = &args.scrape {
        words.push(format!(
            "--scrape {url} --for {}",
            humantime::format_duration(args.look)
        ));
        words.extend(args.access.shown());
    }
    if let Some(config) = &args.config {
        words.push(format!("--config {config}"));
    }
    if let Some(format) = args.format.and_then(|format| format.to_possible_value()) {
        words.push(format!("--format {}", format.get_name()));
    }
    if args.strict {
        words.push("--strict".to_owned());
    }
    words.extend(args.files.iter().cloned());
    words.join(" ")
}

/// Finds a wrong path before a proxy was looked at for an hour.
fn can_be_written(path: &str) -> Result<()> {
    let path = Path::new(path);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!(
            "cannot write {}: there is no folder {}",
            path.display(),
            folder.display()
        );
    }
    if path.is_dir() {
        bail!("cannot write {}: it is a folder", path.display());
    }
    Ok(())
}

fn write(args: &args::Report, page: &str) -> Result<()> {
    match &args.output {
        Some(path) => std::fs::write(path, &*output::shown(page))
            .with_context(|| format!("cannot write {path}")),
        None => output::print(page),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_from_recordings() {
        for text in [
            "{\n  \"document\": {}\n}",
            r#"{"document": {"title": "Rates"}}"#,
            r#"{"tables": []}"#,
            r#"{"alpha": 0.01, "document": {"title": "cut o"#,
            r#"{"decisions": []}"#,
        ] {
            assert!(is_document(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "nonsense",
            r#"{"start": 1, "path": "/document"}"#,
            "{\"start_time\": \"x\"}\n{\"document\": 1}",
            "\n\n{\"start\": 1}\n",
        ] {
            assert!(!is_document(text.as_bytes()), "{text}");
        }
    }
}
