//! The engine as a whole on simulated traffic: healthy rollouts, regressions, restarts.

use super::handed_over;
use fastrand::Rng;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::judge::verdict::{Decision, Reason, Verdict};
use scorer_sdk::wire::codec::{Reader, Writer};
use scorer_sdk::{Ending, Exchange, Plan};
use std::sync::Arc;
use std::time::Duration;

const HEADERS: [&str; 4] = ["content-type", "etag", "cache-control", "vary"];
const CONFIG: &str = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "5s"}"#;

/// What the candidate does differently.
#[derive(Clone, Copy, Default)]
struct Harm {
    error_rate: f64,
    slower: f64,
    larger: u64,
    no_etag: bool,
    html: bool,
    hang_rate: f64,
}

struct Simulation {
    plan: Arc<Plan>,
    tally: Tally,
    judge: Judge,
    random: Rng,
    now: Duration,
    share: f64,
    requests: usize,
    shared_change: f64,
    harm: Harm,
}

impl Simulation {
    fn new(config: &str, seed: u64) -> Self {
        let plan = Arc::new(Plan::from_json(config).unwrap());
        Self {
            tally: Tally::new(Arc::clone(&plan), seed),
            judge: Judge::new(Arc::clone(&plan)),
            plan,
            random: Rng::with_seed(seed),
            now: Duration::from_secs(1_700_000_000),
            share: 0.2,
            requests: 200,
            shared_change: 1.0,
            harm: Harm::default(),
        }
    }

    fn normal(&mut self) -> f64 {
        let (a, b): (f64, f64) = (self.random.f64().max(1e-12), self.random.f64());
        (-2.0 * a.ln()).sqrt() * (2.0 * std::f64::consts::PI * b).cos()
    }

    fn exchange(&mut self) {
        let candidate = self.random.f64() < self.share;
        let harm = if candidate {
            self.harm
        } else {
            Harm {
                slower: 1.0,
                larger: 1,
                ..Harm::default()
            }
        };
        let (method, path) = *self
            .random
            .choice(&[
                ("GET", "/api/products"),
                ("GET", "/api/products/17"),
                ("POST", "/api/cart"),
            ])
            .unwrap();
        let slower = if harm.slower > 0.0 { harm.slower } else { 1.0 };
        let duration = (5_000.0 * (0.5 * self.normal()).exp() * slower * self.shared_change) as u64;
        let error = self.random.f64() < 0.005 * self.shared_change + harm.error_rate;
        let hangs = self.random.f64() < harm.hang_rate;
        let headers: Vec<&str> = HEADERS
            .iter()
            .copied()
            .filter(|name| !(harm.no_etag && *name == "etag"))
            .collect();
        let exchange = Exchange {
            destination: "shop",
            route_name: "",
            method,
            path,
            version: if candidate { "v2" } else { "v1" },
            status: if hangs {
                None
            } else {
                Some(if error { 500 } else { 200 })
            },
            grpc_status: None,
            ending: if hangs {
                Ending::InFlight
            } else {
                Ending::Complete
            },
            duration_us: Some(if hangs { 2_000_000 } else { duration }),
            response_bytes: Some(self.random.u64(900..1100) * harm.larger.max(1)),
            content_type: if harm.html {
                "text/html"
            } else {
                "application/json"
            },
            header_names: Some(&headers),
            ..Exchange::default()
        };
        self.tally.record(&exchange);
    }

    fn tick(&mut self) -> Decision {
        for _ in 0..self.requests {
            self.exchange();
        }
        self.now += self.plan.tick;
        let delta = self.tally.take();
        self.judge.tick(&[delta], self.now);
        self.judge.decisions().remove(0)
    }

    fn run(&mut self, ticks: usize) -> Decision {
        (0..ticks).map(|_| self.tick()).last().unwrap()
    }
}

