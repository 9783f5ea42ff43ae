//! `serin check-config`: what a config means, or what is wrong with it.

use super::Exit;
use crate::args;
use crate::config::{self, Found};
use crate::output::{self, BAD, BOLD, GOOD, UNSURE, plain, styled};
use anyhow::{Context, Result, ensure};
use scorer_sdk::Plan;
use scorer_sdk::config::raw::{self, ExpectedSection};
use scorer_sdk::config::{
    ConfigError, Differs, Mode, RejectPhase, Role, SessionSource, VersionSource,
};
use scorer_sdk::signal::latency::Latency;
use scorer_sdk::signal::size::Size;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Entries of a list that are said.
const SHOWN: usize = 20;

/// Runs the command.
///
/// # Errors
/// When the file cannot be read, is empty, or has no config in it.
pub fn run(args: &args::CheckConfig) -> Result<Exit> {
    let text = config::read_file(&args.file)?;
    let found = config::find(&text).with_context(|| args.file.clone())?;
    // What was to write it has failed, as in `kubectl kustomize TYPO | serin check-config -`.
    ensure!(
        found.iter().all(|found| !found.json.trim().is_empty()),
        "{} is empty, so nothing was checked; a config that leaves everything at its default is {{}}",
        args.file
    );
    let checked: Vec<(Found, Result<Plan, ConfigError>)> = found
        .into_iter()
        .map(|config| {
            let plan = config.compile();
            (config, plan)
        })
        .collect();
    let good = checked.iter().all(|(_, plan)| plan.is_ok());
    if args.json {
        output::print_json(&Report {
            file: &args.file,
            valid: good,
            configs: checked
                .iter()
                .map(|(found, plan)| Checked::new(found, plan))
                .collect(),
        })?;
    } else {
        for (found, plan) in &checked {
            output::print(&config_text(&args.file, found, plan))?;
        }
    }
    Ok(if good { Exit::Good } else { Exit::Unusable })
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a str,
    valid: bool,
    configs: Vec<Checked<'a>>,
}

/// What `--json` prints of one config.
#[derive(Serialize)]
struct Checked<'a> {
    plugin: Option<&'a str>,
    valid: bool,
    warnings: &'a [String],
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

/// The field of a config that says what was found.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<'a> {
    /// What it means.
    Plan(BTreeMap<String, String>),
    /// What is wrong with it.
    Error(&'a ConfigError),
}

impl<'a> Checked<'a> {
    fn new(found: &'a Found, plan: &'a Result<Plan, ConfigError>) -> Self {
        let outcome = match plan {
            Err(error) => Outcome::Error(error),
            Ok(plan) => Outcome::Plan(
                meaning(plan, &written(found))
                    .into_iter()
                    .map(|(name, value)| (name.replace([' ', '-'], "_"), value))
                    .collect(),
            ),
        };
        Self {
            plugin: found.plugin.as_deref(),
            valid: plan.is_ok(),
            warnings: &found.warnings,
            outcome,
        }
    }
}

fn config_text(file: &str, found: &Found, plan: &Result<Plan, ConfigError>) -> String {
    let mut name = plain(file).into_owned();
    if let Some(plugin) = &found.plugin {
        let kind = if found.at == config::PLUGIN_CONFIG {
            "WasmPlugin"
        } else {
            "filter"
        };
        name.push_str(&format!(", {kind} {}", plain(plugin)));
    }
    let text = match plan {
        Err(error) => format!(
            "{name}: {}\n  {}: {}\n  repair: {}\n",
            styled(BAD, "cannot be used"),
            styled(BOLD, &plain(&error.path)),
            plain(&error.problem),
            plain(&error.repair)
        ),
        Ok(plan) => {
            let mut text = format!("{name}: {}\n", styled(GOOD, "fine"));
            for (name, value) in meaning(plan, &written(found)) {
                text.push_str(&format!("  {name:<15} {}\n", plain(&value)));
            }
            text
        }
    };
    let warnings = found.warnings.iter();
    text + &warnings
        .map(|warning| format!("  {}: {}\n", styled(UNSURE, "warning"), plain(warning)))
        .collect::<String>()
}

