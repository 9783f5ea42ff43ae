//! Placebo, balance and declared changes, by the whole engine on simulated traffic.

use fastrand::Rng;
use scorer_sdk::{Decision, Engine, Plan, Verdict};
use scorer_sdk::{Exchange, HeaderNames};
use std::sync::Arc;
use std::time::Duration;

const REQUESTS: usize = 200;

/// What an exchange looks like, given its version, its host's number and its client's.
type Behaviour = fn(&mut Rng, bool, usize, u64) -> Exchange<'static>;

struct World {
    engine: Engine,
    random: Rng,
    now: Duration,
    hosts: usize,
    share: f64,
    behaviour: Behaviour,
}

impl World {
    fn new(config: &str, seed: u64, hosts: usize, behaviour: Behaviour) -> Self {
        let plan = Arc::new(Plan::from_json(config).unwrap());
        Self {
            engine: Engine::new(plan, seed),
            random: Rng::with_seed(seed),
            now: Duration::from_secs(1_700_000_000),
            hosts,
            share: 0.0,
            behaviour,
        }
    }

    fn run(&mut self, ticks: usize) -> Decision {
        let mut decision = Decision::default();
        for _ in 0..ticks {
            for _ in 0..REQUESTS {
                let candidate = self.random.f64() < self.share;
                let (host, client) = (self.random.usize(..self.hosts), self.random.u64(..400));
                let exchange = (self.behaviour)(&mut self.random, candidate, host, client);
                self.engine.observe(&exchange);
            }
            self.now += Duration::from_secs(1);
            decision = self.engine.tick(self.now).remove(0);
        }
        decision
    }

    /// Stable alone for some minutes, then beside a candidate with a fifth of the requests.
    fn rollout(&mut self) -> Decision {
        self.run(60);
        self.share = 0.2;
        self.run(60)
    }
}

const CONFIG: &str = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#;
const HOSTS: [&str; 10] = [
    "10.0.0.1:80",
    "10.0.0.2:80",
    "10.0.0.3:80",
    "10.0.0.4:80",
    "10.0.0.5:80",
    "10.0.0.6:80",
    "10.0.0.7:80",
    "10.0.0.8:80",
    "10.0.0.9:80",
    "10.0.0.10:80",
];

fn exchange(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    Exchange {
        destination: "shop",
        method: "GET",
        path: if random.bool() { "/api/search" } else { "/" },
        version: if candidate { "v2" } else { "v1" },
        status: Some(200),
        duration_us: Some(random.u64(8_000..12_000)),
        response_bytes: Some(random.u64(900..1_100)),
        content_type: "application/json",
        upstream_host: HOSTS[host],
        session: Some(client),
        ..Exchange::default()
    }
}

#[test]
fn hosts_that_are_alike_leave_the_placebo_quiet() {
    for hosts in [1, 2, 10] {
        let decision = World::new(CONFIG, 1, hosts, exchange).rollout();
        assert_eq!(decision.placebo, []);
        assert_eq!(decision.balance, []);
        assert_eq!(decision.verdict, Verdict::Healthy);
    }
}

#[test]
fn hosts_that_are_replaced_do_not_leave_one_half_empty() {
    fn two(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
        exchange(random, candidate, host, client)
    }
    fn successors(
        random: &mut Rng,
        candidate: bool,
        host: usize,
        client: u64,
    ) -> Exchange<'static> {
        // Host 1 went, host 2 came: by number of hosts it belongs to the half of host 0.
        let mut exchange = exchange(random, candidate, 2 * host, client);
        if host == 1 {
            exchange.duration_us = Some(random.u64(80_000..120_000));
        }
        exchange
    }
    let mut world = World::new(CONFIG, 1, 2, two);
    world.run(20);
    world.behaviour = successors;
    // Only halves that hold one of them each can tell that the new one is slow.
    let decision = world.run(200);
    let finding = &decision.placebo[0];
    assert!(!finding.by_session);
    assert!(finding.category.starts_with("slow"), "{finding:?}");
}

/// One host in ten of each version is ten times as slow.
fn slow_host(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    let mut exchange = exchange(random, candidate, host, client);
    if host == 3 {
        exchange.duration_us = Some(random.u64(80_000..120_000));
    }
    exchange
}

#[test]
fn a_slow_host_of_the_baseline_makes_the_placebo_speak() {
    let decision = World::new(CONFIG, 2, 10, slow_host).rollout();
    let finding = &decision.placebo[0];
    assert!(!finding.by_session);
    assert!(finding.category.starts_with("slow"), "{finding:?}");
    assert!(decision.explanation().contains("differs from itself"));
}

/// As `slow_host`, and the candidate has two hosts, one of which is slow: not the version's doing.
fn unlucky(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    let mut exchange = slow_host(random, candidate, host, client);
    if candidate {
        exchange.duration_us = Some(if host.is_multiple_of(2) {
            random.u64(80_000..120_000)
        } else {
            random.u64(8_000..12_000)
        });
    }
    exchange
}

