//! Many proxies as one: what each says of a rollout, and what they say together.
//!
//! Proxies judge on their own, at their own false-alarm rate. Their evidence is independent, so the
//! logs of one pair of route and category add up over proxies; the mean over pairs comes after, each
//! with a weight of 1 in [`PAIRS_PER_ROUTE`] times the routes. That is what the recording rule
//! `serin:fleet_evidence:nats` does (`envoyfilter-manifests/alerts/recording.yaml`), which also says
//! why the weights sum to at most 1. A guard judges requests that a comparer judges as well: it has
//! an opinion of its own and adds nothing to the sum. The metrics have no pairs over all routes, so that what is said
//! together can be less than what one proxy says by itself.

use super::source::Proxy;
use crate::metrics_text::Sample;
use crate::report::scrape::{candidates, value, verdict};
use scorer_sdk::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs among which the evidence of several proxies is shared, for each route: 16 categories, and
/// as much again for routes that come later.
pub const PAIRS_PER_ROUTE: usize = 32;
/// A proxy whose last fold is longer ago has stopped to judge, in seconds.
pub const STALE: f64 = 60.0;
/// The same behind a Prometheus, which looks only so often.
pub const STALE_IN_PROMETHEUS: f64 = 150.0;
/// Rollouts that are kept.
const MAX_ROLLOUTS: usize = 1_000;
/// Pairs that are kept of one rollout.
const MAX_PAIRS: usize = 100;

/// What one proxy says of a rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinion {
    /// The proxy.
    pub proxy: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its evidence in nats; 0 when it speaks for the candidate.
    pub evidence: f64,
    /// The evidence that is enough, in nats.
    pub threshold: f64,
}

/// One route and category.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The route.
    pub route: String,
    /// The category.
    pub category: String,
    /// Log evidence in nats, summed over proxies; negative when it speaks for the candidate.
    pub evidence: f64,
    /// The candidate's judged exchanges in the category.
    pub candidate: u64,
    /// Those of the other versions.
    pub others: u64,
    /// Whether a proxy has evidence on it, for or against.
    pub spoken: bool,
}

/// One candidate of one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// The service.
    pub destination: String,
    /// The new version.
    pub candidate: String,
    /// The other versions that had exchanges.
    pub others: Vec<String>,
    /// What the proxies say, those with most evidence first.
    pub opinions: Vec<Opinion>,
    /// Log evidence of all proxies together in nats; `None` where there is but one.
    pub together: Option<f64>,
    /// Exchanges that ended, by version.
    pub exchanges: BTreeMap<String, u64>,
    /// The candidate's exchanges that were judged.
    pub judged: u64,
    /// Further candidate exchanges until a rise of the odds to so many times is found, at the proxy
    /// that needs fewest.
    pub needed: Vec<(String, u64)>,
    /// Pairs, those with most evidence against the candidate first.
    pub pairs: Vec<Pair>,
    /// What is to be said beside the verdict, in sentences.
    pub notes: Vec<String>,
    /// Whether a verdict is held back by the placebo somewhere.
    pub held: bool,
}

/// All rollouts that some proxies see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fleet {
    /// Names of the proxies, in the order in which they were looked at.
    pub proxies: Vec<String>,
    /// Rollouts, by destination and candidate.
    pub rollouts: Vec<Rollout>,
    /// Destinations that have traffic and no candidate, with their versions' exchanges.
    pub waiting: BTreeMap<String, BTreeMap<String, u64>>,
    /// What is wrong with proxies, in sentences.
    pub problems: Vec<String>,
    /// What was done: requests that were steered, refused, rescued.
    pub acted: BTreeMap<&'static str, u64>,
}

/// What a gauge of a candidate has to say when it is 1.
pub const NOTES: [(&str, &str); 5] = [
    (
        "serin_held_by_placebo",
        "The verdict is held back: the baseline differs from itself by as much.",
    ),
    (
        "serin_unbalanced",
        "The versions do not get the same requests: chance does not deal them.",
    ),
    (
        "serin_baseline_failing",
        "Most of what the baseline was asked of late has failed: nothing is steered to it.",
    ),
    (
        "serin_warming_up",
        "The candidate is in its first seconds, which are not judged.",
    ),
    (
        "serin_differs",
        "The versions behave differently, for better or worse.",
    ),
];

