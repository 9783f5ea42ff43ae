//! `serin man`: a manual page for each command.

use super::Exit;
use crate::args::{self, Cli};
use crate::kubectl;
use anyhow::{Context, Result};
use std::fs;

/// Runs the command.
///
/// # Errors
/// When a page cannot be written.
pub fn run(args: &args::Man) -> Result<Exit> {
    let folder = &args.folder;
    let cannot = || format!("cannot write into {}", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    let whole = Cli::whole().disable_help_subcommand(true);
    clap_mangen::generate_to(whole, folder).with_context(cannot)?;
    let plugin = kubectl::args::Cli::whole().disable_help_subcommand(true);
    clap_mangen::generate_to(plugin, folder).with_context(cannot)?;
    Ok(Exit::Good)
}
