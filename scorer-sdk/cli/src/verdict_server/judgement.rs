//! One decision out of what all proxies say of a destination's candidate.
//!
//! The same as the recording rule `serin:decision`, without need of the rules: abort where one
//! proxy is sure that the candidate is worse, or all of them together are and none holds its verdict
//! back for the sake of the placebo; promote where the verdict is healthy, its proxy still judges,
//! the baseline works and the candidate has traffic; wait for all else. [`fleet_evidence`] has the
//! formula of the fleet's evidence, [`withdrawn`](crate::withdrawn) that of a candidate that was
//! taken out of the traffic: a verdict on it is an old one.
//!
//! Of a release whose beginning is known, only rollouts count that began after it.

use super::prometheus::{Sample, quoted};
use super::release::Asked;
use crate::fleet_evidence::{self, enough_together};
use crate::number::one_in;
use crate::withdrawn::withdrawn_of_counters_query;
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
    /// What is enough for one proxy.
    pub enough: f64,
    /// What is enough for all of them together: less, where their config has `fleet`.
    pub enough_together: f64,
}

/// A decision with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The service.
    pub destination: String,
    /// The version that is judged; empty where none can be told.
    pub candidate: String,
    /// The release that it is about, as its asker names it; none where the question names none.
    pub release: Option<String>,
    /// What has been judged since before then is about an earlier release, in seconds since the Unix
    /// epoch; none where no earlier one is known.
    pub release_time: Option<f64>,
    /// What to do.
    pub decision: Action,
    /// The same as a number: -1, 0, 1.
    pub decision_number: i8,
    /// The worst verdict of any proxy: `learning`, `healthy`, `suspect`, `anomalous`, or `none`.
    pub verdict: &'static str,
    /// Why, in one sentence.
    pub reason: String,
    /// Since when the candidate is judged, in seconds since the Unix epoch: the earliest that a proxy
    /// says.
    pub rollout_start_time: Option<f64>,
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
    /// Whether it got nothing for a minute, though by its share it was to get requests.
    pub withdrawn: bool,
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
pub fn question(asked: &Asked, window: Duration) -> String {
    let of = format!("destination={}", quoted(&asked.destination));
    let window = window.as_secs().max(1);
    let start = format!("({}{{{of}}} > 0)", telemetry::ROLLOUT_START_TIME.name);
    let earliest = asked.since;
    // Gauges of rollouts that are about the release.
    let of_release = earliest.map_or_else(String::new, |earliest| {
        format!(" and on (job, instance, version) ({start} >= {earliest:.3})")
    });
    let metric = |metric: &Metric| format!("({}{{{of}}}{of_release})", metric.name);
    // Evidence over all proxies is about the release where each of them is.
    let unless_earlier = earliest.map_or_else(String::new, |earliest| {
        format!(" unless on (version) ({start} < {earliest:.3})")
    });
    let (verdict, sums) = (metric(&telemetry::VERDICT), telemetry::PROCESSES.name);
    // A gauge that is the sum of two processes' says nothing.
    let first = |gauge: &str| {
        format!("min by (version) ({gauge} > 0 unless on (job, instance) {sums} > 1)")
    };
    // As the recording rule serin:verdict: such a verdict is none.
    let verdict = format!("({verdict} unless on (job, instance) {sums} > 1 or 0 * {verdict})");
    let beat = telemetry::HEARTBEAT.name;
    let fresh = format!("on (job, instance) (time() - {beat} < {OLDEST_HEARTBEAT})");
    let pairs = fleet_evidence::pairs_query(&of);
    let pooled = fleet_evidence::pooled_query(&of);
    let routes = fleet_evidence::routes_of_counters_query(&of);
    let limits = LIMITS.map(|metric| metric.name).join("|");
    let withdrawn = withdrawn_of_counters_query(&format!("{{{of}}}"));
    [
        ("verdict", format!("max by (version) ({verdict})")),
        ("fresh", format!("max by (version) ({verdict} and {fresh})")),
        ("start", first(&start)),
        ("started", first(&metric(&telemetry::ROLLOUT_START_TIME))),
        ("onset", first(&metric(&telemetry::ONSET_TIME))),
        ("found", first(&metric(&telemetry::VERDICT_TIME))),
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
            "enough_together",
            format!(
                "max by (version) ({}) / 1000",
                metric(&telemetry::FLEET_THRESHOLD)
            ),
        ),
        (
            "proxy",
            format!(
                "max by (version) ({}) / 1000",
                metric(&telemetry::ROLLOUT_EVIDENCE)
            ),
        ),
        (
            "fleet",
            format!(
                "({}{unless_earlier})",
                fleet_evidence::fleet_query("destination, version", &pairs, &pooled, &routes)
            ),
        ),
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
                "sum by (version) (increase({}{{{of}}}[{window}s]))",
                telemetry::EXCHANGES.name
            ),
        ),
        ("withdrawn", format!("max by (version) ({withdrawn})")),
        // A proxy's gauges may be a scrape behind its counters when traffic comes back.
        (
            "withdrawn_lately",
            format!("max by (version) (max_over_time(({withdrawn})[1m:15s]))"),
        ),
        (
            "limit",
            format!(
                "max by (version, __name__) ({{__name__=~\"{limits}\", {of}}}{of_release}) > 0"
            ),
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
            format!("topk by (version) ({REASONS}, ({pairs}{unless_earlier}) > 0)"),
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

/// The decision from the samples that answer [`question`]. Without a candidate in the question it is
/// on the one version that is being compared; more than one have to be told apart by who asks.
#[must_use]
pub fn judge(samples: &[Sample], asked: &Asked, window: Duration) -> Judgement {
    let candidate = match &asked.candidate {
        Some(candidate) => candidate.clone(),
        None => match current(samples).or_else(|reason| earlier(samples).ok_or(reason)) {
            Ok(candidate) => candidate,
            Err(reason) => return undecided(asked, "", reason),
        },
    };
    let known = Known::of(samples, &candidate);
    let mut judgement = undecided(asked, &candidate, String::new());
    judgement.recent_exchanges = known.amount("recent").round();
    judgement.withdrawn = known.value("withdrawn").is_some();
    let Some(verdict) = known.value("verdict").and_then(verdict_of) else {
        judgement.reason = judgement.why_unknown(known.value("start"));
        return judgement;
    };
    judgement.verdict = verdict.name();
    judgement.rollout_start_time = known.value("started");
    judgement.onset_time = known.value("onset");
    judgement.verdict_time = known.value("found");
    let enough = known.amount("enough");
    judgement.evidence = Evidence {
        proxy: known.amount("proxy"),
        fleet: known.value("fleet").filter(|nats| nats.is_finite()),
        enough,
        enough_together: enough_together(known.amount("enough_together"), enough),
    };
    judgement.judged_exchanges = known.amount("judged");
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
    let (action, reason) = if known.value("withdrawn_lately").is_some() && asked.since.is_none() {
        let reason = format!(
            "{candidate} was taken out of the traffic: what is known of it is about an earlier release"
        );
        (Action::Wait, reason)
    } else {
        let fresh = known.value("fresh").and_then(verdict_of);
        judgement.decide(verdict, fresh, window)
    };
    judgement.decision = action;
    judgement.decision_number = action.number();
    judgement.reason = reason;
    judgement
}

impl Judgement {
    /// Why there is no verdict. `start` is when a rollout of the candidate began, of whatever
    /// release.
    fn why_unknown(&self, start: Option<f64>) -> String {
        let (name, destination) = (&self.candidate, &self.destination);
        if start.is_none() || self.release_time.is_none() {
            format!(
                "no proxy compares {name} of {destination}: it has had no traffic that Serin saw, or the names are others"
            )
        } else if self.recent_exchanges < 1.0 || self.withdrawn {
            format!(
                "this release of {name} has had no traffic yet; what is known of {name} is about an earlier one"
            )
        } else {
            format!(
                "{name} has been judged since before this release: it is judged anew after a minute without traffic, or with another rollout in the plugin's config"
            )
        }
    }

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
        let enough = self.evidence.enough_together;
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
            _ if self.withdrawn => {
                format!("{name} was taken out of the traffic: its verdict is out of date")
            }
            _ if self.recent_exchanges < 1.0 => {
                format!("{name} has had no traffic for {window}: its verdict is out of date")
            }
            (Verdict::Healthy, Some(Verdict::Healthy)) => {
                return (
                    Action::Promote,
                    format!(
                        "{} exchanges of {name} were compared, and nothing speaks against it",
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
            .map(|pair| format!("{} {} ({})", pair.route, pair.category, one_in(pair.nats)))
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
        format!(
            "; to find failures at five times the baseline's odds, Serin needs about {requests} more"
        )
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

/// Where none is of the release that is asked about: the version of an earlier one that has most
/// traffic.
fn earlier(samples: &[Sample]) -> Option<String> {
    let compared = |sample: &&Sample| sample.label(ASKED) == "enough" && sample.value > 0.0;
    if samples.iter().any(|sample| compared(&sample)) {
        return None;
    }
    samples
        .iter()
        .filter(|sample| sample.label(ASKED) == "start")
        .map(|sample| sample.label(label::VERSION))
        .max_by(|one, other| {
            let recent = |version| Known::of(samples, version).amount("recent");
            recent(one).total_cmp(&recent(other))
        })
        .map(str::to_owned)
}

fn undecided(asked: &Asked, candidate: &str, reason: String) -> Judgement {
    Judgement {
        destination: asked.destination.clone(),
        candidate: candidate.to_owned(),
        release: asked.release.as_ref().map(|release| release.name.clone()),
        release_time: asked.since,
        decision: Action::Wait,
        decision_number: Action::Wait.number(),
        verdict: "none",
        reason,
        rollout_start_time: None,
        onset_time: None,
        verdict_time: None,
        strongest: Vec::new(),
        evidence: Evidence::default(),
        judged_exchanges: 0.0,
        recent_exchanges: 0.0,
        withdrawn: false,
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

    fn about(candidate: Option<&str>) -> Asked {
        Asked {
            destination: "shop".to_owned(),
            candidate: candidate.map(str::to_owned),
            ..Asked::default()
        }
    }

    fn action(samples: &[Sample]) -> Action {
        judge(samples, &about(Some("v2")), WINDOW).decision
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
        let judgement = judge(&samples, &about(Some("v2")), WINDOW);
        assert_eq!((judgement.onset_time, judgement.verdict_time), (None, None));
        for (part, time) in [("onset", 1_770_000_004.0), ("found", 1_770_000_008.0)] {
            samples.push(sample(part, &[("version", "v2")], time));
        }
        let judgement = judge(&samples, &about(Some("v2")), WINDOW);
        assert_eq!(judgement.onset_time, Some(1_770_000_004.0));
        assert_eq!(judgement.verdict_time, Some(1_770_000_008.0));
    }

    #[test]
    fn an_old_verdict_a_dead_judge_and_a_failing_baseline_promote_nothing() {
        let quiet = without(version("v2", 1.0), "recent");
        let judgement = judge(&quiet, &about(Some("v2")), WINDOW);
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
        let judgement = judge(&samples, &about(Some("v2")), WINDOW);
        assert_eq!(judgement.decision_number, -1);
        assert!(
            judgement.reason.contains(": GET /b error (1 in 8,103)"),
            "{}",
            judgement.reason
        );
        samples.retain(|sample| sample.label(ASKED) != "fleet");
        samples.push(sample("fleet", &[("version", "v2")], 4.5));
        assert_eq!(action(&samples), Action::Promote);
    }

    #[test]
    fn with_fleet_in_the_config_less_is_enough_for_all_together_than_for_one() {
        let mut samples = without(version("v2", 1.0), "enough");
        for (part, nats) in [("fleet", 6.0), ("enough", 7.6), ("enough_together", 5.298)] {
            samples.push(sample(part, &[("version", "v2")], nats));
        }
        assert_eq!(action(&samples), Action::Abort);
        // Without `fleet` a proxy needs less than what it showed with it.
        let mut samples = without(samples, "enough");
        samples.push(sample("enough", &[("version", "v2")], 4.605));
        let judgement = judge(&samples, &about(Some("v2")), WINDOW);
        assert_eq!(judgement.evidence.enough_together, 4.605);
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
        let judgement = judge(&samples, &about(Some("v2")), WINDOW);
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
        let judgement = judge(&samples, &about(None), WINDOW);
        assert_eq!(
            (judgement.candidate.as_str(), judgement.decision),
            ("v2", Action::Promote)
        );

        samples.extend(version("v3", 1.0));
        let judgement = judge(&samples, &about(None), WINDOW);
        assert_eq!(judgement.decision, Action::Wait);
        assert!(judgement.reason.contains("v2, v3"), "{}", judgement.reason);

        // Two are compared, and one of them has traffic.
        let samples: Vec<Sample> = samples
            .into_iter()
            .filter(|sample| {
                sample.label(label::VERSION) != "v3" || sample.label(ASKED) != "recent"
            })
            .collect();
        assert_eq!(judge(&samples, &about(None), WINDOW).candidate, "v2");
        assert_eq!(judge(&[], &about(None), WINDOW).verdict, "none");
    }

    #[test]
    fn a_verdict_on_a_version_that_was_taken_away_is_none() {
        for verdict in [1.0, 3.0] {
            let mut samples = version("v2", verdict);
            samples.push(sample("withdrawn_lately", &[("version", "v2")], 40.0));
            let judgement = judge(&samples, &about(Some("v2")), WINDOW);
            assert_eq!(judgement.decision, Action::Wait);
            assert!(
                judgement.reason.contains("earlier release"),
                "{}",
                judgement.reason
            );
            assert!(!judgement.withdrawn);
            samples.push(sample("withdrawn", &[("version", "v2")], 40.0));
            assert!(judge(&samples, &about(Some("v2")), WINDOW).withdrawn);
        }
        // A release that is known to be the one is aborted though its traffic has ended.
        let known = Asked {
            since: Some(100.0),
            ..about(Some("v2"))
        };
        let mut samples = version("v2", 3.0);
        samples.push(sample("withdrawn", &[("version", "v2")], 40.0));
        samples.push(sample("withdrawn_lately", &[("version", "v2")], 40.0));
        assert_eq!(judge(&samples, &known, WINDOW).decision, Action::Abort);
        let mut healthy = version("v2", 1.0);
        healthy.push(sample("withdrawn", &[("version", "v2")], 40.0));
        assert_eq!(judge(&healthy, &known, WINDOW).decision, Action::Wait);
    }

    #[test]
    fn what_began_before_a_release_is_not_about_it() {
        let asked = |candidate| Asked {
            since: Some(1_000.0),
            ..about(candidate)
        };
        // Only what is asked of every release comes back from Prometheus.
        let mut samples = vec![
            sample("start", &[("version", "canary")], 400.0),
            sample("recent", &[("version", "canary")], 300.0),
        ];
        for candidate in [Some("canary"), None] {
            let judgement = judge(&samples, &asked(candidate), WINDOW);
            assert_eq!(
                (judgement.decision, judgement.verdict),
                (Action::Wait, "none")
            );
            assert_eq!(
                (judgement.candidate.as_str(), judgement.recent_exchanges),
                ("canary", 300.0)
            );
            assert!(
                judgement.reason.contains("since before this release"),
                "{}",
                judgement.reason
            );
        }
        samples.push(sample("withdrawn", &[("version", "canary")], 90.0));
        let judgement = judge(&samples, &asked(None), WINDOW);
        assert!(
            judgement.reason.contains("has had no traffic yet"),
            "{}",
            judgement.reason
        );
        // Another version is of this release, and the only one that counts.
        samples.extend(version("1.4.2", 1.0));
        let judgement = judge(&samples, &asked(None), WINDOW);
        assert_eq!(
            (judgement.candidate.as_str(), judgement.decision),
            ("1.4.2", Action::Promote)
        );
    }

    #[test]
    fn the_question_is_about_the_release() {
        let any = question(&about(None), WINDOW);
        assert!(!any.contains(" and on (job, instance, version)"), "{any}");
        let asked = Asked {
            since: Some(1_000.0),
            ..about(None)
        };
        let of_release = question(&asked, WINDOW);
        assert!(of_release.contains(">= 1000.000"), "{of_release}");
        assert!(
            of_release.contains("unless on (version) ((serin_rollout_start_time_seconds{destination=\"shop\"} > 0) < 1000.000)"),
            "{of_release}"
        );
    }
}
