//! Drift of a rate: run length without drift, delay with one, seasons. Seeded; figures are
//! printed: run with `--nocapture` to see them.

use crate::random::{Random, at_odds, binomial_bound, median};
use core::time::Duration;
use scorer_sdk::drift::{Direction, Drift, RateDrift, Settings};
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
        tolerance: 0.2,
    }
}

fn at(tick: u64) -> Duration {
    Duration::from_secs(1_700_006_400 + tick * TICK_S)
}

/// Runs until drift is reported or `limit` ticks have passed; the tick and the drift.
fn first(
    settings: &Settings,
    limit: u64,
    mut tick_of: impl FnMut(u64) -> (u64, u64),
) -> (u64, Option<Drift>) {
    let mut detector = RateDrift::default();
    for tick in 0..limit {
        let (count, total) = tick_of(tick);
        if let Some(drift) = detector.update(at(tick), count, total, settings) {
            return (tick + 1, Some(*drift));
        }
    }
    (limit, None)
}

#[test]
fn without_drift_the_run_length_is_at_least_as_promised_even_where_nothing_is_tolerated() {
    let settings = Settings {
        tolerance: 0.0,
        ..settings()
    };
    // Rate, exchanges a tick, odds ratio between ticks with few and with many.
    for (rate, total, swing) in [
        (0.001, 100, 1.0),
        (0.01, 20, 1.0),
        (0.01, 1_000, 1.0),
        (0.3, 100, 1.0),
        (0.02, 500, 2.0),
        (0.1, 300, 3.0),
    ] {
        let (mut ticks, mut reports) = (0, 0);
        for run in 0..60 {
            let mut random = Random::new(run);
            let (at, drift) = first(&settings, 2_500, |_| {
                let many = random.below(2) == 1;
                let rate = at_odds(rate, if many { swing } else { 1.0 });
                let total = total / 2 + random.below(total);
                (random.binomial(total, rate), total)
            });
            ticks += at;
            reports += u64::from(drift.is_some());
        }
        let most = binomial_bound(ticks, 1.0 / settings.average_run_length);
        println!("{rate} of {total}, swing {swing}: {reports} in {ticks} ticks, at most {most}");
        assert!(reports <= most, "{rate} of {total}: {reports} in {ticks}");
    }
}

#[test]
fn rare_bursts_that_have_always_been_there_are_no_drift() {
    // 2% of the ticks have 13 failures more; nothing changes.
    let settings = Settings {
        average_run_length: 14.0 * 40_320.0,
        ..settings()
    };
    let mut reports = 0;
    for run in 0..10 {
        let mut random = Random::new(500 + run);
        let (_, drift) = first(&settings, 5_000, |_| {
            let burst = if random.below(50) == 0 { 13 } else { 0 };
            ((random.binomial(300, 0.000_5) + burst).min(300), 300)
        });
        reports += u64::from(drift.is_some());
    }
    println!("{reports} of 10 in 5,000 ticks");
    // A young past that has seen few bursts may report one.
    assert!(reports <= 2, "{reports} of 10");
}

#[test]
fn a_shift_of_the_odds_is_reported_soon_with_its_time_size_and_direction() {
    const CHANGE: u64 = 1_000;
    let settings = Settings {
        average_run_length: 10_000.0,
        ..settings()
    };
    for (rate, total, ratio, allowed) in [
        (0.01, 100, 2.0, 80),
        (0.01, 100, 5.0, 8),
        (0.01, 100, 0.1, 40),
        (0.2, 100, 0.5, 14),
        (0.001, 1_000, 10.0, 6),
    ] {
        let (mut delays, mut starts, mut early) = (Vec::new(), Vec::new(), 0);
        for run in 0..31 {
            let mut random = Random::new(run);
            let (tick, drift) = first(&settings, 3_000, |tick| {
                let rate = at_odds(rate, if tick < CHANGE { 1.0 } else { ratio });
                (random.binomial(total, rate), total)
            });
            if tick <= CHANGE {
                early += 1;
                continue;
            }
            let drift = drift.unwrap();
            delays.push(tick - CHANGE);
            starts.push(drift.since.abs_diff(at(CHANGE)).as_secs() / TICK_S);
            assert_eq!(drift.direction == Direction::Up, ratio > 1.0, "{drift}");
            let seen = drift.observed / drift.expected;
            let true_ratio = at_odds(rate, ratio) / rate;
            assert!(
                (0.4..2.6).contains(&(seen / true_ratio)) || ratio < 0.2,
                "{drift}"
            );
        }
        let (delay, start) = (median(delays), median(starts));
        println!("{rate} of {total}, odds {ratio}: after {delay} ticks, start {start} off");
        assert!(delay <= allowed, "{delay} for {ratio} on {rate}");
        assert!(start <= 10 && early <= 4, "{start} off, {early} early");
    }
}

