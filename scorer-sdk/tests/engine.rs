//! The engine as a whole on simulated traffic: healthy rollouts, regressions, restarts.

use fastrand::Rng;
use scorer_sdk::Plan;
use scorer_sdk::codec::{Reader, Writer};
use scorer_sdk::delta::Delta;
use scorer_sdk::facts::{Ending, Exchange};
use scorer_sdk::judge::Judge;
use scorer_sdk::tally::Tally;
use scorer_sdk::verdict::{Decision, Verdict};
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
    weather: f64,
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
            weather: 1.0,
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
        let duration = (5_000.0 * (0.5 * self.normal()).exp() * slower * self.weather) as u64;
        let error = self.random.f64() < 0.005 * self.weather + harm.error_rate;
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
        assert_eq!(simulation.run(10).verdict, Verdict::Learning, "{category}");
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
        assert!(decision.reasons[0].interval.lower.unwrap() > 1.5);
        assert_eq!(decision.steer_share, 1.0);
        assert!(seconds <= 20, "{category} took {seconds} s");
    }
}

#[test]
fn a_healthy_candidate_stays_healthy_through_weather_bursts_and_steps_of_its_share() {
    let mut simulation = Simulation::new(CONFIG, 5);
    for tick in 0..1_200 {
        simulation.weather = 1.0 + 2.0 * f64::from(tick % 97) / 97.0;
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
    let version = |version: &'static str| Exchange {
        destination: "shop",
        route_name: "",
        method: "GET",
        path: "/api/products",
        version,
        status: Some(200),
        grpc_status: None,
        ending: Ending::Complete,
        duration_us: Some(5_000),
        response_bytes: Some(1_000),
        content_type: "application/json",
        header_names: None,
    };
    simulation.tally.record(&version("v3"));
    simulation.requests = 0;
    let decision = simulation.tick();
    assert_eq!(
        (decision.candidate.as_str(), decision.verdict),
        ("v3", Verdict::Learning)
    );
    assert_eq!(decision.steer_share, 0.0);
}

#[test]
fn nothing_is_judged_during_the_warm_up() {
    let mut simulation = Simulation::new(
        r#"{"baseline": "v1", "candidate": "v2", "warm_up": "1m"}"#,
        9,
    );
    simulation.harm.error_rate = 0.5;
    let decision = simulation.run(59);
    assert_eq!(
        (decision.verdict, decision.judged_exchanges),
        (Verdict::Learning, 0)
    );
    assert!(decision.candidate_exchanges > 1_000);
    assert_eq!(simulation.run(20).verdict, Verdict::Anomalous);
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
        let mut writer = Writer::new();
        other.judge.encode(&mut writer);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        other.judge = Judge::decode(Arc::clone(&other.plan), &mut reader).unwrap();
        reader.finish().unwrap();
    }
    assert_eq!(one.judge.folded(), 6_000);
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
            let place = random.usize(..damaged.len());
            damaged[place] = random.u8(..);
        }
        if let Ok(mut judge) =
            Judge::decode(Arc::clone(&simulation.plan), &mut Reader::new(&damaged))
        {
            judge.tick(&[Delta::default()], simulation.now);
            let _ = judge.decisions();
        }
    }
    let other = Arc::new(Plan::from_json(r#"{"tolerance": {"error": 3}}"#).unwrap());
    assert!(Judge::decode(other, &mut Reader::new(&bytes)).is_err());
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
    assert_eq!(judge.folded(), 4_000);
    assert_eq!(decision.verdict, Verdict::Anomalous);
}
