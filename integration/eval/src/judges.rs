//! The simulated suite: every judge on rollouts whose truth is known, one kind of regression at a
//! time.
//!
//! A rollout is ten minutes of a shop with six routes and 100 requests a second, a tenth of them for
//! the candidate; three requests in a thousand fail on a healthy version. Absolute thresholds do
//! well there: of 600 candidate requests in a minute two fail, and below 99% it takes seven.

use super::minute::{Arm, Minute};
use super::peers;
use super::score::{Mode, Outcome, Score, Truth};
use super::serin::Watcher;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use scorer_sdk::Plan;
use scorer_sdk::simulation::{Harm, Outage, Scenario, Share, Swing, Traffic};
use serde_json::Value;
use serin_cli::document::{Document, Table};
use std::sync::Arc;
use std::time::Duration;

/// Length of a rollout in ticks of a second.
const TICKS: u64 = 600;
const TICKS_PER_MINUTE: u64 = 60;
/// Requests a second.
const LOAD: f64 = 100.0;
/// Share of the requests that a healthy version fails.
const ERROR_RATE: f64 = 0.003;
/// Serin's name in the tables.
const SERIN: &str = "Serin";

/// A kind of rollout.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Name, for tables and JSON.
    pub name: &'static str,
    /// What is true of it.
    pub truth: Truth,
    /// What happens.
    pub scenario: Scenario,
    /// Another content type of some of the candidate's answers, and their share from 0 to 1.
    pub content_type: Option<(&'static str, f64)>,
}

/// All kinds, the regressions first.
#[must_use]
pub fn kinds() -> Vec<Kind> {
    let faulty = |name, harm| {
        let mut scenario = base();
        scenario.candidate.harm = harm;
        Kind {
            name,
            truth: Truth::Faulty,
            scenario,
            content_type: None,
        }
    };
    let healthy = |name, change: &dyn Fn(&mut Scenario)| {
        let mut scenario = base();
        change(&mut scenario);
        Kind {
            name,
            truth: Truth::Harmless,
            scenario,
            content_type: None,
        }
    };
    vec![
        faulty("errors, odds ratio 5", Harm::errors(5.0)),
        faulty("errors, odds ratio 25", Harm::errors(25.0)),
        faulty("1.5 times slower", Harm::slower(1.5)),
        faulty("2 times slower", Harm::slower(2.0)),
        faulty("5% of requests 5 times slower", Harm::slow_tail(0.05, 5.0)),
        faulty(
            "answers twice as long",
            Harm {
                size: 2.0,
                ..Harm::default()
            },
        ),
        faulty(
            "lost header",
            Harm {
                lost_header: Some("cache-control".to_owned()),
                ..Harm::default()
            },
        ),
        Kind {
            content_type: Some(("text/plain", 0.1)),
            ..faulty("wrong content type in 10%", Harm::default())
        },
        // Stable has it in one answer of a hundred.
        Kind {
            content_type: Some(("text/html", 0.1)),
            ..faulty("rare content type in 10%", Harm::default())
        },
        healthy("healthy, steady", &|_| {}),
        healthy("healthy, swinging shared load", &|scenario| {
            scenario.shared_change.errors = Some(Swing {
                factor: 3.0,
                period: 300.0,
            });
            scenario.shared_change.latency = Some(Swing {
                factor: 1.5,
                period: 420.0,
            });
        }),
        healthy("healthy, share in steps", &|scenario| {
            scenario.share = Share::ByTime(vec![(0, 0.01), (150, 0.05), (300, 0.25), (450, 0.5)]);
        }),
        healthy("healthy, shared outage", &|scenario| {
            scenario.shared_change.outages = vec![Outage {
                ticks: 200..320,
                error_odds: 50.0,
                slower: 4.0,
            }];
        }),
    ]
}

fn base() -> Scenario {
    let mut scenario = Scenario::default();
    scenario.load.requests = LOAD;
    for route in &mut scenario.service.routes {
        route.error_rate = ERROR_RATE;
    }
    scenario
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// For people.
    pub document: Document,
    /// For programs: per kind, judge and mode the fields of [`Score::json`] with the field `kind`.
    /// A regression's false alarms are those on all healthy kinds.
    pub judges: Vec<Value>,
}

