//! Everything that can be written can be read, whatever the exchanges were: a delta or a state that
//! its reader refuses would leave a worker's counts out for good.

use fastrand::Rng;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::judge::Judge;
use scorer_sdk::limits::MAX_CATEGORY_BYTES;
use scorer_sdk::shape::{Limits, Shape, ShapeFacts};
use scorer_sdk::wire::codec::{CodecError, Damage, Reader, Writer};
use scorer_sdk::{
    Ending, Exchange, HeaderNames, NameHasher, Plan, Question, Rule, Sampling, Signal, Token,
};
use std::sync::Arc;
use std::time::Duration;

const CONFIG: &str = r#"{
    "baseline": "v1", "candidate": "v2", "warm_up": "1s", "memory": "10s",
    "body": {}, "session": {"from": "connection"},
    "signals": {"fan_out": true}, "routes": {"max": 40, "by_name": true},
    "drift": {"window": "1s"}, "past": {"window": "1s"}
}"#;
const START: Duration = Duration::from_secs(1_700_000_000);

/// A signal of somebody's own that keeps to no bound.
struct Unbounded;

impl Signal for Unbounded {
    fn name(&self) -> &'static str {
        "unbounded"
    }

    fn questions(&self) -> Vec<Question> {
        // The longest name that a plan accepts.
        let name = "unbounded_unbounded_unbounded_unbounded_unbounded_unbounded_unbo";
        assert_eq!(name.len(), MAX_CATEGORY_BYTES);
        vec![Question::new(name, Rule::Fixed(|code| code % 3 == 0))]
    }

    fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
        Some(Token::Number(exchange.session? as u16))
    }
}

/// Names of any length, which say nothing of their number.
fn text(random: &mut Rng, most: usize) -> String {
    const PARTS: [&str; 12] = [
        "/", "g", "ö", "7", "%2f", "a-b", ",", "{", "\u{0}", ";.;", "=", "longword",
    ];
    let length = random.usize(..most);
    let mut text = String::new();
    while text.len() < length {
        text.push_str(PARTS[random.usize(..PARTS.len())]);
    }
    text
}

/// Mostly a name that comes again and again, so that something is learnt of it.
fn name(random: &mut Rng, known: &[&str], most: usize) -> String {
    match random.usize(..known.len() + 1) {
        choice if choice < known.len() => known[choice].to_owned(),
        _ => text(random, most),
    }
}

