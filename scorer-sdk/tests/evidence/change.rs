//! Error rates and speed of the change test, by seeded simulation. Figures are printed: run with
//! `--nocapture` to see them.

use crate::random::{Random, binomial_bound, median};
use scorer_sdk::evidence::{ChangeTest, TokenBlock, TokenPast};
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};

const ALPHA: f64 = 0.01;
/// Exchanges of both arms in one tick.
const TICK: u64 = 100;
/// Decay of the past per tick, as an owner might choose it: a memory of 200 ticks.
const DECAY: f64 = 0.995;

const STABLE: [f64; 6] = [0.6, 0.2, 0.1, 0.06, 0.04, 0.0];

/// One route, its signal's past, and the test.
struct World {
    random: Random,
    past: [TokenPast; 6],
    test: ChangeTest,
    /// The shares of the last block.
    shares: Vec<f64>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            past: [TokenPast::default(); 6],
            test: ChangeTest::default(),
            shares: Vec::new(),
        }
    }

    fn draw(&mut self, weights: &[f64; 6]) -> usize {
        let mut at = self.random.unit() * weights.iter().sum::<f64>();
        for (token, weight) in weights.iter().enumerate() {
            at -= weight;
            if at <= 0.0 && *weight > 0.0 {
                return token;
            }
        }
        0
    }

    /// One tick; true when the evidence is enough.
    fn tick(&mut self, share: f64, candidate: &[f64; 6], baseline: &[f64; 6]) -> bool {
        let mut block = [TokenBlock::default(); 6];
        for _ in 0..TICK {
            if self.random.unit() <= share {
                block[self.draw(candidate)].candidate += 1;
            } else {
                block[self.draw(baseline)].baseline += 1;
            }
        }
        self.shares = self.test.update(&block, &self.past);
        for (past, counts) in self.past.iter_mut().zip(block) {
            past.candidate = past.candidate * DECAY + counts.candidate as f64;
            past.baseline = past.baseline * DECAY + counts.baseline as f64;
        }
        self.test.log_evidence() >= (1.0 / ALPHA).ln()
    }

    /// Candidate exchanges from the change to the alarm, after `healthy` like-for-like ones.
    fn until_alarm(&mut self, share: f64, healthy: u64, changed: &[f64; 6]) -> u64 {
        while self.test.candidate_exchanges() < healthy {
            self.tick(share, &STABLE, &STABLE);
        }
        let start = self.test.candidate_exchanges();
        while self.test.candidate_exchanges() < start + 30_000
            && !self.tick(share, changed, &STABLE)
        {}
        self.test.candidate_exchanges() - start
    }
}

#[test]
fn versions_that_behave_the_same_are_left_alone_while_the_mix_drifts() {
    let runs = 300;
    let alarms = (0..runs)
        .filter(|seed| {
            let mut world = World::new(*seed);
            let share = [0.05, 0.1, 0.5][(seed % 3) as usize];
            (0..1_000).any(|tick| {
                let swing = (f64::from(tick) / 50.0).sin();
                let mut mix = STABLE;
                mix[0] += 0.3 * swing;
                mix[2] -= 0.08 * swing;
                world.tick(share, &mix, &mix)
            })
        })
        .count() as u64;
    println!("false alarms: {alarms} of {runs}");
    assert!(alarms <= binomial_bound(runs, ALPHA));
}

#[test]
fn a_change_is_found_and_a_late_one_too() {
    // A tenth moves from the first token to the third; 3 % go to a token that stable never shows.
    let moved = [0.5, 0.2, 0.2, 0.06, 0.04, 0.0];
    let novel = [0.57, 0.2, 0.1, 0.06, 0.04, 0.03];
    for (name, changed, share, healthy, most) in [
        ("moved", &moved, 0.1, 0, 500),
        ("moved", &moved, 0.5, 0, 900),
        ("novel", &novel, 0.1, 0, 300),
        ("novel", &novel, 0.5, 0, 900),
        ("novel", &novel, 0.1, 5_000, 2_500),
    ] {
        let found = median(
            (0..100)
                .map(|seed| World::new(seed).until_alarm(share, healthy, changed))
                .collect(),
        );
        println!("{name} at {share} after {healthy}: {found} candidate exchanges");
        assert!(found <= most);
    }
}

#[test]
fn the_token_that_moved_has_the_largest_share() {
    let novel = [0.52, 0.2, 0.1, 0.06, 0.04, 0.08];
    let mut world = World::new(3);
    let mut sums = [0.0; 6];
    for _ in 0..100 {
        world.tick(0.5, &novel, &STABLE);
        for (sum, share) in sums.iter_mut().zip(&world.shares) {
            *sum += share;
        }
    }
    let largest = (0..6).max_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap();
    assert_eq!(largest, 5, "{sums:?}");
}

#[test]
fn tokens_beyond_the_past_and_damaged_pasts_give_finite_shares() {
    let block = [
        TokenBlock {
            candidate: 7,
            baseline: 0,
        },
        TokenBlock {
            candidate: 0,
            baseline: 9,
        },
    ];
    let damaged = [TokenPast {
        candidate: f64::NAN,
        baseline: -4.0,
    }];
    for past in [&[][..], &damaged[..]] {
        let mut test = ChangeTest::default();
        let shares = test.update(&block, past);
        assert_eq!(shares.len(), 2);
        assert!(shares.iter().all(|share| share.is_finite()));
        assert!(test.log_evidence().is_finite());
    }
}

#[test]
fn an_empty_block_changes_nothing() {
    let mut test = ChangeTest::default();
    assert!(test.update(&[], &[]).is_empty());
    assert_eq!(test, ChangeTest::default());
}

#[test]
fn state_comes_back_from_bytes() {
    let mut world = World::new(9);
    for _ in 0..20 {
        world.tick(0.3, &[0.3, 0.3, 0.3, 0.06, 0.04, 0.0], &STABLE);
    }
    let mut writer = Writer::new();
    world.test.encode(&mut writer);
    let bytes = writer.into_bytes();
    let mut reader = Reader::new(&bytes);
    assert_eq!(ChangeTest::decode(&mut reader), Ok(world.test));
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(
        ChangeTest::decode(&mut Reader::new(&bytes[1..])),
        Err(CodecError::Truncated)
    );
    world.test.reset();
    assert_eq!(world.test, ChangeTest::default());
}
