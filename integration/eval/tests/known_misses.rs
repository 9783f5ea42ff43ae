//! Regressions that Kayenta's users reported as passed by its Mann-Whitney judge, with the numbers
//! of their reports: the rule errs here as it did there, and Serin finds them in requests that fit
//! the numbers.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use scorer_sdk::{Decision, Exchange, Plan, Verdict};
use serin_eval::peers::kayenta::{Class, Kayenta};
use serin_eval::serin::Watcher;
use std::sync::Arc;
use std::time::Duration;

/// Requests of each arm in an interval of a minute.
const REQUESTS: usize = 1_000;
const MINUTE_US: u64 = 60_000_000;

fn classify(control: &[f64], experiment: &[f64]) -> Class {
    Kayenta::default().classify(control, experiment)
}

/// What an interval's value says of its requests.
#[derive(Clone, Copy)]
enum Metric {
    /// Mean latency in milliseconds: single requests lie within a fifth of it.
    LatencyMs,
    /// Failures in per cent.
    ErrorPercent,
}

/// Serin's decision on requests that fit both arms' values, an interval a minute; the baseline has
/// been alone for two rounds of its values.
fn serin(metric: Metric, control: &[f64], experiment: &[f64]) -> Decision {
    let plan = Plan::from_json(r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#);
    let mut watcher = Watcher::new(Arc::new(plan.unwrap()));
    let mut random = SmallRng::seed_from_u64(1);
    let alone = control.iter().cycle().take(2 * control.len());
    let values = alone.map(|control| vec![("v1", *control)]).chain(
        control
            .iter()
            .zip(experiment)
            .map(|(control, experiment)| vec![("v1", *control), ("v2", *experiment)]),
    );
    let mut now_us = 0;
    for interval in values {
        let mut requests = Vec::new();
        for (version, value) in interval {
            for index in 0..REQUESTS {
                let (failed, latency_ms) = match metric {
                    Metric::LatencyMs => (false, value * random.random_range(0.8..1.2)),
                    // As many as the value says, and not by chance.
                    Metric::ErrorPercent => {
                        ((index as f64) < value / 100.0 * REQUESTS as f64, 20.0)
                    }
                };
                let end_us = now_us + random.random_range(0..MINUTE_US);
                requests.push((end_us, version, failed, latency_ms));
            }
        }
        requests.sort_by_key(|request| request.0);
        for (end_us, version, failed, latency_ms) in requests {
            let exchange = Exchange {
                destination: "shop",
                method: "GET",
                path: "/",
                version,
                status: Some(if failed { 500 } else { 200 }),
                duration_us: Some((1_000.0 * latency_ms) as u64),
                ..Exchange::default()
            };
            watcher.observe(Duration::from_micros(end_us), &exchange);
        }
        now_us += MINUTE_US;
    }
    watcher.advance(Duration::from_micros(now_us) + Duration::from_secs(20));
    watcher.engine().judge().decisions().pop().unwrap()
}

/// The case "increase in metric variability" of the report.
const STEADY: [f64; 15] = [
    10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 17.0, 17.1, 17.2, 17.3, 17.4, 17.5, 17.6, 17.7,
];
const SWINGING: [f64; 15] = [
    1.0, 100.0, 4.0, 101.0, 5.0, 102.0, 6.0, 103.0, 7.0, 104.0, 8.0, 105.0, 9.0, 106.0, 17.0,
];

#[test]
fn kayenta_780_a_metric_that_swings_in_one_version_alone_passes() {
    assert_eq!(classify(&SWINGING, &STEADY), Class::Pass);
    assert_eq!(classify(&STEADY, &SWINGING), Class::Pass);
}

#[test]
fn kayenta_780_serin_fails_a_candidate_that_swings_where_stable_is_steady() {
    let decision = serin(Metric::LatencyMs, &STEADY, &SWINGING);
    assert_eq!(decision.verdict, Verdict::Anomalous, "{decision:?}");
    assert!(decision.reasons[0].category.starts_with("slow"));
}

#[test]
fn kayenta_780_serin_says_that_a_steady_candidate_beside_a_swinging_stable_differs() {
    // It is never slower than stable at its slowest: not harm, and still another behaviour.
    let decision = serin(Metric::LatencyMs, &SWINGING, &STEADY);
    assert!(decision.differs(), "{decision:?}");
    assert_eq!(decision.differences[0].signal, "latency");
}

#[test]
fn kayenta_426_sparse_errors_pass() {
    assert_eq!(
        classify(&[0.0; 6], &[0.0, 1.0, 2.0, 1.0, 0.0, 0.0]),
        Class::Pass
    );
}

#[test]
fn kayenta_426_serin_fails_sparse_errors_of_one_and_two_per_cent() {
    let decision = serin(
        Metric::ErrorPercent,
        &[0.0; 6],
        &[0.0, 1.0, 2.0, 1.0, 0.0, 0.0],
    );
    assert_eq!(decision.verdict, Verdict::Anomalous, "{decision:?}");
    assert_eq!(decision.reasons[0].category, "error");
}

#[test]
fn spinnaker_6278_seven_bad_intervals_of_ten_pass_and_eight_fail() {
    let control = [1.0; 10];
    let bad = |count: usize| -> Vec<f64> {
        (0..10)
            .map(|index| if index < count { 100.0 } else { 1.0 })
            .collect()
    };
    assert_eq!(classify(&control, &bad(7)), Class::Pass);
    assert_eq!(classify(&control, &bad(8)), Class::High);
}

#[test]
fn spinnaker_6278_serin_fails_the_candidate_within_its_first_bad_intervals() {
    let experiment = [
        100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 1.0, 1.0, 1.0,
    ];
    let decision = serin(Metric::LatencyMs, &[1.0; 10], &experiment);
    assert_eq!(decision.verdict, Verdict::Anomalous, "{decision:?}");
    let after = decision.verdict_ms - decision.started_ms;
    assert!(after < 120_000, "{after} ms");
}

#[test]
fn what_passes_by_either_rule_is_left_alone() {
    for metric in [Metric::LatencyMs, Metric::ErrorPercent] {
        let decision = serin(metric, &[2.0; 10], &[2.0; 10]);
        assert!(decision.verdict < Verdict::Suspect, "{decision:?}");
    }
}
