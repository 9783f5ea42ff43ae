//! A memory, from whoever may have kept it: bytes that are none are refused, what is read is written as
//! it was, and a judge that goes on with it stays a judge.

use crate::input::Input;
use crate::state::{patched, written};
use crate::traffic::{self, Traffic};
use scorer_sdk::Engine;
use scorer_sdk::memory::{Envelope, Memory};
use scorer_sdk::wire::codec::{Reader, Writer};
use std::time::Duration;

const START: u64 = 1_700_000_000;

/// The bytes are what is inside a memory or, after a zero, what to put where in one that an engine
/// has written.
pub fn run(data: &[u8]) {
    // A checksum is no lock: whoever may store a memory can make one that fits.
    let _ = Envelope::open(data).map(|(_, reader)| Memory::decode(reader));
    let plan = traffic::plan();
    let mut engine = Engine::new(plan.clone(), 1);
    learn(&mut engine, 0);
    let destinations = engine.judge().decisions();
    let mut input = Input::new(data);
    let is_patched = input.byte() == 0;
    for decision in destinations {
        let Some(memory) = engine.judge().memory(&decision.destination) else {
            continue;
        };
        let bytes = if is_patched {
            patched(encoded(&memory), input.clone())
        } else {
            input.clone().rest().to_vec()
        };
        let Ok(memory) = Memory::decode(Reader::new(&bytes)) else {
            continue;
        };
        let once = encoded(&memory);
        let again = Memory::decode(Reader::new(&once)).map(|memory| encoded(&memory));
        assert_eq!(again.as_ref(), Ok(&once), "the memory read and written");
        let mut next = Engine::new(plan.clone(), 2);
        next.judge_mut().wait_for_memories();
        learn(&mut next, 10);
        let now = Duration::from_secs(START + 10);
        let memory = Some((memory, Duration::from_secs(START)));
        next.judge_mut()
            .remember(&decision.destination, memory, now);
        learn(&mut next, 20);
        let state = written(next.judge());
        assert!(
            crate::state::read(&plan, &state).is_ok(),
            "the state after a memory"
        );
        for decision in next.judge().decisions() {
            let _ = decision.explanation();
            assert_ne!(decision.candidate, decision.baseline, "one version is both");
        }
    }
}

/// Lets a little of everything pass.
fn learn(engine: &mut Engine, from: u8) {
    for second in from..from + 6 {
        for number in 0..40_u8 {
            let exchange = [0, number % 3, number % 5, 0, 0x82, 0, 0, 9, second];
            Traffic::new(&exchange).record(engine.tally());
        }
        engine.advance(Duration::from_secs(START + u64::from(second)));
    }
}

fn encoded(memory: &Memory) -> Vec<u8> {
    let mut writer = Writer::new();
    memory.encode(&mut writer);
    writer.into_bytes()
}
