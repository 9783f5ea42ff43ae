//! Fan-out: what the header `x-serin-report` carries, from the calls that were made, or from
//! somebody who forges it.

use crate::input::Input;
use crate::traffic;
use scorer_sdk::Engine;
use scorer_sdk::exchange::Exchange;
use scorer_sdk::signal::fan_out::{MAX_CALLS, MORE, describe};
use std::time::Duration;

/// The bytes are a forged report, then calls with their numbers.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let forged = input.text();
    let mut calls = Vec::new();
    while !input.is_empty() {
        calls.push((input.text().to_owned(), input.u64()));
    }
    let mut reversed: Vec<_> = calls.iter().cloned().rev().collect();
    let report = describe(&mut calls);
    assert_eq!(report, describe(&mut reversed), "the order matters");
    let parts: Vec<&str> = report.split(',').filter(|part| !part.is_empty()).collect();
    assert!(parts.len() <= MAX_CALLS + 1, "{} parts", parts.len());
    for part in parts {
        let count = part.rsplit(' ').next();
        assert!(
            part == MORE || ["1", "2", "3-5", "6+"].map(Some).contains(&count),
            "{part}"
        );
    }

    let mut engine = Engine::new(traffic::plan(), 1);
    for second in 0..4 {
        for (version, text) in [("v1", report.as_str()), ("v2", forged)] {
            for _ in 0..20 {
                engine.observe(&Exchange {
                    destination: "shop",
                    method: "GET",
                    path: "/",
                    version,
                    status: Some(200),
                    fan_out: Some(text),
                    ..Exchange::default()
                });
            }
        }
        traffic::check(&engine.tick(Duration::from_secs(1_700_000_000 + second)));
    }
}
