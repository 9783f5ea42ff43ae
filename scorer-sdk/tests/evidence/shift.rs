//! Coverage and width of the shift of a quantile and of the contrast of shares, by seeded
//! simulation. Figures are printed: run with `--nocapture` to see them.

use crate::random::{Random, binomial_bound};
use scorer_sdk::evidence::{Contrast, Contrasted, Factor, QuantileShift, Spread};
use scorer_sdk::sketch::{Counts, buckets};
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};

const ALPHA: f64 = 0.05;

/// A service whose answers take 20 ms in the median, with σ 0.5 in logs.
struct World {
    random: Random,
    shift: QuantileShift,
    median_us: f64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            shift: QuantileShift::default(),
            median_us: 20_000.0,
        }
    }

    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.random.unit().max(1e-12).ln()).sqrt();
        radius * (core::f64::consts::TAU * self.random.unit()).cos()
    }

    /// One tick of `size` exchanges, `share` of them the candidate's, which takes `factor` times as
    /// long. `weather` hits both; the cut is the median of calm weather.
    fn tick(&mut self, size: u64, share: f64, factor: f64, weather: f64) {
        let [mut candidate, mut baseline] = [Counts::default(), Counts::default()];
        for _ in 0..size {
            let time = self.median_us * weather * (0.5 * self.normal()).exp();
            if self.random.unit() < share {
                candidate.add(buckets::code((time * factor) as u64), 1);
            } else {
                baseline.add(buckets::code(time as u64), 1);
            }
        }
        let cut = buckets::code(self.median_us as u64);
        self.shift
            .merge(&QuantileShift::of(cut, &candidate, &baseline));
    }
}

fn holds(found: &Factor, factor: f64) -> bool {
    found.lower.is_none_or(|lower| lower <= factor)
        && found.upper.is_none_or(|upper| upper >= factor)
}

#[test]
fn the_interval_of_a_shift_holds_the_truth_at_every_look() {
    let runs = 100;
    for factor in [0.7, 1.0, 1.1, 1.5, 3.0] {
        let (mut misses, mut width, mut error) = (0, 0.0, 0.0);
        for seed in 0..runs {
            let mut world = World::new(seed + 40);
            // Cuts at any place between two powers of two.
            world.median_us = 15_000.0 * (1.0 + seed as f64 / runs as f64);
            let mut held = true;
            for tick in 0..150 {
                let weather = 1.0 + 0.5 * (f64::from(tick) / 20.0).sin();
                world.tick(100, 0.2, factor, weather);
                held &= holds(&world.shift.factor(ALPHA, &Spread::default()), factor);
            }
            misses += u64::from(!held);
            let last = world.shift.factor(ALPHA, &Spread::default());
            width += (last.upper.unwrap() / last.lower.unwrap()).ln() / runs as f64;
            error += (last.estimate.unwrap() / factor).ln() / runs as f64;
        }
        println!(
            "factor {factor}: missed in {misses} of {runs} runs; after 3,000 candidate exchanges \
             width factor {:.3}, estimate off by {:.1}%",
            width.exp(),
            100.0 * error.exp_m1()
        );
        assert!(misses <= binomial_bound(runs, ALPHA));
        assert!(width < 0.2, "{width}");
        assert!(error.abs() < 0.01, "{error}");
    }
}

#[test]
fn a_tenth_is_told_from_nothing_and_nothing_from_a_tenth() {
    for (factor, slower) in [(1.0, false), (1.1, true)] {
        let mut world = World::new(7);
        for _ in 0..200 {
            world.tick(200, 0.2, factor, 1.0);
        }
        let found = world.shift.factor(0.001, &Spread::default());
        println!("{factor}: {found:?}");
        assert_eq!(found.lower.unwrap() > 1.0, slower);
        assert!(found.upper.unwrap() > 1.0);
        assert!((found.estimate.unwrap() / factor - 1.0).abs() < 0.02);
    }
}

