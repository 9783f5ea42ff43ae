//! The command `serin`.

use serin_cli::args::Cli;
use serin_cli::commands::{self, Exit};
use serin_cli::output::exit_code;
use std::process::ExitCode;

fn main() -> ExitCode {
    exit_code(commands::run(&Cli::read()).map(Exit::code))
}
