//! Deltas on their way to the judge: what is read is written as it was, and can be judged.

use crate::input::Input;
use crate::state::patched;
use crate::traffic::{self, Traffic};
use scorer_sdk::Plan;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};
use std::sync::Arc;
use std::time::Duration;

/// The bytes are a delta or, after a zero, what to put where in one that a tally has written.
pub fn run(data: &[u8]) {
    let plan = traffic::plan();
    let mut input = Input::new(data);
    let bytes = if input.byte() == 0 {
        patched(counted(&plan), input)
    } else {
        input.rest().to_vec()
    };
    let Ok(delta) = read(&bytes) else {
        return;
    };
    let once = written(&delta);
    assert_eq!(
        read(&once).as_ref(),
        Ok(&delta),
        "the delta read and written"
    );
    let mut judge = Judge::new(plan);
    // Twice, so that sums of the largest numbers are met.
    for second in 0..3 {
        let now = Duration::from_secs(1_700_000_000 + second);
        judge.tick(&[delta.clone(), delta.clone()], now);
        for decision in judge.decisions() {
            let _ = decision.explanation();
        }
    }
}

/// What a worker has counted.
fn counted(plan: &Arc<Plan>) -> Vec<u8> {
    let mut tally = Tally::new(plan.clone(), 1);
    for number in 0..40_u8 {
        let exchange = [0, number % 3, number % 5, 0, 0x82, 0, 0, 9, 1];
        Traffic::new(&exchange).record(&mut tally);
    }
    written(&tally.take())
}

fn written(delta: &Delta) -> Vec<u8> {
    let mut writer = Writer::new();
    delta.encode(&mut writer);
    writer.into_bytes()
}

fn read(bytes: &[u8]) -> Result<Delta, CodecError> {
    let mut reader = Reader::new(bytes);
    let delta = Delta::decode(&mut reader)?;
    reader.finish()?;
    Ok(delta)
}
