//! `serin doctor`: what is wrong with an installation, and the repair.

use super::Exit;
use crate::args;
use crate::doctor::gather::gather;
use crate::doctor::{Finding, State, checks};
use crate::fetch::{Access, Fetcher};
use crate::output::{self, BAD, BOLD, DIM, GOOD, UNSURE, plain, styled};
use anyhow::{Context, Result};
use serde::Serialize;

/// Runs the command.
///
/// # Errors
/// When the URL cannot be used or nothing that is known answers there, or the output cannot be
/// written.
pub fn run(args: &args::Doctor) -> Result<Exit> {
    let facts = gather(&args.url, args.prometheus, &Fetcher::new(&args.access)?)?;
    let findings = checks::run(&facts);
    if args.view.json {
        output::print_json(&Report::new(None, &findings))?;
    } else {
        output::print_wrapped(&text(&findings))?;
    }
    Ok(exit(&findings, args.view))
}

/// Runs the checks on the proxies of several pods, given as names and URLs, and names the pod with
/// each.
///
/// # Errors
/// As [`run`], for the first proxy of which that is so.
pub fn run_in_pods<'a>(
    proxies: impl Iterator<Item = (&'a str, &'a str)>,
    view: args::DoctorView,
) -> Result<Exit> {
    let fetcher = Fetcher::new(&Access::default())?;
    let mut examined = Vec::new();
    for (pod, url) in proxies {
        let facts = gather(url, false, &fetcher).with_context(|| pod.to_owned())?;
        examined.push((pod, checks::run(&facts)));
    }
    if view.json {
        let pods = examined.iter();
        let pods = pods.map(|(pod, findings)| Report::new(Some(*pod), findings));
        output::print_json(&Pods {
            pods: pods.collect(),
        })?;
    } else {
        let texts = examined
            .iter()
            .map(|(pod, findings)| format!("{}\n{}", styled(BOLD, pod), text(findings)));
        output::print_wrapped(&texts.collect::<Vec<_>>().join("\n"))?;
    }
    let mut exits = examined.iter().map(|(_, findings)| exit(findings, view));
    Ok(exits.find(|exit| *exit != Exit::Good).unwrap_or(Exit::Good))
}

/// Whether a check is as bad as the command line says.
fn exit(findings: &[Finding], view: args::DoctorView) -> Exit {
    let bad = if view.strict {
        State::Warn
    } else {
        State::Fail
    };
    let found = findings.iter().any(|finding| finding.state >= bad);
    if found { Exit::Unusable } else { Exit::Good }
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

/// What `--json` prints of the proxies of several pods.
#[derive(Serialize)]
struct Pods<'a> {
    pods: Vec<Report<'a>>,
}

/// What `--json` prints of one proxy.
#[derive(Serialize)]
struct Report<'a> {
    /// Whose checks these are, where several pods were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    /// The worst state of all checks.
    state: State,
    checks: &'a [Finding],
}

impl<'a> Report<'a> {
    fn new(pod: Option<&'a str>, checks: &'a [Finding]) -> Self {
        let worst = checks.iter().map(|finding| finding.state).max();
        Self {
            pod,
            state: worst.unwrap_or_default(),
            checks,
        }
    }
}
