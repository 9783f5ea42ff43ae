//! The subcommands: one file each, from the arguments to the exit code.

pub mod check_config;
pub mod completions;
pub mod doctor;
pub mod explain;
pub mod man;
pub mod replay;
pub mod report;
pub mod serve_verdict;
pub mod snapshot;
pub mod status;

use crate::args::{Cli, Command};
use crate::input::Counted;
use crate::output::{grouped, plain};
use anyhow::Result;

/// How a command ended, but for errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Exit code 0.
    Good,
    /// What was checked cannot be used: exit code 1.
    Unusable,
    /// A candidate was found anomalous: exit code 10.
    Anomalous,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Unusable => 1,
            Self::Anomalous => 10,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// When an input or a config cannot be used, or a file cannot be read or written.
pub fn run(cli: &Cli) -> Result<Exit> {
    match &cli.command {
        Command::Replay(args) => replay::run(args),
        Command::Snapshot(args) => snapshot::run(args),
        Command::Report(args) => report::run(args),
        Command::Explain(args) => explain::run(args),
        Command::CheckConfig(args) => check_config::run(args),
        Command::Status(args) => status::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::ServeVerdict(args) => serve_verdict::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

/// What became of the lines, for people.
fn counted_text(counted: &Counted) -> String {
    let mut text = format!(
        "read {} of {} lines",
        grouped(counted.read),
        grouped(counted.lines)
    );
    if counted.blank > 0 {
        text.push_str(&format!("\n{} are blank", grouped(counted.blank)));
    }
    if counted.unattributed > 0 {
        text.push_str(&format!(
            "\n{} are of no known version",
            grouped(counted.unattributed)
        ));
        if let Some(first) = &counted.first_unattributed {
            text.push_str(&format!(" ({})", plain(&first.to_string())));
        }
    }
    if counted.refused > 0 {
        text.push_str(&format!("\n{} refused:", grouped(counted.refused)));
        for refusal in &counted.first_refusals {
            text.push_str(&format!("\n  {}", plain(&refusal.to_string())));
        }
        if counted.refused > counted.first_refusals.len() as u64 {
            text.push_str("\n  …");
        }
        if counted.refused > counted.read {
            text.push_str("\nmost lines were refused: what is said here is said of the rest");
        }
    }
    if let Some(warning) = counted.grpc_warning() {
        text.push_str(&format!("\n{warning}"));
    }
    for file in &counted.files_without_exchanges {
        text.push_str(&format!("\nno exchange in {}", plain(file)));
    }
    text.push('\n');
    text
}
