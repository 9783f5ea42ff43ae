//! Fisher's noncentral hypergeometric law against brute force.

use crate::random::{Random, at_odds};
use scorer_sdk::evidence::{Block, Law, reference_log_probability};

fn choose(n: u64, k: u64) -> f64 {
    (0..k).fold(1.0, |ways, i| ways * (n - i) as f64 / (i + 1) as f64)
}

fn block(candidate: u64, baseline: u64, candidate_in: u64, baseline_in: u64) -> Block {
    Block {
        candidate,
        baseline,
        candidate_in,
        baseline_in,
    }
}

/// All terms of the law, summed plainly.
fn brute_force(block: &Block, odds_ratio: f64) -> f64 {
    let events = block.candidate_in + block.baseline_in;
    let term = |x: u64| {
        choose(block.candidate, x) * choose(block.baseline, events - x) * odds_ratio.powf(x as f64)
    };
    let lowest = events.saturating_sub(block.baseline);
    let sum: f64 = (lowest..=events.min(block.candidate)).map(term).sum();
    (term(block.candidate_in) / sum).ln()
}

fn log_choose(n: f64, k: f64) -> f64 {
    libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
}

#[test]
fn small_counts_agree_with_brute_force() {
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        let (candidate, baseline) = (random.below(40), random.below(40));
        let observed = block(
            candidate,
            baseline,
            random.below(candidate + 1),
            random.below(baseline + 1),
        );
        let odds_ratio = (random.unit() * 14.0 - 7.0).exp();
        let expected = brute_force(&observed, odds_ratio);
        let found = Law::new(&observed).log_probability(odds_ratio);
        assert!(
            (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
            "{observed:?} at {odds_ratio}: {found}, brute force {expected}"
        );
    }
}

#[test]
fn large_counts_agree_with_the_whole_sum() {
    let mut random = Random::new(2);
    for (candidate, baseline, events) in [
        (100_000, 100_000, 100_000),
        (1_000, 99_000, 5_000),
        (90_000, 10_000, 95_000),
    ] {
        for odds_ratio in [0.2, 1.0, 1.5, 45.0] {
            let (c, s, t) = (f64::from(candidate), f64::from(baseline), f64::from(events));
            let lowest = (t - s).max(0.0) as u64;
            let highest = t.min(c) as u64;
            let term = |x: u64| {
                let x = x as f64;
                log_choose(c, x) + log_choose(s, t - x) + x * f64::ln(odds_ratio)
            };
            let largest = (lowest..=highest).map(term).fold(f64::MIN, f64::max);
            let sum: f64 = (lowest..=highest).map(|x| (term(x) - largest).exp()).sum();
            for _ in 0..5 {
                let x = lowest + random.below(highest - lowest + 1);
                let expected = term(x) - largest - sum.ln();
                let observed = block(
                    candidate as u64,
                    baseline as u64,
                    x,
                    u64::try_from(events).unwrap() - x,
                );
                let found = Law::new(&observed).log_probability(odds_ratio);
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{observed:?} at {odds_ratio}: {found}, whole sum {expected}"
                );
            }
        }
    }
}

#[test]
fn an_odds_ratio_of_one_is_the_central_law() {
    for observed in [block(10, 20, 3, 4), block(30, 5, 10, 2), block(1, 40, 1, 0)] {
        let events = observed.candidate_in + observed.baseline_in;
        let central = choose(observed.candidate, observed.candidate_in)
            * choose(observed.baseline, observed.baseline_in)
            / choose(observed.candidate + observed.baseline, events);
        let found = Law::new(&observed).log_probability(1.0);
        assert!((found - central.ln()).abs() < 1e-12);
    }
}

#[test]
fn margins_that_leave_one_outcome_say_nothing() {
    for observed in [
        block(10, 20, 0, 0),
        block(10, 20, 10, 20),
        block(0, 20, 0, 5),
        block(10, 0, 5, 0),
        block(0, 0, 0, 0),
    ] {
        for odds_ratio in [0.1, 1.0, 45.0] {
            assert_eq!(
                Law::new(&observed).log_probability(odds_ratio),
                0.0,
                "{observed:?}"
            );
        }
    }
}

#[test]
fn damaged_input_gives_a_finite_answer_at_once() {
    let most = u64::MAX;
    for observed in [
        block(most, most, most, most),
        block(most, 1, 3, 7),
        block(5, 5, most, most),
        block(1 << 32, 1 << 32, 1 << 31, 1 << 30),
    ] {
        for odds_ratio in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300, 1e-300, 1.5] {
            let found = Law::new(&observed).log_probability(odds_ratio);
            assert!(
                found.is_finite() && found <= 1e-9,
                "{found} at {odds_ratio}"
            );
        }
    }
}

#[test]
fn the_reference_form_is_the_binomial_law() {
    let (candidate, rate, odds_ratio) = (30u64, 0.04, 5.0);
    let p = at_odds(rate, odds_ratio);
    let mut sum = 0.0;
    for x in 0..=candidate {
        let expected =
            choose(candidate, x) * p.powf(x as f64) * (1.0 - p).powf((candidate - x) as f64);
        let found = reference_log_probability(candidate, x, rate, odds_ratio);
        assert!((found - expected.ln()).abs() < 1e-9);
        sum += found.exp();
    }
    assert!((sum - 1.0).abs() < 1e-9);
}

#[test]
fn a_reference_rate_that_was_never_seen_says_nothing() {
    for rate in [0.0, 1.0, -0.5, f64::NAN] {
        assert_eq!(reference_log_probability(10, 3, rate, 5.0), 0.0);
    }
}