#[test]
fn each_regression_is_caught_and_named() {
    let none = Harm::default();
    let cases = [
        (
            "error",
            Harm {
                error_rate: 0.08,
                ..none
            },
        ),
        (
            "slow_p",
            Harm {
                slower: 2.0,
                ..none
            },
        ),
        ("size", Harm { larger: 3, ..none }),
        (
            "lost_header",
            Harm {
                no_etag: true,
                ..none
            },
        ),
        ("unusual_content_type", Harm { html: true, ..none }),
        (
            "slow_p",
            Harm {
                hang_rate: 0.1,
                ..none
            },
        ),
    ];
    for (category, harm) in cases {
        let mut simulation = Simulation::new(CONFIG, 11);
        assert!(simulation.run(10).verdict < Verdict::Suspect, "{category}");
        simulation.harm = harm;
        let seconds = (1..60)
            .find(|_| simulation.tick().verdict == Verdict::Anomalous)
            .unwrap_or_else(|| panic!("{category} was not caught"));
        let decision = simulation.run(1);
        println!("{category}: {seconds} s, {}", decision.explanation());
        assert!(
            decision.reasons[0].category.starts_with(category),
            "{decision:?}"
        );
        let surely = |reason: &Reason| reason.interval.lower.is_some_and(|lower| lower > 1.5);
        assert!(decision.reasons.iter().any(surely), "{decision:?}");
        assert_eq!(decision.steer_share, 1.0);
        assert!(seconds <= 20, "{category} took {seconds} s");
    }
}

#[test]
fn a_healthy_candidate_stays_healthy_through_shared_change_bursts_and_steps_of_its_share() {
    let mut simulation = Simulation::new(CONFIG, 5);
    for tick in 0..1_200 {
        simulation.shared_change = 1.0 + 2.0 * f64::from(tick % 97) / 97.0;
        simulation.share = [0.01, 0.05, 0.25, 0.5][(tick / 300) as usize];
        simulation.requests = if tick % 50 < 5 { 600 } else { 60 };
        let decision = simulation.tick();
        assert!(
            decision.verdict < Verdict::Anomalous,
            "tick {tick}: {decision:?}"
        );
    }
    let decision = simulation.run(1);
    assert_eq!(decision.verdict, Verdict::Healthy, "{decision:?}");
    assert!(decision.explanation().contains("nothing speaks against v2"));
}

#[test]
fn a_late_regression_is_caught() {
    let mut simulation = Simulation::new(CONFIG, 6);
    assert_eq!(simulation.run(150).verdict, Verdict::Healthy);
    simulation.harm.error_rate = 0.05;
    let seconds = (1..)
        .find(|_| simulation.tick().verdict == Verdict::Anomalous)
        .unwrap();
    println!("late: {seconds} s");
    assert!(seconds < 40, "{seconds} s");
}

