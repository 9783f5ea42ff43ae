//! `make demo`: a canary release that goes wrong behind a real Envoy, and what the filter does.

mod args;
mod filter;
mod scene;
mod screen;
mod story;
mod style;
mod summary;
mod table;
mod window;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use args::Args;
use screen::Screen;

/// As a shell reports a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut screen = Screen::new();
    // Dropping the story ends Envoy, the shops and the load.
    let ended = tokio::select! {
        ended = story::play(&args, &mut screen) => Some(ended),
        _ = asked_to_leave() => None,
    };
    let Some(ended) = ended else {
        screen.clear();
        return ExitCode::from(INTERRUPTED);
    };
    match ended {
        Ok(outcome) => {
            outcome.show(&args, &mut screen);
            if outcome.is_right(&args) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            screen.clear();
            drop(screen);
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn asked_to_leave() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
