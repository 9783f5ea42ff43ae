//! The plan: a config that was checked and compiled.

use super::body::{BodyPlan, body};
use super::check::{duration, in_range, number, whole};
use super::differs::{Differs, differs};
use super::error::ConfigError;
use super::expected::{Expected, expected};
use super::fleet::{FleetPlan, fleet};
use super::proxy::{
    Mode, Probation, Reject, Role, SessionSource, VersionSource, clusters, mode, probation, reject,
    role, session, version_source,
};
use super::raw::{Config, parse};
use super::signals::signals;
use super::surprise::SurprisePlan;
use crate::limits::MAX_ROUTES;
use crate::route::{Limits, PathConfig, RouteKey, TemplateSet};
use crate::signal::{Input, IsFailure, Quantity, Question, Rule, Signal};
use core::time::Duration;
use std::collections::BTreeMap;

/// A compiled config: the settings of the engine and of the filter.
#[non_exhaustive]
pub struct Plan {
    /// What the filter may do to traffic.
    pub mode: Mode,
    /// Whether the filter compares two versions or guards one.
    pub role: Role,
    /// Bound on the chance that a healthy rollout is ever called anomalous.
    pub false_alarm: f64,
    /// Time between two looks at the evidence.
    pub tick: Duration,
    /// For how long Serin does not judge the latency of a young host.
    pub warm_up: WarmUp,
    /// Half-life of an arm's past.
    pub memory: Duration,
    /// Judged candidate exchanges that a healthy verdict needs.
    pub healthy_after: u64,
    /// Name of the stable version; automatic when `None`.
    pub baseline: Option<String>,
    /// Name of the new version; automatic when `None`.
    pub candidate: Option<String>,
    /// Name of this rollout.
    pub rollout: Option<String>,
    /// Where versions are read from.
    pub version_source: VersionSource,
    /// Cluster name to destination and version.
    pub clusters: BTreeMap<String, (String, String)>,
    /// Path templates and limits.
    pub paths: PathConfig,
    /// Most routes that Serin tells apart.
    pub max_routes: usize,
    /// Whether the proxy's route name is part of a route's key.
    pub routes_by_name: bool,
    /// The signals that are on.
    pub signals: Vec<Box<dyn Signal>>,
    /// Their questions, each with the index of its signal; weights sum to one.
    pub questions: Vec<(usize, Question)>,
    /// Intended differences, which do not count.
    pub expected: Vec<Expected>,
    /// Smallest difference that Serin reports.
    pub differs: Differs,
    /// Whether Serin compares two halves of the baseline with each other.
    pub placebo: bool,
    /// Length of the window for one value of a drift series; zero if drift is off.
    pub drift_window: Duration,
    /// Length of the window for comparing a version with the past of the one before it; zero if off.
    pub past_window: Duration,
    /// Whether that may lead to the verdict `anomalous`.
    pub past_acts: bool,
    /// What makes requests one session.
    pub session: SessionSource,
    /// Which response bodies Serin reads; `None` for none.
    pub body: Option<BodyPlan>,
    /// How Serin scores how unusual an exchange is; `None` for not at all.
    pub surprise: Option<SurprisePlan>,
    /// Second chance after a verdict.
    pub probation: Option<Probation>,
    /// Settings of a guard.
    pub reject: Reject,
    /// Where the leader asks for the verdict of all proxies; `None` for nowhere.
    pub fleet: Option<FleetPlan>,
    /// Exchanges per second that one worker looks at in full; 0 for all. See [`Plan::may_glance`].
    pub looks_per_second: u64,
    /// Per question, one bit: whether cases count for it.
    case_questions: u64,
    /// The signals whose tokens are in a row, by their index, and per signal the column of its token.
    row_signals: Vec<usize>,
    row_columns: Vec<Option<usize>>,
    /// Most metric series.
    pub max_series: usize,
    /// Whether the filter writes exchanges for the access log.
    pub record: bool,
    /// Whether reasons name example exchanges by their ids.
    pub examples: bool,
    /// Whether the filter writes version, verdict and surprise for traces.
    pub traces: bool,
    /// Whether to count rescued requests.
    pub count_rescued: bool,
}

/// For how long Serin does not judge the latency of a young host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmUp {
    /// Shortest time after its first exchange.
    pub min: Duration,
    /// Longest time. In between, it ends once the host's latency has stopped falling.
    pub max: Duration,
}

