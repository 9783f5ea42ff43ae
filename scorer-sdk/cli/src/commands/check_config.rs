//! `serin check-config`: what a config means, or what is wrong with it.

use super::Exit;
use crate::args;
use crate::config::{self, Found};
use crate::output::{self, BAD, BOLD, GOOD, plain, styled};
use anyhow::{Context, Result};
use scorer_sdk::Plan;
use scorer_sdk::config::{ConfigError, Mode, RejectPhase, Role, VersionSource};
use serde_json::{Value, json};
use std::time::Duration;

/// Runs the command.
///
/// # Errors
/// When the file cannot be read or has no config in it.
pub fn run(args: &args::CheckConfig) -> Result<Exit> {
    let text = config::read_file(&args.file)?;
    let found = config::find(&text).with_context(|| args.file.clone())?;
    let checked: Vec<(Found, Result<Plan, ConfigError>)> = found
        .into_iter()
        .map(|config| {
            let plan = config.compile();
            (config, plan)
        })
        .collect();
    let good = checked.iter().all(|(_, plan)| plan.is_ok());
    if args.json {
        let configs: Vec<Value> = checked
            .iter()
            .map(|(found, plan)| config_json(found, plan))
            .collect();
        output::print_json(&json!({"file": args.file, "valid": good, "configs": configs}))?;
    } else {
        for (found, plan) in &checked {
            output::print(&config_text(&args.file, found, plan))?;
        }
    }
    Ok(if good { Exit::Good } else { Exit::Unusable })
}

fn config_json(found: &Found, plan: &Result<Plan, ConfigError>) -> Value {
    match plan {
        Err(error) => json!({
            "plugin": found.plugin,
            "valid": false,
            "error": {"path": error.path, "problem": error.problem, "repair": error.repair},
        }),
        Ok(plan) => {
            let meaning: Value = meaning(plan)
                .into_iter()
                .map(|(name, value)| (name.replace([' ', '-'], "_"), Value::from(value)))
                .collect();
            json!({"plugin": found.plugin, "valid": true, "plan": meaning})
        }
    }
}

fn config_text(file: &str, found: &Found, plan: &Result<Plan, ConfigError>) -> String {
    let mut name = plain(file).into_owned();
    if let Some(plugin) = &found.plugin {
        name.push_str(&format!(", WasmPlugin {}", plain(plugin)));
    }
    match plan {
        Err(error) => format!(
            "{name}: {}\n  {}: {}\n  repair: {}\n",
            styled(BAD, "cannot be used"),
            styled(BOLD, &plain(&error.path)),
            plain(&error.problem),
            plain(&error.repair)
        ),
        Ok(plan) => {
            let mut text = format!("{name}: {}\n", styled(GOOD, "fine"));
            for (name, value) in meaning(plan) {
                text.push_str(&format!("  {name:<12} {}\n", plain(&value)));
            }
            text
        }
    }
}

/// What the plan means, in the order in which people ask.
fn meaning(plan: &Plan) -> Vec<(&'static str, String)> {
    let mode = match plan.mode {
        Mode::Observe => "judges and reports, touches nothing",
        Mode::Annotate => "says the verdict in response headers",
        Mode::Steer => "sends requests to the baseline after a verdict",
        Mode::Reject => "refuses requests after a verdict, on the candidate's own proxy",
    };
    let role = match plan.role {
        Role::Auto => "auto: guard on inbound listeners, comparer elsewhere",
        Role::Comparer => "comparer: sees both versions",
        Role::Guard => "guard: sees its own version",
    };
    let or_found =
        |name: &Option<String>, how: &str| name.clone().unwrap_or_else(|| how.to_owned());
    let mut meaning = vec![
        ("mode", format!("{}: {mode}", plan.mode.name())),
        ("role", role.to_owned()),
        (
            "baseline",
            match &plan.reject.reference {
                Some(reference) => format!("{}, by the reference", reference.version),
                None => or_found(&plan.baseline, "found: the first version seen"),
            },
        ),
        (
            "candidate",
            or_found(&plan.candidate, "found: the newest version"),
        ),
        ("versions", versions(plan)),
        (
            "false alarm",
            format!(
                "at most {}% of healthy rollouts are ever called anomalous",
                100.0 * plan.false_alarm
            ),
        ),
        (
            "tick",
            format!("looks at the evidence every {}", time(plan.tick)),
        ),
        (
            "warm-up",
            format!("does not judge a candidate's first {}", time(plan.warm_up)),
        ),
        (
            "memory",
            format!("half of the past is forgotten after {}", time(plan.memory)),
        ),
        (
            "healthy",
            format!("after {} judged candidate requests", plan.healthy_after),
        ),
        (
            "signals",
            plan.signals
                .iter()
                .map(|signal| signal.name())
                .collect::<Vec<_>>()
                .join(", "),
        ),
        (
            "tolerance",
            plan.questions
                .iter()
                .map(|(_, question)| format!("{} {}", question.name, question.tolerance))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        (
            "routes",
            format!(
                "at most {}, by {}method and path",
                plan.max_routes,
                if plan.routes_by_name {
                    "route name, "
                } else {
                    ""
                }
            ),
        ),
    ];
    if let Some(probation) = plan.probation {
        meaning.push((
            "probation",
            format!(
                "{}% of the requests, {} after a verdict",
                100.0 * probation.share,
                time(probation.after)
            ),
        ));
    }
    if let Some(reference) = &plan.reject.reference {
        meaning.push((
            "reference",
            format!(
                "{} {}: {} exchanges on {} routes",
                reference.destination,
                reference.version,
                reference.exchanges,
                reference.routes.len()
            ),
        ));
    }
    if plan.mode == Mode::Reject {
        meaning.push((
            "reject",
            format!(
                "at most {}% of the requests, up to attempt {}, in the {} phase",
                100.0 * plan.reject.share,
                plan.reject.attempts,
                match plan.reject.phase {
                    RejectPhase::Request => "request",
                    RejectPhase::Response => "response",
                }
            ),
        ));
    }
    meaning.push((
        "series",
        format!("at most {} metric series", plan.max_series),
    ));
    if plan.record {
        meaning.push((
            "record",
            "leaves each exchange for the access log".to_owned(),
        ));
    }
    meaning
}

fn versions(plan: &Plan) -> String {
    let from = match plan.version_source {
        VersionSource::Auto => "from listed clusters, else subset, else workload metadata",
        VersionSource::Workload => "from the upstream's workload metadata",
        VersionSource::Subset => "from the subset in the cluster's name",
        VersionSource::Clusters => "from listed clusters",
    };
    match plan.clusters.len() {
        0 => from.to_owned(),
        listed => format!("{from}; {listed} clusters listed"),
    }
}

fn time(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    match (seconds, millis) {
        (0, millis) => format!("{millis}ms"),
        (seconds, 0) if seconds >= 60 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        (seconds, millis) => format!("{seconds}.{millis:03}s"),
    }
}
