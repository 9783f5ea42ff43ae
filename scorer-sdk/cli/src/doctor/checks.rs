//! The checks of an installation itself: is Serin there, does it judge, can its metrics be read?

use super::gather::Facts;
use super::{Finding, limits};
use crate::number::seconds;
use crate::output::grouped;
use crate::samples::{is_sum, of, total};
use crate::status::fleet::{STALE, STALE_IN_PROMETHEUS};
use crate::status::source::Kind;
use scorer_sdk::telemetry::{self, LABELS, label};
use std::collections::BTreeSet;

/// Clocks that are further apart make alerts lie, in seconds.
const SKEW: f64 = 30.0;
/// Observations that a histogram needs before its buckets are judged.
const OBSERVED: f64 = 100.0;
/// Share of them in one bucket that says nothing any more.
const CROWDED: f64 = 0.95;

/// One check: what it found, if there is anything to say.
type Check = fn(&Facts) -> Vec<Finding>;

/// All checks, in the order in which a person would look.
const CHECKS: [Check; 17] = [
    reach,
    module,
    config,
    labels,
    prometheus,
    processes,
    heartbeat,
    merging,
    clock,
    limits::traffic,
    limits::arms,
    limits::judging,
    limits::fairness,
    limits::bodies,
    limits::tables,
    histograms,
    baseline,
];

/// Runs all checks.
#[must_use]
pub fn run(facts: &Facts) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| check(facts)).collect()
}

fn has_serin(facts: &Facts) -> bool {
    facts.proxies.iter().any(|proxy| !proxy.samples.is_empty())
}

fn reach(facts: &Facts) -> Vec<Finding> {
    let check = "reachable";
    let found = match (&facts.server, facts.kind) {
        (Some((version, state)), _) if state != "LIVE" => Finding::warn(
            check,
            format!("Envoy {version} is {state}"),
            "wait until it is LIVE, or look at its log",
        ),
        (Some((version, _)), _) => Finding::ok(check, format!("Envoy {version}, live")),
        (None, Some(Kind::Prometheus)) => Finding::ok(
            check,
            format!("Prometheus; proxies with Serin: {}", facts.proxies.len()),
        ),
        (None, _) => Finding::ok(check, "a page of metrics"),
    };
    vec![found]
}

/// Whether the filter is there.
fn module(facts: &Facts) -> Vec<Finding> {
    let check = "filter";
    let wasm = |name: &str| facts.wasm.get(name).copied().unwrap_or(0.0);
    let failed = wasm("wasm.remote_load_fetch_failures");
    let traps: f64 = facts
        .wasm
        .iter()
        .filter(|(name, _)| name.ends_with(".vm_reload_failure"))
        .map(|(_, count)| count)
        .sum();
    let mut findings = Vec::new();
    if has_serin(facts) || !facts.merged.is_empty() {
        let mut roles: BTreeSet<&str> = facts
            .of(&telemetry::HEARTBEAT)
            .map(|sample| sample.label(label::ROLE))
            .collect();
        roles.remove("");
        let roles: Vec<&str> = roles.into_iter().collect();
        findings.push(Finding::ok(
            check,
            match roles.as_slice() {
                [] => "Serin is loaded".to_owned(),
                roles => format!("Serin is loaded, as {}", roles.join(" and ")),
            },
        ));
    } else if failed > 0.0 {
        findings.push(Finding::fail(
            check,
            format!("the proxy could not fetch the module ({failed:.0} times)"),
            "check url, sha256 and pull secret of the WasmPlugin; the proxy's log names the error",
        ));
    } else if facts.kind == Some(Kind::Admin) && wasm("wasm.wasm_vm_count") == 0.0 {
        findings.push(Finding::fail(
            check,
            "no wasm module runs in this proxy",
            "check that the WasmPlugin's namespace, selector and match fit this proxy, and its \
             log for a module that was refused; docs/install.md has a filter for plain Envoy",
        ));
    } else if facts.kind == Some(Kind::Admin) {
        findings.push(Finding::fail(
            check,
            "a wasm module runs, but no metric of Serin appears",
            "check that the module is Serin, and that proxyStatsMatcher or stats_matcher does not drop \
             out wasmcustom",
        ));
    } else {
        findings.push(Finding::fail(
            check,
            "no metric of Serin appears here",
            "check that the filter is in the proxy, that it is scraped, and that \
             proxyStatsMatcher does not leave out wasmcustom; serin doctor on the admin address \
             can tell which",
        ));
    }
    if has_serin(facts) && failed > 0.0 {
        findings.push(Finding::warn(
            check,
            format!(
                "the proxy could not fetch a module {failed:.0} times; an earlier one may be running"
            ),
            "check url, sha256 and pull secret of the WasmPlugin",
        ));
    }
    if traps > 0.0 {
        findings.push(Finding::fail(
            check,
            format!("the module trapped, and the proxy could not restart it ({traps:.0} times)"),
            "restart the proxy, and report Envoy's log: the module should never trap",
        ));
    }
    findings
}