/// Fewest and most exchanges a second that a worker may be told to look at.
const LEAST_LOOKS: u64 = 10;
const MOST_LOOKS: u64 = 1_000_000;
/// The tables hold one route more for each destination.
const MOST_ROUTES: u64 = MAX_ROUTES as u64 - 300;

impl Plan {
    /// Parses and compiles a config. An empty text is the default config.
    ///
    /// # Errors
    /// The first error, with its path and repair.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        Self::with_signals(text, Vec::new())
    }

    /// As [`Plan::from_json`], with your own signals beside the built-in ones.
    ///
    /// # Errors
    /// As [`Plan::from_json`].
    pub fn with_signals(text: &str, own: Vec<Box<dyn Signal>>) -> Result<Self, ConfigError> {
        let raw = if text.trim().is_empty() {
            Config::default()
        } else {
            parse(text)?
        };
        Self::compile(raw, own)
    }

    fn compile(raw: Config, own: Vec<Box<dyn Signal>>) -> Result<Self, ConfigError> {
        let version_source = version_source(&raw)?;
        let reject = reject(&raw)?;
        let mode = mode(raw.mode.as_deref())?;
        if mode == Mode::Reject && reject.reference.is_none() {
            return Err(ConfigError::new(
                "reject.reference",
                "mode `reject` has nothing to compare with",
                "put the output of `serin snapshot` here, or use another mode",
            ));
        }
        let role = role(raw.role.as_deref())?;
        if raw.baseline.is_some() && raw.baseline == raw.candidate {
            return Err(ConfigError::new(
                "candidate",
                "is the same version as `baseline`",
                "name two versions, or leave one out to have it found",
            ));
        }
        let (signals, questions) = signals(&raw, own)?;
        let (row_signals, row_columns) = in_rows(signals.len(), &questions);
        let memory = duration("memory", raw.memory.as_deref(), "10m", "10s", "7d")?;
        Ok(Self {
            mode,
            role,
            false_alarm: number(
                "false_alarm",
                raw.false_alarm,
                0.01,
                1e-6..=0.5,
                "a chance from 0.000001 to 0.5, such as 0.01",
            )?,
            tick: duration("tick", raw.tick.as_deref(), "1s", "100ms", "1m")?,
            warm_up: warm_up(&raw)?,
            memory,
            surprise: raw
                .surprise
                .as_ref()
                .map(|raw| SurprisePlan::compile(raw, memory))
                .transpose()?,
            healthy_after: raw.healthy_after.unwrap_or(200),
            baseline: name("baseline", raw.baseline.clone())?,
            candidate: name("candidate", raw.candidate.clone())?,
            rollout: name("rollout", raw.rollout.clone())?,
            clusters: clusters(&raw)?,
            version_source,
            paths: paths(&raw)?,
            expected: expected(&raw, &signals, &questions)?,
            differs: differs(&raw)?,
            placebo: raw.placebo.unwrap_or(true),
            drift_window: duration(
                "drift.window",
                raw.drift.window.as_deref(),
                "1m",
                "0s",
                "1h",
            )?,
            past_window: duration(
                "past.window",
                raw.past.window.as_deref(),
                "10s",
                "0s",
                "10m",
            )?,
            past_acts: raw.past.act,
            session: session(&raw)?,
            body: raw
                .body
                .as_ref()
                .filter(|_| wants(&signals, Input::Bodies))
                .map(body)
                .transpose()?,
            max_routes: whole("routes.max", raw.routes.max, 100, 1..=MOST_ROUTES)? as usize,
            routes_by_name: raw.routes.by_name,
            looks_per_second: looks_per_second(raw.looks_per_second)?,
            case_questions: case_questions(&signals, &questions),
            row_signals,
            row_columns,
            signals,
            questions,
            fleet: raw.fleet.as_ref().map(|raw| fleet(raw, mode)).transpose()?,
            probation: raw.steer.probation.as_ref().map(probation).transpose()?,
            reject,
            max_series: whole("max_series", raw.max_series, 4_000, 50..=100_000)? as usize,
            record: raw.record,
            examples: raw.examples.unwrap_or(true),
            traces: raw.traces,
            count_rescued: raw.count_rescued,
        })
    }

    /// Bound on the chance that this proxy alone ever calls a healthy rollout anomalous. With `fleet`
    /// half of `false_alarm` is for the verdict of all proxies together, and they share the other half.
    #[must_use]
    pub fn own_false_alarm(&self) -> f64 {
        match &self.fleet {
            Some(fleet) => self.false_alarm / 2.0 / f64::from(fleet.proxies),
            None => self.false_alarm,
        }
    }

    /// Bound on the chance that all proxies together ever call a healthy rollout anomalous.
    #[must_use]
    pub fn fleet_false_alarm(&self) -> f64 {
        self.false_alarm / 2.0
    }

    /// Whether a signal that is on reads this part of an exchange.
    #[must_use]
    pub fn wants(&self, input: Input) -> bool {
        wants(&self.signals, input)
    }

    /// The index of the first signal that measures how long an exchange took.
    #[must_use]
    pub fn duration(&self) -> Option<usize> {
        self.signals
            .iter()
            .position(|signal| signal.quantity() == Some(Quantity::Duration))
    }

    /// The index of the signal that tells failures, and which of its tokens are failures. The first
    /// one counts.
    #[must_use]
    pub fn failures(&self) -> Option<(usize, IsFailure)> {
        self.signals
            .iter()
            .enumerate()
            .find_map(|(index, signal)| Some((index, signal.failures()?)))
    }

    /// The index of the signal that asks for each path of the body ([`Rule::Path`]).
    #[must_use]
    pub fn paths_of_bodies(&self) -> Option<usize> {
        self.questions
            .iter()
            .find(|(_, question)| matches!(question.rule, Rule::Path))
            .map(|(signal, _)| *signal)
    }

    /// The signals whose tokens are in a row, by their index: those that are asked a question.
    #[must_use]
    pub fn row_signals(&self) -> &[usize] {
        &self.row_signals
    }

    /// Per signal, the column of its token in a row.
    pub(crate) fn row_columns(&self) -> &[Option<usize>] {
        &self.row_columns
    }

    /// Whether a worker may look at a random part of the exchanges only, and merely glance at the
    /// others ([`crate::Sampling`]). It may not where something is done for each exchange,
    /// or depends on the one before: with `looks_per_second` 0, `record`, `surprise`,
    /// `count_rescued`, mode `annotate`, a guard's reference, followed sessions and fan-out.
    #[must_use]
    pub fn may_glance(&self) -> bool {
        let is_each_needed = self.record
            || self.surprise.is_some()
            || self.count_rescued
            || matches!(self.mode, Mode::Annotate | Mode::Reject)
            || self.reject.reference.is_some()
            || self.wants(Input::Sessions)
            || self.wants(Input::FanOut);
        self.looks_per_second > 0 && !is_each_needed
    }

    /// Per question, one bit: whether only failed exchanges are in its category, so that cases count
    /// for it ([`crate::Exchange::is_case`]).
    #[must_use]
    pub fn case_questions(&self) -> u64 {
        self.case_questions
    }

    /// Whether this category was declared as intended on this route.
    #[must_use]
    pub fn is_expected(&self, route: &RouteKey, question: usize) -> bool {
        self.questions
            .get(question)
            .is_some_and(|(signal, question)| {
                self.expected
                    .iter()
                    .any(|expected| expected.covers_category(route, *signal, question.name))
            })
    }

    /// Whether this signal was declared to differ on this route, as a whole or in one category.
    #[must_use]
    pub fn is_expected_to_differ(&self, route: &RouteKey, signal: usize) -> bool {
        self.expected
            .iter()
            .any(|expected| expected.covers_signal(route, signal))
    }

    /// The arm's share of what it remembered that is kept over one tick.
    #[must_use]
    pub fn keep_per_tick(&self) -> f32 {
        (-self.tick.as_secs_f64() / self.memory.as_secs_f64()).exp2() as f32
    }
}

