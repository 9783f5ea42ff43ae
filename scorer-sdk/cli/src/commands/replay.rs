//! `serin replay`: verdicts on recorded exchanges.

use super::{Exit, counted_json, counted_text};
use crate::args;
use crate::config;
use crate::input::{Counted, Input};
use crate::output::{self, BOLD, DIM, grouped, plain, styled, verdict_style};
use crate::progress::Progress;
use crate::replay::{Found, Replay, Watch, seconds_until_verdict};
use crate::report::terminal::to_terminal;
use crate::surprise::Surprise;
use anyhow::{Context, Result};
use scorer_sdk::judge::verdict::{Difference, Rate, Reason};
use scorer_sdk::{Decision, Plan, Verdict};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// Runs the command.
///
/// # Errors
/// When an input or a config cannot be used.
pub fn run(args: &args::Replay) -> Result<Exit> {
    let from = &args.recordings;
    let plan = Arc::new(config::plan(from.config.as_deref())?);
    let mut input = Input::open(&from.files, &plan, from.format, from.strict)?;
    if args.surprise {
        return surprise(args, Arc::clone(&plan), &mut input);
    }
    let mut replay = Replay::new(Arc::clone(&plan), args.every.then(print_each));
    let mut progress = Progress::begin();
    while let Some(item) = input.next_item()? {
        replay
            .push(item.record, item.bytes)
            .context("cannot write the output")?;
        progress.step(&input);
    }
    progress.end();
    input.require_exchanges()?;
    let found = replay.finish().context("cannot write the output")?;
    if args.every {
        output::print(&format!("{}\n", report_json(&found, input.counted())))?;
    } else if args.json {
        output::print_json(&report_json(&found, input.counted()))?;
    } else {
        output::print(&report_text(&found, input.counted()))?;
    }
    Ok(if found.is_anomalous() {
        Exit::Anomalous
    } else {
        Exit::Good
    })
}

/// Ranks the strangest exchanges.
fn surprise(args: &args::Replay, plan: Arc<Plan>, input: &mut Input<'_>) -> Result<Exit> {
    let mut surprise = Surprise::new(plan, args.top);
    let mut progress = Progress::begin();
    while let Some(item) = input.next_item()? {
        surprise.push(&item.record);
        progress.step(input);
    }
    progress.end();
    input.require_exchanges()?;
    let found = surprise.finish();
    if args.json {
        let mut value = found.json();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("input".to_owned(), counted_json(input.counted()));
        }
        output::print_json(&value)?;
    } else {
        output::print(&to_terminal(&found.document()))?;
        output::print(&counted_text(input.counted()))?;
    }
    Ok(Exit::Good)
}

/// Prints a line for each destination that has a candidate, at each tick.
fn print_each<'a>() -> Watch<'a> {
    let mut out = io::BufWriter::new(io::stdout());
    Box::new(move |now: Duration, decisions: &[Decision]| {
        for decision in decisions
            .iter()
            .filter(|decision| !decision.candidate.is_empty())
        {
            let line = json!({
                "time": now.as_secs_f64(),
                "destination": decision.destination,
                "candidate": decision.candidate,
                "verdict": decision.verdict.name(),
                "evidence": decision.evidence,
                "threshold": decision.threshold,
                "change_evidence": decision.change_evidence,
                "candidate_exchanges": decision.candidate_exchanges,
                "judged_exchanges": decision.judged_exchanges,
            });
            writeln!(out, "{line}")?;
        }
        out.flush()
    })
}

fn rate_json(rate: Rate) -> Value {
    json!({"inside": rate.inside, "total": rate.total})
}

fn reason_json(reason: &Reason, decision: &Decision) -> Value {
    json!({
        "route": reason.route.label(),
        "category": reason.category,
        "meaning": reason.meaning,
        "detail": reason.detail,
        "evidence": reason.evidence,
        "candidate": rate_json(reason.candidate),
        "baseline": rate_json(reason.baseline),
        "odds_ratio": reason.odds_ratio,
        "odds_ratio_lower": reason.interval.lower,
        "odds_ratio_upper": reason.interval.upper,
        "sentence": reason.sentence(&decision.candidate, &decision.baseline),
    })
}

fn difference_json(difference: &Difference) -> Value {
    json!({
        "route": difference.route.label(),
        "signal": difference.signal,
        "evidence": difference.evidence,
        "distance": difference.distance,
        "detail": difference.detail,
    })
}

