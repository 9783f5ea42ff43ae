//! The command `serin`, and the plugin of kubectl that the same file is under another name.

use serin_cli::args::Cli;
use serin_cli::commands::{self, Exit};
use serin_cli::kubectl;
use serin_cli::output::exit_code;
use std::process::ExitCode;

fn main() -> ExitCode {
    let ended = if kubectl::is_named(std::env::args_os().next().as_deref()) {
        kubectl::run(&kubectl::args::Cli::read())
    } else {
        commands::run(&Cli::read())
    };
    exit_code(ended.map(Exit::code))
}
