//! The command `serin-eval`.

use clap::Parser;
use serin_cli::output::exit_code;
use serin_eval::{args::Eval, commands};
use std::process::ExitCode;

fn main() -> ExitCode {
    exit_code(commands::run(&Eval::parse()))
}
