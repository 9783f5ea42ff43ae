//! What a version does beyond status and latency: the calls that it makes, what its clients do next,
//! and what its answers look like. All answers are 200, of one size, in the same time.

use fastrand::Rng;
use scorer_sdk::signal::fan_out;
use scorer_sdk::{Decision, Engine, Exchange, Plan, Verdict};
use std::sync::Arc;
use std::time::Duration;

const CONFIG: &str = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s",
    "signals": {"fan_out": true}, "session": {"from": "cookie", "name": "sid"}}"#;

/// A service whose requests come from `request`: given the candidate or not, and the client.
struct World<F> {
    engine: Engine,
    random: Rng,
    now: Duration,
    share: f64,
    request: F,
    /// Names of the response headers, given the candidate or not.
    headers: fn(bool) -> &'static [&'static str],
}

/// Path of a request and the calls made for it.
type Served = (&'static str, Vec<(&'static str, u64)>);

impl<F: FnMut(&mut Rng, bool, u64) -> Served> World<F> {
    fn new(request: F) -> Self {
        Self {
            engine: Engine::new(Arc::new(Plan::from_json(CONFIG).unwrap()), 1),
            random: Rng::with_seed(1),
            now: Duration::from_secs(1_700_000_000),
            share: 0.0,
            request,
            headers: |_| &["content-type", "etag"],
        }
    }

    fn run(&mut self, ticks: usize) -> Decision {
        let mut decision = Decision::default();
        for _ in 0..ticks {
            for _ in 0..100 {
                let candidate = self.random.f64() < self.share;
                let client = self.random.u64(..200);
                let (path, calls) = (self.request)(&mut self.random, candidate, client);
                let mut calls: Vec<(String, u64)> = calls
                    .into_iter()
                    .map(|(call, count)| (call.to_owned(), count))
                    .collect();
                let calls = fan_out::describe(&mut calls);
                self.engine.observe(&Exchange {
                    destination: "shop",
                    method: "GET",
                    path,
                    version: if candidate { "v2" } else { "v1" },
                    status: Some(200),
                    duration_us: Some(10_000),
                    response_bytes: Some(1_000),
                    content_type: "application/json",
                    header_names: Some(&(self.headers)(candidate).to_vec()),
                    session: Some(client),
                    fan_out: Some(&calls),
                    ..Exchange::default()
                });
            }
            self.now += Duration::from_secs(1);
            decision = self.engine.tick(self.now).remove(0);
        }
        decision
    }

    fn rollout(&mut self) -> Decision {
        self.run(60);
        self.share = 0.2;
        self.run(90)
    }
}

const AUTH: (&str, u64) = ("auth GET /check", 1);
const STOCK: (&str, u64) = ("stock GET /items", 1);

fn verdict(calls: impl Fn(bool) -> Vec<(&'static str, u64)>) -> Decision {
    World::new(|_: &mut Rng, candidate, _| ("/api/products", calls(candidate))).rollout()
}

#[test]
fn a_lost_header_is_named_with_how_often_it_was_there() {
    let mut world = World::new(|_: &mut Rng, _, _| ("/api/products", vec![AUTH]));
    world.headers = |candidate| match candidate {
        true => &["content-type"],
        false => &["content-type", "etag"],
    };
    let decision = world.rollout();
    assert_eq!(decision.verdict, Verdict::Anomalous);
    let text = decision.explanation();
    assert!(text.contains("lack the header etag, against"), "{text}");
    let detail = &decision.reasons[0].detail;
    assert_eq!(
        detail,
        "missing: etag (in 100% of the baseline's and 0% of the candidate's)"
    );
}

#[test]
fn a_new_header_is_a_difference_and_no_harm() {
    let mut world = World::new(|_: &mut Rng, _, _| ("/api/products", vec![AUTH]));
    world.headers = |candidate| match candidate {
        true => &["content-type", "etag", "x-debug"],
        false => &["content-type", "etag"],
    };
    let decision = world.rollout();
    assert_eq!(
        decision.verdict,
        Verdict::Healthy,
        "{}",
        decision.explanation()
    );
    let named = decision
        .differences
        .iter()
        .any(|difference| difference.detail.starts_with("more: x-debug (+100 points)"));
    assert!(named, "{:?}", decision.differences);
}

#[test]
fn the_same_calls_in_other_numbers_within_a_class_are_no_regression() {
    let decision = verdict(|candidate| vec![AUTH, (STOCK.0, if candidate { 4 } else { 3 })]);
    assert_eq!(
        decision.verdict,
        Verdict::Healthy,
        "{}",
        decision.explanation()
    );
}

#[test]
fn a_call_for_each_item_instead_of_one_for_all_is_named() {
    let decision = verdict(|candidate| vec![AUTH, (STOCK.0, if candidate { 20 } else { 1 })]);
    assert_eq!(decision.verdict, Verdict::Anomalous);
    let text = decision.explanation();
    assert!(text.contains("stock GET /items"), "{text}");
}

#[test]
fn a_skipped_authorisation_is_named() {
    let decision = verdict(|candidate| {
        if candidate {
            vec![STOCK]
        } else {
            vec![AUTH, STOCK]
        }
    });
    assert_eq!(decision.verdict, Verdict::Anomalous);
    let lost = decision
        .reasons
        .iter()
        .find(|reason| reason.category == "lost_call");
    assert!(lost.unwrap().detail.contains("auth GET /check 1"));
}

#[test]
fn a_call_to_a_service_that_was_never_called_is_named() {
    let tracker = ("tracker POST /v1", 1);
    let decision = verdict(|candidate| {
        if candidate {
            vec![AUTH, STOCK, tracker]
        } else {
            vec![AUTH, STOCK]
        }
    });
    assert_eq!(decision.verdict, Verdict::Anomalous);
    let unusual = decision
        .reasons
        .iter()
        .find(|reason| reason.category == "unusual_fan_out");
    assert!(unusual.unwrap().detail.contains("tracker"));
}

/// Clients go from the list to an item, to the cart and back; `link` says whether the version that
/// serves the list still has the link to the items.
fn journey(link: impl Fn(bool) -> bool) -> Decision {
    let mut at = vec![("/", true); 200];
    World::new(move |random: &mut Rng, candidate, client| {
        let (page, linked) = at[client as usize];
        let next = match page {
            "/" if linked && random.u8(..10) > 0 => "/items",
            "/items" if random.u8(..10) > 1 => "/cart",
            _ => "/",
        };
        at[client as usize] = (next, link(candidate));
        (next, Vec::new())
    })
    .rollout()
}

#[test]
fn the_next_calls_of_two_shares_are_not_compared_with_each_other() {
    for (before, after) in [(0.05, 0.5), (0.5, 0.05)] {
        let mut world = World::new(|random: &mut Rng, _, _| {
            (
                *random.choice(&["/", "/items", "/cart"]).unwrap(),
                Vec::new(),
            )
        });
        world.run(60);
        world.share = before;
        world.run(60);
        world.share = after;
        let decision = world.run(60);
        assert_eq!(
            decision.verdict,
            Verdict::Healthy,
            "{}",
            decision.explanation()
        );
    }
}

#[test]
fn a_page_that_lost_its_link_is_seen_by_where_its_clients_go_next() {
    assert_eq!(journey(|_| true).verdict, Verdict::Healthy);
    let decision = journey(|candidate| !candidate);
    assert_eq!(
        decision.verdict,
        Verdict::Anomalous,
        "{}",
        decision.explanation()
    );
    assert_eq!(decision.reasons[0].category, "strayed");
    assert_eq!(decision.reasons[0].route.path, "/");
}
