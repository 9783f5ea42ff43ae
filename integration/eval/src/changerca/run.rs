//! Every judge before every canary of the data set.

use super::caller;
use super::draw::{self, Request};
use super::fan_out::FanOuts;
use super::liveness::{self, Liveness};
use super::rows::{self, Counted, Edge, Release};
use super::source;
use super::stand_in::stand_ins;
use crate::minute::Arm;
use crate::peers;
use crate::score::{Mode, Outcome, Score, Truth, table};
use crate::serin::Watcher;
use anyhow::{Result, bail};
use scorer_sdk::{Exchange, Plan};
use serin_cli::document::{Document, Table};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Serin's names in the tables: with all that is told of a canary, and with its own rows alone.
const SERIN: [&str; 2] = ["Serin", "Serin, own rows alone"];
/// Versions in the facts that Serin gets.
const BASELINE: &str = "v1";
const CANDIDATE: &str = "v2";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Mean number of requests of a pod on an edge in a minute.
    pub requests_per_minute: f64,
    /// Seed of what is drawn.
    pub seed: u64,
    /// Whether the document has a row for each canary.
    pub each: bool,
    /// Whether stable pods are put in the candidate's place as well.
    pub stand_ins: bool,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// For people.
    pub document: Document,
    /// A score for each judge and mode, over the canaries that received calls.
    pub with_rows: Vec<Score>,
    /// The same over those that received none.
    pub without_rows: Vec<Score>,
    /// The same over all of them.
    pub all: Vec<Score>,
    /// The same over stable pods in the candidate's place; empty where they were not asked for.
    pub stand_ins: Vec<Score>,
    /// Per canary, what each judge said.
    pub canaries: Vec<Canary>,
}

/// One canary and what was said of it.
#[derive(Debug, Clone)]
pub struct Canary {
    /// Name of the case.
    pub case: String,
    /// Name of the service.
    pub service: String,
    /// The injected fault; `None` for a harmless release.
    pub fault: Option<String>,
    /// Whether the candidate has rows of calls that it received.
    pub has_rows: bool,
    /// Per judge and mode, minutes until it was failed.
    pub failed_after: Vec<Option<f64>>,
    /// Serin's reasons, where it has any.
    pub reasons: Vec<String>,
}

/// Runs all judges on the data set in `folder`; `step` is called after each canary with how many
/// are done and how many there are.
///
/// # Errors
/// When the data set cannot be read, or has no canary with rows.
pub fn run(
    folder: &Path,
    plan: &Arc<Plan>,
    options: &Options,
    step: &mut dyn FnMut(u64, u64),
) -> Result<Found> {
    let cases = source::read(folder)?;
    let mut counted = Counted::default();
    let mut releases = Vec::new();
    for (name, case) in &cases {
        releases.extend(rows::releases(name, case, &mut counted)?);
    }
    let pods: Vec<Release> = if options.stand_ins {
        releases.iter().flat_map(stand_ins).collect()
    } else {
        Vec::new()
    };
    let total = (releases.len() + pods.len()) as u64;
    let mut done = 0;
    let mut judged = |releases: &[Release]| -> Vec<Canary> {
        releases
            .iter()
            .map(|release| {
                let canary = judge(release, plan, options);
                done += 1;
                step(done, total);
                canary
            })
            .collect()
    };
    let canaries = judged(&releases);
    let pods = judged(&pods);
    if !canaries.iter().any(|canary| canary.has_rows) {
        bail!("no canary has a row of calls that it received");
    }
    let mut found = Found {
        document: Document::default(),
        with_rows: scores(&canaries, &[true]),
        without_rows: scores(&canaries, &[false]),
        all: scores(&canaries, &[true, false]),
        stand_ins: if pods.is_empty() {
            Vec::new()
        } else {
            scores(&pods, &[true, false])
        },
        canaries,
    };
    found.document = document(&found, counted, options, cases.len());
    Ok(found)
}

/// Names of the judges with their modes, in the order of [`Canary::failed_after`].
fn judges() -> Vec<(String, Mode)> {
    let mut names = SERIN.map(str::to_owned).to_vec();
    names.extend(peers::all().iter().map(|peer| peer.name().to_owned()));
    names
        .into_iter()
        .flat_map(|name| [Mode::Once, Mode::EveryMinute].map(|mode| (name.clone(), mode)))
        .collect()
}

