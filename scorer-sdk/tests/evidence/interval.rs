//! Coverage of the odds ratio's confidence sequence, by seeded simulation. Figures are printed:
//! run with `--nocapture` to see them.

use crate::random::{Random, at_odds, binomial_bound};
use scorer_sdk::evidence::{Block, Interval, Law, OddsRatioInterval};
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};

const ALPHA: f64 = 0.05;

fn add(interval: &mut OddsRatioInterval, random: &mut Random, size: u64, share: f64, odds: f64) {
    let candidate = random.binomial(size, share);
    let baseline = size - candidate;
    let base = 0.01 + 0.02 * random.unit();
    let law = Law::new(&Block {
        candidate,
        baseline,
        candidate_in: random.binomial(candidate, at_odds(base, odds)),
        baseline_in: random.binomial(baseline, base),
    });
    interval.update(|odds_ratio| law.log_probability(odds_ratio));
}

fn holds(interval: &Interval, odds_ratio: f64) -> bool {
    interval.lower.is_none_or(|lower| lower <= odds_ratio)
        && interval.upper.is_none_or(|upper| upper >= odds_ratio)
}

#[test]
fn the_interval_holds_the_truth_at_every_look() {
    // Odds ratios on the grid and between its points; small blocks, and large ones whose
    // likelihood is much narrower than the grid.
    for (odds_ratio, size, blocks) in [
        (1.0, 100, 200),
        (5.0, 100, 200),
        (0.4, 100, 200),
        (1.2, 3_000, 100),
        (17.0, 3_000, 100),
    ] {
        let runs = 200;
        let (mut misses, mut log_width, mut log_error) = (0, 0.0, 0.0);
        for seed in 0..runs {
            let mut random = Random::new(seed + 500);
            let mut interval = OddsRatioInterval::default();
            let mut held = true;
            for _ in 0..blocks {
                add(&mut interval, &mut random, size, 0.3, odds_ratio);
                held &= holds(&interval.interval(ALPHA), odds_ratio);
            }
            misses += u64::from(!held);
            let last = interval.interval(ALPHA);
            log_width += (last.upper.unwrap() / last.lower.unwrap()).ln() / runs as f64;
            log_error += (interval.estimate().unwrap() / odds_ratio).ln() / runs as f64;
        }
        println!(
            "OR {odds_ratio}, blocks of {size}: missed in {misses} of {runs} runs, width factor {:.2} after {blocks} blocks, estimate off by {:.1} %",
            f64::exp(log_width),
            log_error.exp_m1() * 100.0
        );
        assert!(misses <= binomial_bound(runs, ALPHA));
        // No wider than a test that knows nothing: 20,000 exchanges tell 5 from 1.
        assert!(log_width < if size > 100 { 0.7 } else { 1.6 });
        assert!(log_error.abs() < 0.08);
    }
}

#[test]
fn without_data_nothing_is_excluded_and_nothing_estimated() {
    let interval = OddsRatioInterval::default();
    assert_eq!(
        interval.interval(ALPHA),
        Interval {
            lower: None,
            upper: None
        }
    );
    assert_eq!(interval.estimate(), None);
}

#[test]
fn events_in_the_candidate_alone_leave_the_upper_end_open() {
    let law = Law::new(&Block {
        candidate: 100,
        baseline: 900,
        candidate_in: 20,
        baseline_in: 0,
    });
    let mut interval = OddsRatioInterval::default();
    interval.update(|odds_ratio| law.log_probability(odds_ratio));
    let found = interval.interval(ALPHA);
    assert_eq!(found.upper, None);
    assert!(found.lower.is_some_and(|lower| lower > 10.0), "{found:?}");
    assert!(interval.estimate().is_some_and(|estimate| estimate > 250.0));
}

#[test]
fn a_smaller_alpha_gives_a_wider_interval_around_the_narrower() {
    let mut random = Random::new(8);
    let mut interval = OddsRatioInterval::default();
    for _ in 0..300 {
        add(&mut interval, &mut random, 100, 0.3, 3.0);
    }
    let (narrow, wide) = (interval.interval(0.1), interval.interval(0.001));
    assert!(wide.lower.unwrap() < narrow.lower.unwrap());
    assert!(narrow.lower.unwrap() < interval.estimate().unwrap());
    assert!(interval.estimate().unwrap() < narrow.upper.unwrap());
    assert!(narrow.upper.unwrap() < wide.upper.unwrap());
}

#[test]
fn state_comes_back_from_bytes_and_damage_is_refused() {
    let mut random = Random::new(4);
    let mut interval = OddsRatioInterval::default();
    add(&mut interval, &mut random, 500, 0.5, 2.0);
    let mut writer = Writer::new();
    interval.encode(&mut writer);
    let mut bytes = writer.into_bytes();
    let mut reader = Reader::new(&bytes);
    assert_eq!(OddsRatioInterval::decode(&mut reader), Ok(interval));
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(
        OddsRatioInterval::decode(&mut Reader::new(&bytes[..bytes.len() - 1])),
        Err(CodecError::Truncated)
    );
    bytes[1..9].copy_from_slice(&f64::NAN.to_le_bytes());
    assert!(matches!(
        OddsRatioInterval::decode(&mut Reader::new(&bytes)),
        Err(CodecError::Unknown { .. })
    ));
    interval.reset();
    assert_eq!(interval, OddsRatioInterval::default());
    let mut writer = Writer::new();
    interval.encode(&mut writer);
    let bytes = writer.into_bytes();
    assert_eq!(bytes, [0]);
    assert_eq!(
        OddsRatioInterval::decode(&mut Reader::new(&bytes)),
        Ok(interval)
    );
}
