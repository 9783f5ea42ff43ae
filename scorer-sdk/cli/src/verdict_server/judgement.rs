//! One decision out of what all proxies say of a destination's candidate.
//!
//! The same as the recording rule `serin:decision`, without need of the rules: abort where one
//! proxy is sure that the candidate is worse, or all of them together are and none holds its verdict
//! back for the sake of the placebo; promote where the verdict is healthy, its proxy still judges,
//! the baseline works and the candidate has traffic; wait for all else. [`fleet_evidence`] has the
//! formula of the fleet's evidence.

use super::prometheus::{Sample, quoted};
use crate::fleet_evidence;
use scorer_sdk::Verdict;
use scorer_sdk::telemetry::{self, METRIC_PREFIX, Metric, label};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A proxy whose last merge is older does not judge any more, in seconds.
const OLDEST_HEARTBEAT: u64 = 60;
/// Most reasons that are told.
const REASONS: usize = 10;
/// Label that tells the parts of the question from each other.
const ASKED: &str = "asked";
/// Gauges that are 1 while something limits the comparison.
const LIMITS: [Metric; 5] = [
    telemetry::BASELINE_FAILING,
    telemetry::DIFFERS,
    telemetry::HELD_BY_PLACEBO,
    telemetry::UNBALANCED,
    telemetry::WARMING_UP,
];

/// What to do with a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Roll back.
    Abort,
    /// Neither is sure.
    Wait,
    /// Go on.
    Promote,
}

impl Action {
    /// The number of the recording rule `serin:decision`: -1, 0 or 1.
    #[must_use]
    pub fn number(self) -> i8 {
        match self {
            Self::Abort => -1,
            Self::Wait => 0,
            Self::Promote => 1,
        }
    }
}

/// A pair that speaks against the candidate, over all proxies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Strongest {
    /// The route as in the metrics.
    pub route: String,
    /// The category.
    pub category: String,
    /// Log evidence in nats.
    pub nats: f64,
}

/// Evidence in nats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Evidence {
    /// The most that a single proxy has.
    pub proxy: f64,
    /// That of all proxies together; none while no pair has any.
    pub fleet: Option<f64>,
    /// What is enough.
    pub enough: f64,
}

/// A decision with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The service.
    pub destination: String,
    /// The version that is judged; empty where none can be told.
    pub candidate: String,
    /// What to do.
    pub decision: Action,
    /// The same as a number: -1, 0, 1.
    pub decision_number: i8,
    /// The worst verdict of any proxy: `learning`, `healthy`, `suspect`, `anomalous`, or `none`.
    pub verdict: &'static str,
    /// Why, in one sentence.
    pub reason: String,
    /// Since when the candidate is worse, as far as can be told, in seconds since the Unix epoch: the
    /// earliest that a proxy says; none without a verdict `anomalous`.
    pub onset_time: Option<f64>,
    /// When the first proxy came to that verdict, in seconds since the Unix epoch.
    pub verdict_time: Option<f64>,
    /// Where the candidate is worse, the strongest first.
    pub strongest: Vec<Strongest>,
    /// How sure it is.
    pub evidence: Evidence,
    /// Candidate exchanges that were compared, over all proxies.
    pub judged_exchanges: f64,
    /// Candidate exchanges within the window.
    pub recent_exchanges: f64,
    /// Proxies that judge this candidate.
    pub proxies: f64,
    /// What limits the comparison: names of gauges without `serin_`.
    pub limits: Vec<String>,
    /// Candidate requests, at the least of all proxies, that a rise of the odds of failure to so
    /// many times the baseline's would still need until it is found.
    pub requests_needed: BTreeMap<String, f64>,
}