impl Rollout {
    /// The worst of the proxies' verdicts, and anomalous where all of them together have evidence
    /// enough and none of them is held back.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let alone = self.opinions.iter().map(|opinion| opinion.verdict).max();
        if self.anomalous_together() {
            Verdict::Anomalous
        } else {
            alone.unwrap_or_default()
        }
    }

    /// Whether the proxies together have evidence enough.
    #[must_use]
    pub fn anomalous_together(&self) -> bool {
        let threshold = self.threshold();
        !self.held && threshold > 0.0 && self.together.is_some_and(|evidence| evidence >= threshold)
    }

    /// The evidence that is enough, in nats: the most that any proxy asks for.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.opinions
            .iter()
            .map(|opinion| opinion.threshold)
            .fold(0.0, f64::max)
    }

    /// The most evidence that one proxy has, in nats.
    #[must_use]
    pub fn evidence(&self) -> f64 {
        self.opinions
            .iter()
            .map(|opinion| opinion.evidence)
            .fold(0.0, f64::max)
    }

    /// The candidate's share of `exchanges`; `None` when there are none.
    #[must_use]
    pub fn share(&self, exchanges: &BTreeMap<String, u64>) -> Option<f64> {
        let all: u64 = exchanges.values().sum();
        let own = exchanges.get(&self.candidate).copied().unwrap_or(0);
        (all > 0).then(|| own as f64 / all as f64)
    }
}

impl Fleet {
    /// Puts the proxies together; `stale` is the age in seconds at which a heartbeat is too old.
    #[must_use]
    pub fn new(proxies: &[Proxy], stale: f64) -> Self {
        let mut fleet = Self {
            proxies: proxies.iter().map(|proxy| proxy.name.clone()).collect(),
            ..Self::default()
        };
        let mut found: BTreeMap<(&str, &str), Vec<&Proxy>> = BTreeMap::new();
        for proxy in proxies {
            for pair in candidates(&proxy.samples) {
                // One that was replaced keeps gauges of 0.
                let gone = value(&proxy.samples, "serin_rollout_threshold", pair.0, pair.1) <= 0.0;
                if gone {
                    continue;
                }
                if found.len() < MAX_ROLLOUTS || found.contains_key(&pair) {
                    found.entry(pair).or_default().push(proxy);
                }
            }
            fleet.look_for_problems(proxy, stale);
        }
        for (metric, what) in [
            ("serin_steered_total", "steered to stable"),
            ("serin_rejected_total", "refused by guards"),
            ("serin_rescued_total", "rescued by stable"),
        ] {
            let count = total(proxies.iter().flat_map(|proxy| &proxy.samples), metric);
            if count > 0 {
                fleet.acted.insert(what, count);
            }
        }
        fleet.waiting = exchanges(samples_of(proxies, false));
        for (destination, versions) in exchanges(samples_of(proxies, true)) {
            fleet.waiting.entry(destination).or_insert(versions);
        }
        for ((destination, candidate), proxies) in found {
            let exchanges = fleet.waiting.get(destination).cloned().unwrap_or_default();
            let rollout = rollout(destination, candidate, &proxies, exchanges);
            fleet.rollouts.push(rollout);
        }
        for rollout in &fleet.rollouts {
            fleet.waiting.remove(&rollout.destination);
        }
        fleet
    }

    /// Whether a candidate is anomalous.
    #[must_use]
    pub fn is_anomalous(&self) -> bool {
        self.rollouts
            .iter()
            .any(|rollout| rollout.verdict() == Verdict::Anomalous)
    }

    fn look_for_problems(&mut self, proxy: &Proxy, stale: f64) {
        let mut say = |text: String| self.problems.push(format!("{}: {text}", proxy.name));
        if proxy.samples.is_empty() {
            say("shows no metric of Serin; serin doctor says why".to_owned());
            return;
        }
        let of = |metric: &'static str| {
            proxy
                .samples
                .iter()
                .filter(move |sample| sample.metric == metric)
        };
        if of("serin_config_broken").any(|sample| sample.value > 0.0) {
            say("the last config was refused; Envoy's log names the field".to_owned());
        }
        let beats = of("serin_heartbeat_seconds").map(|sample| sample.value);
        match beats.reduce(f64::min) {
            None => {
                say("nobody judges yet, or labels are missing; serin doctor says which".to_owned())
            }
            Some(beat) if proxy.at - beat > stale => {
                say(format!("nobody has judged for {:.0} s", proxy.at - beat));
            }
            Some(_) => {}
        }
        let tables: Vec<&str> = of("serin_overflow_total")
            .filter(|sample| sample.value > 0.0)
            .map(|sample| sample.label("table"))
            .collect();
        if !tables.is_empty() {
            say(format!(
                "tables were full: {}; serin doctor says what to do",
                tables.join(", ")
            ));
        }
        let unknown = total(&proxy.samples, "serin_unattributed_total");
        let known = total(&proxy.samples, "serin_exchanges_total");
        if unknown > 0 && 20 * unknown >= known {
            say(format!(
                "{unknown} requests of no known version, beside {known} of known ones"
            ));
        }
    }
}

