//! Onset mixtures, weighted means and e-BH: their laws, not their speed.

use crate::random::Random;
use scorer_sdk::evidence::{
    BLOCK_GAIN_LIMIT, Block, HarmTest, Law, Onset, Schedule, WeightedEvidence, e_bh, log_add_exp,
    log_weighted_mean, route_weight,
};
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};

fn pair(weight: f64, log_evidence: f64) -> WeightedEvidence {
    WeightedEvidence {
        weight,
        log_evidence,
    }
}

#[test]
fn weights_given_out_and_weights_to_come_always_sum_to_one() {
    let mut random = Random::new(6);
    let mut schedule = Schedule::default();
    let mut given = Schedule::first_log_weight();
    for _ in 0..2_000 {
        if let Some(weight) = schedule.advance(random.below(200)) {
            given = log_add_exp(given, weight);
        }
        let total = log_add_exp(given, schedule.log_unstarted());
        assert!(total.abs() < 1e-9, "{total}");
    }
}

#[test]
fn starts_do_not_depend_on_how_exchanges_are_cut_into_blocks() {
    let (mut one, mut many) = (Schedule::default(), Schedule::default());
    let whole = one.advance(6_400).unwrap();
    let parts = (0..6_400)
        .filter_map(|_| many.advance(1))
        .fold(f64::NEG_INFINITY, log_add_exp);
    assert!((whole - parts).abs() < 1e-9);
    assert_eq!(one, many);
}

#[test]
fn a_mixture_that_lost_all_its_bets_keeps_what_it_has_not_staked() {
    let mut schedule = Schedule::default();
    let mut onset = Onset::default();
    assert_eq!(onset.log_evidence(&schedule), 0.0);
    onset.advance(f64::NEG_INFINITY);
    assert!((onset.log_evidence(&schedule) - 0.5f64.ln()).abs() < 1e-12);
    onset.start(schedule.advance(320).unwrap());
    assert!((onset.log_evidence(&schedule) - 0.5f64.ln()).abs() < 1e-12);
    onset.advance(f64::NAN);
    onset.advance(3.0);
    assert!(onset.log_evidence(&schedule) > 0.5f64.ln());
}

#[test]
fn the_mean_of_one_block_over_all_outcomes_is_at_most_one() {
    for (candidate, baseline, events) in [(10, 90, 3), (50, 50, 20), (80, 20, 6)] {
        for odds_ratio in [0.5, 1.0, 1.5] {
            for limit in [0.5, 2.0, f64::INFINITY] {
                let mut mean = 0.0;
                for x in 0..=candidate.min(events) {
                    let law = Law::new(&Block {
                        candidate,
                        baseline,
                        candidate_in: x,
                        baseline_in: events - x,
                    });
                    let mut test = HarmTest::new(1.5).with_gain_limit(limit);
                    test.update(|odds| law.log_probability(odds), candidate);
                    mean += (law.log_probability(odds_ratio) + test.log_evidence()).exp();
                }
                assert!(mean <= 1.0 + 1e-9, "{mean} at odds ratio {odds_ratio}");
                if odds_ratio == 1.5 && limit.is_infinite() {
                    assert!(mean > 1.0 - 1e-9, "the boundary is a fair bet: {mean}");
                } else if odds_ratio < 1.5 {
                    assert!(mean < 1.0 - 1e-3, "{mean} at odds ratio {odds_ratio}");
                }
            }
        }
    }
}

#[test]
fn one_block_gains_no_more_than_the_limit() {
    let law = Law::new(&Block {
        candidate: 50,
        baseline: 50,
        candidate_in: 30,
        baseline_in: 0,
    });
    let mut test = HarmTest::new(1.5);
    test.update(|odds| law.log_probability(odds), 50);
    assert!(test.log_evidence() > 0.5);
    assert!(test.log_evidence() <= BLOCK_GAIN_LIMIT);
}

#[test]
fn a_harm_test_comes_back_from_bytes_and_resets() {
    let mut test = HarmTest::new(2.0);
    for x in 0..5 {
        let law = Law::new(&Block {
            candidate: 40,
            baseline: 60,
            candidate_in: x,
            baseline_in: 2,
        });
        test.update(|odds| law.log_probability(odds), 40);
    }
    let mut writer = Writer::new();
    test.encode(&mut writer);
    let mut bytes = writer.into_bytes();
    let mut reader = Reader::new(&bytes);
    assert_eq!(HarmTest::decode(&mut reader, 2.0), Ok(test));
    assert_eq!(reader.finish(), Ok(()));
    let short = &bytes[..bytes.len() - 1];
    assert_eq!(
        HarmTest::decode(&mut Reader::new(short), 2.0),
        Err(CodecError::Truncated)
    );
    let last = bytes.len() - 8;
    bytes[last..].copy_from_slice(&f64::INFINITY.to_le_bytes());
    assert!(matches!(
        HarmTest::decode(&mut Reader::new(&bytes), 2.0),
        Err(CodecError::Unknown { .. })
    ));
    test.reset();
    assert_eq!(test, HarmTest::new(2.0));
    assert_eq!(test.log_evidence(), 0.0);
}

#[test]
fn the_mean_of_e_values_is_that_of_their_plain_values() {
    let found = log_weighted_mean([pair(0.25, 3f64.ln()), pair(0.5, 8f64.ln())]);
    // A quarter has no holder yet and counts as 1.
    assert!((found - (0.75 + 4.0 + 0.25f64).ln()).abs() < 1e-12);
    assert_eq!(log_weighted_mean([]), 0.0);
    let large = log_weighted_mean([pair(0.5, 2_000.0), pair(0.5, -2_000.0)]);
    assert!((large - (2_000.0 - 2f64.ln())).abs() < 1e-9);
}

#[test]
fn the_mean_is_a_number_whatever_comes_in() {
    let odd = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        0.0,
        1e308,
        -1e308,
        0.5,
    ];
    for weight in odd {
        for log_evidence in odd {
            let pairs = [
                pair(weight, log_evidence),
                pair(0.5, 1.0),
                pair(log_evidence, weight),
            ];
            assert!(!log_weighted_mean(pairs).is_nan(), "{pairs:?}");
            assert!(e_bh(&pairs, 0.01).len() <= pairs.len());
        }
    }
}

#[test]
fn route_weights_sum_to_one_over_all_routes() {
    let sum: f64 = (0..1_000_000).map(route_weight).sum();
    assert!((sum - 1.0).abs() < 1e-4 && sum < 1.0);
    assert!((route_weight(0) - 1.0 / 9.0).abs() < 1e-12);
}

#[test]
fn e_bh_names_the_pairs_of_the_textbook() {
    // Four pairs, alpha 0.1: e_(k) >= 4/(0.1 k), that is 40, 20, 13.3, 10.
    let of = |values: [f64; 4]| e_bh(&values.map(|e| pair(0.25, f64::ln(e))), 0.1);
    assert_eq!(of([1.0, 39.0, 2.0, 3.0]), Vec::<usize>::new());
    assert_eq!(of([1.0, 41.0, 2.0, 3.0]), [1]);
    assert_eq!(of([21.0, 1.0, 39.0, 2.0]), [2, 0]);
    assert_eq!(of([14.0, 15.0, 16.0, 0.5]), [2, 1, 0]);
    assert_eq!(of([11.0, 10.5, 12.0, 13.0]), [3, 2, 0, 1]);
    assert_eq!(e_bh(&[], 0.1), Vec::<usize>::new());
}