/// The question to Prometheus: all parts in one, so that they are of one moment.
#[must_use]
pub fn question(destination: &str, window: Duration) -> String {
    let of = format!("destination={}", quoted(destination));
    let window = window.as_secs().max(1);
    let metric = |metric: &Metric| format!("{}{{{of}}}", metric.name);
    let (verdict, sums) = (metric(&telemetry::VERDICT), telemetry::PROCESSES.name);
    // A gauge that is the sum of two processes' says nothing.
    let first = |of: &Metric| {
        let gauge = metric(of);
        format!("min by (version) ({gauge} > 0 unless on (job, instance) {sums} > 1)")
    };
    // As the recording rule serin:verdict: such a verdict is none.
    let verdict = format!("({verdict} unless on (job, instance) {sums} > 1 or 0 * {verdict})");
    let beat = telemetry::HEARTBEAT.name;
    let fresh = format!("on (job, instance) (time() - {beat} < {OLDEST_HEARTBEAT})");
    let pairs = fleet_evidence::pairs_query(&of);
    let routes = fleet_evidence::routes_of_counters_query(&of);
    let limits = LIMITS.map(|metric| metric.name).join("|");
    [
        ("verdict", format!("max by (version) ({verdict})")),
        ("fresh", format!("max by (version) ({verdict} and {fresh})")),
        ("onset", first(&telemetry::ONSET_TIME)),
        ("found", first(&telemetry::VERDICT_TIME)),
        (
            "proxies",
            format!("count by (version) ({verdict} and {fresh})"),
        ),
        (
            "enough",
            format!(
                "max by (version) ({}) / 1000",
                metric(&telemetry::ROLLOUT_THRESHOLD)
            ),
        ),
        (
            "proxy",
            format!(
                "max by (version) ({}) / 1000",
                metric(&telemetry::ROLLOUT_EVIDENCE)
            ),
        ),
        ("fleet", fleet_evidence::fleet_query(&pairs, &routes)),
        (
            "judged",
            format!(
                "sum by (version) ({})",
                metric(&telemetry::JUDGED_EXCHANGES)
            ),
        ),
        (
            "recent",
            format!(
                "sum by (version) (increase({}[{window}s]))",
                metric(&telemetry::EXCHANGES)
            ),
        ),
        (
            "limit",
            format!("max by (version, __name__) ({{__name__=~\"{limits}\", {of}}}) > 0"),
        ),
        (
            "needed",
            format!(
                "min by (version, odds_ratio) ({})",
                metric(&telemetry::REQUESTS_NEEDED)
            ),
        ),
        (
            "pair",
            format!("topk by (version) ({REASONS}, {pairs} > 0)"),
        ),
    ]
    .map(|(part, expression)| {
        format!("label_replace({expression}, \"{ASKED}\", \"{part}\", \"\", \"\")")
    })
    .join("\nor ")
}

/// Answers to the parts, of one version.
struct Known<'a> {
    samples: Vec<&'a Sample>,
}

impl Known<'_> {
    fn of<'a>(samples: &'a [Sample], version: &str) -> Known<'a> {
        Known {
            samples: samples
                .iter()
                .filter(|sample| sample.label(label::VERSION) == version && !sample.value.is_nan())
                .collect(),
        }
    }

    fn part(&self, part: &str) -> impl Iterator<Item = &Sample> {
        self.samples
            .iter()
            .copied()
            .filter(move |sample| sample.label(ASKED) == part)
    }

    fn value(&self, part: &str) -> Option<f64> {
        self.part(part).map(|sample| sample.value).next()
    }

    fn amount(&self, part: &str) -> f64 {
        self.value(part).unwrap_or(0.0)
    }
}

