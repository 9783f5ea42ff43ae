//! How verdicts look in a terminal.

use console::Style;
use scorer_sdk::judge::verdict::Verdict;

/// The colour of a verdict.
pub(crate) fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Learning => Style::new(),
        Verdict::Healthy => Style::new().green().bold(),
        Verdict::Suspect => Style::new().yellow().bold(),
        Verdict::Anomalous => Style::new().red().bold(),
    }
}