fn config(facts: &Facts) -> Vec<Finding> {
    let check = "config";
    if facts.of(&telemetry::CONFIG_BROKEN).next().is_none() {
        return Vec::new();
    }
    vec![if facts
        .of(&telemetry::CONFIG_BROKEN)
        .any(|sample| sample.value > 0.0)
    {
        Finding::fail(
            check,
            "Serin refused the last config; the one before it, if any, stays in force",
            "run serin check-config on the manifest: it names the field and the fix",
        )
    } else {
        Finding::ok(check, "the config is in force")
    }]
}

/// Whether labels come out as labels.
fn labels(facts: &Facts) -> Vec<Finding> {
    let check = "labels";
    let repair = |missing: &BTreeSet<&str>| {
        let list: Vec<&str> = missing.iter().copied().collect();
        format!(
            "Istio: add {list} to extraStatTags, in meshConfig.defaultConfig or in the pod \
             annotation sidecar.istio.io/extraStatTags; Envoy: stats_config.stats_tags; either \
             way the proxy has to be started anew",
            list = list.join(",")
        )
    };
    let merged: BTreeSet<&str> = LABELS
        .iter()
        .copied()
        .filter(|label| {
            let (first, later) = (format!("{label}___"), format!("___{label}___"));
            facts
                .merged
                .iter()
                .any(|name| name.starts_with(&first) || name.contains(&later))
        })
        .collect();
    if let Some(name) = facts.merged.first().filter(|_| !merged.is_empty()) {
        // What the bootstrap lacks beyond that would show only later.
        let missing = match &facts.tags {
            Some(tags) => LABELS
                .iter()
                .copied()
                .filter(|label| !tags.contains(*label))
                .collect(),
            None => merged,
        };
        return vec![Finding::fail(
            check,
            format!("labels stay in the metrics' names, such as {name}"),
            repair(&missing),
        )];
    }
    let missing: BTreeSet<&str> = match &facts.tags {
        Some(tags) => LABELS
            .iter()
            .copied()
            .filter(|label| !tags.contains(*label))
            .collect(),
        None => BTreeSet::new(),
    };
    if !missing.is_empty() {
        return vec![Finding::warn(
            check,
            format!(
                "the bootstrap does not extract {}",
                missing.iter().copied().collect::<Vec<_>>().join(", ")
            ),
            repair(&missing),
        )];
    }
    if facts
        .labelled
        .iter()
        .any(|sample| !sample.labels.is_empty())
    {
        return vec![Finding::ok(check, "metrics have their labels")];
    }
    Vec::new()
}

/// What Prometheus does to the metrics on their way.
fn prometheus(facts: &Facts) -> Vec<Finding> {
    if facts.kind != Some(Kind::Prometheus) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let list = |names: &BTreeSet<String>| {
        let names: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
        names.join(", ")
    };
    if !facts.hidden.is_empty() {
        findings.push(Finding::fail(
            "scrape",
            format!(
                "labels of the scrape target hide Serin's {}, so rules and dashboards read the wrong values",
                list(&facts.hidden)
            ),
            "set honor_labels: true (honorLabels in a PodMonitor) for this job, or do not map pod \
             labels of these names",
        ));
    }
    if !facts.scraped_twice.is_empty() {
        findings.push(Finding::fail(
            "scrape",
            format!(
                "Prometheus scrapes these pods through two ports: {}; sums over proxies count them twice",
                list(&facts.scraped_twice)
            ),
            "keep one of the jobs: Istio's merged page (15020) or Envoy's own (15090)",
        ));
    }
    if findings.is_empty() && has_serin(facts) {
        findings.push(Finding::ok("scrape", "Prometheus scrapes each proxy once"));
    }
    findings
}

/// Whether Envoy adds the gauges of two processes up.
fn processes(facts: &Facts) -> Vec<Finding> {
    let sums: Vec<&str> = facts
        .proxies
        .iter()
        .filter(|proxy| is_sum(&proxy.samples))
        .map(|proxy| proxy.name.as_str())
        .collect();
    if sums.is_empty() {
        return Vec::new();
    }
    vec![Finding::warn(
        "hot restart",
        format!(
            "gauges in {} are sums of two processes, so their verdicts cannot be read",
            sums.join(", ")
        ),
        "wait until the old process is gone (--parent-shutdown-time-s); with \
         --skip-hot-restart-parent-stats Envoy adds nothing up",
    )]
}

/// Whether the judge merges what workers count.
fn merging(facts: &Facts) -> Vec<Finding> {
    let late: Vec<String> = facts
        .proxies
        .iter()
        .map(|proxy| {
            let ticks = total(&proxy.samples, &telemetry::UNMERGED_TICKS);
            (proxy.name.as_str(), ticks)
        })
        .filter(|(_, ticks)| *ticks > 0)
        .map(|(name, ticks)| format!("{} ticks in {name}", grouped(ticks)))
        .collect();
    if late.is_empty() {
        return Vec::new();
    }
    vec![Finding::warn(
        "merging",
        format!(
            "requests passed, but the leader did not merge the counts of some workers: {}",
            late.join(", ")
        ),
        "ask again: if the number grows, look for warnings of serin in the proxy's log, and for \
         another plugin that writes to shared data; docs/runbook.md#serinnotmerging",
    )]
}

