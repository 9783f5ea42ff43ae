//! Paths with ids: the routes are seen, whether or not a rule knows the ids.

use fastrand::Rng;
use scorer_sdk::judge::verdict::{Decision, Verdict};
use scorer_sdk::{Engine, Exchange, Plan};
use std::sync::Arc;
use std::time::Duration;

/// Seconds in which the slow route has to be found.
const SOON: u64 = 60;

/// Requests a second, of which the candidate has three in ten.
const RATE: u64 = 27;

/// Ids of the four collections.
#[derive(Debug, Clone, Copy)]
enum Ids {
    /// Shapes that a rule knows.
    Known,
    /// Made of syllables, so that no rule takes them for ids.
    Words,
    /// One id for each collection: how soon it is without any.
    None,
}

fn letters(random: &mut Rng, alphabet: &[u8], length: usize) -> String {
    let letter = |_| char::from(alphabet[random.usize(..alphabet.len())]);
    (0..length).map(letter).collect()
}

fn id(random: &mut Rng, ids: Ids, collection: usize) -> String {
    const SYLLABLES: [&str; 8] = ["ba", "ke", "lo", "mi", "nu", "ra", "se", "to"];
    let crockford = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let base32 = b"abcdefghijklmnopqrstuvwxyz234567";
    let base62 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    match (ids, collection) {
        (Ids::None, _) => "mine".to_owned(),
        (Ids::Words, _) => (0..6).map(|_| SYLLABLES[random.usize(..8)]).collect(),
        (Ids::Known, 0) => format!("01JD{}", letters(random, crockford, 22)),
        (Ids::Known, 1) => letters(random, base62, 21),
        (Ids::Known, 2) => format!("trace_{}", letters(random, base32, 26)),
        (Ids::Known, _) => format!("u-{}", letters(random, base32, 20)),
    }
}

/// A cold start in the middle of a rollout: the orders take four times as long on the candidate,
/// times `harm`. Gives the last decision, the second of the verdict and the exchanges of routes
/// without a place.
fn watched(ids: Ids, slower: f64, seconds: u64, seed: u64) -> (Decision, Option<u64>, u64) {
    let config = r#"{"baseline": "v1", "candidate": "v2", "warm_up": "0s"}"#;
    let mut engine = Engine::new(Arc::new(Plan::from_json(config).unwrap()), seed);
    let mut random = Rng::with_seed(seed);
    let mut last = Decision::default();
    for second in 0..seconds {
        for _ in 0..RATE {
            let is_candidate = random.u8(..10) < 3;
            let collection = random.usize(..5);
            let id = id(&mut random, ids, collection);
            let path = match collection {
                0 => format!("/api/orders/{id}"),
                1 => format!("/api/customers/{id}/cards"),
                2 => format!("/traces/{id}"),
                3 => format!("/users/{id}/avatar"),
                _ => format!("/pages/of-kind-{}", random.u8(..6)),
            };
            let (a, b): (f64, f64) = (random.f64().max(1e-12), random.f64());
            let normal = (-2.0 * a.ln()).sqrt() * (core::f64::consts::TAU * b).cos();
            let factor = if is_candidate && collection == 0 {
                slower
            } else {
                1.0
            };
            engine.observe(&Exchange {
                destination: "shop",
                version: if is_candidate { "v2" } else { "v1" },
                method: "GET",
                path: &path,
                status: Some(200),
                duration_us: Some((20_000.0 * factor * (0.5 * normal).exp()) as u64),
                ..Exchange::default()
            });
        }
        last = engine
            .tick(Duration::from_secs(1_700_000_000 + second))
            .pop()
            .unwrap();
        if last.verdict == Verdict::Anomalous {
            return (last, Some(second), engine.judge().overflow().routes);
        }
    }
    (last, None, engine.judge().overflow().routes)
}

#[test]
fn a_slow_route_is_found_soon_after_a_cold_start_whatever_its_ids_look_like() {
    for seed in 1..=5 {
        for ids in [Ids::None, Ids::Known, Ids::Words] {
            let (found, second, without_place) = watched(ids, 4.0, 600, seed);
            println!("{ids:?}, {seed}: {second:?} s, {without_place} without a place");
            assert!(
                second.is_some_and(|second| second < SOON),
                "{ids:?}: {second:?}"
            );
            let route = found.reasons[0].route.path.as_str();
            let expected: &[&str] = match ids {
                Ids::None => &["/api/orders/mine"],
                Ids::Known => &["/api/orders/{id}"],
                Ids::Words => &["/api/orders/{x}"],
            };
            assert!(
                expected.contains(&route),
                "{ids:?}: {}",
                found.explanation()
            );
            assert!(without_place < RATE * 10, "{ids:?}: {without_place}");
        }
    }
}

#[test]
fn nobody_is_condemned_where_paths_have_ids_and_versions_are_alike() {
    for ids in [Ids::Known, Ids::Words] {
        for seed in 0..12 {
            let (found, _, _) = watched(ids, 1.0, 400, 100 + seed);
            assert!(found.verdict < Verdict::Suspect, "{}", found.explanation());
        }
    }
}