fn wants(signals: &[Box<dyn Signal>], input: Input) -> bool {
    signals
        .iter()
        .any(|signal| signal.inputs().contains(&input))
}

fn looks_per_second(value: Option<u64>) -> Result<u64, ConfigError> {
    match value.unwrap_or(1_000) {
        few @ 1..LEAST_LOOKS => Err(ConfigError::new(
            "looks_per_second",
            format!("{few} exchanges a second are too few to compare versions by"),
            format!("use 0 to look at all exchanges, or {LEAST_LOOKS} to {MOST_LOOKS}"),
        )),
        looks => in_range(
            "looks_per_second",
            looks,
            0..=MOST_LOOKS,
            format!("use 0 to look at all exchanges, or {LEAST_LOOKS} to {MOST_LOOKS}"),
        ),
    }
}

/// The signals that are asked a question of each exchange, by their index; and per signal the place that
/// it has among them.
fn in_rows(signals: usize, questions: &[(usize, Question)]) -> (Vec<usize>, Vec<Option<usize>>) {
    let (mut row_signals, mut columns) = (Vec::new(), vec![None; signals]);
    for (signal, column) in columns.iter_mut().enumerate() {
        let is_asked = questions
            .iter()
            .any(|(of, question)| *of == signal && !matches!(question.rule, Rule::Path));
        if is_asked {
            *column = Some(row_signals.len());
            row_signals.push(signal);
        }
    }
    (row_signals, columns)
}

