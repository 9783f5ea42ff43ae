//! A bar on the standard error for what takes more than a moment.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

/// How long nothing is shown.
const SILENCE: Duration = Duration::from_secs(2);

/// A bar that shows itself when it is worth it, and only on a terminal.
pub struct Bar {
    what: &'static str,
    begun: Instant,
    terminal: bool,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Begins now; `what` is counted.
    #[must_use]
    pub fn begin(what: &'static str) -> Self {
        Self {
            what,
            begun: Instant::now(),
            terminal: stderr().is_terminal(),
            bar: None,
        }
    }

    /// Shows how many of how many are done.
    pub fn show(&mut self, done: u64, all: u64) {
        if !self.terminal || self.begun.elapsed() < SILENCE {
            return;
        }
        let what = self.what;
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
            match ProgressStyle::with_template("{wide_bar} {pos} of {len} {msg}, {eta} left") {
                Ok(style) => bar.with_style(style).with_message(what),
                Err(_) => bar,
            }
        });
        bar.set_length(all);
        bar.set_position(done);
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
