//! Configs: any text gives a plan that works, or an error that says where and what to do.

use crate::input::valid_prefix;
use crate::traffic::{self, Traffic};
use scorer_sdk::{Engine, Plan};
use std::sync::Arc;
use std::time::Duration;

/// The bytes are a config.
pub fn run(data: &[u8]) {
    match Plan::from_json(valid_prefix(data)) {
        Ok(plan) => {
            let mut engine = Engine::new(Arc::new(plan), 1);
            let mut traffic = Traffic::new(data);
            for second in 0..3 {
                for _ in 0..20 {
                    traffic.record(engine.tally());
                }
                let now = Duration::from_secs(1_700_000_000 + second);
                traffic::check(&engine.tick(now));
            }
        }
        Err(error) => {
            assert!(!error.path.is_empty(), "an error without a path");
            assert!(!error.problem.is_empty(), "an error without a problem");
        }
    }
}
