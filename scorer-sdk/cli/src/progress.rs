//! Progress on the standard error: only on a terminal, and only when it takes more than a moment.

use crate::input::Input;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// How long nothing is shown.
const SILENCE: Duration = Duration::from_secs(2);
/// How many exchanges pass between two looks at the clock.
const EVERY: u64 = 4_096;

/// Shows how far an input has been read.
pub struct Progress {
    terminal: bool,
    begun: Instant,
    seen: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            begun: Instant::now(),
            seen: 0,
            bar: None,
        }
    }

    /// Notes that another exchange was read.
    pub fn step(&mut self, input: &Input<'_>) {
        self.seen += 1;
        if !self.terminal || !self.seen.is_multiple_of(EVERY) || self.begun.elapsed() < SILENCE {
            return;
        }
        let (bytes, total) = input.bytes();
        let bar = self.bar.get_or_insert_with(|| bar(total));
        bar.set_position(bytes);
        bar.set_message(format!(
            "{} lines",
            crate::output::grouped(input.counted().lines)
        ));
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match total {
        Some(_) => "{wide_bar} {bytes}/{total_bytes} {msg}, {eta} left",
        None => "{spinner} {bytes} {msg}",
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
