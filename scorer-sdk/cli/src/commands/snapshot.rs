//! `serin snapshot`: a reference from recorded exchanges.

use super::{Exit, counted_text};
use crate::args;
use crate::config;
use crate::input::Input;
use crate::output;
use crate::progress::Progress;
use crate::snapshot::Snapshot;
use anyhow::{Context, Result, bail};
use std::fs::canonicalize;
use std::sync::Arc;

/// Below this many exchanges, a guard can hardly tell rare from new.
const FEW_EXCHANGES: u64 = 1_000;

/// Runs the command.
///
/// # Errors
/// When an input or a config cannot be used, or the version has to be chosen.
pub fn run(args: &args::Snapshot) -> Result<Exit> {
    let from = &args.recordings;
    if let Some(output) = &args.output {
        spare_the_recordings(output, &from.files)?;
    }
    let plan = Arc::new(config::plan(from.config.as_deref())?);
    let mut input = Input::open(&from.files, &plan, from.format, from.strict)?;
    let mut snapshot = Snapshot::new(
        Arc::clone(&plan),
        args.destination.clone(),
        args.version.clone(),
    );
    let mut progress = Progress::begin();
    while let Some(item) = input.next_item()? {
        snapshot.push(item.record)?;
        progress.step(&input);
    }
    progress.end();
    input.require_exchanges()?;
    let reference = snapshot.finish()?;
    let text = serde_json::to_string(&reference).context("cannot write the snapshot")? + "\n";
    match &args.output {
        Some(path) => {
            std::fs::write(path, &*output::json_text(&text))
                .with_context(|| format!("cannot write {path}"))?;
        }
        None => output::print_json_text(&text)?,
    }
    let counted = input.counted();
    if counted.read < counted.lines || !counted.files_without_exchanges.is_empty() {
        output::note(counted_text(counted).trim_end());
    }
    if reference.exchanges < FEW_EXCHANGES {
        output::note(&format!(
            "made from {} exchanges only: record {} or more, so that a guard can tell rare from new",
            reference.exchanges,
            output::grouped(FEW_EXCHANGES)
        ));
    }
    Ok(Exit::Good)
}

/// Fails when the output would be written over a recording.
fn spare_the_recordings(output: &str, files: &[String]) -> Result<()> {
    let Ok(output) = canonicalize(output) else {
        return Ok(());
    };
    for file in files {
        if canonicalize(file).is_ok_and(|file| file == output) {
            bail!("--output {file} is the recording itself: name another file");
        }
    }
    Ok(())
}