/// The config as it was written; the plan has been made from it, so it can be read.
fn written(found: &Found) -> raw::Config {
    serde_json::from_str(&found.json).unwrap_or_default()
}

/// What the plan means, in the order in which people ask; `written` has what is no field of the plan.
fn meaning(plan: &Plan, written: &raw::Config) -> Vec<(&'static str, String)> {
    let mode = match plan.mode {
        Mode::Observe => "judges and reports, touches nothing",
        Mode::Annotate => "writes the verdict into response headers",
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
        (
            "rollout",
            plan.rollout
                .clone()
                .unwrap_or_else(|| "not named: told by the versions alone".to_owned()),
        ),
        ("versions", versions(plan)),
        (
            "false alarm",
            format!(
                "at most {}% of healthy rollouts are ever called anomalous",
                percent(plan.false_alarm)
            ),
        ),
        (
            "tick",
            format!("looks at the evidence every {}", time(plan.tick)),
        ),
        (
            "warm-up",
            if plan.warm_up.max.is_zero() {
                "judges the latency of new hosts from their first request on".to_owned()
            } else {
                format!(
                    "judges the latency of a new host once it has stopped falling, after {} to {}",
                    time(plan.warm_up.min),
                    time(plan.warm_up.max)
                )
            },
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
        ("latency", latency(written)),
        (
            "size",
            format!(
                "differences below {}% do not matter",
                percent(written.size.margin.unwrap_or(Size::default().margin))
            ),
        ),
        ("differs", differs(&plan.differs)),
        (
            "ignored headers",
            listed(&written.ignored_headers, "none beside the built-in ones"),
        ),
        (
            "expected",
            listed(
                &written.expected.iter().map(expected).collect::<Vec<_>>(),
                "no difference is declared",
            ),
        ),
        ("placebo", placebo(plan)),
        ("drift", drift(plan)),
        ("past", past(plan)),
        ("surprise", surprise(plan)),
        ("bodies", bodies(plan)),
        (
            "templates",
            listed(&written.routes.templates, "found in the paths"),
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
    if let Some(fleet) = &plan.fleet {
        meaning.push((
            "fleet",
            format!(
                "asks {}{} every {} what all proxies together think{}; up to {} of them, so {}% is this one's share of the false alarms",
                fleet.cluster,
                fleet.path,
                time(fleet.every),
                match fleet.token {
                    Some(_) => ", with a token",
                    None => "",
                },
                fleet.proxies,
                percent(plan.own_false_alarm())
            ),
        ));
    }
    if let Some(probation) = plan.probation {
        meaning.push((
            "probation",
            format!(
                "{}% of the requests, {} after a verdict",
                percent(probation.share),
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
                percent(plan.reject.share),
                plan.reject.attempts,
                match plan.reject.phase {
                    RejectPhase::Request => "request",
                    RejectPhase::Response => "response",
                }
            ),
        ));
    }
    meaning.push(("looks", looks(plan)));
    meaning.push((
        "series",
        format!("at most {} metric series", plan.max_series),
    ));
    let record = if plan.record {
        "leaves each exchange for the access log"
    } else {
        "leaves nothing for the access log"
    };
    let rescued = if plan.count_rescued {
        "counts requests that were retried and answered by the baseline"
    } else {
        "does not count requests that were retried and answered by the baseline"
    };
    let examples = if plan.examples {
        "names requests of the candidate with their ids beside each reason"
    } else {
        "reads no ids of requests"
    };
    let traces = if plan.traces {
        "leaves version, verdict and surprise for the proxy's traces"
    } else {
        "leaves nothing for the proxy's traces"
    };
    meaning.push(("record", record.to_owned()));
    meaning.push(("examples", examples.to_owned()));
    meaning.push(("traces", traces.to_owned()));
    meaning.push(("rescued", rescued.to_owned()));
    meaning
}

fn looks(plan: &Plan) -> String {
    if plan.may_glance() {
        format!(
            "at {} exchanges a second and worker, as many failures, and glances at the rest",
            plan.looks_per_second
        )
    } else if plan.looks_per_second > 0 {
        "at every exchange, because something that is on needs each of them".to_owned()
    } else {
        "at every exchange".to_owned()
    }
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
        number => {
            let clusters: Vec<String> = plan
                .clusters
                .iter()
                .map(|(cluster, (destination, version))| {
                    format!("{cluster} is {destination} {version}")
                })
                .collect();
            format!(
                "{from}; {number} clusters listed: {}",
                listed(&clusters, "")
            )
        }
    }
}

fn latency(written: &raw::Config) -> String {
    let default = Latency::default();
    format!(
        "differences below {}% or {} do not matter",
        percent(written.latency.margin.unwrap_or(default.margin)),
        written
            .latency
            .floor
            .clone()
            .unwrap_or_else(|| time(Duration::from_micros(default.floor_us)))
    )
}

fn differs(sizes: &Differs) -> String {
    format!(
        "told from {}% and {} of the median duration, or {}% of the exchanges",
        percent(sizes.latency),
        time(Duration::from_micros(sizes.floor_us)),
        percent(sizes.share)
    )
}

fn expected(declared: &ExpectedSection) -> String {
    let what = declared.category.as_ref().or(declared.signal.as_ref());
    format!(
        "{} on {}",
        what.map_or("nothing", String::as_str),
        declared.route.as_deref().unwrap_or("every route")
    )
}

fn placebo(plan: &Plan) -> String {
    if !plan.placebo {
        return "off".to_owned();
    }
    let session = match &plan.session {
        SessionSource::Client => "one client's address".to_owned(),
        SessionSource::Connection => "one connection".to_owned(),
        SessionSource::Cookie(name) => format!("one value of the cookie {name}"),
        SessionSource::Header(name) => format!("one value of the header {name}"),
    };
    format!("compares the baseline with itself, by host or by session; {session} is a session")
}

fn surprise(plan: &Plan) -> String {
    let Some(surprise) = &plan.surprise else {
        return "off".to_owned();
    };
    let refusals = surprise.refuse_above.map_or_else(
        || "nothing is refused for it".to_owned(),
        |share| format!("a guard refuses above the {}% percentile", percent(share)),
    );
    format!(
        "scores each exchange against earlier ones, in epochs of {}, with at most {} values; \
         {refusals}",
        time(surprise.epoch),
        surprise.settings.limits.all_tokens
    )
}

fn drift(plan: &Plan) -> String {
    if plan.drift_window.is_zero() {
        return "off".to_owned();
    }
    format!(
        "compares each version with its own past, every {}",
        time(plan.drift_window.max(plan.tick))
    )
}

fn past(plan: &Plan) -> String {
    if plan.past_window.is_zero() {
        return "off".to_owned();
    }
    format!(
        "compares a version that has taken over the traffic with the baseline's past, every {}; {}",
        time(plan.past_window),
        if plan.past_acts {
            "acts on it"
        } else {
            "never acts on it"
        }
    )
}

fn bodies(plan: &Plan) -> String {
    let Some(body) = &plan.body else {
        return "not looked at".to_owned();
    };
    format!(
        "looks at {}% of the answers, {} bytes of each at most, of the types {}; {}",
        percent(body.sample),
        body.limits.max_bytes,
        listed(&body.content_types, "JSON, what is built on it, and gRPC"),
        "keeps key names and types, no values"
    )
}

/// The first few of a list.
fn listed(items: &[String], none: &str) -> String {
    match items.len().checked_sub(SHOWN) {
        _ if items.is_empty() => none.to_owned(),
        None | Some(0) => items.join(", "),
        Some(more) => format!(
            "{} and {more} more",
            items.get(..SHOWN).unwrap_or_default().join(", ")
        ),
    }
}

/// A share in per cent, without the digits that binary fractions add.
fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
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
