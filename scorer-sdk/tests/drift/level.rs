//! Drift of a level: run length without drift, delay with one, seasons. Seeded; figures are
//! printed: run with `--nocapture` to see them.

use crate::random::{Random, binomial_bound, median};
use core::time::Duration;
use scorer_sdk::drift::{Direction, Drift, LevelDrift, Settings};
use scorer_sdk::wire::codec::{Reader, Writer};

/// Five minutes.
const TICK_S: u64 = 300;
const TICKS_A_DAY: u64 = 288;

fn settings() -> Settings {
    Settings {
        average_run_length: 400.0,
        memory: 2_000.0,
        adopt_after: 100,
        rest: 10,
        tolerance: 0.0,
    }
}

fn at(tick: u64) -> Duration {
    Duration::from_secs(1_700_006_400 + tick * TICK_S)
}

/// Standard normal, by Box and Muller.
fn normal(random: &mut Random) -> f64 {
    (-2.0 * random.unit().ln()).sqrt() * (core::f64::consts::TAU * random.unit()).cos()
}

/// What a series without drift may look like.
#[derive(Debug, Clone, Copy)]
enum Noise {
    Normal,
    /// Student's t with one degree of freedom: no mean, no variance.
    Cauchy,
    /// Correlated from tick to tick.
    Autoregressive(f64),
    /// Few distinct values.
    Coarse,
    /// Nothing at all, but for a spike in a thousand ticks.
    Spikes,
}

struct Series {
    random: Random,
    noise: Noise,
    last: f64,
}

impl Series {
    fn new(seed: u64, noise: Noise) -> Self {
        Self {
            random: Random::new(seed),
            noise,
            last: 0.0,
        }
    }

    fn next(&mut self) -> f64 {
        let random = &mut self.random;
        match self.noise {
            Noise::Normal => normal(random),
            Noise::Cauchy => normal(random) / normal(random),
            Noise::Autoregressive(phi) => {
                self.last = phi * self.last + (1.0 - phi * phi).sqrt() * normal(random);
                self.last
            }
            Noise::Coarse => normal(random).round(),
            Noise::Spikes => {
                if random.below(1_000) == 0 {
                    50.0
                } else {
                    0.0
                }
            }
        }
    }
}

/// Runs until drift is reported or `limit` ticks have passed; the tick and the drift.
fn first(
    settings: &Settings,
    limit: u64,
    mut level: impl FnMut(u64) -> f64,
) -> (u64, Option<Drift>) {
    let mut detector = LevelDrift::default();
    for tick in 0..limit {
        if let Some(drift) = detector.update(at(tick), level(tick), settings) {
            return (tick + 1, Some(*drift));
        }
    }
    (limit, None)
}

#[test]
fn without_drift_the_run_length_is_at_least_as_promised_whatever_the_noise() {
    let settings = settings();
    for (number, noise) in [
        Noise::Normal,
        Noise::Cauchy,
        Noise::Autoregressive(0.5),
        Noise::Autoregressive(0.9),
        Noise::Coarse,
        Noise::Spikes,
    ]
    .into_iter()
    .enumerate()
    {
        let (mut ticks, mut reports) = (0, 0);
        for run in 0..60 {
            let mut series = Series::new(1_000 * number as u64 + run, noise);
            let (at, drift) = first(&settings, 2_500, |_| series.next());
            ticks += at;
            reports += u64::from(drift.is_some());
        }
        // Were the run length the promised one, the reports would be about binomial.
        let most = binomial_bound(ticks, 1.0 / settings.average_run_length);
        println!("{noise:?}: {reports} reports in {ticks} ticks, at most {most} allowed");
        assert!(reports <= most, "{noise:?}: {reports} in {ticks}");
    }
}

#[test]
fn a_shift_is_reported_soon_with_its_time_size_and_direction() {
    const CHANGE: u64 = 1_500;
    let settings = Settings {
        average_run_length: 10_000.0,
        ..settings()
    };
    for (shift, allowed) in [(1.0, 60), (-1.0, 60), (2.0, 14), (4.0, 6), (-8.0, 6)] {
        let mut delays = Vec::new();
        let (mut early, mut starts, mut sizes) = (0, Vec::new(), Vec::new());
        for run in 0..31 {
            let mut series = Series::new(run, Noise::Normal);
            let (tick, drift) = first(&settings, 4_000, |tick| {
                series.next() + if tick < CHANGE { 0.0 } else { shift }
            });
            if tick <= CHANGE {
                early += 1;
                continue;
            }
            let drift = drift.unwrap();
            delays.push(tick - CHANGE);
            starts.push(drift.since.abs_diff(at(CHANGE)).as_secs() / TICK_S);
            sizes.push(((drift.observed - drift.expected) / shift * 1_000.0) as u64);
            let up = drift.direction == Direction::Up;
            assert_eq!(up, shift > 0.0, "{drift}");
        }
        let (delay, start, size) = (median(delays), median(starts), median(sizes));
        println!(
            "shift {shift}: after {delay} ticks, start {start} ticks off, size {size} per mille, \
             {early} early"
        );
        assert!(delay <= allowed, "{delay} for {shift}");
        assert!(start <= 10 && early <= 5);
        assert!((700..1_500).contains(&size), "{size} for {shift}");
    }
}

