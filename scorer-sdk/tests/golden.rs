//! The same facts lead to the same evidence natively and in wasm, today and tomorrow.
//!
//! `cargo test -p scorer-sdk --test golden` runs it natively, `make test-wasm` in V8. Logarithms and
//! exponentials come from another library in wasm, so that the last digits may differ.

// All of this is test code, helpers included: clippy.toml lets it panic.
#![cfg(test)]

use scorer_sdk::{Ending, Exchange};
use scorer_sdk::{Engine, Plan};
use std::sync::Arc;
use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A linear congruential generator (Knuth's MMIX): the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Evidence in nats and judged exchanges after 30 ticks of 100 exchanges.
fn run(error_per_mille: u64) -> (f64, f64, u64) {
    let config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "2s"}"#;
    let plan = Arc::new(Plan::from_json(config).expect("the config compiles"));
    let mut engine = Engine::new(plan, 1);
    let mut numbers = Numbers(7);
    let mut last = (0.0, 0.0, 0);
    for second in 0..30 {
        for _ in 0..100 {
            let candidate = numbers.below(10) < 3;
            let rate = if candidate { error_per_mille } else { 10 };
            let status = if numbers.below(1_000) < rate {
                500
            } else {
                200
            };
            let headers = if numbers.below(2) == 0 {
                vec!["etag"]
            } else {
                vec!["etag", "vary"]
            };
            engine.observe(&Exchange {
                destination: "shop",
                route_name: "",
                method: "GET",
                path: "/api/items/12",
                version: if candidate { "v2" } else { "v1" },
                status: Some(status),
                grpc_status: None,
                ending: Ending::Complete,
                duration_us: Some(2_000 + numbers.below(3_000)),
                response_bytes: Some(900 + numbers.below(200)),
                content_type: "application/json",
                header_names: Some(&headers),
                ..Exchange::default()
            });
        }
        let decisions = engine.tick(Duration::from_secs(1_700_000_000 + second));
        last = (
            decisions[0].evidence,
            decisions[0].change_evidence,
            decisions[0].judged_exchanges,
        );
    }
    last
}

fn assert_close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-6,
        "{found} instead of {expected}"
    );
}

#[test]
fn the_evidence_of_a_healthy_rollout_is_the_recorded_one() {
    let (evidence, change, judged) = run(10);
    assert_close(evidence, HEALTHY.0);
    assert_close(change, HEALTHY.1);
    assert_eq!(judged, HEALTHY.2);
}

#[test]
fn the_evidence_of_a_regression_is_the_recorded_one() {
    let (evidence, change, judged) = run(80);
    assert_close(evidence, WORSE.0);
    assert_close(change, WORSE.1);
    assert_eq!(judged, WORSE.2);
}

/// Change these only with a reason: they are what the engine of this version says.
const HEALTHY: (f64, f64, u64) = (-0.118_380_605_898, 0.006_126_994_824, 877);
const WORSE: (f64, f64, u64) = (4.806_423_676_030, 8.326_411_738_322, 614);