/// A document with keys of any length, as deep as is looked at, with lone surrogates in its keys.
fn document(random: &mut Rng, depth: usize) -> String {
    if depth == 0 || random.u8(..) < 40 {
        return ["null", "1", "\"x\"", "true", "[]", "{}"][random.usize(..6)].to_owned();
    }
    if random.u8(..) < 60 {
        return format!("[{}]", document(random, depth - 1));
    }
    let fields: Vec<String> = (0..random.usize(1..5))
        .map(|number| {
            let key = match random.usize(..6) {
                0 => "k".repeat(random.usize(..1_100)),
                1 => "ö".repeat(random.usize(..520)),
                2 => format!(r"\ud8{number:02}"),
                3 => format!(r"{number}\udfff\u0000"),
                _ => format!("name{}", char::from(b'a' + number as u8)),
            };
            format!("\"{key}\":{}", document(random, depth - 1))
        })
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn body(random: &mut Rng) -> ShapeFacts {
    // More than a plan lets a worker look at.
    let mut shape = Shape::new(Arc::new(Limits {
        max_key_bytes: 2_000,
        max_depth: 64,
        ..Limits::default()
    }));
    let depth = random.usize(..12);
    let document = document(random, depth);
    // Cut anywhere, at times.
    let end = match random.u8(..4) {
        0 => random.usize(..=document.len()),
        _ => document.len(),
    };
    shape.feed(&document.as_bytes()[..end]);
    shape.finish()
}

fn record(random: &mut Rng, tally: &mut Tally) {
    let headers: Vec<String> = (0..random.usize(..60))
        .map(|_| name(random, &["etag", "vary"], 300))
        .collect();
    let body = body(random);
    let destination = name(random, &["shop", "cart"], 700);
    let route_name = name(random, &["", "", "main"], 700);
    let method = name(random, &["GET", "POST"], 40);
    let path = name(random, &["/a", "/b?c=1", "/users/alice", "/x/7"], 2_000);
    let version = name(random, &["v1", "v1", "v2", "v2"], 200);
    let host = name(random, &["10.0.0.1:80", "10.0.0.2:80"], 200);
    let kind = name(random, &["application/json"], 2_000);
    let fan_out = text(random, 3_000);
    let any = |random: &mut Rng| (random.bool()).then(|| random.u64(..) >> random.u32(..64));
    tally.record(&Exchange {
        destination: &destination,
        route_name: &route_name,
        method: &method,
        path: &path,
        version: &version,
        status: [Some(200), Some(500), Some(random.u16(..)), None][random.usize(..4)],
        grpc_status: random.bool().then(|| random.u16(..)),
        ending: [Ending::Complete, Ending::Reset, Ending::ClientGone][random.usize(..3)],
        duration_us: any(random),
        lasted_us: any(random),
        response_bytes: any(random),
        content_type: &kind,
        header_names: Some(&headers),
        upstream_host: &host,
        session: any(random),
        request: any(random),
        is_surplus: random.u8(..) < 8,
        is_case: random.u8(..) < 60,
        sampling: Sampling {
            looks_one_in: random.u16(..),
            cases_one_in: random.u16(..),
        },
        request_bytes: any(random),
        request_header_names: random.bool().then_some(&headers as &dyn HeaderNames),
        fan_out: Some(&fan_out),
        body: Some(&body),
        ..Exchange::default()
    });
}

fn plan() -> Arc<Plan> {
    Arc::new(Plan::with_signals(CONFIG, vec![Box::new(Unbounded)]).unwrap())
}

fn written(encode: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    encode(&mut writer);
    writer.into_bytes()
}

fn read_delta(bytes: &[u8]) -> Result<Delta, CodecError> {
    let mut reader = Reader::new(bytes);
    let delta = Delta::decode(&mut reader)?;
    reader.finish()?;
    Ok(delta)
}

fn read_state(plan: &Arc<Plan>, bytes: &[u8]) -> Result<Judge, CodecError> {
    let mut reader = Reader::new(bytes);
    let judge = Judge::decode(Arc::clone(plan), &mut reader)?;
    reader.finish()?;
    Ok(judge)
}

#[test]
fn a_delta_and_a_state_that_are_written_can_be_read_whatever_came_in() {
    let plan = plan();
    for seed in 0..3 {
        let mut random = Rng::with_seed(seed);
        let mut tallies: Vec<Tally> = (0..3)
            .map(|worker| Tally::new(Arc::clone(&plan), worker))
            .collect();
        let mut judge = Judge::new(Arc::clone(&plan));
        for tick in 0..40_u32 {
            let mut deltas = Vec::new();
            for tally in &mut tallies {
                for _ in 0..random.usize(..60) {
                    record(&mut random, tally);
                }
                let delta = tally.take();
                let bytes = written(|writer| delta.encode(writer));
                assert_eq!(read_delta(&bytes).as_ref(), Ok(&delta), "seed {seed}");
                deltas.push(delta);
            }
            // As a worker counts that had to wait.
            let seconds = u64::from(tick) * (1 + seed % 2 * 30);
            judge.tick(&deltas, START + Duration::from_secs(seconds));
            if tick % 5 == 4 {
                let bytes = written(|writer| judge.encode(writer));
                let read = read_state(&plan, &bytes).unwrap();
                assert!(written(|writer| read.encode(writer)) == bytes, "{seed}");
                judge = read;
            }
        }
        assert!(judge.merged() > 0);
    }
}

#[test]
fn a_route_that_cannot_be_read_costs_itself_and_not_the_delta() {
    let plan = plan();
    let mut tally = Tally::new(Arc::clone(&plan), 1);
    for path in ["/a", "/b", "/c"] {
        tally.record(&Exchange {
            destination: "shop",
            method: "GET",
            path,
            version: "v1",
            status: Some(200),
            ..Exchange::default()
        });
    }
    let delta = tally.take();
    let bytes = written(|writer| delta.encode(writer));
    let place = bytes.windows(2).position(|pair| pair == b"/b").unwrap();
    let mut damaged = bytes.clone();
    damaged[place] = 0xff;
    assert_eq!(read_delta(&damaged), Err(CodecError::NotText));
    let mut damage = Damage::default();
    let read = Delta::salvage(&mut Reader::new(&damaged), &mut damage).unwrap();
    let paths: Vec<&str> = read
        .routes
        .iter()
        .map(|route| route.key.path.as_str())
        .collect();
    assert_eq!((paths, damage.parts), (vec!["/a", "/c"], 1));
    // And whatever a byte becomes, what is read is no more than what was written.
    for place in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[place] ^= 0xff;
        let mut damage = Damage::default();
        if let Ok(read) = Delta::salvage(&mut Reader::new(&damaged), &mut damage) {
            assert!(read.routes.len() as u64 + damage.parts <= 3);
        }
    }
}

#[test]
fn a_destination_that_cannot_be_read_starts_anew_and_the_others_go_on() {
    let plan = plan();
    let mut tally = Tally::new(Arc::clone(&plan), 1);
    let mut judge = Judge::new(Arc::clone(&plan));
    for second in 0..20 {
        for (destination, version) in [("shop", "v1"), ("cart", "v1"), ("shop", "v2")] {
            tally.record(&Exchange {
                destination,
                method: "GET",
                path: "/",
                version,
                status: Some(200),
                ..Exchange::default()
            });
        }
        judge.tick(&[tally.take()], START + Duration::from_secs(second));
    }
    let mut bytes = written(|writer| judge.encode(writer));
    let place = bytes.windows(4).position(|name| name == b"shop").unwrap();
    bytes[place] = 0xff;
    assert!(read_state(&plan, &bytes).is_err());
    let mut damage = Damage::default();
    let read = Judge::salvage(plan, &mut Reader::new(&bytes), &mut damage).unwrap();
    let destinations: Vec<String> = read
        .decisions()
        .into_iter()
        .map(|decision| decision.destination)
        .collect();
    assert_eq!((destinations, damage.parts), (vec!["cart".to_owned()], 1));
}
