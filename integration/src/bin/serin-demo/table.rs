//! The table: one moment of the story as lines of text.

use std::time::Duration;

use console::{Style, style};

use crate::filter::Opinion;
use crate::style::verdict_style;
use crate::window::{Losses, Row};

/// Lines of [`lines`].
pub(crate) const HEIGHT: usize = 10;
/// Failures beyond this part of a version's answers are marked.
const MANY_FAILURES: f64 = 0.02;
const LABEL: usize = 12;

/// One moment of the story.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// The stable version's answers.
    pub(crate) stable: Row,
    /// The canary's answers.
    pub(crate) canary: Row,
    /// Requests per second that no version answered.
    pub(crate) unanswered: f64,
    /// What the filter thinks.
    pub(crate) opinion: Opinion,
    /// Part of the requests that the filter steers, 0 to 1.
    pub(crate) steered: f64,
    /// What users lost since the change.
    pub(crate) losses: Losses,
    /// What is going on, and for how long.
    pub(crate) phase: String,
}

/// The table for a terminal of `width` columns.
pub(crate) fn lines(view: &View, width: usize) -> Vec<String> {
    let Opinion {
        verdict,
        evidence,
        threshold,
        judged,
        strongest,
        ..
    } = &view.opinion;
    let dim = Style::new().dim();
    let verdict_style = verdict_style(*verdict);
    let heading = format!(
        "  {:LABEL$}{:>10}  {:>7}  {:>7}  {:>9}  {:>9}",
        "", "requests/s", "share", "failed", "p50", "p95"
    );
    let lost = format!("{:>10.1}", view.unanswered);
    let lost = if view.unanswered > 0.0 {
        style(lost).red().bold().to_string()
    } else {
        lost
    };
    let numbers = format!("  {} (needs {})", one_in(*evidence), enough(*threshold));
    let bar = bar(
        *evidence,
        *threshold,
        width.saturating_sub(LABEL + 28).min(48),
    );
    let strongest = match strongest {
        Some((route, category, evidence)) => format!("{route}  {category}  {}", one_in(*evidence)),
        None => "nothing yet".to_owned(),
    };
    vec![
        String::new(),
        dim.apply_to(heading).to_string(),
        version("v1 stable", &view.stable),
        version("v2 canary", &view.canary),
        format!("  {:LABEL$}{lost}", "no answer"),
        format!(
            "  {:LABEL$}{}{numbers}",
            "evidence",
            verdict_style.apply_to(bar)
        ),
        format!("  {:LABEL$}{strongest}", "strongest"),
        format!(
            "  {:LABEL$}{}   judged {judged}   steered {}   lost {}",
            "verdict",
            verdict_style.apply_to(format!("{:<9}", verdict.name())),
            percent(view.steered, 0),
            view.losses.since_change,
        ),
        String::new(),
        format!("  {}", dim.apply_to(&view.phase)),
    ]
}

/// What the fields of [`line()`] are, for the reader of plain lines.
pub(crate) const LINE_LEGEND: &str = "each second, over the last two: requests/s, failed and \
    p50/p95 in ms of v1 and v2; verdict; one false alarm in how many rollouts, of how many needed; share steered; lost since the change";

/// Evidence in nats as people read it: one false alarm in so many rollouts. More than a million fit no
/// column.
fn one_in(nats: f64) -> String {
    match rollouts(nats) {
        ..2 => "none".to_owned(),
        rollouts => format!("1 in {rollouts}"),
    }
}

fn rollouts(nats: f64) -> u64 {
    nats.exp().min(1e6) as u64
}

/// What a verdict needs. The metric has whole thousandths of a nat.
fn enough(nats: f64) -> u64 {
    nats.exp().min(1e6).round() as u64
}

/// The same in one line of at most 80 columns, for output that is no terminal.
pub(crate) fn line(view: &View) -> String {
    let version = |row: &Row| {
        let failed = row.failed.map_or("-".to_owned(), |part| percent(part, 1));
        let times = row.latency.map_or("-".to_owned(), |(p50, p95)| {
            format!("{}/{}", p50.as_millis(), p95.as_millis())
        });
        format!("{:>3.0}/s {failed:>5} {times:>5}", row.rate)
    };
    format!(
        "v1 {:<17} v2 {:<17} {:<9} {}/{} {:>4} {:>3}",
        version(&view.stable),
        version(&view.canary),
        view.opinion.verdict.name(),
        rollouts(view.opinion.evidence),
        enough(view.opinion.threshold),
        percent(view.steered, 0),
        view.losses.since_change,
    )
}

fn version(name: &str, row: &Row) -> String {
    let failed = row.failed.map_or("-".to_owned(), |part| percent(part, 1));
    let failed = format!("{failed:>7}");
    let failed = if row.failed.is_some_and(|part| part > MANY_FAILURES) {
        style(failed).red().bold().to_string()
    } else {
        failed
    };
    let time = |time: Option<Duration>| {
        time.map_or("-".to_owned(), |time| {
            format!("{:.0} ms", time.as_secs_f64() * 1e3)
        })
    };
    let (p50, p95) = row.latency.unzip();
    format!(
        "  {name:LABEL$}{:>10.1}  {:>7}  {failed}  {:>9}  {:>9}",
        row.rate,
        percent(row.share, 0),
        time(p50),
        time(p95),
    )
}

/// A bar that is full when the evidence is enough.
fn bar(evidence: f64, threshold: f64, width: usize) -> String {
    let part = if threshold > 0.0 {
        (evidence / threshold).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let full = (part * width as f64).round() as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(width - full))
}

/// A part, 0 to 1, as per cent.
pub(crate) fn percent(part: f64, digits: usize) -> String {
    format!("{:.digits$}%", 100.0 * part)
}

#[cfg(test)]
mod tests {
    use console::{measure_text_width, strip_ansi_codes};

    use super::*;

    fn busy_view() -> View {
        let row = Row {
            rate: 904.5,
            share: 0.75,
            failed: Some(0.081),
            latency: Some((Duration::from_millis(12), Duration::from_millis(1_945))),
        };
        let opinion = Opinion {
            evidence: 2.3,
            threshold: 4.6,
            judged: 12_345,
            ..Opinion::default()
        };
        View {
            stable: row.clone(),
            canary: row,
            unanswered: 12.5,
            opinion,
            steered: 1.0,
            losses: Losses::default(),
            phase: "waiting".to_owned(),
        }
    }

    #[test]
    fn the_table_fits_eighty_columns_and_has_its_height() {
        let lines = lines(&busy_view(), 80);
        assert_eq!(lines.len(), HEIGHT);
        for line in lines {
            assert!(
                measure_text_width(&line) < 80,
                "{}",
                strip_ansi_codes(&line)
            );
        }
    }

    #[test]
    fn the_bar_is_full_when_the_evidence_is_enough() {
        assert_eq!(bar(0.0, 4.6, 4), "░░░░");
        assert_eq!(bar(2.3, 4.6, 4), "██░░");
        assert_eq!(bar(99.0, 4.6, 4), "████");
        assert_eq!(bar(1.0, 0.0, 4), "░░░░");
    }
}