fn heartbeat(facts: &Facts) -> Vec<Finding> {
    let check = "heartbeat";
    if !has_serin(facts) {
        return Vec::new();
    }
    let limit = if facts.kind == Some(Kind::Prometheus) {
        STALE_IN_PROMETHEUS
    } else {
        STALE
    };
    let mut oldest: Option<f64> = None;
    let mut late = Vec::new();
    let mut never = Vec::new();
    for proxy in facts.proxies.iter().filter(|proxy| !is_sum(&proxy.samples)) {
        let beats = of(&proxy.samples, &telemetry::HEARTBEAT).map(|sample| sample.value);
        match beats.reduce(f64::min) {
            None => never.push(proxy.name.as_str()),
            Some(beat) => {
                let age = proxy.at - beat;
                oldest = Some(oldest.map_or(age, |oldest| oldest.max(age)));
                if age > limit {
                    late.push(format!("{} for {}", proxy.name, seconds(age)));
                }
            }
        }
    }
    if !late.is_empty() {
        return vec![Finding::fail(
            check,
            format!("no worker judges in {}", late.join(", ")),
            "look for serin and wasm in the proxy's log; a worker that trapped stays out until \
             the proxy is started anew",
        )];
    }
    if !never.is_empty() && facts.merged.is_empty() {
        return vec![Finding::warn(
            check,
            format!("no worker has judged yet in {}", never.join(", ")),
            "ask again in a few seconds; if nothing changes, Serin refused the config: see the proxy's log",
        )];
    }
    match oldest {
        Some(age) => vec![Finding::ok(
            check,
            format!("last judged {} ago", seconds(age.max(0.0))),
        )],
        None => Vec::new(),
    }
}

fn clock(facts: &Facts) -> Vec<Finding> {
    let check = "clock";
    let ahead = facts
        .proxies
        .iter()
        .filter(|proxy| !is_sum(&proxy.samples))
        .flat_map(|proxy| {
            of(&proxy.samples, &telemetry::HEARTBEAT).map(|sample| sample.value - proxy.at)
        })
        .fold(0.0, f64::max);
    let repair = "set the clocks of proxies, Prometheus and this machine by NTP: the alert on the \
                  heartbeat compares them";
    if ahead > SKEW {
        return vec![Finding::warn(
            check,
            format!("the last judgement is {} in the future", seconds(ahead)),
            repair,
        )];
    }
    match facts.proxy_time.map(|time| facts.now - time) {
        Some(skew) if skew.abs() > SKEW => vec![Finding::warn(
            check,
            format!(
                "the proxy's clock is {} {} this machine's",
                seconds(skew.abs()),
                if skew > 0.0 { "behind" } else { "ahead of" }
            ),
            repair,
        )],
        Some(_) => vec![Finding::ok(check, "the proxy's clock is right")],
        None => Vec::new(),
    }
}

/// Whether histograms have buckets where their values are.
fn histograms(facts: &Facts) -> Vec<Finding> {
    let check = "histograms";
    let mut crowded = BTreeSet::new();
    let mut judged = 0;
    for (name, buckets) in &facts.histograms {
        let all = buckets.last().map_or(0.0, |(_, count)| *count);
        if all < OBSERVED {
            continue;
        }
        judged += 1;
        let mut before = 0.0;
        for (_, count) in buckets {
            if count - before >= CROWDED * all {
                let metric = name.split(' ').next().unwrap_or(name);
                crowded.insert(metric.to_owned());
            }
            before = *count;
        }
    }
    if let Some(name) = crowded.first() {
        return vec![Finding::warn(
            check,
            format!("nearly all values of {name} are in one bucket"),
            "set buckets for it: the annotation sidecar.istio.io/statsHistogramBuckets, or \
             stats_config.histogram_bucket_settings in Envoy; the proxy has to be started anew",
        )];
    }
    match judged {
        0 => Vec::new(),
        _ => vec![Finding::ok(
            check,
            format!("values are spread over buckets, in {judged} histograms"),
        )],
    }
}

/// Whether steering is held back.
fn baseline(facts: &Facts) -> Vec<Finding> {
    let failing: BTreeSet<&str> = facts
        .of(&telemetry::BASELINE_FAILING)
        .filter(|sample| sample.value > 0.0)
        .map(|sample| sample.label(label::DESTINATION))
        .collect();
    let merged: f64 = facts
        .of(&telemetry::MERGED_EXCHANGES)
        .map(|sample| sample.value)
        .sum();
    if let Some(destination) = failing.first() {
        return vec![Finding::warn(
            "baseline",
            format!(
                "stable fails most of its requests at {destination}, so Serin steers nothing to it"
            ),
            "repair stable first; Serin still judges the candidate",
        )];
    }
    if merged > 0.0 {
        return vec![Finding::ok(
            "state",
            format!("the judge's state has {} exchanges", grouped(merged as u64)),
        )];
    }
    Vec::new()
}
