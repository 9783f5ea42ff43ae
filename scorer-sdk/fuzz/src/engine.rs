//! The whole engine under hostile exchanges and clocks: its decisions stay numbers, and its state
//! can be written and read at any time.

use crate::state::{read, written};
use crate::traffic::{self, Traffic};
use scorer_sdk::Engine;
use std::time::Duration;

/// Most steps of one run, so that the fuzzer has many runs a second.
const MOST: usize = 200;

/// The bytes are exchanges, with ticks between them.
pub fn run(data: &[u8]) {
    let plan = traffic::plan();
    let mut engine = Engine::new(plan.clone(), 1);
    let mut traffic = Traffic::new(data);
    let mut now = Duration::from_secs(1_700_000_000);
    for _ in 0..MOST {
        if traffic.is_over() {
            break;
        }
        match traffic.input().byte() {
            // A second later, as in life.
            0..0x40 => {
                now = now.saturating_add(Duration::from_secs(1));
                traffic::check(&engine.tick(now));
            }
            // A clock that was set.
            0x40..0x48 => {
                now = Duration::from_millis(traffic.input().u64());
                traffic::check(&engine.tick(now));
            }
            // The same exchange many times: only that gathers evidence.
            times => {
                for _ in 0..times & 0x1f {
                    traffic.record(engine.tally());
                }
            }
        }
    }
    traffic::check(&engine.tick(now.saturating_add(Duration::from_secs(1))));
    let state = written(engine.judge());
    let again = read(&plan, &state).map(|judge| written(&judge));
    assert_eq!(again.as_ref(), Ok(&state), "the state read and written");
}
