//! Both versions against their own past, in the whole engine: usage, shared change, or the version.

use crate::random::Random;
use core::time::Duration;
use scorer_sdk::drift::{Cause, SharedChange};
use scorer_sdk::judge::Judge;
use scorer_sdk::judge::verdict::Verdict;
use scorer_sdk::wire::codec::{Reader, Writer};
use scorer_sdk::{Engine, Exchange, Plan};
use std::sync::Arc;

const PATHS: [&str; 3] = ["/api/items", "/api/cart", "/api/orders"];

/// What comes and how it is answered, by version: baseline and candidate.
#[derive(Clone, Copy)]
struct World {
    /// Requests in a tick.
    requests: u64,
    mix: [f64; 3],
    candidate_share: f64,
    slower: [f64; 2],
    failures: [f64; 2],
}

const USUAL: World = World {
    requests: 100,
    mix: [0.6, 0.3, 0.1],
    candidate_share: 0.3,
    slower: [1.0; 2],
    failures: [0.005; 2],
};
const ALONE: World = World {
    candidate_share: 0.0,
    ..USUAL
};

struct Rollout {
    engine: Engine,
    random: Random,
    now: Duration,
}

fn plan() -> Arc<Plan> {
    let text =
        r#"{"drift": {"window": "1s"}, "baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#;
    Arc::new(Plan::from_json(text).unwrap())
}

impl Rollout {
    fn new(seed: u64) -> Self {
        Self {
            engine: Engine::new(plan(), seed),
            random: Random::new(seed),
            now: Duration::from_secs(1_700_000_000),
        }
    }

    fn pass(&mut self, ticks: u64, world: World) {
        for _ in 0..ticks {
            self.now += Duration::from_secs(1);
            for _ in 0..world.requests {
                let candidate = usize::from(self.random.unit() < world.candidate_share);
                let draw = self.random.unit();
                let route = usize::from(draw > world.mix[0])
                    + usize::from(draw > world.mix[0] + world.mix[1]);
                let failed = self.random.unit() < world.failures[candidate];
                // Ten to forty milliseconds, and each route its own.
                let time = (10_000.0 + 30_000.0 * self.random.unit().powi(2))
                    * (1.0 + route as f64)
                    * world.slower[candidate];
                self.engine.observe(&Exchange {
                    destination: "shop",
                    method: "GET",
                    path: PATHS[route],
                    version: ["v1", "v2"][candidate],
                    status: Some(if failed { 503 } else { 200 }),
                    duration_us: Some(time as u64),
                    ..Exchange::default()
                });
            }
            self.engine.advance(self.now);
        }
    }

    fn shared_change(&self) -> SharedChange {
        self.engine.judge().decisions()[0].shared_change.clone()
    }

    fn verdict(&self) -> Verdict {
        self.engine.judge().decisions()[0].verdict
    }

    /// Lets the world be another for a minute, and gives what is said of it.
    fn said_of(&mut self, world: World) -> SharedChange {
        self.pass(60, world);
        let shared_change = self.shared_change();
        println!("{}", shared_change.sentence);
        shared_change
    }

    /// A past of the baseline alone, then of both versions.
    fn settled(seed: u64) -> Self {
        let mut rollout = Self::new(seed);
        rollout.pass(60, ALONE);
        rollout.pass(60, USUAL);
        assert_eq!(rollout.shared_change().cause, Cause::Nothing);
        rollout
    }
}

#[test]
fn a_change_of_usage_is_called_usage() {
    for seed in 0..5 {
        let mut rollout = Rollout::settled(seed);
        let shared_change = rollout.said_of(World {
            mix: [0.2, 0.2, 0.6],
            ..USUAL
        });
        assert_eq!(shared_change.cause, Cause::Shared, "{shared_change:?}");
        assert!(
            shared_change.sentence.starts_with("usage"),
            "{shared_change:?}"
        );
        assert!(
            shared_change
                .sentence
                .contains("of the requests for GET /api/")
        );
        assert!(rollout.verdict() < Verdict::Suspect);
    }
}

