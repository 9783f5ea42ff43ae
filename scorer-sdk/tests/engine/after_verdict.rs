//! What goes on after a verdict: counting and comparing, while the decision stands.

use super::handed_over;
use fastrand::Rng;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::judge::verdict::{Decision, Verdict};
use scorer_sdk::shape::{Shape, ShapeFacts};
use scorer_sdk::{Exchange, Plan};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Exchanges per version and category.
type Counts = BTreeMap<(String, &'static str), u64>;

const CONFIG: &str = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#;

fn shape(plan: &Plan, body: &str) -> ShapeFacts {
    let mut shape = Shape::new(Arc::clone(&plan.body.as_ref().unwrap().limits));
    shape.feed(body.as_bytes());
    shape.finish()
}

struct Shop {
    plan: Arc<Plan>,
    tally: Tally,
    judge: Judge,
    random: Rng,
    now: Duration,
    share: f64,
    slower: f64,
    error_rate: f64,
    has_body: bool,
    loses_path: bool,
}

impl Shop {
    fn new(config: &str, seed: u64) -> Self {
        let plan = Arc::new(Plan::from_json(config).unwrap());
        Self {
            tally: Tally::new(Arc::clone(&plan), seed),
            judge: Judge::new(Arc::clone(&plan)),
            plan,
            random: Rng::with_seed(seed),
            now: Duration::from_secs(1_700_000_000),
            share: 0.1,
            slower: 1.0,
            error_rate: 0.0,
            has_body: false,
            loses_path: false,
        }
    }

    fn tick(&mut self) -> Decision {
        for _ in 0..200 {
            let is_new = self.random.f64() < self.share;
            let z: f64 = (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0;
            let slower = if is_new { self.slower } else { 1.0 };
            let rate = 0.002 + if is_new { self.error_rate } else { 0.0 };
            let fails = self.random.f64() < rate;
            let body = match (self.has_body, is_new && self.loses_path) {
                (false, _) => None,
                (true, false) => Some(shape(&self.plan, r#"{"id": 1, "price": 2}"#)),
                (true, true) => Some(shape(&self.plan, r#"{"id": 1}"#)),
            };
            self.tally.record(&Exchange {
                destination: "shop",
                method: "GET",
                path: "/",
                version: if is_new { "v2" } else { "v1" },
                status: Some(if fails { 500 } else { 200 }),
                duration_us: Some((5_000.0 * slower * (0.4 * z).exp()) as u64),
                response_bytes: Some(self.random.u64(900..1_100)),
                content_type: "application/json",
                body: body.as_ref(),
                ..Exchange::default()
            });
        }
        self.now += self.plan.tick;
        let delta = self.tally.take();
        self.judge.tick(&[delta], self.now);
        self.judge.decisions().remove(0)
    }

    fn until_anomalous(&mut self) -> Decision {
        let mut decisions = (0..600).map(|_| self.tick());
        let verdict = decisions.find(|decision| decision.verdict == Verdict::Anomalous);
        verdict.expect("a verdict within ten minutes")
    }

    /// Another worker goes on from the bytes of the state.
    fn hand_over(&mut self) {
        self.judge = handed_over(&self.judge, &self.plan);
    }

    fn run(&mut self, ticks: usize) -> Decision {
        (0..ticks).map(|_| self.tick()).last().unwrap()
    }

    fn drain(&mut self) -> Counts {
        let mut counts = Counts::new();
        self.judge.drain_counts(&mut |_, category, version, count| {
            *counts.entry((version.to_owned(), category)).or_default() += count;
        });
        counts
    }
}

#[test]
fn both_versions_are_counted_after_the_verdict_as_before() {
    let mut shop = Shop::new(CONFIG, 3);
    shop.run(60);
    shop.slower = 2.0;
    let verdict = shop.until_anomalous();
    for _ in 0..5 {
        shop.drain();
        shop.run(60);
        let counts = shop.drain();
        let of = |version: &str| counts[&(version.to_owned(), "slow_p50")];
        // A minute has 1,200 exchanges of v2 and 10,800 of v1.
        assert!(of("v2") > 400 && of("v1") > 200, "{counts:?}");
    }
    let decision = shop.run(1);
    assert_eq!(decision.judged_exchanges, verdict.judged_exchanges);
    assert_eq!(decision.evidence, verdict.evidence);
    assert_eq!(decision.found, verdict.found);
    let rates = |decision: &Decision| {
        let reasons = decision.reasons.iter();
        reasons
            .map(|it| (it.candidate, it.baseline))
            .collect::<Vec<_>>()
    };
    assert_eq!(rates(&decision), rates(&verdict));
}

#[test]
fn what_each_version_does_now_is_told_beside_the_verdict_that_stands() {
    let mut shop = Shop::new(CONFIG, 4);
    shop.run(60);
    shop.error_rate = 0.3;
    shop.until_anomalous();
    let now = |decision: &Decision| {
        let mut errors = decision.reasons.iter().filter(|it| it.category == "error");
        errors.next().unwrap().now.unwrap()
    };
    let bad = shop.run(60);
    assert!((0.2..0.4).contains(&now(&bad).candidate), "{bad:?}");
    shop.error_rate = 0.0;
    let mended = shop.run(240);
    assert_eq!(mended.verdict, Verdict::Anomalous);
    assert!(now(&mended).candidate < 0.02, "{mended:?}");
    assert!(now(&mended).baseline < 0.02, "{mended:?}");
    assert_eq!(mended.found, bad.found);
}

#[test]
fn each_tick_is_counted_though_a_block_waits_for_its_other_side() {
    let mut shop = Shop::new(CONFIG, 5);
    shop.run(60);
    shop.share = 0.0;
    shop.run(5);
    let mut counted = 0;
    for _ in 0..20 {
        shop.drain();
        shop.tick();
        let slow = shop.drain()[&("v1".to_owned(), "slow_p50")];
        counted += u64::from(slow > 0);
    }
    // Some eight of a tick's 200 exchanges are beyond the cut and its margin.
    assert!(counted >= 18, "{counted} of 20 ticks");
}

#[test]
fn lost_paths_are_counted_while_a_verdict_stands() {
    let config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s", "body": {}}"#;
    let mut shop = Shop::new(config, 6);
    shop.has_body = true;
    shop.run(60);
    shop.loses_path = true;
    shop.until_anomalous();
    for _ in 0..3 {
        shop.drain();
        shop.run(60);
        let counts = shop.drain();
        let lost = counts[&("v2".to_owned(), "lost_path")];
        assert!((900..1_500).contains(&lost), "{counts:?}");
        assert_eq!(counts[&("v1".to_owned(), "lost_path")], 0);
    }
}

#[test]
fn a_verdict_says_since_when_how_often_and_how_certain() {
    let mut shop = Shop::new(CONFIG, 7);
    shop.run(400);
    let began_ms = shop.now.as_millis() as u64;
    shop.error_rate = 0.2;
    let verdict = shop.until_anomalous();
    let found = verdict.found.clone().unwrap();
    let apart = found.onset_ms.abs_diff(began_ms);
    assert!(apart <= 3_000, "{apart} ms");
    assert!(found.onset_ms < verdict.verdict_ms);
    assert_eq!(found.evidence, verdict.evidence);
    assert!(found.evidence >= verdict.threshold);
    assert!(
        verdict.timing().unwrap().rollouts() >= Some(100),
        "{found:?}"
    );
    assert!(
        (5.0..40.0).contains(&found.candidate.percent()),
        "{found:?}"
    );
    assert!(found.baseline.percent() < 2.0, "{found:?}");
}

#[test]
fn what_was_known_at_the_verdict_survives_another_leader() {
    let mut shop = Shop::new(CONFIG, 8);
    shop.run(60);
    shop.error_rate = 0.3;
    shop.until_anomalous();
    let before = shop.run(30);
    shop.hand_over();
    assert_eq!(shop.judge.decisions().remove(0), before);
    assert!(before.found.is_some() && before.reasons[0].now.is_some());
}

#[test]
fn a_candidate_that_passes_its_probation_has_no_verdict_any_more() {
    let config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s",
        "mode": "steer", "steer": {"probation": {"after": "60s", "share": 0.1}}}"#;
    let mut shop = Shop::new(config, 9);
    shop.run(60);
    shop.error_rate = 0.3;
    shop.until_anomalous();
    shop.error_rate = 0.0;
    let passed = (0..1_200).find(|_| shop.tick().verdict == Verdict::Healthy);
    assert!(passed.is_some());
    let decision = shop.run(1);
    assert_eq!((decision.found, decision.verdict_ms), (None, 0));
}
