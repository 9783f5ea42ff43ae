//! The subcommands of `serin-eval`: Serin beside today's judges, and on data with known answers.

use crate::args::{
    Eval, EvalChangerca, EvalCommand, EvalJudges, EvalNab, EvalRates, EvalRealTraffic, EvalStrange,
    Printed,
};
use crate::changerca::run::{Options, run as run_changerca};
use crate::progress::Bar;
use crate::score::Score;
use crate::{
    api_traffic, judges as suite, looks as parts, nab as drift, rates as studies,
    real_traffic as real, rows, traceanomaly as traces,
};
use anyhow::Result;
use scorer_sdk::Plan;
use serde_json::{Value, json};
use serin_cli::config;
use serin_cli::document::Document;
use serin_cli::output::{print, print_json};
use serin_cli::report::terminal::{to_markdown, to_terminal};
use std::path::Path;
use std::sync::Arc;

/// The config under which Serin is evaluated on recordings: the defaults, but for a memory that
/// outlasts a rollout, since there is little traffic, and for the names of the versions.
pub const CONFIG: &str = r#"{"memory": "4h", "baseline": "v1", "candidate": "v2"}"#;

/// Exit code where a promise that can be measured was not kept.
const BROKEN: u8 = 3;

/// Runs the command and gives the exit code.
///
/// # Errors
/// When data or a config cannot be used, or the output cannot be written.
pub fn run(args: &Eval) -> Result<u8> {
    match &args.command {
        EvalCommand::Changerca(args) => changerca(args)?,
        EvalCommand::Judges(args) => judges(args)?,
        EvalCommand::Rates(args) => rates(args)?,
        EvalCommand::RealTraffic(args) => return real_traffic(args),
        EvalCommand::Looks(args) => return looks(args),
        EvalCommand::Nab(args) => nab(args)?,
        EvalCommand::ApiTraffic(args) => api(args)?,
        EvalCommand::TraceAnomaly(args) => trace(args)?,
    }
    Ok(0)
}

fn changerca(args: &EvalChangerca) -> Result<()> {
    let plan = match &args.config {
        Some(file) => config::plan(Some(file))?,
        None => Plan::from_json(CONFIG)?,
    };
    let options = Options {
        requests_per_minute: args.requests_per_minute,
        seed: args.seed,
        each: args.each,
        stand_ins: args.stand_ins,
    };
    let mut bar = Bar::begin("canaries");
    let found = run_changerca(
        Path::new(&args.dir),
        &Arc::new(plan),
        &options,
        &mut |done, all| bar.show(done, all),
    );
    bar.end();
    let found = found?;
    show(args.printed, &found.document, || {
        vec![
            ("judges", list(&found.with_rows)),
            ("judges_without_calls", list(&found.without_rows)),
            ("judges_all", list(&found.all)),
            ("judges_stand_ins", list(&found.stand_ins)),
        ]
    })?;
    Ok(())
}

fn judges(args: &EvalJudges) -> Result<()> {
    let plan = scorer_sdk::simulation::plan("{}")?;
    let mut bar = Bar::begin("rollouts");
    let found = suite::run(&plan, args.runs, args.seed, &mut |done, all| {
        bar.show(done, all)
    });
    bar.end();
    show(args.printed, &found.document, || {
        vec![("judges", found.judges.into())]
    })?;
    Ok(())
}

fn rates(args: &EvalRates) -> Result<()> {
    let options = studies::Options {
        runs: args.runs,
        seed: args.seed,
        quick: args.quick,
        threads: args.threads,
    };
    let mut bar = Bar::begin("studies");
    let document = studies::rates(&options, &mut |done, all| bar.show(done, all));
    bar.end();
    show(args.printed, &document?, Vec::new)?;
    Ok(())
}

fn row_options(args: &EvalRealTraffic) -> rows::Options {
    rows::Options {
        runs: args.runs,
        seed: args.seed,
        quick: args.quick,
        row: args.row.clone(),
        threads: args.threads,
    }
}

fn real_traffic(args: &EvalRealTraffic) -> Result<u8> {
    let options = row_options(args);
    let mut bar = Bar::begin("rows");
    let found = real::run(&options, &mut |done, all| bar.show(done, all));
    bar.end();
    let found = found?;
    show(args.printed, &found.document, || {
        vec![
            ("healthy", found.healthy.clone()),
            ("bad", found.bad.clone()),
            ("attacks", found.attacks.clone()),
        ]
    })?;
    Ok(if found.broken.is_empty() { 0 } else { BROKEN })
}

fn looks(args: &EvalRealTraffic) -> Result<u8> {
    let options = row_options(args);
    let mut bar = Bar::begin("cells");
    let found = parts::run(&options, &mut |done, all| bar.show(done, all));
    bar.end();
    let found = found?;
    show(args.printed, &found.document, || {
        vec![
            ("healthy", found.healthy.clone()),
            ("bad", found.bad.clone()),
        ]
    })?;
    Ok(if found.broken.is_empty() { 0 } else { BROKEN })
}

fn nab(args: &EvalNab) -> Result<()> {
    let (scores, document) = drift::nab(Path::new(&args.dir), args.seed)?;
    show(args.printed, &document, || {
        let scores = scores.iter().map(drift::Score::json).collect();
        vec![("scores", scores)]
    })?;
    Ok(())
}

fn api(args: &EvalStrange) -> Result<()> {
    let options = api_traffic::Options {
        seed: args.seed,
        splits: args.splits,
        false_positives: args.false_positives,
    };
    let (looks, document) = api_traffic::run(Path::new(&args.dir), &options)?;
    show(args.printed, &document, || vec![("looks", looks)])?;
    Ok(())
}

fn trace(args: &EvalStrange) -> Result<()> {
    let options = traces::Options {
        seed: args.seed,
        splits: args.splits,
        false_positives: args.false_positives,
    };
    let (found, document) = traces::run(Path::new(&args.dir), &options)?;
    show(args.printed, &document, || vec![("found", found)])?;
    Ok(())
}

fn list(scores: &[Score]) -> Value {
    scores.iter().map(Score::json).collect()
}

/// Prints a document for people, or with further fields for programs.
fn show(
    printed: Printed,
    document: &Document,
    fields: impl FnOnce() -> Vec<(&'static str, Value)>,
) -> Result<()> {
    if printed.markdown {
        return print(&to_markdown(document));
    }
    if !printed.json {
        return print(&to_terminal(document));
    }
    let mut value = json!({ "document": document });
    if let Some(object) = value.as_object_mut() {
        for (name, field) in fields() {
            object.insert(name.to_owned(), field);
        }
    }
    print_json(&value)
}