#[test]
fn a_change_is_seen_soon_after_a_short_past_and_not_taken_for_scatter() {
    let mut late = Vec::new();
    for seed in 0..20 {
        let mut rollout = Rollout::new(seed);
        let usual = World {
            requests: 50,
            ..USUAL
        };
        rollout.pass(42, usual);
        let changed = World {
            mix: [0.3, 0.3, 0.4],
            ..usual
        };
        let ticks = (1..=60).find(|_| {
            rollout.pass(1, changed);
            rollout.shared_change().cause == Cause::Shared
        });
        late.push(ticks.unwrap_or(60));
    }
    late.sort_unstable();
    println!("seen after {late:?} ticks");
    assert!(
        late[10] <= 10 && late[19] <= 30,
        "seen after {late:?} ticks"
    );
}

#[test]
fn a_surge_is_called_usage() {
    let mut rollout = Rollout::settled(7);
    let shared_change = rollout.said_of(World {
        requests: 300,
        ..USUAL
    });
    assert_eq!(shared_change.cause, Cause::Shared, "{shared_change:?}");
    assert!(
        shared_change.sentence.starts_with("usage"),
        "{shared_change:?}"
    );
    assert!(shared_change.sentence.contains("times as many requests"));
}

#[test]
fn a_slow_dependency_that_both_share_is_called_shared() {
    for seed in 0..5 {
        let mut rollout = Rollout::settled(seed);
        let shared_change = rollout.said_of(World {
            slower: [3.0; 2],
            ..USUAL
        });
        assert_eq!(shared_change.cause, Cause::Shared, "{shared_change:?}");
        assert!(shared_change.sentence.starts_with("a shared dependency"));
        assert!(rollout.verdict() < Verdict::Suspect);
    }
}

#[test]
fn a_bad_version_is_called_the_version() {
    for seed in 0..5 {
        let mut rollout = Rollout::settled(seed);
        let shared_change = rollout.said_of(World {
            failures: [0.005, 0.2],
            ..USUAL
        });
        assert_eq!(shared_change.cause, Cause::Version, "{shared_change:?}");
        assert_eq!(rollout.verdict(), Verdict::Anomalous);
    }
}

#[test]
fn a_bad_version_during_a_change_of_usage_is_called_both() {
    for seed in 0..5 {
        let mut rollout = Rollout::settled(seed);
        let shared_change = rollout.said_of(World {
            failures: [0.005, 0.2],
            mix: [0.2, 0.2, 0.6],
            ..USUAL
        });
        assert_eq!(
            shared_change.cause,
            Cause::VersionAndShared,
            "{shared_change:?}"
        );
        assert!(shared_change.sentence.contains("during a change of usage"));
    }
}

#[test]
fn a_version_without_a_past_is_not_taken_for_the_one_that_stayed() {
    let mut rollout = Rollout::new(3);
    rollout.pass(120, ALONE);
    rollout.pass(
        20,
        World {
            failures: [0.005, 0.3],
            slower: [4.0; 2],
            ..USUAL
        },
    );
    let shared_change = rollout.shared_change();
    assert_eq!(
        shared_change.cause,
        Cause::VersionAndShared,
        "{shared_change:?}"
    );
}

#[test]
fn a_quiet_service_is_left_alone_for_hours() {
    // 20,000 windows against a run length of 40,320 for all six series together.
    let mut reported = 0;
    for seed in 0..4 {
        let mut rollout = Rollout::new(100 + seed);
        for _ in 0..5_000 {
            rollout.pass(1, USUAL);
            if rollout.shared_change().cause != Cause::Nothing {
                reported += 1;
                break;
            }
        }
    }
    assert!(
        reported <= 1,
        "{reported} of 4 quiet services were said to drift"
    );
}

#[test]
fn the_state_goes_on_from_its_bytes() {
    let mut rollout = Rollout::settled(9);
    let mut writer = Writer::new();
    rollout.engine.judge().encode(&mut writer);
    let bytes = writer.into_bytes();
    println!("{} bytes of state", bytes.len());
    assert!(bytes.len() < 100_000);
    let read = Judge::decode(plan(), &mut Reader::new(&bytes)).unwrap();
    assert_eq!(read.decisions(), rollout.engine.judge().decisions());
    rollout.pass(1, USUAL);
}

#[test]
fn drift_that_is_off_says_nothing() {
    let plan = Plan::from_json(r#"{"drift": {"window": "0s"}}"#).unwrap();
    let mut rollout = Rollout::new(1);
    rollout.engine = Engine::new(Arc::new(plan), 1);
    rollout.pass(100, USUAL);
    assert_eq!(rollout.shared_change(), SharedChange::default());
}