fn decision_json(decision: &Decision) -> Value {
    let reasons: Vec<Value> = decision
        .reasons
        .iter()
        .map(|reason| reason_json(reason, decision))
        .collect();
    let differences: Vec<Value> = decision.differences.iter().map(difference_json).collect();
    json!({
        "verdict": decision.verdict.name(),
        "destination": decision.destination,
        "baseline": decision.baseline,
        "candidate": decision.candidate,
        "evidence": decision.evidence,
        "threshold": decision.threshold,
        "change_evidence": decision.change_evidence,
        "baseline_exchanges": decision.baseline_exchanges,
        "candidate_exchanges": decision.candidate_exchanges,
        "judged_exchanges": decision.judged_exchanges,
        "exchanges_at_verdict": decision.exchanges_at_verdict,
        "seconds": seconds_until_verdict(decision),
        "explanation": decision.explanation(),
        "cause": decision.shared_change.cause.name(),
        "drift": decision.shared_change.sentence,
        "reasons": reasons,
        "differences": differences,
    })
}

fn report_json(found: &Found, counted: &Counted) -> Value {
    let mut report = counted_json(counted);
    if let Some(report) = report.as_object_mut() {
        let list =
            |decisions: &[Decision]| Value::Array(decisions.iter().map(decision_json).collect());
        let overflow: serde_json::Map<String, Value> = found
            .overflow
            .items()
            .into_iter()
            .map(|(name, count)| (name.to_owned(), count.into()))
            .collect();
        report.insert("decisions".to_owned(), list(&found.decisions));
        report.insert("earlier".to_owned(), list(&found.earlier));
        report.insert("late".to_owned(), found.late.into());
        report.insert("ticks".to_owned(), found.ticks.into());
        report.insert("overflow".to_owned(), overflow.into());
    }
    report
}

fn decision_text(text: &mut String, decision: &Decision) {
    let destination = styled(BOLD, &plain(&decision.destination));
    let verdict = styled(verdict_style(decision.verdict), decision.verdict.name());
    if decision.candidate.is_empty() {
        let why = match decision.baseline.as_str() {
            "" => "too few requests to say which version was there first".to_owned(),
            baseline => format!("only one version has been seen: {}", plain(baseline)),
        };
        let _ = writeln!(text, "{destination}: {verdict}\n  {why}");
        return;
    }
    let (candidate, baseline) = (plain(&decision.candidate), plain(&decision.baseline));
    let _ = write!(
        text,
        "{destination}: {candidate} is {verdict} beside {baseline}"
    );
    if let Some(seconds) = seconds_until_verdict(decision) {
        let _ = write!(
            text,
            ", after {} requests and {seconds:.1} s",
            grouped(decision.exchanges_at_verdict)
        );
    }
    let _ = writeln!(text, "\n  {}", plain(&decision.explanation()));
    let _ = writeln!(
        text,
        "  evidence {:.2} of {:.2} nats; requests: {} of {candidate} ({} judged), {} of {baseline}",
        decision.evidence,
        decision.threshold,
        grouped(decision.candidate_exchanges),
        grouped(decision.judged_exchanges),
        grouped(decision.baseline_exchanges),
    );
    if !decision.shared_change.sentence.is_empty() {
        let _ = writeln!(text, "  drift: {}", plain(&decision.shared_change.sentence));
    }
    if !decision.reasons.is_empty() {
        let _ = writeln!(text, "  reasons");
    }
    for reason in &decision.reasons {
        let sentence = reason.sentence(&decision.candidate, &decision.baseline);
        let category = styled(BOLD, reason.category);
        let evidence = styled(DIM, &format!("[evidence {:.1}]", reason.evidence));
        let _ = writeln!(text, "    {category}: {} {evidence}", plain(&sentence));
    }
    if !decision.differences.is_empty() {
        let _ = writeln!(text, "  differences, for better or worse");
    }
    for difference in &decision.differences {
        let route = difference.route.label();
        let signal = styled(BOLD, difference.signal);
        let evidence = styled(DIM, &format!("[evidence {:.1}]", difference.evidence));
        let _ = writeln!(
            text,
            "    {signal}: {} differs in {:.0}% of its answers {evidence}",
            plain(&route),
            100.0 * difference.distance
        );
        if !difference.detail.is_empty() {
            let _ = writeln!(text, "      {}", plain(&difference.detail));
        }
    }
}

fn report_text(found: &Found, counted: &Counted) -> String {
    let mut text = String::new();
    for decision in &found.decisions {
        decision_text(&mut text, decision);
        text.push('\n');
    }
    if !found.earlier.is_empty() {
        text.push_str("earlier rollouts\n\n");
    }
    for decision in found
        .earlier
        .iter()
        .filter(|old| old.verdict == Verdict::Anomalous)
    {
        decision_text(&mut text, decision);
        text.push('\n');
    }
    text.push_str(&counted_text(counted));
    if found.late > 0 {
        let _ = writeln!(
            text,
            "{} came more than a minute out of order and were counted late: sort the lines by time, or \
             give each proxy's log as a file of its own",
            grouped(found.late)
        );
    }
    let lost: Vec<String> = found
        .overflow
        .items()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{name} {}", grouped(count)))
        .collect();
    if !lost.is_empty() {
        let _ = writeln!(text, "beyond the bounds of a table: {}", lost.join(", "));
    }
    text
}
