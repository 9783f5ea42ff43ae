//! What limits a comparison: hosts that differ, sessions, requests that are not alike.

use super::{Answer, GOOD, Proxy};
use crate::stream::life::Stream;

/// An exchange on a host, over a connection, with a request header more.
fn exchange(proxy: &mut Proxy, answer: Answer, host: &str, connection: u64, header: &str) {
    proxy.request(&[(header, "1"), ("content-length", "12")]);
    proxy.respond(answer);
    {
        let properties = &mut proxy.host.0.borrow_mut().properties;
        properties.insert("upstream.address".into(), host.as_bytes().to_vec());
        properties.insert("connection_id".into(), connection.to_le_bytes().to_vec());
    }
    let mut stream = Stream::new(1);
    let worker = connection as usize % proxy.workers.len();
    assert!(proxy.workers[worker].on_request(&mut stream, true));
    assert!(proxy.workers[worker].on_response(&mut stream));
    proxy.workers[worker].on_log(&mut stream);
}

fn asked(proxy: &Proxy, property: &str) -> u64 {
    let world = proxy.host.0.borrow();
    world.asked.get(property).copied().unwrap_or(0)
}

fn of_shop(proxy: &Proxy, labels: &str, metric: &str) -> Option<u64> {
    let name = format!("destination=.=shop;.;{labels}{metric}");
    proxy.host.metric_value(&name)
}

const FAILS: [Answer; 2] = [
    Answer {
        version: "v1",
        status: "500",
    },
    Answer {
        version: "v2",
        status: "500",
    },
];

#[test]
fn a_bad_host_of_stable_is_told_and_a_candidate_no_worse_than_it_is_not_condemned() {
    let mut proxy = Proxy::new("observe", 2);
    let mut host = 0;
    for tick in 0..60 {
        for number in 0..100 {
            let candidate = tick >= 20 && number % 5 == 0;
            host = (host + 1) % 3;
            // The third host of stable fails half of the time, and so does the candidate.
            let bad = (host == 2 || candidate) && number % 2 == 0;
            let answers = if bad { FAILS } else { GOOD };
            let answer = answers[usize::from(candidate)];
            let name = format!("10.0.{}.{host}:80", u8::from(candidate));
            exchange(&mut proxy, answer, &name, number, "accept");
        }
        proxy.tick();
    }
    let error = "category=.=error;.;";
    assert!(of_shop(&proxy, error, "serin_placebo") > Some(10_000));
    assert!(of_shop(&proxy, error, "serin_placebo_odds_ratio") > Some(2_000));
    assert!(proxy.verdict() < Some(3));
    let log = proxy.host.log();
    let lines = |text: &str| log.iter().filter(|line| line.1.contains(text)).count();
    assert_eq!(lines("serin: shop: v1 differs from itself"), 1);
    let warns = |line: &(log::Level, String)| {
        line.0 == log::Level::Warn && line.1.contains("v1 differs from itself")
    };
    assert!(log.iter().any(warns));
}

#[test]
fn hosts_and_sessions_are_asked_for_during_a_rollout_and_of_a_part_without_one() {
    let run = |candidate: bool| {
        let mut proxy = Proxy::new("observe", 1);
        let mut exchanges = |count: u64| {
            for number in 0..count {
                let answer = GOOD[usize::from(candidate && number % 5 == 0)];
                let host = format!("10.0.0.{}:80", number % 3);
                exchange(&mut proxy, answer, &host, number % 7, "accept");
                if number % 100 == 99 {
                    proxy.tick();
                }
            }
            (
                asked(&proxy, "upstream.address"),
                asked(&proxy, "connection_id"),
            )
        };
        let before = exchanges(1_000);
        let after = exchanges(1_000);
        (after.0 - before.0, after.1 - before.1)
    };
    let (hosts, connections) = run(true);
    assert_eq!((hosts, connections), (1_000, 1_000));
    let (hosts, connections) = run(false);
    assert!((200..300).contains(&hosts), "{hosts}");
    assert_eq!(connections, hosts);
}

#[test]
fn workers_agree_about_the_half_of_a_session() {
    let mut proxy = Proxy::new("observe", 3);
    for number in 0..6_000_u64 {
        // One connection fails, whichever worker takes its requests.
        let connection = number % 40;
        let answers = if connection == 7 { FAILS } else { GOOD };
        // With a candidate beside it, every exchange has its session.
        let answer = answers[usize::from(number % 5 == 0)];
        exchange(&mut proxy, answer, "10.0.0.1:80", connection, "accept");
        if number % 100 == 99 {
            proxy.tick();
        }
    }
    (0..3).for_each(|_| proxy.tick());
    let evidence = of_shop(&proxy, "category=.=error;.;", "serin_placebo");
    assert!(evidence > Some(20_000), "{evidence:?}");
}

