//! The shape of bodies, by the whole engine: lost paths, changed types, nulls and new paths. All
//! answers are 200, of one size, in the same time.

use super::handed_over;
use fastrand::Rng;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::shape::Shape;
use scorer_sdk::{Decision, Exchange, Plan, Verdict};
use std::sync::Arc;
use std::time::Duration;

const CONFIG: &str = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s", "body": {}}"#;

struct World<F> {
    plan: Arc<Plan>,
    tally: Tally,
    judge: Judge,
    random: Rng,
    now: Duration,
    share: f64,
    body: F,
}

impl<F: FnMut(&mut Rng, bool) -> String> World<F> {
    fn new(config: &str, body: F) -> Self {
        let plan = Arc::new(Plan::from_json(config).unwrap());
        Self {
            tally: Tally::new(Arc::clone(&plan), 1),
            judge: Judge::new(Arc::clone(&plan)),
            plan,
            random: Rng::with_seed(1),
            now: Duration::from_secs(1_700_000_000),
            share: 0.0,
            body,
        }
    }

    fn run(&mut self, ticks: usize) -> Decision {
        let limits = Arc::clone(&self.plan.body.as_ref().unwrap().limits);
        for _ in 0..ticks {
            for _ in 0..100 {
                let candidate = self.random.f64() < self.share;
                let body = (self.body)(&mut self.random, candidate);
                let mut shape = Shape::new(Arc::clone(&limits));
                shape.feed(body.as_bytes());
                let facts = shape.finish();
                self.tally.record(&Exchange {
                    destination: "shop",
                    method: "GET",
                    path: "/api/products",
                    version: if candidate { "v2" } else { "v1" },
                    status: Some(200),
                    duration_us: Some(10_000),
                    response_bytes: Some(1_000),
                    content_type: "application/json",
                    body: Some(&facts),
                    ..Exchange::default()
                });
            }
            self.now += Duration::from_secs(1);
            self.judge.tick(&[self.tally.take()], self.now);
        }
        self.judge.decisions().remove(0)
    }

    /// Another worker goes on from the bytes of the state.
    fn hand_over(&mut self) {
        self.judge = handed_over(&self.judge, &self.plan);
    }

    fn rollout(&mut self) -> Decision {
        self.run(20);
        self.share = 0.2;
        self.run(30);
        self.hand_over();
        self.run(30)
    }
}

fn verdict(body: impl FnMut(&mut Rng, bool) -> String) -> Decision {
    World::new(CONFIG, body).rollout()
}

fn reason<'a>(decision: &'a Decision, category: &str) -> &'a str {
    &decision
        .reasons
        .iter()
        .find(|reason| reason.category == category)
        .unwrap()
        .detail
}

/// A list of products, of which each optional field is there in half of the answers.
fn products(random: &mut Rng, price: &str) -> String {
    let mut optional = String::new();
    for number in 0..8 {
        if random.bool() {
            optional.push_str(&format!(r#","option{number}":{number}"#));
        }
    }
    format!(r#"{{"items":[{{"id":1,"name":"a"{price}}},{{"id":2,"name":"b"{price}}}]{optional}}}"#)
}

#[test]
fn optional_fields_in_any_combination_are_no_regression() {
    let decision = verdict(|random, _| products(random, r#","price":1.5"#));
    assert_eq!(
        decision.verdict,
        Verdict::Healthy,
        "{}",
        decision.explanation()
    );
    assert!(!decision.differs());
}

#[test]
fn a_lost_field_is_named_by_its_path() {
    let decision = verdict(|random, candidate| {
        products(random, if candidate { "" } else { r#","price":1.5"# })
    });
    assert_eq!(decision.verdict, Verdict::Anomalous);
    assert_eq!(reason(&decision, "lost_path"), "$.items[].price is missing");
    let text = decision.explanation();
    assert!(text.contains("0.0% of v1"), "{text}");
}

#[test]
fn a_field_that_becomes_a_string_is_a_changed_type() {
    let decision = verdict(|random, candidate| {
        products(
            random,
            if candidate {
                r#","price":"1.5""#
            } else {
                r#","price":1.5"#
            },
        )
    });
    assert_eq!(decision.verdict, Verdict::Anomalous);
    let detail = reason(&decision, "changed_type");
    assert!(
        detail.starts_with("$.items[].price is not always of type number"),
        "{detail}"
    );
}

#[test]
fn a_new_field_is_a_difference_and_no_harm() {
    let decision = verdict(|random, candidate| {
        products(
            random,
            if candidate {
                r#","price":1.5,"currency":"EUR""#
            } else {
                r#","price":1.5"#
            },
        )
    });
    assert_eq!(
        decision.verdict,
        Verdict::Healthy,
        "{}",
        decision.explanation()
    );
    let shape = decision
        .differences
        .iter()
        .find(|difference| difference.signal == "body_shape")
        .unwrap();
    assert_eq!(shape.detail, "new: $.items[].currency");
}

#[test]
fn a_lost_field_that_was_declared_is_quiet() {
    let config = CONFIG.replace(
        r#""body""#,
        r#""expected": [{"category": "lost_path"}], "body""#,
    );
    let decision = World::new(&config, |random: &mut Rng, candidate| {
        products(random, if candidate { "" } else { r#","price":1.5"# })
    })
    .rollout();
    assert_eq!(
        decision.verdict,
        Verdict::Healthy,
        "{}",
        decision.explanation()
    );
}
