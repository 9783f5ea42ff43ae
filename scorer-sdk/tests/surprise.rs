//! Surprise of single exchanges: what is strange, how strange, and who can teach it.

use fastrand::Rng;
use scorer_sdk::surprise::features::feature;
use scorer_sdk::surprise::{Limits, MAX_TERM_BITS, Model, ROUTE, Score, Settings, Stage, Value};
use scorer_sdk::wire::codec::{CodecError, Reader, Writer};

const EPOCHS: u32 = 12;
const PER_EPOCH: u64 = 600;
const CLIENTS: u64 = 60;

fn value(name: &str, token: u64) -> Value {
    Value {
        feature: feature(name),
        token,
        alphabet: 256,
        group: 0,
    }
}

/// A hash, as the caller makes one of a client.
fn client(number: u64) -> u64 {
    number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Ordinary traffic: five routes, mostly successes, sizes that scatter.
fn ordinary(random: &mut Rng) -> (u64, Vec<Value>) {
    let route = [1, 1, 1, 1, 2, 2, 2, 3, 3, 4][random.usize(0..10)];
    let status = if random.u32(0..100) == 0 { 404 } else { 200 };
    let size = 10 * route + (random.f64() * random.f64() * 8.0) as u64;
    let values = vec![
        value("outcome", status),
        value("size", size),
        value("content_type", route % 2),
    ];
    (route, values)
}

fn strange() -> (u64, Vec<Value>) {
    let values = vec![
        value("outcome", 500),
        value("size", 99),
        value("content_type", 77),
    ];
    (1, values)
}

/// One epoch of ordinary traffic with a flood mixed in; the scores of the ordinary exchanges.
fn epoch(
    model: &mut Model,
    random: &mut Rng,
    flood: usize,
    mut flooding: impl FnMut(&mut Rng) -> (u64, Vec<Value>, u64),
) -> Vec<Score> {
    let mut scores = Vec::new();
    for _ in 0..PER_EPOCH {
        let (route, values) = ordinary(random);
        scores.push(model.observe(route, &values, client(random.u64(0..CLIENTS))));
        for _ in 0..flood {
            let (route, values, client) = flooding(random);
            model.observe(route, &values, client);
        }
    }
    model.end_epoch();
    scores
}

fn taught(random: &mut Rng) -> Model {
    let mut model = Model::new(Settings::default());
    for _ in 0..EPOCHS {
        epoch(&mut model, random, 0, |_| unreachable!());
    }
    model
}

fn share_above(scores: &[Score], percentile: f64) -> f64 {
    let above = scores.iter().filter(|score| score.percentile > percentile);
    above.count() as f64 / scores.len() as f64
}

#[test]
fn a_strange_exchange_ranks_above_all_and_says_why() {
    let mut model = taught(&mut Rng::with_seed(1));
    let (route, mut values) = ordinary(&mut Rng::with_seed(2));
    assert!(model.score(route, &values).percentile < 0.99);
    values[2] = value("content_type", 77);
    let score = model.observe(route, &values, client(1));
    assert!(score.percentile > 0.999, "{score:?}");
    let first = &score.terms[0];
    assert_eq!((first.feature, first.token), (feature("content_type"), 77));
    let usual = model.usual(route, first.feature).unwrap();
    assert_eq!(usual.token, route % 2);
    assert!(usual.share > 0.9);
    assert_eq!(model.usual(route, ROUTE).map(|usual| usual.token), Some(1));
    let sum: f64 = score.terms.iter().map(|term| term.bits).sum();
    assert!((sum - score.bits).abs() < 1e-9);
    assert!(score.terms.iter().all(|term| term.bits <= MAX_TERM_BITS));
}

#[test]
fn a_route_that_nobody_asks_for_is_strange_by_itself() {
    let model = taught(&mut Rng::with_seed(3));
    let (_, values) = ordinary(&mut Rng::with_seed(4));
    let score = model.score(1234, &values);
    assert_eq!(score.terms[0].feature, ROUTE);
    assert!(score.percentile > 0.99, "{score:?}");
}

#[test]
fn percentiles_are_as_rare_as_they_say() {
    let mut scores = Vec::new();
    for seed in 0..10 {
        let mut random = Rng::with_seed(500 + seed);
        // A memory of ten epochs: the counts no longer grow after a few dozen.
        let mut model = Model::new(Settings {
            keep: 0.9,
            ..Settings::default()
        });
        for _ in 0..40 {
            epoch(&mut model, &mut random, 0, |_| unreachable!());
        }
        for _ in 0..10 {
            scores.extend(epoch(&mut model, &mut random, 0, |_| unreachable!()));
        }
    }
    for percentile in [0.9, 0.99, 0.995] {
        let share = share_above(&scores, percentile);
        assert!(share <= 1.1 * (1.0 - percentile), "{percentile}: {share}");
        assert!(share >= 0.3 * (1.0 - percentile), "{percentile}: {share}");
    }
}

#[test]
fn little_past_is_no_ground_for_a_high_percentile() {
    let mut model = Model::new(Settings::default());
    let mut random = Rng::with_seed(6);
    for count in 0..40u32 {
        let (route, values) = strange();
        assert!(model.score(route, &values).percentile <= 1.0 - 1.0 / (f64::from(count) + 1.0));
        let (route, values) = ordinary(&mut random);
        model.observe(route, &values, client(u64::from(count)));
        if count % 10 == 9 {
            model.end_epoch();
        }
    }
}

#[test]
fn one_client_cannot_teach_it_however_much_it_sends() {
    let mut random = Rng::with_seed(7);
    let mut model = taught(&mut random);
    let (route, values) = strange();
    let before = model.score(route, &values);
    for _ in 0..20 {
        epoch(&mut model, &mut random, 10, |_| {
            (route, values.clone(), client(7_777))
        });
    }
    let after = model.score(route, &values);
    assert!(after.percentile > 0.995, "{after:?}");
    assert!(after.bits > 0.7 * before.bits, "{before:?} {after:?}");
}

#[test]
fn what_many_clients_do_is_learned() {
    let mut random = Rng::with_seed(8);
    let mut model = taught(&mut random);
    let (route, values) = strange();
    for _ in 0..20 {
        epoch(&mut model, &mut random, 1, |random| {
            (route, values.clone(), client(random.u64(0..CLIENTS)))
        });
    }
    let after = model.score(route, &values);
    assert!(after.percentile < 0.9, "{after:?}");
}

#[test]
fn a_flood_does_not_make_the_others_strange() {
    let mut random = Rng::with_seed(9);
    let mut model = taught(&mut random);
    let mut scores = Vec::new();
    for _ in 0..20 {
        // Always another value, always another route: the worst for tables.
        scores.extend(epoch(&mut model, &mut random, 10, |random| {
            let values = vec![
                value("outcome", random.u64(..)),
                value("size", random.u64(..)),
            ];
            (random.u64(..), values, client(7_777))
        }));
    }
    let share = share_above(&scores, 0.99);
    assert!(share <= 0.015, "{share}");
}

#[test]
fn memory_is_bounded_whatever_comes_in() {
    let limits = Limits {
        routes: 16,
        features: 8,
        tokens: 12,
        all_tokens: 500,
    };
    let mut model = Model::new(Settings { limits, keep: 0.9 });
    let mut random = Rng::with_seed(10);
    for number in 0..30_000u64 {
        let values: Vec<Value> = (0..20)
            .map(|_| Value {
                feature: random.u64(1..30),
                token: random.u64(0..100),
                alphabet: random.u32(..),
                group: random.u16(0..3),
            })
            .collect();
        let score = model.observe(random.u64(0..100), &values, random.u64(..));
        assert!(score.bits.is_finite() && (0.0..1.0).contains(&score.percentile));
        assert!(model.tokens() <= limits.all_tokens);
        if number % 1000 == 0 {
            model.end_epoch();
        }
    }
    assert!(model.overflow() > 0);
    let mut other = Model::new(Settings { limits, keep: 0.9 });
    for number in 0..1000 {
        other.observe(number, &[value("outcome", number)], random.u64(..));
    }
    model.merge(&other);
    assert!(model.tokens() <= limits.all_tokens);
    let mut writer = Writer::new();
    model.encode(&mut writer);
    assert!(writer.into_bytes().len() < 100_000);
}

#[test]
fn one_cause_in_a_group_counts_once() {
    let single = |name: &str, token| Value {
        alphabet: 4,
        ..value(name, token)
    };
    let grouped = |name: &str, token| Value {
        group: 1,
        ..single(name, token)
    };
    let mut model = Model::new(Settings::default());
    let mut random = Rng::with_seed(11);
    let names = ["one", "two", "three", "four"];
    for _ in 0..EPOCHS {
        for _ in 0..PER_EPOCH {
            let values = names.map(|name| grouped(name, 1));
            model.observe(1, &values, client(random.u64(0..CLIENTS)));
        }
        model.end_epoch();
    }
    let bits = |strange: usize| {
        let mut values = names.map(|name| grouped(name, 1));
        for value in values.iter_mut().take(strange) {
            value.token = 9;
        }
        model.score(1, &values).bits
    };
    let alone = model.score(1, &[single("one", 9)]).bits;
    assert!(bits(0) < 0.1);
    // A strange one is as strange as alone; four that say the same add two bits, not three terms.
    assert!((bits(1) - alone).abs() < 0.1, "{} {alone}", bits(1));
    assert!((bits(4) - alone - 2.0).abs() < 0.1, "{} {alone}", bits(4));
}

#[test]
fn a_model_goes_on_where_another_worker_left_it() {
    let mut random = Rng::with_seed(12);
    let mut model = taught(&mut random);
    let mut writer = Writer::new();
    model.encode(&mut writer);
    let bytes = writer.into_bytes();
    let mut reader = Reader::new(&bytes);
    let mut other = Model::decode(&mut reader, Settings::default()).unwrap();
    assert_eq!(reader.finish(), Ok(()));
    assert_eq!(model, other);
    for _ in 0..100 {
        let (route, values) = ordinary(&mut random);
        let client = client(random.u64(0..CLIENTS));
        assert_eq!(
            model.observe(route, &values, client),
            other.observe(route, &values, client)
        );
    }
    for cut in 0..bytes.len() {
        assert!(Model::decode(&mut Reader::new(&bytes[..cut]), Settings::default()).is_err());
    }
}

#[test]
fn lengths_from_outside_are_bounded_before_anything_is_made() {
    let mut writer = Writer::new();
    Model::new(Settings::default()).encode(&mut writer);
    let mut bytes = writer.into_bytes();
    let routes = bytes.len() - 4;
    bytes[routes..].copy_from_slice(&[0xff; 4]);
    assert!(matches!(
        Model::decode(&mut Reader::new(&bytes), Settings::default()),
        Err(CodecError::TooLong { .. })
    ));
}

#[test]
fn workers_that_share_the_traffic_know_together_what_one_would() {
    let mut random = Rng::with_seed(13);
    let mut alone = Model::new(Settings::default());
    let mut shared = [
        Model::new(Settings::default()),
        Model::new(Settings::default()),
    ];
    for _ in 0..EPOCHS {
        for _ in 0..PER_EPOCH {
            let (route, values) = ordinary(&mut random);
            let client = client(random.u64(0..CLIENTS));
            alone.observe(route, &values, client);
            shared[random.usize(0..2)].observe(route, &values, client);
        }
        alone.end_epoch();
        for model in &mut shared {
            model.end_epoch();
        }
    }
    let [mut together, other] = shared;
    together.merge(&other);
    let (mut worst, mut percentiles) = (0.0f64, 0.0f64);
    for _ in 0..500 {
        let (route, values) = ordinary(&mut random);
        let (one, two) = (alone.score(route, &values), together.score(route, &values));
        worst = worst.max((one.bits - two.bits).abs());
        percentiles += (one.percentile - two.percentile).abs() / 500.0;
    }
    assert!(worst < 1.0 && percentiles < 0.05, "{worst} {percentiles}");
    let (route, values) = strange();
    assert!(together.score(route, &values).percentile > 0.999);
}

#[test]
fn what_is_known_early_is_ranked_among_what_was_known_early() {
    let mut random = Rng::with_seed(11);
    let mut model = Model::new(Settings::default());
    let mut percentiles = Vec::new();
    for epoch in 0..EPOCHS {
        for _ in 0..PER_EPOCH {
            let (route, values) = ordinary(&mut random);
            // The outcome comes first, size and content type are known at the end.
            let early = model.score_at(Stage::Headers, route, &values[..1]);
            let end = model.score_at(Stage::End, route, &values);
            assert!(early.bits < end.bits);
            if epoch >= EPOCHS / 2 {
                percentiles.push(early.percentile);
            }
            let scores = [(Stage::Headers, &early), (Stage::End, &end)];
            model.learn(route, &values, client(random.u64(0..CLIENTS)), &scores);
        }
        model.end_epoch();
    }
    // Were it ranked among whole exchanges, nothing would ever look strange early.
    let share = |above: f64| {
        let count = percentiles.iter().filter(|found| **found > above).count();
        count as f64 / percentiles.len() as f64
    };
    assert!((0.002..0.02).contains(&share(0.985)), "{}", share(0.985));
    let (route, values) = strange();
    let early = model.score_at(Stage::Headers, route, &values[..1]);
    assert!(early.percentile > 0.99, "{early:?}");
}

#[test]
fn a_bound_that_is_lowered_keeps_what_is_there_and_takes_nothing_new() {
    let mut random = Rng::with_seed(12);
    let mut model = taught(&mut random);
    let before = model.tokens();
    model.limit_tokens(0);
    for number in 0..2000 {
        let values = [value("made_up", number), value("outcome", 200)];
        model.observe(1, &values, client(number));
    }
    assert_eq!(model.tokens(), before);
    assert!(model.overflow() > 0);
}
