//! Recordings on their way to a page: the replay, looked at while it runs.

use super::arms::Arms;
use super::page::Section;
use super::rollout::{self, Rollout};
use super::timeline::Timeline;
use crate::input::{Counted, Input};
use crate::output::grouped;
use crate::progress::Progress;
use crate::replay::{Found, Replay};
use anyhow::{Context, Result};
use maud::{Markup, html};
use scorer_sdk::judge::inspect::Inspected;
use scorer_sdk::{Decision, Plan, Verdict};
use std::cell::RefCell;
use std::sync::Arc;

/// Destinations that get a section.
const MAX_SECTIONS: usize = 20;

/// What a replay left.
pub struct Recording {
    found: Found,
    inspected: Vec<Inspected>,
    timeline: Timeline,
    arms: Arms,
    counted: Counted,
    end: f64,
}

/// Replays all of an input.
///
/// # Errors
/// When a file cannot be read, or there is no exchange in any.
pub fn read(plan: &Arc<Plan>, input: &mut Input<'_>) -> Result<Recording> {
    let timeline = RefCell::new(Timeline::default());
    let mut arms = Arms::default();
    let mut end = 0.0_f64;
    let mut replay =
        Replay::new(Arc::clone(plan), None).with_inspector(Box::new(|now, decisions, judge| {
            let mut timeline = timeline.borrow_mut();
            if timeline.begin(now.as_secs_f64()) {
                look(&mut timeline, decisions, judge);
            }
        }));
    let mut progress = Progress::begin();
    while let Some(item) = input.next_item()? {
        let ended = item.record.end().as_secs_f64();
        arms.count(ended, &item.record.exchange());
        end = end.max(ended);
        replay
            .push(item.record, item.bytes)
            .context("cannot replay the input")?;
        progress.step(input);
    }
    progress.end();
    input.require_exchanges()?;
    replay.end().context("cannot replay the input")?;
    let inspected = replay.judge().inspect();
    {
        let mut timeline = timeline.borrow_mut();
        timeline.begin_last(end);
        look(&mut timeline, &replay.judge().decisions(), replay.judge());
    }
    let found = replay.finish().context("cannot replay the input")?;
    Ok(Recording {
        found,
        inspected,
        timeline: timeline.into_inner(),
        arms,
        counted: input.counted().clone(),
        end,
    })
}

fn look(timeline: &mut Timeline, decisions: &[Decision], judge: &scorer_sdk::judge::Judge) {
    for decision in decisions {
        timeline.add(
            &decision.destination,
            &decision.candidate,
            decision.evidence,
            decision.threshold,
            decision.verdict,
        );
    }
    judge.visit_evidence(&mut |route, category, evidence| {
        timeline.add_pair(&route.destination, &route.label(), category, evidence);
    });
}

/// The sections of a page: one a destination, the worst first, and what was read.
#[must_use]
pub fn sections(recording: &Recording) -> Vec<Section> {
    let mut decisions: Vec<&Decision> = recording.found.decisions.iter().collect();
    decisions.sort_by(|one, other| {
        let strength = |decision: &Decision| (decision.verdict, decision.evidence);
        let (one, other) = (strength(one), strength(other));
        other.0.cmp(&one.0).then(other.1.total_cmp(&one.1))
    });
    let left_out = decisions.len().saturating_sub(MAX_SECTIONS);
    decisions.truncate(MAX_SECTIONS);
    let not_judged = recording.found.not_judged();
    let mut sections: Vec<Section> = decisions
        .iter()
        .enumerate()
        .map(|(index, decision)| {
            let id = format!("rollout-{}", index + 1);
            let name = &decision.destination;
            let rollout = Rollout {
                decision,
                inspected: recording
                    .inspected
                    .iter()
                    .find(|found| found.destination == *name),
                track: recording
                    .timeline
                    .track(name)
                    .filter(|track| track.candidate == decision.candidate),
                arms: &recording.arms,
                end: recording.end,
                not_judged: not_judged.as_deref(),
            };
            Section {
                body: rollout::section(&rollout, &id),
                name: format!("{name}: {}", decision.verdict.name()),
                id,
            }
        })
        .collect();
    let earlier: Vec<&Decision> = recording
        .found
        .earlier
        .iter()
        .filter(|decision| decision.verdict == Verdict::Anomalous)
        .collect();
    if !earlier.is_empty() {
        sections.push(Section {
            id: "earlier".to_owned(),
            name: "Earlier rollouts".to_owned(),
            body: earlier_rollouts(&earlier),
        });
    }
    sections.push(Section {
        id: "input".to_owned(),
        name: "What was read".to_owned(),
        body: read_lines(recording, left_out),
    });
    sections
}

fn earlier_rollouts(earlier: &[&Decision]) -> Markup {
    html! {
        section id="earlier" {
            h2 { "Earlier rollouts" }
            ul {
                @for decision in earlier {
                    li {
                        (decision.destination) " " (decision.candidate) " "
                        (rollout::verdict(decision.verdict)) " " (decision.explanation())
                    }
                }
            }
        }
    }
}

fn read_lines(recording: &Recording, left_out: usize) -> Markup {
    let (counted, found) = (&recording.counted, &recording.found);
    let lost = found.overflow.items();
    html! {
        section id="input" {
            h2 { "What was read" }
            p {
                (grouped(counted.read)) " exchanges in " (grouped(counted.lines)) " lines, judged in "
                (grouped(found.ticks)) " ticks."
            }
            @if counted.unattributed > 0 {
                p { (grouped(counted.unattributed)) " requests are of no known version." }
            }
            @if counted.refused > 0 {
                p { (grouped(counted.refused)) " lines were refused:" }
                ul {
                    @for refusal in &counted.first_refusals {
                        li { (refusal) }
                    }
                    @if counted.refused > counted.first_refusals.len() as u64 { li { "…" } }
                }
            }
            @for file in &counted.files_without_exchanges { p { "No exchange in " (file) "." } }
            @if let Some(warning) = counted.grpc_warning() { p { (warning) "." } }
            @for limit in found.limits() { p { (limit) "." } }
            @if found.late > 0 {
                p { (grouped(found.late)) " came more than a minute out of order and were counted late." }
            }
            @for (table, count) in lost.into_iter().filter(|(_, count)| *count > 0) {
                p { "Did not fit into a table: " (table) " " (grouped(count)) "." }
            }
            @if left_out > 0 {
                p { (left_out) " more destinations are not on this page; serin replay names them." }
            }
        }
    }
}
