//! The examples beside a reason are requests that the candidate really answered so.

use super::handed_over;
use fastrand::Rng;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::shape::Shape;
use scorer_sdk::{Decision, Exchange, Plan, Reason, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const CONFIG: &str =
    r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s", "body": {}, "examples": true}"#;

/// What is bad of a candidate's answer.
#[derive(Clone, Copy, PartialEq)]
enum Bad {
    Nothing,
    Status,
    Slow,
    Headers,
    Body,
}

struct Rollout {
    decision: Decision,
    judge: Judge,
    plan: Arc<Plan>,
    /// Ids of the candidate's requests that were answered badly.
    bad: BTreeSet<String>,
}

/// A candidate of whose answers `rate` are bad after 40 ticks, until there is a verdict and ten ticks
/// more. `id` makes an id of a request's number.
fn rollout(config: &str, bad: Bad, rate: f64, id: impl Fn(u64) -> String) -> Rollout {
    let plan = Arc::new(Plan::from_json(config).unwrap());
    let mut tally = Tally::new(Arc::clone(&plan), 1);
    let mut judge = Judge::new(Arc::clone(&plan));
    let mut random = Rng::with_seed(5);
    let mut now_ms = 1_700_000_000_000;
    let mut ids = BTreeSet::new();
    let limits = Arc::clone(&plan.body.as_ref().unwrap().limits);
    let mut left = None;
    for tick in 0..400 {
        for number in 0..100 {
            let is_new = tick >= 20 && random.f64() < 0.3;
            let bad = if is_new && tick >= 40 && random.f64() < rate {
                bad
            } else {
                Bad::Nothing
            };
            let id = id(tick * 100 + number);
            if bad != Bad::Nothing {
                ids.insert(id.clone());
            }
            let mut shape = Shape::new(Arc::clone(&limits));
            shape.feed(match bad {
                Bad::Body => &br#"{"id": 1}"#[..],
                _ => &br#"{"id": 1, "price": 2}"#[..],
            });
            let facts = shape.finish();
            let headers = match bad {
                Bad::Headers => vec!["content-type"],
                _ => vec!["content-type", "etag"],
            };
            tally.record(&Exchange {
                destination: "shop",
                method: "GET",
                path: "/items",
                version: if is_new { "v2" } else { "v1" },
                started_ms: now_ms + number,
                id: &id,
                status: Some(if bad == Bad::Status { 503 } else { 200 }),
                duration_us: Some(if bad == Bad::Slow {
                    90_000
                } else {
                    random.u64(5_000..10_000)
                }),
                content_type: "application/json",
                header_names: Some(&headers),
                body: Some(&facts),
                ..Exchange::default()
            });
        }
        now_ms += 1_000;
        judge.tick(&[tally.take()], Duration::from_millis(now_ms));
        if left.is_none() && judge.decisions()[0].verdict == Verdict::Anomalous {
            left = Some(10);
        }
        if left.as_mut().is_some_and(|left| {
            *left -= 1;
            *left == 0
        }) {
            break;
        }
    }
    let decision = judge.decisions().remove(0);
    assert_eq!(decision.verdict, Verdict::Anomalous);
    Rollout {
        decision,
        judge,
        plan,
        bad: ids,
    }
}

fn id(number: u64) -> String {
    format!("request-{number}")
}

fn of_route(decision: &Decision) -> &Reason {
    let mut reasons = decision.reasons.iter();
    reasons
        .find(|reason| !reason.is_pooled())
        .expect("a reason of a route")
}

#[test]
fn examples_are_the_newest_bad_answers_of_the_candidate() {
    for (bad, rate) in [
        (Bad::Status, 0.1),
        (Bad::Slow, 0.1),
        (Bad::Headers, 0.5),
        // Of a body it is known only where all lack the path.
        (Bad::Body, 1.0),
    ] {
        let found = rollout(CONFIG, bad, rate, id);
        let reason = of_route(&found.decision);
        assert_eq!(reason.examples.len(), 3, "{}", reason.category);
        for example in &reason.examples {
            assert!(
                found.bad.contains(example.id.as_str()),
                "{}: {example}",
                reason.category
            );
            let status = if bad == Bad::Status { 503 } else { 200 };
            assert_eq!(example.status, Some(status));
            assert_eq!(bad == Bad::Slow, example.duration_us == 90_000);
        }
        let starts: Vec<u64> = reason.examples.iter().map(|it| it.started_ms).collect();
        assert!(
            starts.is_sorted_by(|newer, older| newer >= older),
            "{starts:?}"
        );
        let said = reason.for_example();
        assert!(said.contains(reason.examples[0].id.as_str()), "{said}");
        // Another worker tells the same.
        let judge = handed_over(&found.judge, &found.plan);
        assert_eq!(judge.decisions()[0].reasons, found.decision.reasons);
    }
}

#[test]
fn a_body_that_only_a_part_of_the_answers_has_gives_no_example() {
    let found = rollout(CONFIG, Bad::Body, 0.5, id);
    let reason = of_route(&found.decision);
    assert_eq!(reason.category, "lost_path");
    for example in &reason.examples {
        assert!(found.bad.contains(example.id.as_str()), "{example}");
    }
}

#[test]
fn there_are_none_where_the_config_says_so() {
    let config = CONFIG.replace("true", "false");
    let found = rollout(&config, Bad::Status, 0.3, id);
    for reason in &found.decision.reasons {
        assert!(reason.examples.is_empty() && reason.for_example().is_empty());
    }
}

#[test]
fn an_id_that_a_client_chose_is_shown_as_far_as_it_is_harmless() {
    let hostile = |number: u64| format!("id-{number}-\u{202e}\u{1b}[2J{}", "x".repeat(10_240));
    let found = rollout(CONFIG, Bad::Status, 0.3, hostile);
    let said = of_route(&found.decision).for_example();
    assert!(said.contains("id-") && said.len() < 400, "{said}");
    assert!(
        said.bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic()),
        "{said}"
    );
}
