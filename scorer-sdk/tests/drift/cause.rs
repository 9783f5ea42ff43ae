//! What a drift is made of, and whose it is.

use crate::random::Random;
use scorer_sdk::drift::{Attribution, Cause, Known, RouteTokens, TokenCounts, attribute};

const KNOWN: Known = Known {
    baseline_past: true,
    candidate: true,
    candidate_past: true,
};
const ROUTES: [&str; 3] = ["GET /items", "GET /items/{id}", "POST /orders"];
const TOKENS: [&str; 4] = ["200", "404", "500", "503"];

/// A mix of routes, and each route's tokens.
#[derive(Clone, Copy)]
struct World {
    mix: [f64; 3],
    tokens: [[f64; 4]; 3],
}

const USUAL: World = World {
    mix: [0.6, 0.3, 0.1],
    tokens: [
        [0.98, 0.015, 0.005, 0.0],
        [0.9, 0.095, 0.005, 0.0],
        [0.99, 0.0, 0.008, 0.002],
    ],
};

fn draw(random: &mut Random, shares: &[f64]) -> usize {
    let mut left = random.unit();
    for (index, share) in shares.iter().enumerate() {
        left -= share;
        if left <= 0.0 {
            return index;
        }
    }
    0
}

fn sample(random: &mut Random, world: &World, exchanges: u64) -> [[f64; 4]; 3] {
    let mut counts = [[0.0; 4]; 3];
    for _ in 0..exchanges {
        let route = draw(random, &world.mix);
        counts[route][draw(random, &world.tokens[route])] += 1.0;
    }
    counts
}

fn attribution_of(now: &[[f64; 4]; 3], past: &[[f64; 4]; 3]) -> Attribution {
    let tokens: Vec<Vec<TokenCounts<'_>>> = (0..3)
        .map(|route| {
            (0..4)
                .map(|token| TokenCounts {
                    token: TOKENS[token],
                    now: now[route][token],
                    past: past[route][token],
                })
                .collect()
        })
        .collect();
    let routes: Vec<RouteTokens<'_>> = ROUTES
        .iter()
        .zip(&tokens)
        .map(|(route, tokens)| RouteTokens { route, tokens })
        .collect();
    attribute(&routes)
}

#[test]
fn usage_and_behaviour_are_told_apart_and_the_strongest_term_is_named() {
    let mut random = Random::new(1);
    let past = sample(&mut random, &USUAL, 20_000);
    let usage = World {
        mix: [0.2, 0.3, 0.5],
        ..USUAL
    };
    let attribution = attribution_of(&sample(&mut random, &usage, 3_000), &past);
    assert_eq!(attribution.mostly(), Some("usage"), "{attribution:?}");
    assert!(!attribution.behaviour.is_clear(), "{attribution:?}");
    assert_eq!(attribution.terms[0].route, "POST /orders");
    assert_eq!(attribution.terms[0].token, None);

    let mut behaviour = USUAL;
    behaviour.tokens[1] = [0.8, 0.095, 0.005, 0.1];
    let attribution = attribution_of(&sample(&mut random, &behaviour, 3_000), &past);
    assert_eq!(attribution.mostly(), Some("behaviour"), "{attribution:?}");
    assert!(!attribution.usage.is_clear(), "{attribution:?}");
    assert_eq!(attribution.terms[0].route, "GET /items/{id}");
    assert_eq!(attribution.terms[0].token.as_deref(), Some("503"));
    assert!((attribution.terms[0].now - 0.1).abs() < 0.03 && attribution.terms[0].past == 0.0);
}

#[test]
fn the_parts_sum_to_the_relative_entropy_of_route_and_token_together() {
    let mut random = Random::new(2);
    let past = sample(&mut random, &USUAL, 2_000_000);
    let mut other = USUAL;
    other.mix = [0.3, 0.4, 0.3];
    other.tokens[0] = [0.7, 0.2, 0.1, 0.0];
    let attribution = attribution_of(&sample(&mut random, &other, 200_000), &past);
    let mut truth = 0.0;
    for route in 0..3 {
        for token in 0..4 {
            let now = other.mix[route] * other.tokens[route][token];
            let past = USUAL.mix[route] * USUAL.tokens[route][token];
            if now > 0.0 {
                truth += now * (now / past).ln();
            }
        }
    }
    let found = attribution.usage.nats + attribution.behaviour.nats;
    println!("{found} for {truth}");
    assert!((found / truth - 1.0).abs() < 0.02, "{found} for {truth}");
}

