//! False alarms of the whole engine: healthy rollouts with several routes, all signals, weather and
//! steps of the share. The count is printed: run with `--nocapture` to see it.

mod evidence_random;
mod traffic;

use evidence_random::binomial_bound;
use scorer_sdk::Verdict;
use traffic::World;

/// The default `false_alarm`.
const ALPHA: f64 = 0.01;
const RUNS: u64 = 600;
/// Seconds at each share.
const STEP: u32 = 40;
const SHARES: [f64; 4] = [0.02, 0.1, 0.3, 0.5];

/// Whether a healthy rollout is ever called anomalous. Load swings from 50 to 150 requests a
/// second; failures and durations of both versions swing up to threefold.
fn alarms(seed: u64) -> bool {
    let mut world = World::new(seed);
    let mut second = 0_u32;
    for share in SHARES {
        world.share = share;
        for _ in 0..STEP {
            second += 1;
            let swing = |period: f64| (f64::from(second) / period + seed as f64).sin();
            world.weather = 2.0 + swing(9.0);
            let requests = (100.0 + 50.0 * swing(5.0)) as usize;
            if world.tick(requests).verdict == Verdict::Anomalous {
                return true;
            }
        }
    }
    false
}

#[test]
fn healthy_rollouts_are_called_anomalous_no_more_often_than_promised() {
    let found = (0..RUNS).filter(|run| alarms(90_000 + run)).count() as u64;
    println!("false alarms: {found} of {RUNS}");
    assert!(found <= binomial_bound(RUNS, ALPHA), "{found} of {RUNS}");
}
