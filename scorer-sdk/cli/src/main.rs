//! The command `serin`.

use clap::Parser;
use serin_cli::args::Cli;
use serin_cli::commands;
use serin_cli::output::{BAD, note, plain, styled};
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::run(&Cli::parse()) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            let reader_gone = error.chain().any(|cause| {
                cause
                    .downcast_ref::<io::Error>()
                    .is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
            });
            if !reader_gone {
                let text = format!("{error:#}");
                let lines: Vec<_> = text.lines().map(plain).collect();
                note(&format!("{} {}", styled(BAD, "error:"), lines.join("\n")));
            }
            ExitCode::FAILURE
        }
    }
}
