//! `serin completions`: what a shell needs to complete words.

use super::Exit;
use crate::args::{self, Cli};
use crate::output;
use anyhow::{Context, Result};

/// Runs the command.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &args::Completions) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::whole(), "serin", &mut script);
    let script = String::from_utf8(script).context("the script is no text")?;
    output::print(&script)?;
    Ok(Exit::Good)
}