/// Runs each kind `runs` times; `step` is called after each run with how many are done and how many
/// there are.
#[must_use]
pub fn run(plan: &Arc<Plan>, runs: u64, seed: u64, step: &mut dyn FnMut(u64, u64)) -> Found {
    let kinds = kinds();
    let judges = names();
    let all = runs * kinds.len() as u64;
    let mut done = 0;
    // Per kind, per judge and mode.
    let mut outcomes: Vec<Vec<Vec<Outcome>>> = vec![vec![Vec::new(); judges.len()]; kinds.len()];
    for (kind, outcomes) in kinds.iter().zip(&mut outcomes) {
        for number in 0..runs {
            // Kinds share their seeds, so that they differ by what happens alone.
            let seed = seed.wrapping_mul(1_000_003).wrapping_add(number);
            for (failed_after, outcomes) in rollout(kind, plan, seed)
                .into_iter()
                .zip(outcomes.iter_mut())
            {
                outcomes.push(Outcome {
                    truth: kind.truth,
                    failed_after,
                });
            }
            done += 1;
            step(done, all);
        }
    }
    let scores = scores(&kinds, &judges, &outcomes);
    let judges = scores
        .iter()
        .flat_map(|(kind, scores)| {
            scores.iter().map(|score| {
                let mut json = score.json();
                if let Some(object) = json.as_object_mut() {
                    object.insert("kind".to_owned(), (*kind).into());
                }
                json
            })
        })
        .collect();
    Found {
        document: document(&kinds, &scores, runs, seed),
        judges,
    }
}

/// Names of the judges with their modes, in the order in which [`rollout`] tells of them.
fn names() -> Vec<(String, Mode)> {
    let mut names = vec![SERIN.to_owned()];
    names.extend(peers::all().iter().map(|peer| peer.name().to_owned()));
    names
        .into_iter()
        .flat_map(|name| [Mode::Once, Mode::EveryMinute].map(|mode| (name.clone(), mode)))
        .collect()
}

/// One rollout: minutes until each judge in each mode failed it.
fn rollout(kind: &Kind, plan: &Arc<Plan>, seed: u64) -> Vec<Option<f64>> {
    let mut traffic = Traffic::new(kind.scenario.clone(), seed);
    let mut random = SmallRng::seed_from_u64(seed);
    let mut watcher = Watcher::new(Arc::clone(plan));
    let mut begin = traffic.now();
    let mut minutes: Vec<Minute> = Vec::new();
    let mut tick = 0;
    while tick < TICKS {
        let learning = traffic.is_learning();
        traffic.advance();
        if learning {
            begin = traffic.now();
        } else if tick.is_multiple_of(TICKS_PER_MINUTE) {
            minutes.push(Minute::default());
        }
        for record in traffic.records() {
            let Some(mut exchange) = traffic.exchange(record) else {
                continue;
            };
            if let (true, Some((content_type, share))) = (record.candidate, kind.content_type)
                && random.random_bool(share)
            {
                exchange.content_type = content_type;
            }
            watcher.observe(record.at, &exchange);
            if let (false, Some(minute)) = (learning, minutes.last_mut()) {
                let arm = if record.candidate {
                    Arm::Candidate
                } else {
                    Arm::Baseline
                };
                minute
                    .arm(arm)
                    .add(record.status >= 500, Some(record.duration_us as f64 / 1e3));
            }
        }
        tick += u64::from(!learning);
    }
    // A small block may wait for some ticks.
    watcher.advance(traffic.now() + Duration::from_secs(10));
    let whole = minutes.len() as f64;
    let after = watcher
        .verdict()
        .map(|at| at.saturating_sub(begin).as_secs_f64() / 60.0);
    let mut failed_after = vec![after.map(|_| whole), after];
    for peer in peers::all() {
        failed_after.push(peer.fails_once(&minutes).then_some(whole));
        failed_after.push(
            peers::minutes_until_failure(peer.as_ref(), &minutes).map(|minutes| minutes as f64),
        );
    }
    failed_after
}

