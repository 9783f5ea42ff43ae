//! What is wrong with a proxy, as far as its metrics tell.

use super::source::Proxy;
use crate::samples::{is_sum, of, total};
use scorer_sdk::telemetry::{self, label};

/// A proxy whose last merge is longer ago has stopped to judge, in seconds.
pub const STALE: f64 = 60.0;
/// The same behind a Prometheus, which looks only so often.
pub const STALE_IN_PROMETHEUS: f64 = 150.0;

/// What is wrong with a proxy, in sentences that begin with its name; `stale` is the age in seconds
/// at which a heartbeat is too old.
pub(super) fn problems(proxy: &Proxy, stale: f64) -> Vec<String> {
    let mut problems = Vec::new();
    let mut say = |text: String| problems.push(format!("{}: {text}", proxy.name));
    if proxy.samples.is_empty() {
        say("shows no metric of Serin; serin doctor says why".to_owned());
        return problems;
    }
    let samples = &proxy.samples;
    if of(samples, &telemetry::CONFIG_BROKEN).any(|sample| sample.value > 0.0) {
        say("Serin refused the last config; Envoy's log names the field".to_owned());
    }
    let beats = of(samples, &telemetry::HEARTBEAT).map(|sample| sample.value);
    match beats.reduce(f64::min) {
        _ if is_sum(samples) => say(
            "its gauges are the sums of two processes, as during a hot restart; its verdicts are \
             not known until the old process is gone"
                .to_owned(),
        ),
        None => {
            say("no worker judges yet, or labels are missing; serin doctor says which".to_owned())
        }
        Some(beat) if proxy.at - beat > stale => {
            say(format!("no worker has judged for {:.0} s", proxy.at - beat));
        }
        Some(_) => {}
    }
    let late = total(samples, &telemetry::UNMERGED_TICKS);
    if late > 0 {
        say(format!(
            "workers have waited for {late} ticks to have their counts merged; serin doctor says what to do"
        ));
    }
    let tables: Vec<&str> = of(samples, &telemetry::OVERFLOW)
        .filter(|sample| sample.value > 0.0)
        .map(|sample| sample.label(label::TABLE))
        .collect();
    if !tables.is_empty() {
        say(format!(
            "tables were full: {}; serin doctor says what to do",
            tables.join(", ")
        ));
    }
    let unknown = total(samples, &telemetry::UNATTRIBUTED);
    let known = total(samples, &telemetry::EXCHANGES);
    if unknown > 0 && unknown.saturating_mul(20) >= known {
        say(format!(
            "{unknown} requests of no known version, beside {known} of known ones"
        ));
    }
    problems
}
