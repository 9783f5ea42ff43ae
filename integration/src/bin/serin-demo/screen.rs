//! What is shown while the story runs: events that stay, and beneath them a table that is redrawn.
//! Where there is no terminal, the table becomes one line a second.

use std::env;
use std::io::{self, Write};
use std::time::Duration;

use console::{Style, Term, truncate_str};
use tokio::time::Instant;

use crate::table::{self, View};

const REDRAW: Duration = Duration::from_millis(500);
const PLAIN_EVERY: Duration = Duration::from_secs(1);
/// Nobody reads lines that are longer.
const WIDEST: usize = 100;
/// Width for plain output.
const PLAIN_WIDTH: usize = 80;
/// Before the text of an event: the time.
const INDENT: &str = "          ";

/// Where the story is shown.
#[derive(Debug)]
pub(crate) struct Screen {
    kind: Kind,
    begun: Instant,
    last: Option<Instant>,
}

#[derive(Debug)]
enum Kind {
    /// `drawn`: lines of the table that stand on the screen.
    Live {
        term: Term,
        drawn: usize,
    },
    Plain,
}

impl Screen {
    /// The standard output; live if it is a terminal that can be redrawn.
    pub(crate) fn new() -> Self {
        let term = Term::buffered_stdout();
        let (rows, columns) = term.size();
        let wanted = ["NO_COLOR", "CI"]
            .iter()
            .all(|name| env::var_os(name).is_none_or(|value| value.is_empty()));
        let able = term.is_term()
            && env::var_os("TERM").is_some_and(|name| name != "dumb")
            && usize::from(rows) > table::HEIGHT + 3
            && usize::from(columns) >= 60;
        let kind = if wanted && able {
            let _ = term.hide_cursor();
            Kind::Live { term, drawn: 0 }
        } else {
            Kind::Plain
        };
        Self {
            kind,
            begun: Instant::now(),
            last: None,
        }
    }

    /// A line that stays, with the seconds since the start before it.
    pub(crate) fn event(&mut self, text: &str, style: &Style) {
        let time = format!("{:>6.1} s  ", self.begun.elapsed().as_secs_f64());
        let options = textwrap::Options::new(self.width())
            .initial_indent(&time)
            .subsequent_indent(INDENT)
            .break_words(false);
        let lines = textwrap::wrap(text, options);
        let lines: Vec<String> = lines
            .iter()
            .map(|line| self.styled(style, line.as_ref()))
            .collect();
        self.lasting(&lines);
    }

    /// Explains the fields of the table where they have no heading.
    pub(crate) fn legend(&mut self) {
        if matches!(self.kind, Kind::Plain) {
            self.event(table::LINE_LEGEND, &Style::new());
        }
    }

    /// A line of the summary, wrapped beneath its indent.
    pub(crate) fn summary(&mut self, name: &str, text: &str, style: &Style) {
        let indent = " ".repeat(20);
        let options = textwrap::Options::new(self.width().saturating_sub(20)).break_words(false);
        let mut name = self.styled(&Style::new().dim(), &format!("  {name:<18}"));
        let mut lines = Vec::new();
        for line in textwrap::wrap(text, options) {
            lines.push(format!("{name}{}", self.styled(style, line.as_ref())));
            name.clone_from(&indent);
        }
        self.lasting(&lines);
    }

    /// A line for programs: not wrapped, not coloured.
    pub(crate) fn raw(&mut self, text: &str) {
        self.lasting(&[text.to_owned()]);
    }

    /// Shows how things stand, unless that was done a moment ago.
    pub(crate) fn show(&mut self, view: &View) {
        let pause = match self.kind {
            Kind::Live { .. } => REDRAW,
            Kind::Plain => PLAIN_EVERY,
        };
        let now = Instant::now();
        if self
            .last
            .is_some_and(|last| now.duration_since(last) < pause)
        {
            return;
        }
        self.last = Some(now);
        let width = self.width();
        match &mut self.kind {
            Kind::Live { term, drawn } => {
                // The terminal may go away; the story goes on without it.
                let _ = term.clear_last_lines(*drawn);
                let lines = table::lines(view, width);
                *drawn = lines.len();
                for line in lines {
                    let _ = term.write_line(&truncate_str(&line, width, ""));
                }
                let _ = term.flush();
            }
            Kind::Plain => {
                let time = self.begun.elapsed().as_secs_f64();
                plain(&[format!("{time:>6.1} s  {}", table::line(view))]);
            }
        }
    }

    /// Takes the table away, for the summary.
    pub(crate) fn clear(&mut self) {
        if let Kind::Live { term, drawn } = &mut self.kind {
            // Beneath the table stands what the terminal itself echoes, such as ^C.
            let _ = term.clear_line();
            let _ = term.clear_last_lines(*drawn);
            *drawn = 0;
            let _ = term.flush();
        }
    }

    fn lasting(&mut self, lines: &[String]) {
        self.clear();
        match &mut self.kind {
            Kind::Live { term, .. } => {
                for line in lines {
                    let _ = term.write_line(line);
                }
                let _ = term.flush();
                // The table has to come back at once.
                self.last = None;
            }
            Kind::Plain => plain(lines),
        }
    }

    fn styled(&self, style: &Style, text: &str) -> String {
        match self.kind {
            Kind::Live { .. } => style.apply_to(text).to_string(),
            Kind::Plain => text.to_owned(),
        }
    }

    fn width(&self) -> usize {
        match &self.kind {
            Kind::Live { term, .. } => WIDEST.min(usize::from(term.size().1)),
            Kind::Plain => PLAIN_WIDTH,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Kind::Live { term, .. } = &self.kind {
            let _ = term.show_cursor();
            let _ = term.flush();
        }
    }
}

fn plain(lines: &[String]) {
    let mut out = io::stdout().lock();
    for line in lines {
        // A reader that went away is no reason to fail: the exit code still tells.
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}