#[test]
fn versions_are_found_without_names() {
    let mut simulation = Simulation::new(r#"{"warm_up": "5s"}"#, 7);
    simulation.share = 0.0;
    assert_eq!(simulation.run(20).candidate, "");
    simulation.share = 0.1;
    let decision = simulation.run(2);
    assert_eq!(
        (decision.baseline.as_str(), decision.candidate.as_str()),
        ("v1", "v2")
    );
}

#[test]
fn a_new_version_starts_with_a_clean_slate() {
    let mut simulation = Simulation::new(r#"{"warm_up": "5s"}"#, 8);
    simulation.share = 0.0;
    simulation.run(5);
    simulation.share = 0.2;
    simulation.harm.error_rate = 0.2;
    assert_eq!(simulation.run(40).verdict, Verdict::Anomalous);
    simulation.requests = 0;
    for _ in 0..20 {
        simulation.tally.record(&answer("v3", 200));
    }
    let decision = simulation.tick();
    assert_eq!(
        (decision.candidate.as_str(), decision.verdict),
        ("v3", Verdict::Learning)
    );
    // The condemned one has had recent traffic: it stays steered away from until that has ended.
    assert_eq!(decision.steer_share, 1.0);
    assert_eq!(decision.condemned_versions, ["v2"]);
    let decision = (0..620)
        .map(|_| simulation.plain_tick(&[("v1", 200, 8), ("v3", 200, 2)]))
        .last()
        .unwrap();
    assert_eq!(decision.steer_share, 0.0);
}

/// A plain exchange on one route.
fn answer(version: &'static str, status: u16) -> Exchange<'static> {
    Exchange {
        destination: "shop",
        route_name: "",
        method: "GET",
        path: "/api/products",
        version,
        status: Some(status),
        grpc_status: None,
        ending: Ending::Complete,
        duration_us: Some(5_000),
        response_bytes: Some(1_000),
        content_type: "application/json",
        header_names: None,
        ..Exchange::default()
    }
}

impl Simulation {
    /// A tick in which each version has as many exchanges as stated, with this status.
    fn plain_tick(&mut self, versions: &[(&'static str, u16, usize)]) -> Decision {
        for (version, status, count) in versions {
            for _ in 0..*count {
                self.tally.record(&answer(version, *status));
            }
        }
        self.requests = 0;
        self.tick()
    }
}

#[test]
fn versions_that_come_and_go_for_weeks_are_all_judged() {
    let mut simulation = Simulation::new(r#"{"warm_up": "0s"}"#, 15);
    for _ in 0..5 {
        simulation.plain_tick(&[("v1", 200, 100)]);
    }
    for version in ["v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10"] {
        let decision = (0..20)
            .map(|_| simulation.plain_tick(&[("v1", 200, 80), (version, 200, 20)]))
            .last()
            .unwrap();
        assert_eq!(decision.candidate, version);
        assert_eq!(decision.verdict, Verdict::Healthy, "{decision:?}");
    }
    assert_eq!(simulation.judge.overflow().versions, 0);
}

#[test]
fn nothing_is_healthy_that_was_compared_with_nothing() {
    // The baseline's name is mistyped: it never has traffic.
    let mut simulation = Simulation::new(
        r#"{"baseline": "stabel", "candidate": "v2", "warm_up": "0s"}"#,
        16,
    );
    let decision = (0..60)
        .map(|_| simulation.plain_tick(&[("v1", 200, 80), ("v2", 503, 20)]))
        .last()
        .unwrap();
    assert_eq!(
        (decision.verdict, decision.judged_exchanges),
        (Verdict::Learning, 0)
    );
    assert!(
        decision.explanation().contains("no exchange of stabel"),
        "{decision:?}"
    );
}

#[test]
fn the_version_with_most_traffic_is_the_baseline_where_none_is_named() {
    let mut simulation = Simulation::new(r#"{"warm_up": "0s"}"#, 17);
    // The canary's request happens to be the first.
    assert_eq!(simulation.plain_tick(&[("v2", 200, 1)]).baseline, "");
    let decision = (0..3)
        .map(|_| simulation.plain_tick(&[("v1", 200, 70), ("v2", 200, 30)]))
        .last()
        .unwrap();
    assert_eq!(
        (decision.baseline.as_str(), decision.candidate.as_str()),
        ("v1", "v2")
    );
}

#[test]
fn nothing_is_steered_to_a_baseline_that_fails_itself() {
    let mut simulation = Simulation::new(r#"{"baseline": "v1", "warm_up": "0s"}"#, 18);
    for _ in 0..10 {
        simulation.plain_tick(&[("v1", 200, 80), ("v2", 200, 20)]);
    }
    let decision = (0..20)
        .map(|_| simulation.plain_tick(&[("v1", 200, 80), ("v2", 500, 20)]))
        .last()
        .unwrap();
    assert_eq!(
        (decision.verdict, decision.steer_share),
        (Verdict::Anomalous, 1.0)
    );
    // Stable is scaled to nothing: what is steered there gets the proxy's own 503.
    let decision = (0..6)
        .map(|_| simulation.plain_tick(&[("v1", 503, 100)]))
        .last()
        .unwrap();
    assert_eq!(
        (decision.steer_share, decision.baseline_failing),
        (0.0, true)
    );
    let decision = (0..10)
        .map(|_| simulation.plain_tick(&[("v1", 200, 100)]))
        .last()
        .unwrap();
    assert_eq!(decision.steer_share, 1.0);
}

#[test]
fn a_version_that_comes_back_after_a_long_time_is_judged_anew() {
    let mut simulation = Simulation::new(r#"{"warm_up": "0s"}"#, 19);
    let healthy = [("v1", 200, 80), ("v2", 200, 20)];
    for _ in 0..30 {
        simulation.plain_tick(&healthy);
    }
    for _ in 0..700 {
        simulation.plain_tick(&[("v1", 200, 80), ("v3", 200, 20)]);
    }
    let decision = (0..20)
        .map(|_| simulation.plain_tick(&[("v1", 200, 80), ("v2", 500, 20)]))
        .last()
        .unwrap();
    assert_eq!(
        (decision.candidate.as_str(), decision.verdict),
        ("v2", Verdict::Anomalous)
    );
}

/// Seconds in which v1 serves alone, or both serve and v2 answers with this status.
fn release(simulation: &mut Simulation, ticks: usize, status: Option<u16>) -> Decision {
    (0..ticks)
        .map(|_| match status {
            Some(status) => simulation.plain_tick(&[("v1", 200, 80), ("v2", status, 20)]),
            None => simulation.plain_tick(&[("v1", 200, 100)]),
        })
        .last()
        .unwrap()
}

#[test]
fn the_next_release_under_the_same_name_is_judged_anew() {
    let mut simulation = Simulation::new(r#"{"warm_up": "0s", "healthy_after": 200}"#, 19);
    let first = release(&mut simulation, 60, Some(200));
    assert_eq!(first.verdict, Verdict::Healthy);
    // A pause is none: the same release goes on.
    release(&mut simulation, 30, None);
    let same = release(&mut simulation, 1, Some(200));
    assert_eq!(
        (same.started_ms, same.verdict),
        (first.started_ms, Verdict::Healthy)
    );
    // Its weight was 0 for more than three times as long as the longest pause.
    let over = release(&mut simulation, 100, None);
    assert_eq!(over.started_ms, first.started_ms);
    let next = release(&mut simulation, 1, Some(200));
    assert!(next.started_ms > over.started_ms + 100_000, "{next:?}");
    assert_eq!(
        (next.candidate.as_str(), next.verdict),
        ("v2", Verdict::Learning)
    );
    // The pauses of the last release say nothing about this one.
    release(&mut simulation, 20, Some(200));
    release(&mut simulation, 70, None);
    let third = release(&mut simulation, 1, Some(200));
    assert!(third.started_ms > next.started_ms, "{third:?}");
    let bad = release(&mut simulation, 20, Some(500));
    assert_eq!(bad.verdict, Verdict::Anomalous);
}

#[test]
fn a_condemned_release_does_not_condemn_the_next_one_unless_the_filter_keeps_it_from_traffic() {
    for (mode, expected) in [("observe", Verdict::Healthy), ("steer", Verdict::Anomalous)] {
        let config = format!(
            r#"{{"baseline": "v1", "warm_up": "0s", "healthy_after": 200, "mode": "{mode}"}}"#
        );
        let mut simulation = Simulation::new(&config, 19);
        let bad = release(&mut simulation, 30, Some(500));
        assert_eq!(bad.verdict, Verdict::Anomalous, "{mode}");
        release(&mut simulation, 90, None);
        let repaired = release(&mut simulation, 60, Some(200));
        assert_eq!(repaired.verdict, expected, "{mode}: {repaired:?}");
    }
}

#[test]
fn a_share_that_drops_while_slow_requests_are_on_their_way_is_not_held_against_the_canary() {
    // Both versions time out after 15 s in one of a hundred; the canary is rolled back by hand.
    let mut simulation = Simulation::new(CONFIG, 20);
    let mut pending: Vec<(u64, &'static str)> = Vec::new();
    for second in 0..200_u64 {
        let share = if second < 100 { 0.5 } else { 0.05 };
        for _ in 0..100 {
            let version = if simulation.random.f64() < share {
                "v2"
            } else {
                "v1"
            };
            if simulation.random.f64() < 0.01 {
                pending.push((second + 15, version));
            } else {
                simulation.tally.record(&answer(version, 200));
            }
        }
        for (_, version) in pending.extract_if(.., |(due, _)| *due == second) {
            let late = Exchange {
                duration_us: Some(15_000_000),
                ..answer(version, 504)
            };
            simulation.tally.record(&late);
        }
        simulation.requests = 0;
        let decision = simulation.tick();
        assert!(
            decision.verdict < Verdict::Anomalous,
            "second {second}: {decision:?}"
        );
    }
}

#[test]
fn errors_are_judged_from_the_first_request_on_and_latency_after_the_warm_up() {
    let config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "1m"}"#;
    let mut simulation = Simulation::new(config, 9);
    simulation.harm.error_rate = 0.5;
    assert_eq!(simulation.run(59).verdict, Verdict::Anomalous);
    let mut simulation = Simulation::new(config, 9);
    simulation.harm.slower = 3.0;
    // Without a look at its latency it is not called healthy either.
    let decision = simulation.run(59);
    assert_eq!(decision.verdict, Verdict::Learning);
    let decision = simulation.run(60);
    assert_eq!(decision.verdict, Verdict::Anomalous);
    assert!(decision.reasons[0].category.starts_with("slow"));
}

#[test]
fn a_probation_lets_a_trickle_through_and_ends_when_the_candidate_has_recovered() {
    let config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "5s",
        "steer": {"probation": {"after": "30s", "share": 0.05}}}"#;
    let mut simulation = Simulation::new(config, 10);
    simulation.run(10);
    simulation.harm.error_rate = 0.3;
    let mut decision = simulation.run(10);
    assert_eq!(
        (decision.verdict, decision.steer_share),
        (Verdict::Anomalous, 1.0)
    );
    simulation.share = 0.05;
    let until = |share: f64, simulation: &mut Simulation| {
        (1..60)
            .find(|_| simulation.tick().steer_share == share)
            .expect("the phase never came")
    };
    assert!((20..=31).contains(&until(0.95, &mut simulation)));
    // Still bad: condemned again, and again after the next probation has begun.
    assert!(until(1.0, &mut simulation) < 30);
    simulation.harm.error_rate = 0.0;
    decision = simulation.run(90);
    assert_eq!(
        (decision.verdict, decision.steer_share),
        (Verdict::Healthy, 0.0)
    );
}

#[test]
fn a_judge_continues_from_its_bytes_as_if_nothing_had_happened() {
    let mut one = Simulation::new(CONFIG, 12);
    let mut other = Simulation::new(CONFIG, 12);
    one.harm.error_rate = 0.03;
    other.harm.error_rate = 0.03;
    for _ in 0..30 {
        let (expected, found) = (one.tick(), other.tick());
        assert_eq!(expected, found);
        other.judge = handed_over(&other.judge, &other.plan);
    }
    assert_eq!(one.judge.merged(), 6_000);
}

#[test]
fn damaged_state_is_refused_and_never_panics() {
    let mut simulation = Simulation::new(CONFIG, 13);
    simulation.run(10);
    let mut writer = Writer::new();
    simulation.judge.encode(&mut writer);
    let bytes = writer.into_bytes();
    println!("state: {} bytes for 3 routes", bytes.len());
    let decode =
        |bytes: &[u8]| Judge::decode(Arc::clone(&simulation.plan), &mut Reader::new(bytes)).is_ok();
    assert!(decode(&bytes));
    for end in (0..bytes.len()).step_by(7) {
        assert!(!decode(&bytes[..end]));
    }
    let mut random = Rng::with_seed(1);
    for _ in 0..2_000 {
        let mut damaged = bytes.clone();
        for _ in 0..3 {
            let index = random.usize(..damaged.len());
            damaged[index] = random.u8(..);
        }
        if let Ok(mut judge) =
            Judge::decode(Arc::clone(&simulation.plan), &mut Reader::new(&damaged))
        {
            judge.tick(&[Delta::default()], simulation.now);
            let _ = judge.decisions();
        }
    }
    let other = Arc::new(Plan::from_json(r#"{"tolerance": {"error": 3}}"#).unwrap());
    let refused = Judge::decode(other, &mut Reader::new(&bytes)).err();
    let why = refused.map(|error| error.to_string()).unwrap_or_default();
    assert!(why.contains("other signals or tolerances"), "{why}");
}

#[test]
fn counts_of_several_workers_add_up_to_the_same_decision() {
    let mut one = Simulation::new(CONFIG, 14);
    one.harm.error_rate = 0.05;
    let mut judge = Judge::new(Arc::clone(&one.plan));
    for _ in 0..20 {
        let mut deltas = Vec::new();
        for _ in 0..4 {
            for _ in 0..50 {
                one.exchange();
            }
            deltas.push(one.tally.take());
        }
        one.now += one.plan.tick;
        judge.tick(&deltas, one.now);
    }
    let decision = judge.decisions().remove(0);
    assert_eq!(judge.merged(), 4_000);
    assert_eq!(decision.verdict, Verdict::Anomalous);
}
