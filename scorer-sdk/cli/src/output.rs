//! Output: colours only where a terminal shows them, no control characters from the data.

pub use scorer_sdk::judge::timing::grouped;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use scorer_sdk::Verdict;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Narrower terminals get lines of this width.
const NARROWEST: usize = 40;

/// Headings.
pub const BOLD: Style = Style::new().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();
/// What is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What is fine.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What may become wrong.
pub const UNSURE: Style = AnsiColor::Yellow.on_default().bold();

/// The colour of a verdict.
#[must_use]
pub fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Learning => BOLD,
        Verdict::Healthy => GOOD,
        Verdict::Suspect => UNSURE,
        Verdict::Anomalous => BAD,
    }
}

/// `text` in a style.
#[must_use]
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// What stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';

/// Whether a character is an order to whoever shows the text, or is not seen: controls, what turns
/// the direction of writing (the text then reads otherwise than it is), ends of lines of their own,
/// and what has no width. The joiners stay, which some scripts need.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text from outside as part of a line: without hidden characters. Recordings, metrics and configs
/// may be anybody's, and a terminal obeys what it is shown.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_hidden) {
        Cow::Owned(text.replace(is_hidden, &HIDDEN.to_string()))
    } else {
        Cow::Borrowed(text)
    }
}

/// A whole output: of hidden characters only ends of lines, tabs and [`styled`]'s styles are left.
/// Everything that is printed goes through here, so that a text that nobody has made [`plain`]
/// commands nothing either.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    let harmless = |character: char| matches!(character, '\n' | '\t') || !is_hidden(character);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let (piece, after) = rest.split_at(style_length(rest).unwrap_or(character.len_utf8()));
        if piece.len() > character.len_utf8() || harmless(character) {
            shown.push_str(piece);
        } else {
            shown.push(HIDDEN);
        }
        rest = after;
    }
    Cow::Owned(shown)
}

/// Length of the style that a text begins with: `ESC [`, numbers, `m`.
fn style_length(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\u{1b}[")?;
    let end = numbers.find(|sign: char| !(sign.is_ascii_digit() || sign == ';'))?;
    numbers.get(end..)?.starts_with('m').then_some(end + 3)
}

/// JSON in which hidden characters are escaped: the same value, and nothing that a terminal obeys.
#[must_use]
pub fn json_text(json: &str) -> Cow<'_, str> {
    let harmless = |character: char| character == '\n' || !is_hidden(character);
    if json.chars().all(harmless) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if harmless(character) {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Cow::Owned(text)
}

/// Prints to the standard output what [`shown`] leaves. That the reader went away is no error: the
/// exit code still tells.
///
/// # Errors
/// When the output cannot be written.
pub fn print(text: &str) -> Result<()> {
    print_screen(&shown(text))
}

/// Prints JSON that is there as text.
///
/// # Errors
/// When the output cannot be written.
pub fn print_json_text(json: &str) -> Result<()> {
    print_screen(&json_text(json))
}

/// As [`print()`], of a text that moves the cursor and is [`shown`] already.
///
/// # Errors
/// When the output cannot be written.
pub fn print_screen(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("cannot write the output"),
    }
}

/// The terminal's width in characters; `None` where the output goes elsewhere, and lines stay whole.
#[must_use]
pub fn width() -> Option<usize> {
    let terminal = console::Term::stdout();
    let (_, columns) = terminal.size_checked()?;
    terminal
        .is_term()
        .then_some(usize::from(columns).max(NARROWEST))
}

/// Prints sentences, wrapped within the terminal.
///
/// # Errors
/// When the output cannot be written.
pub fn print_wrapped(text: &str) -> Result<()> {
    print(&match width() {
        Some(width) => wrapped(text, width),
        None => text.to_owned(),
    })
}

/// `text` in lines of at most `width` characters; what is left of a line stands below its beginning.
/// Lines of a drawn table are left alone.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.lines() {
        let unindented = line.trim_start_matches(' ');
        let indent = " ".repeat(line.len() - unindented.len());
        if textwrap::core::display_width(line) <= width {
            lines.push_str(line);
        } else {
            let below = format!("{indent}  ");
            let options = textwrap::Options::new(width)
                .initial_indent(&indent)
                .subsequent_indent(&below)
                .word_splitter(textwrap::WordSplitter::NoHyphenation)
                .break_words(false);
            lines.push_str(&textwrap::fill(unindented, options));
        }
        lines.push('\n');
    }
    lines
}

/// Prints JSON for programs: indented, the fields in alphabetical order.
///
/// # Errors
/// When the output cannot be written.
pub fn print_json(value: &impl Serialize) -> Result<()> {
    print_json_text(&format!("{:#}\n", serde_json::to_value(value)?))
}

/// Prints JSON as one line, so that a program can read a stream of them.
///
/// # Errors
/// When the output cannot be written.
pub fn print_json_line(value: &impl Serialize) -> Result<()> {
    print_json_text(&format!("{}\n", serde_json::to_value(value)?))
}

/// Prints a note to the standard error.
pub fn note(text: &str) {
    // When not even a note can be written there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{}", shown(text));
}

/// The exit code of a command that ended like this. An error is printed to the standard error, except
/// where the reader of the output went away.
#[must_use]
pub fn exit_code(ended: Result<u8>) -> ExitCode {
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let reader_gone = error.chain().any(|cause| {
                cause
                    .downcast_ref::<io::Error>()
                    .is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_wrapped_below_its_beginning_and_colours_take_no_room() {
        let bold = styled(BOLD, "error");
        let text = format!("  {bold}: one two three four five\nshort\n");
        assert_eq!(
            wrapped(&text, 20),
            format!("  {bold}: one two\n    three four five\nshort\n")
        );
        assert_eq!(
            wrapped("/a/path/without/any/space", 10),
            "/a/path/without/any/space\n"
        );
    }

    #[test]
    fn data_cannot_command_the_terminal() {
        assert_eq!(plain("/a\u{1b}[31m\n"), "/a\u{fffd}[31m\u{fffd}");
        assert!(matches!(plain("/ä"), Cow::Borrowed("/ä")));
        // The end of the name is written first: it would read `shop exe.txt`.
        assert_eq!(plain("shop \u{202e}txt.exe"), "shop \u{fffd}txt.exe");
    }

    #[test]
    fn what_is_printed_has_styles_and_no_other_orders() {
        let good = styled(GOOD, "fine\tand\n");
        assert_eq!(shown(&good), good);
        for (text, expected) in [
            ("a\u{1b}[2Jb", "a\u{fffd}[2Jb"),
            ("a\u{1b}]0;title\u{7}", "a\u{fffd}]0;title\u{fffd}"),
            ("\u{1b}[", "\u{fffd}["),
            ("\u{1b}[31", "\u{fffd}[31"),
            ("\u{9b}31mä\u{2066}\r", "\u{fffd}31mä\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"a\u{202e}": "\u{1b}[2J\u{9b}\u{e0041}ä\n"});
        for json in [format!("{value}"), format!("{value:#}")] {
            let text = json_text(&json);
            assert!(text.chars().all(|sign| sign == '\n' || !is_hidden(sign)));
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read, value);
        }
    }
}
