//! A switch from 0 to 100%: what is said of the new version, and what becomes of it.

use core::time::Duration;
use scorer_sdk::wire::codec::{Reader, Writer};
use scorer_sdk::{Decision, Engine, Exchange, Plan, Verdict};
use std::sync::Arc;

/// Requests a second.
const RATE: u64 = 40;

/// A service that answers `RATE` requests a second.
struct Service {
    engine: Engine,
    second: u64,
}

impl Service {
    fn new(config: &str) -> Self {
        Self {
            engine: Engine::new(Arc::new(Plan::from_json(config).unwrap()), 1),
            second: 0,
        }
    }

    /// Lets seconds pass. Of each hundred requests, `share` go to v2, and it fails `failures`.
    fn run(&mut self, seconds: u64, share: u64, failures: u64) -> Decision {
        for _ in 0..seconds {
            for number in 0..RATE {
                // Spread evenly, and not in step with each other.
                let request = self.second * RATE + number;
                let is_new = request * 61 % 100 < share;
                let failed = is_new && request * 37 % 101 < failures;
                self.engine.observe(&Exchange {
                    destination: "shop",
                    method: "GET",
                    path: "/items",
                    version: if is_new { "v2" } else { "v1" },
                    status: Some(if failed { 500 } else { 200 }),
                    duration_us: Some(8_000 + request * 29 % 4_000),
                    ..Exchange::default()
                });
            }
            self.second += 1;
            let now = Duration::from_secs(1_700_000_000 + self.second);
            self.engine.tick(now);
        }
        self.engine.judge().decisions().remove(0)
    }
}

#[test]
fn half_of_the_requests_failing_after_a_switch_is_suspect_and_told_as_against_the_past() {
    let mut service = Service::new("{}");
    service.run(300, 0, 0);
    let decision = service.run(120, 100, 50);
    assert_eq!(decision.verdict, Verdict::Suspect);
    assert_eq!(decision.against_past[0].category, "error");
    assert_eq!(decision.steer_share, 0.0);
    assert!(decision.reasons.is_empty(), "nothing is side by side");
    let why = decision.explanation();
    assert!(
        why.starts_with("against the past of v1, not side by side"),
        "{why}"
    );
    assert!(
        why.contains("nothing to compare") || why.contains("fail"),
        "{why}"
    );
}

#[test]
fn with_the_opt_in_it_is_anomalous_and_the_reason_stays() {
    let mut service = Service::new(r#"{"past": {"act": true}}"#);
    service.run(300, 0, 0);
    service.run(120, 100, 50);
    // Steered away, so that stable has the traffic again.
    let decision = service.run(60, 2, 50);
    assert_eq!(decision.verdict, Verdict::Anomalous);
    assert_eq!(decision.steer_share, 1.0);
    let why = decision.explanation();
    assert!(why.contains("against the past of v1"), "{why}");
}

#[test]
fn while_both_versions_take_traffic_the_past_is_not_asked() {
    let mut service = Service::new("{}");
    service.run(300, 0, 0);
    for _ in 0..30 {
        let decision = service.run(10, 90, 3);
        assert!(decision.against_past.is_empty());
    }
}

#[test]
fn a_version_worse_than_the_past_does_not_become_the_baseline_by_being_alone() {
    let mut bad = Service::new("{}");
    bad.run(300, 0, 0);
    let decision = bad.run(1_200, 100, 50);
    assert_eq!(
        (decision.baseline.as_str(), decision.candidate.as_str()),
        ("v1", "v2")
    );
    assert_eq!(decision.verdict, Verdict::Suspect);
    // Once it is repaired it does.
    let decision = bad.run(300, 100, 0);
    assert_eq!(
        (decision.baseline.as_str(), decision.candidate.as_str()),
        ("v2", "")
    );
    let mut good = Service::new("{}");
    good.run(300, 0, 0);
    assert!(good.run(590, 100, 0).against_past.is_empty());
    assert_eq!(good.run(60, 100, 0).baseline, "v2");
}

#[test]
fn another_worker_goes_on_with_the_alarm() {
    let mut service = Service::new("{}");
    service.run(300, 0, 0);
    let before = service.run(120, 100, 50);
    let mut writer = Writer::new();
    service.engine.judge().encode(&mut writer);
    let bytes = writer.into_bytes();
    let plan = Arc::new(Plan::from_json("{}").unwrap());
    let judge = scorer_sdk::judge::Judge::decode(plan, &mut Reader::new(&bytes)).unwrap();
    assert_eq!(judge.decisions().remove(0), before);
}

#[test]
fn the_old_version_is_idle_after_a_switch_and_that_is_no_blame() {
    let mut service = Service::new("{}");
    service.run(300, 0, 0);
    let decision = service.run(120, 100, 0);
    assert_eq!(decision.silent[0].version, "v1");
    assert_eq!(decision.verdict, Verdict::Learning);
}