#[test]
fn day_and_week_are_no_drift_once_they_are_learned_and_what_breaks_them_is() {
    let settings = Settings {
        average_run_length: 100_000.0,
        memory: 7.0 * TICKS_A_DAY as f64,
        adopt_after: TICKS_A_DAY as u32,
        rest: 10,
        tolerance: 0.2,
    };
    // The odds go up fourfold in the evening and halve on weekends; there is less traffic at
    // night.
    let usual = |tick: u64| {
        let hour = (tick % TICKS_A_DAY) as f64 / 12.0;
        let wave = ((hour - 12.0) / 24.0 * core::f64::consts::TAU).sin();
        let weekend = if (tick / TICKS_A_DAY) % 7 >= 5 {
            0.5
        } else {
            1.0
        };
        let total = (400.0 + 300.0 * wave) as u64;
        (at_odds(0.02, (wave * 2.0f64.ln()).exp() * weekend), total)
    };
    let learned = 28 * TICKS_A_DAY;
    for seed in 0..4 {
        let mut random = Random::new(seed);
        let mut detector = RateDrift::default();
        let mut feed = |detector: &mut RateDrift, tick: u64, (rate, total): (f64, u64)| {
            let count = random.binomial(total, rate);
            detector.update(at(tick), count, total, &settings).copied()
        };
        for tick in 0..learned {
            feed(&mut detector, tick, usual(tick));
        }
        for tick in learned..learned + 14 * TICKS_A_DAY {
            let drift = feed(&mut detector, tick, usual(tick));
            assert_eq!(drift, None, "seed {seed}, day {}", tick / TICKS_A_DAY);
        }
        // The rate of the evening at six in the morning is no more than the series knows.
        let morning = learned + 14 * TICKS_A_DAY + 60;
        let drift = (morning..morning + 36).find_map(|tick| {
            let (_, total) = usual(tick);
            feed(
                &mut detector,
                tick,
                (usual(tick + TICKS_A_DAY / 2).0, total),
            )
        });
        println!("{drift:?}");
        assert_eq!(drift.map(|drift| drift.direction), Some(Direction::Up));
    }
}

#[test]
fn a_burst_in_one_tick_is_no_drift() {
    let settings = Settings {
        average_run_length: 10_000.0,
        ..settings()
    };
    let mut random = Random::new(9);
    let (_, drift) = first(&settings, 3_000, |tick| {
        let burst = if tick == 2_000 { 40 } else { 0 };
        (random.binomial(100, 0.01).max(burst), 100)
    });
    assert_eq!(drift, None);
}

#[test]
fn a_lasting_drift_becomes_the_new_past_and_the_state_survives_the_codec() {
    let settings = Settings {
        average_run_length: 5_000.0,
        ..settings()
    };
    let mut random = Random::new(4);
    let mut detector = RateDrift::default();
    let mut drifting = 0;
    for tick in 0..3_000u64 {
        let rate = if tick < 2_000 { 0.01 } else { 0.05 };
        let count = random.binomial(200, rate);
        drifting += u64::from(detector.update(at(tick), count, 200, &settings).is_some());
        if tick % 250 == 7 {
            let mut writer = Writer::new();
            detector.encode(&mut writer);
            let bytes = writer.into_bytes();
            assert!(bytes.len() < 4 << 10);
            let mut reader = Reader::new(&bytes);
            assert_eq!(RateDrift::decode(&mut reader), Ok(detector.clone()));
            assert_eq!(reader.finish(), Ok(()));
            assert!(RateDrift::decode(&mut Reader::new(&bytes[..bytes.len() - 1])).is_err());
        }
    }
    println!("{drifting} ticks of drift");
    assert_eq!(detector.drift(), None);
    assert!((90..=130).contains(&drifting), "{drifting}");
    let expected = detector.expected(at(3_000));
    assert!((expected - 0.05).abs() < 0.01, "{expected}");
}