#[test]
fn a_candidate_that_differs_no_more_than_stables_hosts_is_left_alone() {
    for config in [
        CONFIG.to_owned(),
        CONFIG.replace("{", r#"{"placebo": false, "#),
    ] {
        let decision = World::new(&config, 3, 10, unlucky).rollout();
        assert!(
            decision.verdict < Verdict::Anomalous,
            "{}",
            decision.explanation()
        );
    }
}

/// As `slow_host`, and the candidate fails.
fn failing(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    let mut exchange = slow_host(random, candidate, host, client);
    if candidate && random.u8(..10) == 0 {
        exchange.status = Some(503);
    }
    exchange
}

#[test]
fn the_placebo_holds_back_only_what_the_hosts_differ_in() {
    let decision = World::new(CONFIG, 4, 10, failing).rollout();
    assert_eq!(decision.verdict, Verdict::Anomalous);
    assert_eq!(decision.reasons[0].category, "error");
}

/// One client sends a twentieth of all requests, and all of them fail, whoever answers.
fn bad_client(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    let mut exchange = exchange(random, candidate, host, client);
    if client < 20 {
        exchange.session = Some(7);
        exchange.status = Some(500);
    }
    exchange
}

#[test]
fn a_single_host_is_split_by_sessions() {
    let decision = World::new(CONFIG, 5, 1, bad_client).rollout();
    assert!(decision.placebo[0].by_session);
    assert_eq!(decision.placebo[0].category, "error");
    assert_eq!(decision.verdict, Verdict::Healthy);
}

/// Names of request headers.
struct Names(&'static [&'static str]);

impl HeaderNames for Names {
    fn visit(&self, visitor: &mut dyn FnMut(&str)) {
        self.0.visit(visitor);
    }
}

static BETA_NAMES: Names = Names(&["accept", "user-agent", "x-beta"]);
static PLAIN_NAMES: Names = Names(&["accept", "user-agent"]);

/// Beta users go to the candidate.
fn sticky(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    Exchange {
        request_header_names: Some(if candidate { &BETA_NAMES } else { &PLAIN_NAMES }),
        ..exchange(random, candidate, host, client)
    }
}

/// Beta users go everywhere.
fn assigned(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    Exchange {
        request_header_names: Some(if client < 80 {
            &BETA_NAMES
        } else {
            &PLAIN_NAMES
        }),
        ..exchange(random, candidate, host, client)
    }
}

#[test]
fn requests_that_are_not_assigned_by_chance_make_the_balance_check_speak() {
    let decision = World::new(CONFIG, 6, 3, sticky).rollout();
    assert_eq!(decision.balance[0].signal, "request_headers");
    assert_eq!(decision.verdict, Verdict::Healthy);
    assert!(decision.explanation().contains("different requests"));
    assert_eq!(World::new(CONFIG, 6, 3, assigned).rollout().balance, []);
}

/// The candidate gets hardly any searches.
fn other_routes(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    let mut exchange = exchange(random, candidate, host, client);
    if candidate && random.u8(..4) > 0 {
        exchange.path = "/";
    }
    exchange
}

#[test]
fn another_mix_of_routes_makes_the_balance_check_speak() {
    let decision = World::new(CONFIG, 7, 3, other_routes).rollout();
    assert_eq!(decision.balance[0].signal, "routes");
}

/// The candidate's answers are larger everywhere, and it is slower at searching.
fn larger(random: &mut Rng, candidate: bool, host: usize, client: u64) -> Exchange<'static> {
    let mut exchange = exchange(random, candidate, host, client);
    if candidate {
        exchange.response_bytes = Some(5_000);
    }
    exchange
}

#[test]
fn a_declared_change_is_quiet_and_an_undeclared_one_next_to_it_is_not() {
    let with = |expected: &str| {
        let config = CONFIG.replace("{", &format!(r#"{{"expected": [{expected}], "#));
        World::new(&config, 8, 3, larger).rollout()
    };
    let everywhere = with(r#"{"category": "size"}"#);
    assert_eq!(everywhere.verdict, Verdict::Healthy);
    assert!(!everywhere.differs());
    let on_one = with(r#"{"route": "GET /api/search", "signal": "size"}"#);
    assert_eq!(on_one.verdict, Verdict::Anomalous);
    assert!(
        on_one
            .reasons
            .iter()
            .all(|reason| reason.route.path != "/api/search")
    );
    let by_pattern = with(r#"{"route": "GET /*", "category": "size"}"#);
    assert_eq!(by_pattern.verdict, Verdict::Healthy);
    assert_eq!(with("").verdict, Verdict::Anomalous);
}

#[test]
fn a_rollout_with_little_traffic_says_what_it_would_need() {
    let mut world = World::new(CONFIG, 9, 3, exchange);
    world.run(20);
    world.share = 0.2;
    let decision = world.run(3);
    assert_eq!(decision.verdict, Verdict::Learning);
    let needed: Vec<u64> = decision
        .needed
        .iter()
        .map(|needed| needed.requests)
        .collect();
    assert_eq!(needed.len(), 5);
    assert!(
        needed.is_sorted_by(|more, fewer| more > fewer),
        "{needed:?}"
    );
    assert!(decision.explanation().contains("requests still needed"));
}