#[test]
fn few_counts_make_no_difference_of_their_own() {
    // The plug-in estimate would be above 0 by about (cells - 1)/2N; what is left of it is small,
    // and seldom clear.
    for exchanges in [30, 300, 3_000] {
        let runs = 400;
        let (mut usage, mut behaviour, mut clear, mut plain) = (0.0, 0.0, 0, 0.0);
        let mut random = Random::new(exchanges);
        for _ in 0..runs {
            let past = sample(&mut random, &USUAL, 2_000);
            let now = sample(&mut random, &USUAL, exchanges);
            let attribution = attribution_of(&now, &past);
            usage += attribution.usage.nats;
            behaviour += attribution.behaviour.nats;
            clear += u64::from(attribution.mostly().is_some());
            let total = exchanges as f64;
            for route in 0..3 {
                for token in 0..4 {
                    let share = now[route][token] / total;
                    if share > 0.0 {
                        plain += share * (share / ((past[route][token] + 0.5) / 2_000.0)).ln();
                    }
                }
            }
        }
        let runs = f64::from(runs);
        let (left, plain) = ((usage + behaviour) / runs, plain / runs);
        println!("{exchanges} exchanges: plain {plain:.5}, left {left:.5}, clear {clear}");
        // Negative estimates are cut at 0, so some is left.
        assert!(left < 0.6 * plain, "{left} of {plain}");
        assert!(clear <= 8, "{clear} clear at {exchanges}");
    }
}

#[test]
fn without_now_or_past_there_is_no_difference() {
    let none = [[0.0; 4]; 3];
    let some = [[10.0, f64::NAN, -3.0, f64::INFINITY]; 3];
    for (now, past) in [(none, none), (some, none), (none, some)] {
        let attribution = attribution_of(&now, &past);
        assert_eq!(attribution.mostly(), None);
        assert!(attribution.terms.is_empty());
    }
    assert!(attribution_of(&some, &some).mostly().is_none());
}

#[test]
fn a_new_route_is_usage() {
    let mut random = Random::new(8);
    let mut past = sample(&mut random, &USUAL, 5_000);
    past[2] = [0.0; 4];
    let attribution = attribution_of(&sample(&mut random, &USUAL, 2_000), &past);
    assert_eq!(attribution.mostly(), Some("usage"), "{attribution:?}");
    assert_eq!(attribution.terms[0].route, "POST /orders");
}

#[test]
fn the_table_calls_each_case_what_it_is() {
    for (baseline, candidate, fires, cause, blamed) in [
        (false, false, false, Cause::Nothing, false),
        (true, true, false, Cause::Shared, false),
        (false, true, true, Cause::Version, true),
        (false, false, true, Cause::Version, true),
        (true, true, true, Cause::VersionAndShared, true),
        (true, false, false, Cause::BaselineAlone, false),
        (false, true, false, Cause::CandidateAlone, false),
        (true, false, true, Cause::BaselineMoved, false),
    ] {
        let found = Cause::of(baseline, candidate, fires);
        assert_eq!(found, cause);
        assert_eq!(found.blames_the_version(), blamed);
        assert!(!found.explain(KNOWN, None, &[]).is_empty());
    }
    let mut random = Random::new(1);
    let past = sample(&mut random, &USUAL, 20_000);
    let mut slow = USUAL;
    slow.tokens[1] = [0.7, 0.095, 0.005, 0.2];
    let attribution = attribution_of(&sample(&mut random, &slow, 3_000), &past);
    let sentence =
        Cause::of(true, true, false).explain(KNOWN, attribution.mostly(), &attribution.terms);
    println!("{sentence}");
    assert!(sentence.starts_with("a shared dependency"), "{sentence}");
    assert!(sentence.contains("503 on GET /items/{id}"), "{sentence}");
}