/// The decision from the samples that answer [`question`]. Without `candidate` it is on the one
/// version that is being compared; more than one have to be told apart by who asks.
#[must_use]
pub fn judge(
    samples: &[Sample],
    destination: &str,
    candidate: Option<&str>,
    window: Duration,
) -> Judgement {
    let candidate = match candidate {
        Some(candidate) => candidate.to_owned(),
        None => match current(samples) {
            Ok(candidate) => candidate,
            Err(reason) => return undecided(destination, "", reason),
        },
    };
    let known = Known::of(samples, &candidate);
    let Some(verdict) = known.value("verdict").and_then(verdict_of) else {
        let reason = format!(
            "no proxy compares {candidate} of {destination}: it has had no traffic that Serin saw, or the names are others"
        );
        return undecided(destination, &candidate, reason);
    };
    let mut judgement = undecided(destination, &candidate, String::new());
    judgement.verdict = verdict.name();
    judgement.onset_time = known.value("onset");
    judgement.verdict_time = known.value("found");
    judgement.evidence = Evidence {
        proxy: known.amount("proxy"),
        fleet: known.value("fleet").filter(|nats| nats.is_finite()),
        enough: known.amount("enough"),
    };
    judgement.judged_exchanges = known.amount("judged");
    judgement.recent_exchanges = known.amount("recent").round();
    judgement.proxies = known.amount("proxies");
    judgement.limits = known
        .part("limit")
        .map(|sample| {
            sample
                .label("__name__")
                .trim_start_matches(METRIC_PREFIX)
                .to_owned()
        })
        .collect();
    judgement.limits.sort();
    judgement.requests_needed = known
        .part("needed")
        .map(|sample| (sample.label(label::ODDS_RATIO).to_owned(), sample.value))
        .collect();
    judgement.strongest = strongest(&known);
    let fresh = known.value("fresh").and_then(verdict_of);
    let (action, reason) = judgement.decide(verdict, fresh, window);
    judgement.decision = action;
    judgement.decision_number = action.number();
    judgement.reason = reason;
    judgement
}

impl Judgement {
    fn decide(
        &self,
        verdict: Verdict,
        fresh: Option<Verdict>,
        window: Duration,
    ) -> (Action, String) {
        let name = &self.candidate;
        let window = humantime::format_duration(window);
        if verdict == Verdict::Anomalous {
            return (
                Action::Abort,
                format!("{name} is worse than the baseline{}", self.where_worse()),
            );
        }
        let limited = |name: &str| self.limits.iter().any(|limit| limit == name);
        let held = limited("held_by_placebo");
        let enough = self.evidence.enough;
        let together = enough > 0.0 && self.evidence.fleet.is_some_and(|nats| nats >= enough);
        if together && !held {
            return (
                Action::Abort,
                format!(
                    "{name} is worse than the baseline by what all proxies saw together{}",
                    self.where_worse()
                ),
            );
        }
        let reason = match (verdict, fresh) {
            (Verdict::Suspect, _) if held => {
                format!(
                    "{name} is worse, but the baseline's own hosts differ as much: look at them first"
                )
            }
            (Verdict::Suspect, _) => format!(
                "{name} may be worse than the baseline; more traffic will tell{}",
                self.where_worse()
            ),
            (_, None) => {
                "no proxy has judged within the last minute: is Serin still running?".to_owned()
            }
            (Verdict::Learning, _) => format!(
                "{} exchanges of {name} were compared, which is not enough yet{}",
                self.judged_exchanges,
                self.needed()
            ),
            _ if limited("baseline_failing") => {
                "the baseline fails most of its requests: there is nothing sound to compare with"
                    .to_owned()
            }
            _ if self.recent_exchanges < 1.0 => {
                format!("{name} has had no traffic for {window}: its verdict is an old one")
            }
            (Verdict::Healthy, Some(Verdict::Healthy)) => {
                return (
                    Action::Promote,
                    format!(
                        "{} exchanges of {name} were compared and nothing speaks against it",
                        self.judged_exchanges
                    ),
                );
            }
            _ => format!("the proxies that still judge have not seen enough of {name}"),
        };
        (Action::Wait, reason)
    }

    /// Where it is worse, to end a sentence.
    fn where_worse(&self) -> String {
        let pairs: Vec<String> = self
            .strongest
            .iter()
            .take(3)
            .map(|pair| format!("{} {} ({:.1} nats)", pair.route, pair.category, pair.nats))
            .collect();
        if pairs.is_empty() {
            String::new()
        } else {
            format!(": {}", pairs.join(", "))
        }
    }

    fn needed(&self) -> String {
        let Some(requests) = self.requests_needed.get("5") else {
            return String::new();
        };
        format!("; a failure rate of five times the baseline's would take about {requests} more")
    }
}