/// Whether a proxy is a guard and no comparer.
fn is_guard(proxy: &Proxy) -> bool {
    let mut roles = proxy
        .samples
        .iter()
        .filter(|sample| sample.metric == "serin_heartbeat_seconds")
        .map(|sample| sample.label("role"))
        .peekable();
    roles.peek().is_some() && roles.all(|role| role == "guard")
}

/// The samples of all guards, or of all others.
fn samples_of(proxies: &[Proxy], guards: bool) -> impl Iterator<Item = &Sample> {
    proxies
        .iter()
        .filter(move |proxy| is_guard(proxy) == guards)
        .flat_map(|proxy| &proxy.samples)
}

/// The sum of a counter over its labels.
fn total<'a>(samples: impl IntoIterator<Item = &'a Sample>, metric: &str) -> u64 {
    samples
        .into_iter()
        .filter(|sample| sample.metric == metric)
        .map(|sample| sample.value.max(0.0) as u64)
        .sum()
}

/// Exchanges by destination and version, over all routes.
#[must_use]
pub fn exchanges<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for sample in samples {
        if sample.metric == "serin_exchanges_total" && !sample.label("destination").is_empty() {
            *counts
                .entry(sample.label("destination").to_owned())
                .or_default()
                .entry(sample.label("version").to_owned())
                .or_insert(0) += sample.value.max(0.0) as u64;
        }
    }
    counts
}

fn rollout(
    destination: &str,
    candidate: &str,
    proxies: &[&Proxy],
    exchanges: BTreeMap<String, u64>,
) -> Rollout {
    let gauge = |proxy: &Proxy, metric| value(&proxy.samples, metric, destination, candidate);
    let mut opinions: Vec<Opinion> = proxies
        .iter()
        .map(|proxy| Opinion {
            proxy: if is_guard(proxy) {
                format!("{} (guard)", proxy.name)
            } else {
                proxy.name.clone()
            },
            verdict: verdict(gauge(proxy, "serin_verdict")),
            evidence: gauge(proxy, "serin_rollout_evidence") / 1e3,
            threshold: gauge(proxy, "serin_rollout_threshold") / 1e3,
        })
        .collect();
    opinions.sort_by(|one, other| {
        (other.verdict, other.evidence)
            .partial_cmp(&(one.verdict, one.evidence))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut counted: Vec<&Proxy> = proxies
        .iter()
        .filter(|proxy| !is_guard(proxy))
        .copied()
        .collect();
    if counted.is_empty() {
        counted = proxies.to_vec();
    }
    let counted = counted.as_slice();
    let mut pairs = pairs(destination, candidate, counted);
    let together = (counted.len() > 1).then(|| log_mean(&pairs, routes(destination, counted)));
    pairs.truncate(MAX_PAIRS);
    let judged = counted
        .iter()
        .map(|proxy| gauge(proxy, "serin_judged_exchanges").max(0.0) as u64)
        .sum();
    let others = exchanges
        .keys()
        .filter(|version| *version != candidate)
        .cloned()
        .collect();
    Rollout {
        destination: destination.to_owned(),
        candidate: candidate.to_owned(),
        others,
        opinions,
        together,
        exchanges,
        judged,
        needed: needed(destination, candidate, proxies),
        pairs,
        notes: notes(destination, candidate, proxies),
        held: proxies
            .iter()
            .any(|proxy| gauge(proxy, "serin_held_by_placebo") > 0.0),
    }
}

/// The samples of these proxies that are about a destination.
fn about<'a>(
    proxies: &'a [&'a Proxy],
    destination: &'a str,
) -> impl Iterator<Item = &'a Sample> + 'a {
    proxies
        .iter()
        .flat_map(|proxy| &proxy.samples)
        .filter(move |sample| sample.label("destination") == destination)
}

/// How many routes of a destination were seen.
fn routes(destination: &str, proxies: &[&Proxy]) -> usize {
    let routes: BTreeSet<&str> = about(proxies, destination)
        .filter(|sample| sample.metric == "serin_exchanges_total")
        .map(|sample| sample.label("route"))
        .collect();
    routes.len()
}