#[test]
fn what_hosts_may_differ_by_is_no_established_shift() {
    let mut world = World::new(8);
    for _ in 0..300 {
        world.tick(200, 0.3, 1.1, 1.0);
    }
    // A tenth at the median of σ 0.5 is an odds ratio of 1.36.
    let alike = world.shift.factor(0.01, &Spread::default());
    assert!(alike.lower.unwrap() > 1.0);
    let unlike = Spread {
        log_odds: 0.4,
        ..Spread::default()
    };
    let found = world.shift.factor(0.01, &unlike);
    assert!(found.lower.unwrap() < 1.0, "{found:?}");
    assert_eq!(found.estimate, alike.estimate);
    let bursty = Spread {
        dispersion: 4.0,
        ..Spread::default()
    };
    let found = world.shift.factor(0.01, &bursty);
    assert!(found.lower < alike.lower && found.upper > alike.upper);
}

#[test]
fn a_factor_beyond_the_grid_and_no_data_leave_the_ends_open() {
    assert_eq!(
        QuantileShift::default().factor(0.01, &Spread::default()),
        Factor::default()
    );
    let mut world = World::new(9);
    for _ in 0..20 {
        world.tick(200, 0.5, 60.0, 1.0);
    }
    let found = world.shift.factor(0.01, &Spread::default());
    assert_eq!((found.estimate, found.upper), (None, None));
    assert!(found.lower.unwrap() > 15.0, "{found:?}");
    let few = Counts::default();
    assert_eq!(QuantileShift::of(3, &few, &few), QuantileShift::default());
}

#[test]
fn answers_that_all_take_the_same_time_have_a_shift_as_well() {
    let [mut candidate, mut baseline] = [Counts::default(), Counts::default()];
    candidate.add(buckets::code(9_000), 300);
    baseline.add(buckets::code(5_000), 300);
    let shift = QuantileShift::of(buckets::code(5_000), &candidate, &baseline);
    let found = shift.factor(0.01, &Spread::default());
    assert!((1.6..2.0).contains(&found.estimate.unwrap()), "{found:?}");
    assert!(found.lower.unwrap() > 1.5, "{found:?}");
}

/// A contrast over blocks with the base rate `rate` and `more` of it in the candidate.
fn contrast(random: &mut Random, blocks: u64, rate: f64, more: f64) -> (Contrast, bool) {
    let mut sum = Contrast::default();
    let mut ever = false;
    for _ in 0..blocks {
        let candidate = random.binomial(100, 0.1);
        sum.merge(&Contrast::of(Contrasted {
            candidate_in: random.binomial(candidate, rate + more),
            candidate,
            baseline_in: random.binomial(100 - candidate, rate),
            baseline: 100 - candidate,
        }));
        ever |= sum.is_established(ALPHA, &Spread::default());
    }
    (sum, ever)
}

#[test]
fn shares_that_are_alike_are_seldom_ever_established_to_differ() {
    let runs = 400;
    for rate in [0.001, 0.02, 0.3, 0.99] {
        let wrong = (0..runs)
            .filter(|seed| contrast(&mut Random::new(seed + 90), 400, rate, 0.0).1)
            .count() as u64;
        println!("share {rate}: established in {wrong} of {runs} runs");
        assert!(wrong <= binomial_bound(runs, ALPHA));
    }
}

#[test]
fn a_share_that_rises_by_a_tenth_is_established() {
    let found = (0..20)
        .filter(|seed| contrast(&mut Random::new(*seed), 200, 0.3, 0.1).1)
        .count();
    assert!(found >= 19, "{found} of 20");
}

#[test]
fn state_comes_back_from_bytes_and_damage_is_refused() {
    let mut world = World::new(3);
    for _ in 0..20 {
        world.tick(100, 0.3, 1.3, 1.0);
    }
    let mut writer = Writer::new();
    world.shift.encode(&mut writer);
    let mut bytes = writer.into_bytes();
    let mut reader = Reader::new(&bytes);
    assert_eq!(QuantileShift::decode(&mut reader), Ok(world.shift));
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(
        QuantileShift::decode(&mut Reader::new(&bytes[..bytes.len() - 1])),
        Err(CodecError::Truncated)
    );
    bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(
        QuantileShift::decode(&mut Reader::new(&bytes)),
        Err(CodecError::Unknown { .. })
    ));
    world.shift.reset();
    assert_eq!(world.shift, QuantileShift::default());
}