fn judge(release: &Release, plan: &Arc<Plan>, options: &Options) -> Canary {
    let inbound = |edge: &Edge| edge.destination == release.service;
    let first_end_s = release
        .edges
        .iter()
        .filter(|edge| edge.candidate && inbound(edge))
        .filter_map(|edge| edge.rows.first())
        .map(|row| row.end_s)
        .min();
    let has_rows = first_end_s.is_some();
    let first_end_s = first_end_s.unwrap_or(release.ready_s.saturating_add(60));
    let begin = Duration::from_secs(u64::try_from(first_end_s.saturating_sub(60)).unwrap_or(0));
    let own = draw::requests(release, options.requests_per_minute, options.seed, inbound);
    let mut with_callers = release.clone();
    with_callers.edges.extend(caller::edges(release));
    let all = draw::requests(
        &with_callers,
        options.requests_per_minute,
        options.seed,
        inbound,
    );
    let liveness_checks = liveness::liveness_checks(release);
    let minutes = draw::minutes(&own, first_end_s);
    let whole = minutes.len() as f64;
    let mut failed_after = Vec::new();
    let (verdict, reasons) = serin(&with_callers, &all, &liveness_checks, plan);
    let (own_verdict, _) = serin(&with_callers, &own, &[], plan);
    for verdict in [verdict, own_verdict] {
        let delay = verdict.map(|at| at.saturating_sub(begin).as_secs_f64() / 60.0);
        failed_after.push(delay.map(|_| whole));
        failed_after.push(delay);
    }
    for peer in peers::all() {
        let judged = !minutes.is_empty();
        failed_after.push((judged && peer.fails_once(&minutes)).then_some(whole));
        failed_after.push(
            peers::minutes_until_failure(peer.as_ref(), &minutes).map(|minutes| minutes as f64),
        );
    }
    Canary {
        case: release.case.clone(),
        service: release.service.clone(),
        fault: release.fault.clone(),
        has_rows,
        failed_after,
        reasons,
    }
}

