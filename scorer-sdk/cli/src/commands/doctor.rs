//! `serin doctor`: what is wrong with an installation, and the repair.

use super::Exit;
use crate::args;
use crate::doctor::gather::gather;
use crate::doctor::{Finding, State, checks};
use crate::fetch::Fetcher;
use crate::output::{self, BAD, DIM, GOOD, UNSURE, plain, styled};
use anyhow::Result;
use serde::Serialize;

/// Runs the command.
///
/// # Errors
/// When the URL cannot be used or nothing that is known answers there, or the output cannot be
/// written.
pub fn run(args: &args::Doctor) -> Result<Exit> {
    let facts = gather(&args.url, args.prometheus, &Fetcher::new(&args.access)?)?;
    let findings = checks::run(&facts);
    if args.json {
        output::print_json(&Report::new(&findings))?;
    } else {
        output::print_wrapped(&text(&findings))?;
    }
    let bad = if args.strict {
        State::Warn
    } else {
        State::Fail
    };
    let found = findings.iter().any(|finding| finding.state >= bad);
    Ok(if found { Exit::Unusable } else { Exit::Good })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    let wide = findings
        .iter()
        .map(|finding| finding.check.len())
        .max()
        .unwrap_or(0);
    for finding in findings {
        let style = match finding.state {
            State::Ok => GOOD,
            State::Warn => UNSURE,
            State::Fail => BAD,
        };
        text.push_str(&format!(
            "{}  {:wide$}  {}\n",
            styled(style, &format!("{:4}", finding.state.name())),
            finding.check,
            plain(&finding.text)
        ));
        if !finding.repair.is_empty() {
            let repair = format!("      {:wide$}  repair: {}", "", plain(&finding.repair));
            text.push_str(&styled(DIM, &repair));
            text.push('\n');
        }
    }
    text
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// The worst state of all checks.
    state: State,
    checks: &'a [Finding],
}

impl<'a> Report<'a> {
    fn new(checks: &'a [Finding]) -> Self {
        let worst = checks.iter().map(|finding| finding.state).max();
        Self {
            state: worst.unwrap_or_default(),
            checks,
        }
    }
}
