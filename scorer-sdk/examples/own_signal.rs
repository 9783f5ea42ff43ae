//! A signal of your own: `cargo run -p scorer-sdk --example own_signal`.
//!
//! Throughput says what latency cannot where sizes vary: a version that sends large files at half
//! the speed has the latency of one that sends larger files. One file, one trait; a filter with it
//! is a crate of a few lines (see `integration/own-signal`).

use scorer_sdk::{
    Engine, Exchange, NameHasher, Plan, Question, Rule, Signal, Token, Verdict, buckets,
};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the body for each millisecond of the exchange, in log buckets.
pub struct Throughput;

impl Signal for Throughput {
    fn name(&self) -> &'static str {
        "throughput"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            Question::new(
                "slow_stream",
                Rule::Outside {
                    below: 0.05,
                    above: 1.0,
                },
            )
            .weight(0.2)
            .needs(200.0)
            .bursty()
            .meaning("are sent more slowly than nearly all of the baseline's"),
        ]
    }

    fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
        let milliseconds = (exchange.duration_us? / 1_000).max(1);
        Some(Token::Number(buckets::code(
            exchange.response_bytes? / milliseconds,
        )))
    }

    fn label(&self, code: u16) -> String {
        format!("{} B/ms", buckets::upper_bound(code))
    }
}

fn main() {
    let config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#;
    let plan = match Plan::with_signals(config, vec![Box::new(Throughput)]) {
        Ok(plan) => Arc::new(plan),
        Err(error) => return eprintln!("{error}"),
    };
    let mut engine = Engine::new(plan, 1);
    for second in 0..40_u64 {
        for number in 0..100_u64 {
            // Sizes over three decades; the time follows them. From second 15 on v2 sends at a
            // fifth of the speed.
            let bytes = 10_u64.pow(4 + (number * 7 % 3) as u32) * (1 + number % 9);
            let candidate = number % 4 == 0;
            let slow = candidate && second >= 15 && bytes > 100_000;
            engine.observe(&Exchange {
                destination: "files",
                method: "GET",
                path: "/download/1",
                version: if candidate { "v2" } else { "v1" },
                status: Some(200),
                duration_us: Some(5_000 + bytes * if slow { 5 } else { 1 } / 10),
                response_bytes: Some(bytes),
                content_type: "application/octet-stream",
                ..Exchange::default()
            });
        }
        let now = Duration::from_secs(1_700_000_000 + second);
        for decision in engine.tick(now) {
            if decision.verdict == Verdict::Anomalous {
                return println!("second {second}: {}", decision.explanation());
            }
        }
    }
    println!("nothing was found");
}