/// When Serin finds the candidate anomalous, and why.
fn serin(
    release: &Release,
    requests: &[Request],
    liveness_checks: &[Liveness],
    plan: &Arc<Plan>,
) -> (Option<Duration>, Vec<String>) {
    let version = |arm| match arm {
        Arm::Baseline => BASELINE,
        Arm::Candidate => CANDIDATE,
    };
    let status = |failed| Some(if failed { 503 } else { 200 });
    let paths: Vec<String> = release
        .edges
        .iter()
        .map(|edge| format!("/{}", edge.source))
        .collect();
    let fan_outs = FanOuts::new(release);
    let calls = requests.iter().filter_map(|request| {
        let pod = &release.edges.get(request.edge)?.pod;
        let exchange = Exchange {
            destination: &release.service,
            method: "POST",
            path: paths.get(request.edge)?,
            version: version(request.arm),
            status: status(request.failed),
            duration_us: request.latency_us,
            upstream_host: pod,
            fan_out: request
                .measured
                .then(|| fan_outs.get(pod, request.minute_end_s))
                .flatten(),
            ..Exchange::default()
        };
        Some((request.end_us, exchange))
    });
    let beats = liveness_checks.iter().map(|liveness| {
        let exchange = Exchange {
            destination: &release.service,
            method: "LIVENESS",
            path: "/",
            version: version(liveness.arm),
            status: status(liveness.silent),
            ..Exchange::default()
        };
        let end_us = u64::try_from(liveness.end_s).unwrap_or(0) * 1_000_000;
        (end_us.saturating_sub(1), exchange)
    });
    let mut exchanges: Vec<(u64, Exchange<'_>)> = calls.chain(beats).collect();
    exchanges.sort_by_key(|(end_us, _)| *end_us);
    let mut watcher = Watcher::new(Arc::clone(plan));
    for (end_us, exchange) in &exchanges {
        watcher.observe(Duration::from_micros(*end_us), exchange);
    }
    if let Some((last_us, _)) = exchanges.last() {
        // A small block may wait for some ticks.
        watcher.advance(Duration::from_micros(*last_us) + 20 * plan.tick);
    }
    let reasons = watcher
        .engine()
        .judge()
        .decisions()
        .iter()
        .flat_map(|decision| {
            decision
                .reasons
                .iter()
                .map(|reason| {
                    format!(
                        "{}: {}",
                        reason.category,
                        reason.sentence(CANDIDATE, BASELINE)
                    )
                })
                .collect::<Vec<_>>()
        })
        .collect();
    (watcher.verdict(), reasons)
}

/// The scores over the canaries that have rows or have none. Those with rows are scored as if the
/// others had been missed.
fn scores(canaries: &[Canary], has_rows: &[bool]) -> Vec<Score> {
    let unseen = canaries
        .iter()
        .filter(|canary| has_rows == [true] && canary.fault.is_some() && !canary.has_rows)
        .count();
    judges()
        .into_iter()
        .enumerate()
        .map(|(index, (judge, mode))| Score {
            judge,
            mode,
            outcomes: canaries
                .iter()
                .filter(|canary| has_rows.contains(&canary.has_rows))
                .map(|canary| Outcome {
                    truth: match canary.fault {
                        Some(_) => Truth::Faulty,
                        None => Truth::Harmless,
                    },
                    failed_after: canary.failed_after.get(index).copied().flatten(),
                })
                .collect(),
            unseen,
        })
        .collect()
}

fn document(found: &Found, counted: Counted, options: &Options, cases: usize) -> Document {
    let faulty = found.canaries.iter().filter(|it| it.fault.is_some());
    let unseen = faulty.clone().filter(|it| !it.has_rows).count();
    let mut with_rows = table("Canaries that received calls", &found.with_rows);
    with_rows.notes.push(format!(
        "Recall and F1 count all {} faulty canaries: the {unseen} that received no call count as missed \
         here, whichever judge saw them.",
        faulty.count(),
    ));
    let mut without_rows = table("Canaries that received no call", &found.without_rows);
    without_rows.notes.push(
        "Flagger and Argo Rollouts fail a canary without traffic, even if nobody calls the service; \
         Serin compares it with the stable pods of the same minutes."
            .to_owned(),
    );
    let all = table("All canaries", &found.all);
    let mut tables = vec![with_rows, without_rows, all];
    if !found.stand_ins.is_empty() {
        let mut pods = table("Stable pods in the candidate's place", &found.stand_ins);
        pods.notes.push(
            "The minutes before each release. One stable pod at a time plays the only pod of a \
             candidate; none is faulty."
                .to_owned(),
        );
        tables.push(pods);
    }
    if options.each {
        tables.push(each(&found.canaries));
    }
    Document {
        title: "ChangeRCA: canary releases with injected defects".to_owned(),
        command: format!(
            "serin-eval changerca DIR --requests-per-minute {} --seed {}{}",
            options.requests_per_minute,
            options.seed,
            if options.stand_ins {
                " --stand-ins"
            } else {
                ""
            }
        ),
        paragraphs: vec![
            format!(
                "{cases} cases with {} canaries; {} rows read, {} refused, {} cut off as those of a \
                 deleted pod's replacement.",
                found.canaries.len(),
                counted.read,
                counted.refused,
                counted.replaced,
            ),
            format!(
                "The data has rates, but no counts. Requests are drawn from each minute's rates, {} per \
                 minute for each pod and edge, with seed {}. All judges get the same requests.",
                options.requests_per_minute, options.seed
            ),
        ],
        tables,
        plots: Vec::new(),
    }
}

/// Every canary with the minutes after which each judge that looks every minute failed it.
fn each(canaries: &[Canary]) -> Table {
    let watched: Vec<(usize, String)> = judges()
        .into_iter()
        .enumerate()
        .filter(|(_, (_, mode))| *mode == Mode::EveryMinute)
        .map(|(index, (judge, _))| (index, judge))
        .collect();
    let mut columns: Vec<String> = ["case", "service", "fault", "calls"]
        .map(str::to_owned)
        .to_vec();
    columns.extend(watched.iter().map(|(_, judge)| judge.clone()));
    columns.push("Serin's first reason".to_owned());
    Table {
        title: "Every canary: minutes until it was failed".to_owned(),
        columns,
        rows: canaries
            .iter()
            .map(|canary| {
                let mut cells = vec![
                    canary.case.clone(),
                    canary.service.clone(),
                    canary.fault.clone().unwrap_or_else(|| "–".to_owned()),
                    if canary.has_rows { "yes" } else { "no" }.to_owned(),
                ];
                cells.extend(watched.iter().map(|(index, _)| {
                    match canary.failed_after.get(*index).copied().flatten() {
                        Some(minutes) => format!("{minutes:.1}"),
                        None => "–".to_owned(),
                    }
                }));
                cells.push(canary.reasons.first().cloned().unwrap_or_default());
                cells
            })
            .collect(),
        notes: Vec::new(),
    }
}
