//! The whole engine on simulated traffic.

mod after_verdict;
mod behaviour;
mod body_shape;
mod differs;
mod examples;
mod ids_in_paths;
mod memory;
mod placebo;
mod practical_size;
mod promotion;
mod reasons;
mod rollout;
mod shared_data;
mod switch;

use scorer_sdk::Plan;
use scorer_sdk::judge::Judge;
use scorer_sdk::wire::codec::{Reader, Writer};
use std::sync::Arc;

/// The judge as another worker goes on with it, from the bytes of the state.
fn handed_over(judge: &Judge, plan: &Arc<Plan>) -> Judge {
    let mut writer = Writer::new();
    judge.encode(&mut writer);
    let bytes = writer.into_bytes();
    let mut reader = Reader::new(&bytes);
    let judge = Judge::decode(Arc::clone(plan), &mut reader).unwrap();
    reader.finish().unwrap();
    judge
}