/// The only version that is being compared: of several, the one that has traffic.
fn current(samples: &[Sample]) -> Result<String, String> {
    let versions: BTreeSet<&str> = samples
        .iter()
        // A candidate that was replaced keeps its gauges, at 0.
        .filter(|sample| sample.label(ASKED) == "enough" && sample.value > 0.0)
        .map(|sample| sample.label(label::VERSION))
        .collect();
    let busy = versions
        .iter()
        .filter(|version| Known::of(samples, version).amount("recent") >= 1.0);
    let mut chosen: Vec<&str> = busy.copied().collect();
    if chosen.is_empty() {
        chosen = versions.into_iter().collect();
    }
    match chosen.as_slice() {
        [] => Err("no candidate is being compared: there was no traffic to one, or the name of the destination is another".to_owned()),
        [one] => Ok((*one).to_owned()),
        several => Err(format!(
            "proxies compare several candidates ({}): ask for one of them",
            several.join(", ")
        )),
    }
}

fn undecided(destination: &str, candidate: &str, reason: String) -> Judgement {
    Judgement {
        destination: destination.to_owned(),
        candidate: candidate.to_owned(),
        decision: Action::Wait,
        decision_number: Action::Wait.number(),
        verdict: "none",
        reason,
        onset_time: None,
        verdict_time: None,
        strongest: Vec::new(),
        evidence: Evidence::default(),
        judged_exchanges: 0.0,
        recent_exchanges: 0.0,
        proxies: 0.0,
        limits: Vec::new(),
        requests_needed: BTreeMap::new(),
    }
}

fn strongest(known: &Known) -> Vec<Strongest> {
    let mut strongest: Vec<Strongest> = known
        .part("pair")
        .map(|sample| Strongest {
            route: sample.label(label::ROUTE).to_owned(),
            category: sample.label(label::CATEGORY).to_owned(),
            nats: sample.value,
        })
        .collect();
    strongest.sort_by(|one, other| other.nats.total_cmp(&one.nats));
    strongest.truncate(REASONS);
    strongest
}