type Scores = Vec<(&'static str, Vec<Score>)>;

/// Per kind, a score for each judge and mode. A regression is scored together with all healthy runs.
fn scores(kinds: &[Kind], judges: &[(String, Mode)], outcomes: &[Vec<Vec<Outcome>>]) -> Scores {
    let of = |index: usize, wanted: &dyn Fn(usize, &Kind) -> bool| -> Vec<Outcome> {
        kinds
            .iter()
            .enumerate()
            .zip(outcomes)
            .filter(|((kind_index, kind), _)| wanted(*kind_index, kind))
            .flat_map(|(_, outcomes)| outcomes.get(index).cloned().unwrap_or_default())
            .collect()
    };
    kinds
        .iter()
        .enumerate()
        .map(|(own_index, own)| {
            let scores = judges
                .iter()
                .enumerate()
                .map(|(index, (judge, mode))| Score {
                    judge: judge.clone(),
                    mode: *mode,
                    outcomes: of(index, &|kind_index, kind| {
                        let beside = own.truth == Truth::Faulty && kind.truth == Truth::Harmless;
                        kind_index == own_index || beside
                    }),
                    unseen: 0,
                })
                .collect();
            (own.name, scores)
        })
        .collect()
}

fn document(kinds: &[Kind], scores: &Scores, runs: u64, seed: u64) -> Document {
    let failed = |truth, score: &Score| match truth {
        Truth::Faulty => score.caught(),
        Truth::Harmless => score.false_alarms(),
    };
    let by_kind = |title: &str, wanted: Truth, cell: &dyn Fn(&Score) -> String, modes: &[Mode]| {
        let shown: Vec<&(&'static str, Vec<Score>)> = kinds
            .iter()
            .zip(scores)
            .filter(|(kind, _)| kind.truth == wanted)
            .map(|(_, scores)| scores)
            .collect();
        let mut columns = vec!["judge".to_owned(), "mode".to_owned()];
        columns.extend(shown.iter().map(|(kind, _)| (*kind).to_owned()));
        Table {
            title: title.to_owned(),
            columns,
            rows: names()
                .into_iter()
                .enumerate()
                .filter(|(_, (_, mode))| modes.contains(mode))
                .map(|(index, (judge, mode))| {
                    let mut cells = vec![judge, mode.name().to_owned()];
                    cells.extend(
                        shown
                            .iter()
                            .map(|(_, scores)| scores.get(index).map(cell).unwrap_or_default()),
                    );
                    cells
                })
                .collect(),
            notes: Vec::new(),
        }
    };
    let both = [Mode::Once, Mode::EveryMinute];
    let caught = by_kind(
        "Regressions that were caught",
        Truth::Faulty,
        &|score| failed(Truth::Faulty, score).to_string(),
        &both,
    );
    let wrong = by_kind(
        "Healthy rollouts that were failed",
        Truth::Harmless,
        &|score| failed(Truth::Harmless, score).to_string(),
        &both,
    );
    let mut delay = by_kind(
        "Median minutes until a regression was caught",
        Truth::Faulty,
        &|score| {
            score
                .delay()
                .map_or_else(|| "–".to_owned(), |delay| format!("{delay:.1}"))
        },
        &[Mode::EveryMinute],
    );
    delay.notes.push(
        "Of the runs that were caught. A judge that reads metrics once a minute cannot be faster \
         than a minute; Serin looks each second."
            .to_owned(),
    );
    Document {
        title: "Judges on simulated rollouts".to_owned(),
        command: format!("serin-eval judges --runs {runs} --seed {seed}"),
        paragraphs: vec![format!(
            "{runs} runs of each kind, {} minutes each, {LOAD} requests a second, a tenth of them for \
             the candidate; {}% of the requests fail on a healthy version. A judge of metrics sees \
             failures and latencies, and no headers, sizes or content types.",
            TICKS / TICKS_PER_MINUTE,
            100.0 * ERROR_RATE,
        )],
        tables: vec![caught, wrong, delay],
        plots: Vec::new(),
    }
}