/// The pairs with their evidence over all proxies, the loudest first.
fn pairs(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<Pair> {
    let mut found: BTreeMap<(&str, &str), Pair> = BTreeMap::new();
    for sample in about(proxies, destination) {
        let (route, category) = (sample.label("route"), sample.label("category"));
        let own = sample.label("version") == candidate;
        let sign = match sample.metric.as_str() {
            "serin_evidence_for" if own => 1.0,
            "serin_evidence_against" if own => -1.0,
            "serin_category_total" => 0.0,
            _ => continue,
        };
        let pair = found.entry((route, category)).or_insert_with(|| Pair {
            route: route.to_owned(),
            category: category.to_owned(),
            evidence: 0.0,
            candidate: 0,
            others: 0,
            spoken: false,
        });
        let count = sample.value.max(0.0);
        match (sign == 0.0, own) {
            (true, true) => pair.candidate += count as u64,
            (true, false) => pair.others += count as u64,
            (false, _) => {
                pair.evidence += sign * count / 1e3;
                pair.spoken = true;
            }
        }
    }
    let mut pairs: Vec<Pair> = found.into_values().collect();
    pairs.sort_by(|one, other| other.evidence.total_cmp(&one.evidence));
    pairs
}

/// The log of the mean e-value of the pairs that have evidence.
fn log_mean(pairs: &[Pair], routes: usize) -> f64 {
    let spoken = || pairs.iter().filter(|pair| pair.spoken);
    let most = spoken()
        .map(|pair| pair.evidence)
        .fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return 0.0;
    }
    let sum: f64 = spoken().map(|pair| libm::exp(pair.evidence - most)).sum();
    most + libm::log(sum / (PAIRS_PER_ROUTE * routes.max(1)) as f64)
}