fn verdict_of(number: f64) -> Option<Verdict> {
    Verdict::from_number(number as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    fn sample(part: &str, labels: &[(&str, &str)], value: f64) -> Sample {
        let asked = [(ASKED, part)];
        let labels = asked.iter().chain(labels);
        Sample {
            labels: labels
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            value,
        }
    }

    /// A candidate with this verdict that has traffic and a proxy that judges it.
    fn version(name: &str, verdict: f64) -> Vec<Sample> {
        [
            ("verdict", verdict),
            ("fresh", verdict),
            ("proxies", 1.0),
            ("enough", 4.605),
            ("judged", 400.0),
            ("recent", 250.4),
        ]
        .map(|(part, value)| sample(part, &[("version", name)], value))
        .into()
    }

    fn without(samples: Vec<Sample>, part: &str) -> Vec<Sample> {
        samples
            .into_iter()
            .filter(|sample| sample.label(ASKED) != part)
            .collect()
    }

    fn action(samples: &[Sample]) -> Action {
        judge(samples, "shop", Some("v2"), WINDOW).decision
    }

    #[test]
    fn healthy_is_promoted_anomalous_aborted_and_the_rest_waits() {
        for (verdict, expected) in [
            (0.0, Action::Wait),
            (1.0, Action::Promote),
            (2.0, Action::Wait),
            (3.0, Action::Abort),
            (9.0, Action::Wait),
        ] {
            assert_eq!(action(&version("v2", verdict)), expected, "{verdict}");
        }
        assert_eq!(action(&[]), Action::Wait);
    }

    #[test]
    fn a_verdict_says_since_when_and_when_it_fell() {
        let mut samples = version("v2", 3.0);
        let judgement = judge(&samples, "shop", Some("v2"), WINDOW);
        assert_eq!((judgement.onset_time, judgement.verdict_time), (None, None));
        for (part, time) in [("onset", 1_770_000_004.0), ("found", 1_770_000_008.0)] {
            samples.push(sample(part, &[("version", "v2")], time));
        }
        let judgement = judge(&samples, "shop", Some("v2"), WINDOW);
        assert_eq!(judgement.onset_time, Some(1_770_000_004.0));
        assert_eq!(judgement.verdict_time, Some(1_770_000_008.0));
    }

    #[test]
    fn an_old_verdict_a_dead_judge_and_a_failing_baseline_promote_nothing() {
        let quiet = without(version("v2", 1.0), "recent");
        let judgement = judge(&quiet, "shop", Some("v2"), WINDOW);
        assert_eq!(judgement.decision, Action::Wait);
        assert!(
            judgement.reason.contains("no traffic for 5m"),
            "{}",
            judgement.reason
        );

        assert_eq!(action(&without(version("v2", 1.0), "fresh")), Action::Wait);
        // What a dead judge has found stays found.
        assert_eq!(action(&without(version("v2", 3.0), "fresh")), Action::Abort);

        let mut failing = version("v2", 1.0);
        let labels = [
            ("version", "v2"),
            ("__name__", telemetry::BASELINE_FAILING.name),
        ];
        failing.push(sample("limit", &labels, 1.0));
        assert_eq!(action(&failing), Action::Wait);
    }

    #[test]
    fn what_all_proxies_saw_together_is_enough_to_abort_and_says_where() {
        let mut samples = version("v2", 1.0);
        samples.push(sample("fleet", &[("version", "v2")], 4.7));
        for (route, nats) in [("GET /a", 2.0), ("GET /b", 9.0)] {
            let labels = [("version", "v2"), ("route", route), ("category", "error")];
            samples.push(sample("pair", &labels, nats));
        }
        let judgement = judge(&samples, "shop", Some("v2"), WINDOW);
        assert_eq!(judgement.decision_number, -1);
        assert!(
            judgement.reason.contains(": GET /b error (9.0 nats)"),
            "{}",
            judgement.reason
        );
        samples.retain(|sample| sample.label(ASKED) != "fleet");
        samples.push(sample("fleet", &[("version", "v2")], 4.5));
        assert_eq!(action(&samples), Action::Promote);
    }

    #[test]
    fn while_the_placebo_holds_a_verdict_back_all_proxies_together_do_not_abort() {
        let mut samples = version("v2", 2.0);
        samples.push(sample("fleet", &[("version", "v2")], 9.0));
        assert_eq!(action(&samples), Action::Abort);
        let labels = [
            ("version", "v2"),
            ("__name__", telemetry::HELD_BY_PLACEBO.name),
        ];
        samples.push(sample("limit", &labels, 1.0));
        let judgement = judge(&samples, "shop", Some("v2"), WINDOW);
        assert_eq!(judgement.decision, Action::Wait);
        assert!(
            judgement.reason.contains("own hosts differ as much"),
            "{}",
            judgement.reason
        );
        // One proxy that is sure without the hold is enough, as before.
        let mut sure = without(without(samples, "verdict"), "fresh");
        sure.push(sample("verdict", &[("version", "v2")], 3.0));
        assert_eq!(action(&sure), Action::Abort);
    }

    #[test]
    fn without_a_name_the_candidate_is_the_one_that_is_compared() {
        let mut samples = version("v2", 1.0);
        // Replaced: its gauges went to 0.
        samples.extend(version("v1.9", 0.0).into_iter().map(|mut sample| {
            sample.value = 0.0;
            sample
        }));
        let judgement = judge(&samples, "shop", None, WINDOW);
        assert_eq!(
            (judgement.candidate.as_str(), judgement.decision),
            ("v2", Action::Promote)
        );

        samples.extend(version("v3", 1.0));
        let judgement = judge(&samples, "shop", None, WINDOW);
        assert_eq!(judgement.decision, Action::Wait);
        assert!(judgement.reason.contains("v2, v3"), "{}", judgement.reason);

        // Two are compared, and one of them has traffic.
        let samples: Vec<Sample> = samples
            .into_iter()
            .filter(|sample| {
                sample.label(label::VERSION) != "v3" || sample.label(ASKED) != "recent"
            })
            .collect();
        assert_eq!(judge(&samples, "shop", None, WINDOW).candidate, "v2");
        assert_eq!(judge(&[], "shop", None, WINDOW).verdict, "none");
    }
}
