//! `serin replay`: verdicts on recorded exchanges.

use super::{Exit, counted_text};
use crate::args;
use crate::config;
use crate::found::When;
use crate::input::{Counted, Input};
use crate::number::{of_enough, one_in};
use crate::output::{self, BOLD, DIM, grouped, plain, styled, verdict_style};
use crate::progress::Progress;
use crate::replay::{self, Replay, Watch, seconds_until_verdict};
use crate::report::terminal::to_terminal;
use crate::surprise::{self, Surprise};
use anyhow::{Context, Result};
use scorer_sdk::count::delta::Overflow;
use scorer_sdk::drift::Cause;
use scorer_sdk::judge::verdict::{Difference, Found, PastFinding, Reason, Silence};
use scorer_sdk::{Decision, Plan, Verdict};
use serde::Serialize;
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
        return rank(args, Arc::clone(&plan), &mut input);
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
        output::print_json_line(&Report::new(&found, input.counted()))?;
    } else if args.json {
        output::print_json(&Report::new(&found, input.counted()))?;
    } else {
        output::print_wrapped(&report_text(&found, input.counted(), from, &plan))?;
    }
    Ok(if found.is_anomalous() {
        Exit::Anomalous
    } else {
        Exit::Good
    })
}

/// What `--surprise --json` prints.
#[derive(Serialize)]
struct SurpriseReport<'a> {
    #[serde(flatten)]
    found: &'a surprise::Found,
    input: &'a Counted,
}

/// Ranks the strangest exchanges.
fn rank(args: &args::Replay, plan: Arc<Plan>, input: &mut Input<'_>) -> Result<Exit> {
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
        output::print_json(&SurpriseReport {
            found: &found,
            input: input.counted(),
        })?;
    } else {
        output::print(&to_terminal(&found.document()))?;
        output::print_wrapped(&counted_text(input.counted()))?;
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
            let line = serde_json::to_value(AtTick {
                time: now.as_secs_f64(),
                standing: Standing::new(decision),
            })?;
            writeln!(out, "{}", output::json_text(&line.to_string()))?;
        }
        out.flush()
    })
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    input: &'a Counted,
    decisions: Vec<ShownDecision<'a>>,
    earlier: Vec<ShownDecision<'a>>,
    late: u64,
    ticks: u64,
    overflow: Overflow,
    before_baseline: u64,
    not_recorded: &'a [&'static str],
}

/// What `--json` prints of a decision.
#[derive(Serialize)]
struct ShownDecision<'a> {
    #[serde(flatten)]
    standing: Standing<'a>,
    baseline: &'a str,
    baseline_exchanges: u64,
    exchanges_at_verdict: u64,
    seconds: Option<f64>,
    /// Seconds since the Unix epoch.
    verdict_time: Option<f64>,
    /// Seconds since the Unix epoch.
    onset_time: Option<f64>,
    seconds_from_onset: Option<f64>,
    found: Option<&'a Found>,
    explanation: String,
    cause: Cause,
    drift: &'a str,
    reasons: Vec<ShownReason<'a>>,
    differences: &'a [Difference],
    against_past: &'a [PastFinding],
    silent: &'a [Silence],
}

/// Where a rollout stands at some time.
#[derive(Serialize)]
struct Standing<'a> {
    destination: &'a str,
    candidate: &'a str,
    verdict: Verdict,
    evidence: f64,
    threshold: f64,
    change_evidence: f64,
    candidate_exchanges: u64,
    judged_exchanges: u64,
}

/// A reason with its sentence, for which it needs the names of the versions.
#[derive(Serialize)]
struct ShownReason<'a> {
    #[serde(flatten)]
    reason: &'a Reason,
    sentence: String,
}

/// What `--every` prints of a destination at a tick; `time` is in seconds since the Unix epoch.
#[derive(Serialize)]
struct AtTick<'a> {
    time: f64,
    #[serde(flatten)]
    standing: Standing<'a>,
}

impl<'a> Report<'a> {
    fn new(found: &'a replay::Found, input: &'a Counted) -> Self {
        Self {
            input,
            decisions: found.decisions.iter().map(ShownDecision::new).collect(),
            earlier: found.earlier.iter().map(ShownDecision::new).collect(),
            late: found.late,
            ticks: found.ticks,
            overflow: found.overflow,
            before_baseline: found.before_baseline,
            not_recorded: &found.not_recorded,
        }
    }
}

impl<'a> ShownDecision<'a> {
    fn new(decision: &'a Decision) -> Self {
        let found = decision.found.as_ref();
        Self {
            standing: Standing::new(decision),
            baseline: &decision.baseline,
            baseline_exchanges: decision.baseline_exchanges,
            exchanges_at_verdict: decision.exchanges_at_verdict,
            seconds: seconds_until_verdict(decision),
            verdict_time: (decision.verdict_ms > 0).then_some(decision.verdict_ms as f64 / 1e3),
            onset_time: found.map(|found| found.onset_ms as f64 / 1e3),
            seconds_from_onset: decision.timing().map(|timing| timing.seconds()),
            found,
            explanation: decision.explanation(),
            cause: decision.shared_change.cause,
            drift: &decision.shared_change.sentence,
            reasons: decision
                .reasons
                .iter()
                .map(|reason| ShownReason {
                    reason,
                    sentence: reason.sentence(&decision.candidate, &decision.baseline),
                })
                .collect(),
            differences: &decision.differences,
            against_past: &decision.against_past,
            silent: &decision.silent,
        }
    }
}

