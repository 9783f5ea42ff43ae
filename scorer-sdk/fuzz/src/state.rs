//! The judge's state: bytes that are none are refused, and what is read is written as it was.

use crate::input::Input;
use crate::traffic::{self, Traffic};
use scorer_sdk::count::delta::Delta;
use scorer_sdk::judge::Judge;
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};
use scorer_sdk::{Engine, Plan};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a state before what the judge knows: its version and the plan's fingerprint.
const PREFIX: usize = 10;
/// Most bytes of a state that are replaced.
const MOST_PATCHES: usize = 64;

/// The bytes are a state without its first fields or, after a zero, what to put where in one that
/// an engine has written.
pub fn run(data: &[u8]) {
    let plan = traffic::plan();
    let mut input = Input::new(data);
    let bytes = if input.byte() == 0 {
        patched(learned(&plan), input)
    } else {
        let mut bytes = written(&Judge::new(plan.clone()));
        bytes.truncate(PREFIX);
        bytes.extend_from_slice(input.rest());
        bytes
    };
    let Ok(mut judge) = read(&plan, &bytes) else {
        return;
    };
    let once = written(&judge);
    let again = read(&plan, &once).map(|judge| written(&judge));
    assert_eq!(again.as_ref(), Ok(&once), "the state read and written");
    judge.tick(&[Delta::default()], Duration::from_secs(1_700_000_100));
    for decision in judge.decisions() {
        let _ = decision.explanation();
    }
}

/// The state of an engine that has seen a little of everything.
fn learned(plan: &Arc<Plan>) -> Vec<u8> {
    let mut engine = Engine::new(plan.clone(), 1);
    for second in 0..6_u8 {
        for number in 0..40_u8 {
            let exchange = [0, number % 3, number % 5, 0, 0x82, 0, 0, 9, second];
            Traffic::new(&exchange).record(engine.tally());
        }
        engine.advance(Duration::from_secs(1_700_000_000 + u64::from(second)));
    }
    written(engine.judge())
}

/// Replaces bytes at offsets that the input names.
pub(crate) fn patched(mut bytes: Vec<u8>, mut input: Input<'_>) -> Vec<u8> {
    for _ in 0..MOST_PATCHES {
        if input.is_empty() {
            break;
        }
        let index = usize::from(input.u16()) % bytes.len().max(1);
        let value = input.byte();
        if let Some(byte) = bytes.get_mut(index) {
            *byte = value;
        }
    }
    bytes
}

/// A judge's state.
pub(crate) fn written(judge: &Judge) -> Vec<u8> {
    let mut writer = Writer::new();
    judge.encode(&mut writer);
    writer.into_bytes()
}

/// The judge of a state, which has to end where the bytes do.
pub(crate) fn read(plan: &Arc<Plan>, bytes: &[u8]) -> Result<Judge, CodecError> {
    let mut reader = Reader::new(bytes);
    let judge = Judge::decode(plan.clone(), &mut reader)?;
    reader.finish()?;
    Ok(judge)
}