/// The questions to which only failed exchanges answer yes, by what their signal says of its tokens.
fn case_questions(signals: &[Box<dyn Signal>], questions: &[(usize, Question)]) -> u64 {
    questions
        .iter()
        .enumerate()
        .filter(|(_, (signal, question))| {
            let failed = signals.get(*signal).and_then(|signal| signal.failed());
            match (question.rule, failed) {
                (Rule::Fixed(is_bad), Some(has_failed)) => {
                    (0..=u16::MAX).all(|code| !is_bad(code) || has_failed(code))
                }
                _ => false,
            }
        })
        .fold(0, |bits, (number, _)| {
            bits | 1_u64.checked_shl(number as u32).unwrap_or(0)
        })
}

fn name(path: &str, value: Option<String>) -> Result<Option<String>, ConfigError> {
    match value {
        Some(name) if name.is_empty() || name.len() > crate::limits::MAX_VERSION_BYTES => {
            Err(ConfigError::new(
                path,
                "a version needs a name of 1 to 128 bytes",
                "name the version as the proxy reports it, or leave the field out",
            ))
        }
        other => Ok(other),
    }
}

fn warm_up(raw: &Config) -> Result<WarmUp, ConfigError> {
    let min = duration("warm_up", raw.warm_up.min.as_deref(), "30s", "0s", "1h")?;
    let max = duration(
        "warm_up.max",
        raw.warm_up.max.as_deref(),
        "15m",
        "0s",
        "24h",
    )?;
    Ok(WarmUp {
        min,
        max: max.max(min),
    })
}

fn paths(raw: &Config) -> Result<PathConfig, ConfigError> {
    let templates =
        TemplateSet::parse(raw.routes.templates.iter().map(String::as_str)).map_err(|error| {
            ConfigError::new(
                "routes.templates",
                error.to_string(),
                "write templates as /api/items/{id} or /static/*",
            )
        })?;
    Ok(PathConfig {
        templates,
        limits: Limits::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(config: &str) -> Plan {
        Plan::from_json(config).unwrap()
    }

    #[test]
    fn a_worker_may_glance_unless_something_is_done_for_each_exchange() {
        for config in [
            "",
            r#"{"mode": "steer"}"#,
            r#"{"looks_per_second": 10}"#,
            r#"{"body": {}}"#,
        ] {
            assert!(plan(config).may_glance(), "{config}");
        }
        for config in [
            r#"{"looks_per_second": 0}"#,
            r#"{"mode": "annotate"}"#,
            r#"{"record": true}"#,
            r#"{"count_rescued": true}"#,
            r#"{"surprise": {}}"#,
            r#"{"session": {"from": "connection"}}"#,
            r#"{"signals": {"fan_out": true}}"#,
        ] {
            assert!(!plan(config).may_glance(), "{config}");
        }
    }

    #[test]
    fn cases_count_for_the_questions_that_only_failures_answer_with_yes() {
        let plan = plan("");
        let names: Vec<&str> = plan
            .questions
            .iter()
            .enumerate()
            .filter(|(number, _)| plan.case_questions() >> number & 1 == 1)
            .map(|(_, (_, question))| question.name)
            .collect();
        assert_eq!(names, ["error", "refused"]);
    }
}