fn needed(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<(String, u64)> {
    let mut least: BTreeMap<&str, u64> = BTreeMap::new();
    for sample in about(proxies, destination) {
        if sample.metric == "serin_requests_needed"
            && sample.label("version") == candidate
            && sample.value > 0.0
        {
            let known = least.entry(sample.label("odds_ratio")).or_insert(u64::MAX);
            *known = (*known).min(sample.value as u64);
        }
    }
    let mut needed: Vec<(String, u64)> = least
        .into_iter()
        .map(|(size, requests)| (size.to_owned(), requests))
        .collect();
    needed.sort_by_key(|(_, requests)| std::cmp::Reverse(*requests));
    needed
}

/// What is to be said beside the verdict.
fn notes(destination: &str, candidate: &str, proxies: &[&Proxy]) -> Vec<String> {
    let mut notes = Vec::new();
    for (metric, sentence) in NOTES {
        let say = proxies
            .iter()
            .filter(|proxy| value(&proxy.samples, metric, destination, candidate) > 0.0)
            .count();
        match say {
            0 => {}
            _ if proxies.len() == 1 => notes.push(sentence.to_owned()),
            _ => notes.push(format!("{sentence} ({say} of {} proxies)", proxies.len())),
        }
    }
    let causes: BTreeSet<&str> = about(proxies, destination)
        .filter(|sample| sample.metric == "serin_cause" && sample.value > 0.0)
        .filter_map(|sample| cause(sample.label("cause")))
        .collect();
    notes.extend(causes.into_iter().map(str::to_owned));
    let mut findings: BTreeMap<String, f64> = BTreeMap::new();
    for sample in about(proxies, destination).filter(|sample| sample.value > 0.0) {
        let (text, size) = match sample.metric.as_str() {
            "serin_placebo_odds_ratio" => (
                format!(
                    "placebo: the baseline's halves differ in {}, odds ratio",
                    sample.label("category")
                ),
                sample.value / 1e3,
            ),
            "serin_balance" => (
                format!("balance: {} not alike, nats", sample.label("signal")),
                sample.value / 1e3,
            ),
            metric if metric.starts_with("serin_drift") && !metric.ends_with("_total") => {
                let labels: Vec<&str> =
                    ["version", "arm", "route", "signal", "measure", "category"]
                        .iter()
                        .map(|name| sample.label(name))
                        .filter(|value| !value.is_empty())
                        .collect();
                (
                    format!("drift ({metric}): {}", labels.join(" ")),
                    sample.value,
                )
            }
            _ => continue,
        };
        let most = findings.entry(text).or_insert(size);
        *most = most.max(size);
    }
    notes.extend(
        findings
            .into_iter()
            .take(20)
            .map(|(text, size)| format!("{text} {}", crate::report::number::short(size))),
    );
    notes
}

/// What a drift comes from, beside what the verdict says already.
fn cause(name: &str) -> Option<&'static str> {
    match name {
        "shared" => {
            Some("Drift: both versions have left their past; it is usage or what they share.")
        }
        "version_and_shared" => Some(
            "Drift: both versions have left their past, and the candidate is worse on top of it.",
        ),
        "baseline_moved" => Some("Drift: the versions differ because the baseline has changed."),
        "baseline_alone" => Some("Drift: the baseline alone has left its past."),
        "candidate_alone" => Some("Drift: the candidate alone has left its past."),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics_text::parse;

    fn proxy(name: &str, page: &str) -> Proxy {
        Proxy {
            name: name.to_owned(),
            samples: parse(page).unwrap(),
            at: 1_000.0,
        }
    }

    /// A page of a proxy with one pair of so many nats.
    fn page(nats: f64, verdict: u8) -> String {
        let (metric, size) = if nats > 0.0 {
            ("for", nats)
        } else {
            ("against", -nats)
        };
        format!(
            "serin_verdict{{destination=\"shop\",version=\"v2\"}} {verdict}\n\
             serin_rollout_threshold{{destination=\"shop\",version=\"v2\"}} 4605\n\
             serin_rollout_evidence{{destination=\"shop\",version=\"v2\"}} 1000\n\
             serin_judged_exchanges{{destination=\"shop\",version=\"v2\"}} 50\n\
             serin_heartbeat_seconds{{role=\"comparer\"}} 999\n\
             serin_exchanges_total{{destination=\"shop\",route=\"GET /\",version=\"v1\"}} 90\n\
             serin_exchanges_total{{destination=\"shop\",route=\"GET /\",version=\"v2\"}} 10\n\
             serin_evidence_{metric}{{destination=\"shop\",route=\"GET /\",version=\"v2\",category=\"error\"}} {}\n",
            size * 1e3
        )
    }

    #[test]
    fn evidence_of_a_pair_adds_up_over_proxies_before_the_mean_over_pairs() {
        let proxies = [
            proxy("a", &page(9.0, 1)),
            proxy("b", &page(5.0, 1)),
            proxy("c", &page(-2.0, 1)),
        ];
        let fleet = Fleet::new(&proxies, STALE);
        let rollout = &fleet.rollouts[0];
        assert_eq!(rollout.pairs[0].evidence, 12.0);
        let together = rollout.together.unwrap();
        let expected = 12.0 - 32.0_f64.ln();
        assert!((together - expected).abs() < 1e-9, "{together}");
        assert!(rollout.anomalous_together());
        assert_eq!(rollout.verdict(), Verdict::Anomalous);
        assert_eq!(rollout.judged, 150);
        assert_eq!(rollout.share(&rollout.exchanges), Some(0.1));
        assert!(fleet.problems.is_empty(), "{:?}", fleet.problems);
    }

    #[test]
    fn what_one_proxy_holds_back_is_not_said_by_all_together() {
        let held = "serin_held_by_placebo{destination=\"shop\",version=\"v2\"} 1\n";
        let proxies = [
            proxy("a", &(page(9.0, 2) + held)),
            proxy("b", &page(9.0, 1)),
        ];
        let fleet = Fleet::new(&proxies, STALE);
        assert_eq!(fleet.rollouts[0].verdict(), Verdict::Suspect);
        assert!(!fleet.is_anomalous());
        assert!(fleet.rollouts[0].notes[0].contains("1 of 2 proxies"));
    }

    #[test]
    fn a_guard_has_an_opinion_and_does_not_count_the_same_requests_again() {
        let guard = page(9.0, 3).replace("comparer", "guard");
        let proxies = [
            proxy("gateway", &page(2.0, 1)),
            proxy("another", &page(1.0, 1)),
            proxy("v2", &guard),
        ];
        let fleet = Fleet::new(&proxies, STALE);
        let rollout = &fleet.rollouts[0];
        assert_eq!(rollout.pairs[0].evidence, 3.0);
        assert_eq!((rollout.judged, rollout.exchanges["v2"]), (100, 20));
        assert_eq!(rollout.opinions[0].proxy, "v2 (guard)");
        assert_eq!(rollout.verdict(), Verdict::Anomalous);
        assert!(!rollout.anomalous_together());
    }

    #[test]
    fn one_proxy_has_no_opinion_beside_its_own() {
        let fleet = Fleet::new(&[proxy("a", &page(12.0, 1))], STALE);
        assert_eq!(fleet.rollouts[0].together, None);
        assert_eq!(fleet.rollouts[0].verdict(), Verdict::Healthy);
    }

    #[test]
    fn a_proxy_that_stopped_to_judge_or_shows_nothing_is_a_problem() {
        let mut old = proxy("a", &page(1.0, 1));
        old.at = 1_100.0;
        let fleet = Fleet::new(&[old, proxy("b", "up 1\n")], STALE);
        assert_eq!(
            fleet.problems,
            [
                "a: nobody has judged for 101 s",
                "b: shows no metric of Serin; serin doctor says why"
            ]
        );
    }
}