#[test]
fn growth_is_reported_once_it_is_more_than_is_tolerated() {
    const BEGIN: u64 = 1_000;
    let settings = Settings {
        average_run_length: 10_000.0,
        memory: 2_000.0,
        adopt_after: 100,
        rest: 10,
        tolerance: 0.5,
    };
    let mut random = Random::new(3);
    let mut noise = |size: f64| size * normal(&mut random);
    let (tick, drift) = first(&settings, 4_000, |tick| {
        noise(0.3) + 0.005 * tick.saturating_sub(BEGIN) as f64
    });
    let drift = drift.unwrap();
    let grown = 0.005 * (tick - BEGIN) as f64;
    println!("growth of 0.005 a tick: after it has grown by {grown}; {drift}");
    assert_eq!(drift.direction, Direction::Up);
    assert!((0.5..2.0).contains(&grown), "{grown}");
    // So slow that the memory goes along within what is tolerated.
    let (_, drift) = first(&settings, 20_000, |tick| noise(0.3) + 0.0001 * tick as f64);
    assert_eq!(drift, None);
}

/// A wave over the day and less on weekends, as users make it.
fn usual(tick: u64) -> f64 {
    let hour = (tick % TICKS_A_DAY) as f64 / 12.0;
    let weekend = (tick / TICKS_A_DAY) % 7 >= 5;
    4.0 * ((hour - 6.0) / 24.0 * core::f64::consts::TAU).sin() - if weekend { 3.0 } else { 0.0 }
}

#[test]
fn day_and_week_are_no_drift_once_they_are_learned_and_what_breaks_them_is() {
    let settings = Settings {
        average_run_length: 100_000.0,
        memory: 7.0 * TICKS_A_DAY as f64,
        adopt_after: TICKS_A_DAY as u32,
        rest: 10,
        tolerance: 0.3,
    };
    let learned = 28 * TICKS_A_DAY;
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut detector = LevelDrift::default();
        for tick in 0..learned {
            detector.update(at(tick), usual(tick) + 0.5 * normal(&mut random), &settings);
        }
        for tick in learned..learned + 14 * TICKS_A_DAY {
            let drift =
                detector.update(at(tick), usual(tick) + 0.5 * normal(&mut random), &settings);
            assert_eq!(drift, None, "seed {seed}, day {}", tick / TICKS_A_DAY);
            let off = detector.expected(at(tick)) - usual(tick);
            assert!(off.abs() < 0.8, "{off} at {tick}");
        }
        // The level of the evening at three in the morning is no more than the series knows.
        let night = learned + 16 * TICKS_A_DAY;
        let drift = (night..night + 24).find_map(|tick| {
            let level = usual(tick + TICKS_A_DAY / 2) + 0.5 * normal(&mut random);
            detector.update(at(tick), level, &settings).copied()
        });
        println!("{drift:?}");
        assert!(drift.is_some(), "seed {seed}");
    }
}

#[test]
fn a_drift_ends_when_the_past_returns_and_is_adopted_when_it_lasts() {
    let settings = Settings {
        average_run_length: 5_000.0,
        ..settings()
    };
    for (lasts, adopted) in [(40, false), (400, true)] {
        let mut series = Series::new(11, Noise::Normal);
        let mut detector = LevelDrift::default();
        let mut drifting = 0;
        for tick in 0..2_500u64 {
            let shift = if (1_000..1_000 + lasts).contains(&tick) {
                5.0
            } else {
                0.0
            };
            let drift = detector.update(at(tick), series.next() + shift, &settings);
            drifting += u64::from(drift.is_some());
            if tick == 1_390 {
                let expected = detector.expected(at(tick));
                assert_eq!((expected - 5.0).abs() < 1.0, adopted, "{expected}");
            }
        }
        println!("a drift of {lasts} ticks: {drifting} reported");
        assert_eq!(detector.drift(), None);
        assert!((30..=220).contains(&drifting), "{drifting}");
    }
}

#[test]
fn what_is_no_number_tells_nothing_and_the_state_survives_the_codec() {
    let settings = settings();
    let mut series = Series::new(5, Noise::Normal);
    let mut detector = LevelDrift::default();
    for tick in 0..3_000 {
        let level = series.next() + if tick < 2_990 { 0.0 } else { 6.0 };
        detector.update(at(tick), level, &settings);
        let before = detector.clone();
        for level in [f64::NAN, f64::INFINITY] {
            detector.update(at(tick), level, &settings);
        }
        assert_eq!(detector.log_evidence(), before.log_evidence());
    }
    assert!(detector.drift().is_some());
    let mut writer = Writer::new();
    detector.encode(&mut writer);
    let bytes = writer.into_bytes();
    println!("{} bytes", bytes.len());
    assert!(bytes.len() < 16 << 10);
    let mut reader = Reader::new(&bytes);
    let mut read = LevelDrift::decode(&mut reader).unwrap();
    assert_eq!(reader.finish(), Ok(()));
    for tick in 3_000..4_000 {
        let level = series.next();
        assert_eq!(
            read.update(at(tick), level, &settings),
            detector.update(at(tick), level, &settings)
        );
    }
    for length in (0..bytes.len()).step_by(97) {
        assert!(LevelDrift::decode(&mut Reader::new(&bytes[..length])).is_err());
    }
}