#[test]
fn requests_that_only_the_candidate_gets_make_the_balance_speak() {
    let run = |sticky: bool| {
        let mut proxy = Proxy::new("observe", 2);
        for number in 0..4_000_u64 {
            let candidate = number % 5 == 0;
            let beta = if sticky { candidate } else { number % 3 == 0 };
            let header = if beta { "x-beta" } else { "accept" };
            let answer = GOOD[usize::from(candidate)];
            exchange(&mut proxy, answer, "10.0.0.1:80", number, header);
            if number % 100 == 99 {
                proxy.tick();
            }
        }
        let signal = "signal=.=request_headers;.;";
        (
            of_shop(&proxy, "version=.=v2;.;", "serin_unbalanced"),
            of_shop(&proxy, signal, "serin_balance").unwrap_or(0),
        )
    };
    let (unbalanced, evidence) = run(true);
    assert_eq!(unbalanced, Some(1));
    assert!(evidence > 10_000, "{evidence}");
    assert_eq!(run(false), (Some(0), 0));
}

#[test]
fn it_says_how_many_requests_are_needed_yet_and_that_the_first_seconds_do_not_count() {
    let mut proxy = Proxy::new("observe", 1);
    proxy.config = proxy
        .config
        .replace(r#""warm_up": "0s""#, r#""warm_up": "10s""#);
    proxy.workers.clear();
    proxy.add_worker();
    let v2 = "version=.=v2;.;";
    proxy.traffic(5, 100, GOOD);
    assert_eq!(of_shop(&proxy, v2, "serin_warming_up"), Some(1));
    proxy.traffic(10, 100, GOOD);
    assert_eq!(of_shop(&proxy, v2, "serin_warming_up"), Some(0));
    let needed = |size: u32| {
        let labels = format!("{v2}odds_ratio=.={size};.;");
        of_shop(&proxy, &labels, "serin_requests_needed").unwrap()
    };
    assert!(needed(2) > needed(5) && needed(5) > needed(25) && needed(25) > 0);
}

#[test]
fn the_proxy_is_asked_how_a_response_ended_only_where_its_end_was_not_seen() {
    let mut proxy = Proxy::new("observe", 1);
    let flags = |proxy: &Proxy| asked(proxy, "response.flags");
    for (chunks, is_whole, expected) in [(3, true, 0), (3, false, 1), (0, true, 1), (0, false, 2)] {
        proxy.request(&[]);
        proxy.respond(GOOD[0]);
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        stream.passed(0, is_whole && chunks == 0);
        assert!(proxy.workers[0].on_response(&mut stream));
        for chunk in 0..chunks {
            stream.passed(1_000, is_whole && chunk + 1 == chunks);
        }
        proxy.workers[0].on_log(&mut stream);
        assert_eq!(flags(&proxy), expected, "{chunks} {is_whole}");
    }
}

fn recording() -> Proxy {
    let mut proxy = Proxy::new("observe", 0);
    proxy.config = proxy.config.replacen('{', r#"{"record": true,"#, 1);
    proxy.add_worker();
    proxy
}

/// The last exchange, as the access log has it.
fn recorded(proxy: &Proxy) -> serde_json::Value {
    let world = proxy.host.0.borrow();
    serde_json::from_slice(&world.properties["serin.exchange"]).unwrap()
}

#[test]
fn the_length_of_a_response_is_what_has_passed_where_its_headers_announce_none() {
    let mut proxy = recording();
    let length = |proxy: &mut Proxy, chunks: usize, responds: bool| {
        proxy.request(&[]);
        proxy.respond(GOOD[0]);
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        if responds {
            assert!(proxy.workers[0].on_response(&mut stream));
        }
        for chunk in 0..chunks {
            stream.passed(1_000, chunk + 1 == chunks);
        }
        proxy.workers[0].on_log(&mut stream);
        recorded(proxy)["response_bytes"].clone()
    };
    assert_eq!(length(&mut proxy, 3, true), 3_000);
    assert_eq!(length(&mut proxy, 0, true), 0);
    assert!(length(&mut proxy, 0, false).is_null());
}

#[test]
fn a_stream_that_broke_off_or_whose_client_left_is_no_complete_answer() {
    let ending = |flag: u64| {
        let mut proxy = recording();
        proxy.request(&[]);
        proxy.respond(GOOD[0]);
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        assert!(proxy.workers[0].on_response(&mut stream));
        {
            let properties = &mut proxy.host.0.borrow_mut().properties;
            properties.insert("response.flags".into(), flag.to_le_bytes().to_vec());
        }
        proxy.workers[0].on_log(&mut stream);
        let record = recorded(&proxy);
        record["ending"].as_str().unwrap_or("complete").to_owned()
    };
    assert_eq!(ending(0), "complete");
    // LR, UR, UC, SI, UMSDR, UPE, as an access log writes them.
    for flag in [0x8, 0x10, 0x40, 0x1_0000, 0x8_0000, 0x80_0000] {
        assert_eq!(ending(flag), "reset", "{flag:#x}");
    }
    // DC, DPE, DR.
    for flag in [0x4000, 0x4_0000, 0x1000_0000] {
        assert_eq!(ending(flag), "client_gone", "{flag:#x}");
    }
}