impl<'a> Standing<'a> {
    fn new(decision: &'a Decision) -> Self {
        Self {
            destination: &decision.destination,
            candidate: &decision.candidate,
            verdict: decision.verdict,
            evidence: decision.evidence,
            threshold: decision.threshold,
            change_evidence: decision.change_evidence,
            candidate_exchanges: decision.candidate_exchanges,
            judged_exchanges: decision.judged_exchanges,
        }
    }
}

/// What a recording is too short for, or where it ends before: said where the verdict is `learning`.
fn lacking(decision: &Decision, plan: &Plan) -> Option<String> {
    if decision.verdict != Verdict::Learning || decision.candidate.is_empty() {
        return None;
    }
    let mut lacks = Vec::new();
    if decision.judged_exchanges < plan.healthy_after {
        lacks.push(format!(
            "judged requests of {}: {} of the {} that the verdict healthy needs (healthy_after)",
            plain(&decision.candidate),
            grouped(decision.judged_exchanges),
            grouped(plan.healthy_after)
        ));
    }
    if decision.judged_exchanges == 0 {
        lacks.push(format!(
            "requests of {} on the same routes at the same time, 20 of both together at least",
            plain(&decision.baseline)
        ));
    }
    if decision.warming_up {
        lacks.push(format!(
            "{} of each host's traffic, before which its latency is not judged (warm_up)",
            humantime::format_duration(plan.warm_up.min)
        ));
    }
    (!lacks.is_empty()).then(|| format!("still missing for a verdict: {}", lacks.join("; ")))
}

fn decision_text(text: &mut String, decision: &Decision, plan: &Plan) {
    let destination = styled(BOLD, &plain(&decision.destination));
    let verdict = styled(verdict_style(decision.verdict), decision.verdict.name());
    if decision.candidate.is_empty() {
        let why = match decision.baseline.as_str() {
            "" => "too few requests to say which version was there first".to_owned(),
            baseline => format!("only one version has traffic: {}", plain(baseline)),
        };
        let _ = writeln!(text, "{destination}: {verdict}\n  {why}");
        for silence in &decision.silent {
            let _ = writeln!(text, "  {}", plain(&silence.sentence()));
        }
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
            ", after {} requests and {seconds:.1} s of traffic",
            grouped(decision.exchanges_at_verdict)
        );
    }
    text.push('\n');
    if let Some(when) = When::of_decision(decision) {
        let _ = writeln!(text, "  {}", plain(&when.sentence(&decision.candidate)));
    }
    let _ = writeln!(text, "  {}", plain(&decision.explanation()));
    let _ = writeln!(
        text,
        "  evidence {}; requests: {} to {candidate} ({} judged), {} to {baseline}",
        of_enough(decision.evidence, decision.threshold),
        grouped(decision.candidate_exchanges),
        grouped(decision.judged_exchanges),
        grouped(decision.baseline_exchanges),
    );
    if let Some(lacking) = lacking(decision, plan) {
        let _ = writeln!(text, "  {lacking}");
    }
    if !decision.shared_change.sentence.is_empty() {
        let _ = writeln!(text, "  drift: {}", plain(&decision.shared_change.sentence));
    }
    if !decision.reasons.is_empty() {
        let _ = writeln!(text, "  reasons");
    }
    for reason in &decision.reasons {
        let sentence = reason.sentence(&decision.candidate, &decision.baseline);
        let category = styled(BOLD, reason.category);
        let evidence = styled(DIM, &format!("[by itself {}]", one_in(reason.evidence)));
        let _ = writeln!(text, "    {category}: {} {evidence}", plain(&sentence));
        let examples = reason.for_example();
        if !examples.is_empty() {
            let _ = writeln!(text, "      {}", plain(&examples));
        }
    }
    if !decision.differences.is_empty() {
        let _ = writeln!(text, "  differences, for better or worse");
    }
    for difference in &decision.differences {
        let route = difference.route.label();
        let signal = styled(BOLD, difference.signal);
        let evidence = styled(DIM, &format!("[by itself {}]", one_in(difference.evidence)));
        let _ = writeln!(
            text,
            "    {signal}: {}: {} {evidence}",
            plain(&route),
            plain(&difference.size())
        );
        if !difference.detail.is_empty() {
            let _ = writeln!(text, "      {}", plain(&difference.detail));
        }
    }
}

fn report_text(
    found: &replay::Found,
    counted: &Counted,
    with: &args::Recordings,
    plan: &Plan,
) -> String {
    let mut text = String::new();
    for decision in &found.decisions {
        decision_text(&mut text, decision, plan);
        text.push('\n');
    }
    let lacks = |decision: &Decision| lacking(decision, plan).is_some();
    if with.config.is_none() && found.decisions.iter().any(lacks) {
        text.push_str(
            "these are the defaults, meant for live traffic: for a short recording, give a file with \
             `warm_up: 0s` and a smaller `healthy_after` as --config\n\n",
        );
    }
    if !found.earlier.is_empty() {
        text.push_str("earlier rollouts\n\n");
    }
    for decision in found
        .earlier
        .iter()
        .filter(|old| old.verdict == Verdict::Anomalous)
    {
        decision_text(&mut text, decision, plan);
        text.push('\n');
    }
    text.push_str(&counted_text(counted));
    for limit in found.limits() {
        let _ = writeln!(text, "{limit}");
    }
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
        let _ = writeln!(text, "did not fit into a table: {}", lost.join(", "));
    }
    text
}
