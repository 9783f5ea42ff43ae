//! A difference that is certain and small is no harm, and a reason says how large it is.

use fastrand::Rng;
use scorer_sdk::judge::verdict::{Decision, Verdict};
use scorer_sdk::{Engine, Exchange, Plan};
use std::sync::Arc;
use std::time::Duration;

/// A route that answers in 1.6 ms in the median, σ 0.5, and takes `more_us` more on the candidate,
/// which has a fifth of 300 requests a second. Ends at a verdict.
fn decision(config: &str, more_us: f64, ticks: u64) -> Decision {
    let config = format!(r#"{{"baseline": "v1", "candidate": "v2", "warm_up": "0s"{config}}}"#);
    let mut engine = Engine::new(Arc::new(Plan::from_json(&config).unwrap()), 1);
    let mut random = Rng::with_seed(5);
    let mut last = Decision::default();
    for tick in 0..ticks {
        for number in 0..300 {
            let (a, b): (f64, f64) = (random.f64().max(1e-12), random.f64());
            let normal = (-2.0 * a.ln()).sqrt() * (core::f64::consts::TAU * b).cos();
            let is_candidate = number % 5 == 0 && tick >= 10;
            let more = if is_candidate { more_us } else { 0.0 };
            engine.observe(&Exchange {
                destination: "shop",
                version: if is_candidate { "v2" } else { "v1" },
                method: "GET",
                path: "/api/items",
                status: Some(200),
                duration_us: Some((1_600.0 * (0.5 * normal).exp() + more) as u64),
                ..Exchange::default()
            });
        }
        last = engine
            .tick(Duration::from_secs(1_000 + tick))
            .pop()
            .unwrap();
        if last.verdict == Verdict::Anomalous {
            break;
        }
    }
    last
}

#[test]
fn a_millisecond_and_a_half_on_a_fast_route_condemns_nobody() {
    let found = decision("", 1_500.0, 600);
    println!("{}", found.explanation());
    assert_eq!(found.verdict, Verdict::Healthy, "{}", found.explanation());
    // It is told all the same.
    let latency = found.differences.iter().find(|it| it.signal == "latency");
    let shift = latency.unwrap().shift.unwrap();
    assert!((1.3..1.7).contains(&shift.ms.unwrap()), "{shift}");
}

#[test]
fn an_owner_who_minds_a_millisecond_says_so() {
    let config = r#", "latency": {"margin": 0.1, "floor": "1ms"}"#;
    let found = decision(config, 1_500.0, 600);
    assert_eq!(found.verdict, Verdict::Anomalous);
}

#[test]
fn a_reason_says_how_much_slower_with_its_interval() {
    let found = decision("", 20_000.0, 600);
    assert_eq!(found.verdict, Verdict::Anomalous);
    let reason = &found.reasons[0];
    let shift = reason.shift.unwrap();
    let sentence = reason.sentence("v2", "v1");
    println!("{sentence}");
    assert!(shift.ms_lower.unwrap() > 5.0, "{sentence}");
    assert!(
        shift.ms.unwrap() > 15.0 && shift.ms.unwrap() < 25.0,
        "{sentence}"
    );
    assert!(sentence.contains(&shift.to_string()), "{sentence}");
    let errors = found
        .reasons
        .iter()
        .filter(|it| !it.category.starts_with("slow"));
    assert!(errors.into_iter().all(|reason| reason.shift.is_none()));
}
