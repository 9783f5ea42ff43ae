//! Heavy traffic: a random part is looked at in full, the rest is glanced at.

use super::{Answer, BAD, GOOD, Proxy};
use crate::stream::life::Stream;
use core::time::Duration;

/// A proxy with a worker that looks at this many exchanges a second.
fn proxy(looks: u64) -> Proxy {
    let mut proxy = Proxy::new("observe", 0);
    let field = format!(r#"{{"looks_per_second": {looks}, "#);
    proxy.config = proxy.config.replacen('{', &field, 1);
    proxy.add_worker();
    proxy
}

fn total(proxy: &Proxy, metric: &str) -> u64 {
    proxy.host.metric_sum(metric)
}

fn looked_at(proxy: &Proxy) -> u64 {
    total(proxy, "serin_exchanges_total")
}

#[test]
fn every_exchange_is_in_exactly_one_of_the_books() {
    let mut proxy = proxy(100);
    proxy.traffic(20, 1_000, BAD);
    (0..4).for_each(|_| proxy.tick());
    let (looks, cases) = (looked_at(&proxy), total(&proxy, "serin_cases_total"));
    let unlooked = total(&proxy, "serin_not_looked_at_total");
    assert_eq!(looks + cases + unlooked, 20 * 1_000);
    // A twelfth, and more of the first tick; of 200 failures a tick half, with a budget of 100.
    assert!((1_700..2_200).contains(&looks), "{looks}");
    assert!((1_500..2_300).contains(&cases), "{cases}");
}

#[test]
fn a_version_that_fails_is_condemned_and_one_that_does_not_is_not() {
    let mut bad = proxy(100);
    bad.traffic(20, 1_000, GOOD);
    assert_eq!(bad.verdict(), Some(1));
    // A failure in a thousand requests, all of them the candidate's: nine of ten are glanced at.
    for _ in 0..60 {
        for number in 0..1_000 {
            let answers = if number == 0 { BAD } else { GOOD };
            bad.exchange(0, answers[usize::from(number % 5 == 0)]);
        }
        bad.tick();
    }
    assert_eq!(bad.verdict(), Some(3));
}

#[test]
fn a_header_that_only_serin_may_set_goes_at_a_glance() {
    let mut proxy = proxy(10);
    proxy.traffic(2, 2_000, GOOD);
    let mut glanced = 0;
    for _ in 0..50 {
        proxy.request(&[("x-serin-steer", "v2"), ("x-other", "stays")]);
        proxy.respond(GOOD[0]);
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        glanced += u32::from(stream.is_glanced_at());
        let world = proxy.host.0.borrow();
        let names: Vec<&str> = world.request.iter().map(|header| &*header.0).collect();
        assert_eq!(names, [":method", ":path", ":authority", "x-other"]);
    }
    assert!(glanced > 40, "{glanced}");
}

#[test]
fn a_report_that_clients_must_not_see_goes_at_a_glance() {
    let mut proxy = proxy(10);
    for number in 0..6_000 {
        proxy.request(&[]);
        proxy.respond(GOOD[0]);
        let report = ("x-serin-report".to_owned(), b"1,auth GET /check".to_vec());
        proxy.host.0.borrow_mut().response.push(report);
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        stream.passed(0, true);
        assert!(proxy.workers[0].on_response(&mut stream));
        let world = proxy.host.0.borrow();
        assert!(
            world
                .response
                .iter()
                .all(|header| header.0 != "x-serin-report")
        );
        drop(world);
        proxy.workers[0].on_log(&mut stream);
        if number % 2_000 == 0 {
            proxy.tick();
        }
    }
}

#[test]
fn once_forged_headers_were_seen_they_go_at_a_glance() {
    let mut proxy = proxy(10);
    let mut glanced = 0;
    for number in 0..6_000 {
        proxy.request(&[]);
        proxy.respond(GOOD[0]);
        let forged = vec![("x-serin-verdict".to_owned(), b"healthy".to_vec())];
        proxy.host.0.borrow_mut().response.extend(forged.clone());
        proxy.host.0.borrow_mut().trailers = forged;
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        glanced += u32::from(stream.is_glanced_at());
        assert!(proxy.workers[0].on_response(&mut stream));
        stream.passed(0, true);
        proxy.workers[0].on_response_trailers(&mut stream);
        assert_eq!(proxy.host.0.borrow().response.len(), 2);
        assert!(proxy.host.0.borrow().trailers.is_empty());
        proxy.workers[0].on_log(&mut stream);
        if number % 2_000 == 0 {
            proxy.tick();
        }
    }
    assert!(glanced > 5_000, "{glanced}");
}

#[test]
fn an_answer_that_was_cut_off_is_looked_at_when_it_is_over() {
    let mut proxy = proxy(10);
    proxy.traffic(2, 2_000, GOOD);
    let before = total(&proxy, "serin_cases_total");
    for _ in 0..20 {
        proxy.request(&[]);
        proxy.respond(Answer {
            version: "v2",
            status: "200",
        });
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        assert!(proxy.workers[0].on_response(&mut stream));
        let mut world = proxy.host.0.borrow_mut();
        let reset = 0x10_u64.to_le_bytes().to_vec();
        world.properties.insert("response.flags".into(), reset);
        drop(world);
        proxy.workers[0].on_log(&mut stream);
    }
    proxy.tick();
    assert!(total(&proxy, "serin_cases_total") >= before + 10);
}

#[test]
fn light_traffic_is_looked_at_in_full_again() {
    let mut proxy = proxy(100);
    proxy.traffic(3, 1_000, GOOD);
    // What usually comes is forgotten within some ticks.
    proxy.traffic(5, 50, GOOD);
    let before = looked_at(&proxy);
    proxy.traffic(5, 50, GOOD);
    proxy.host.pass(Duration::from_secs(1));
    proxy.tick();
    assert_eq!(looked_at(&proxy) - before, 250);
}

/// Sends requests of which most are glanced at; `change` is done before each one is over.
fn glance_at(proxy: &mut Proxy, times: u32, answer: Answer, change: impl Fn(&mut Stream, &Proxy)) {
    for _ in 0..times {
        proxy.request(&[]);
        proxy.respond(answer);
        let mut stream = Stream::new(1);
        assert!(proxy.workers[0].on_request(&mut stream, true));
        change(&mut stream, proxy);
        assert!(proxy.workers[0].on_response(&mut stream));
        proxy.workers[0].on_log(&mut stream);
    }
    proxy.tick();
}

#[test]
fn a_path_that_the_router_rewrites_stays_on_its_route() {
    // With the header that the router leaves, and where it is told to leave none.
    for leaves_header in [true, false] {
        routes_by_what_came(leaves_header);
    }
}

fn routes_by_what_came(leaves_header: bool) {
    let mut proxy = proxy(10);
    let rewrite = |stream: &mut Stream, proxy: &Proxy| {
        let mut world = proxy.host.0.borrow_mut();
        let came = core::mem::replace(&mut world.request[1].1, b"/rewritten".to_vec());
        if leaves_header {
            world
                .request
                .push(("x-envoy-original-path".to_owned(), came));
        }
        stream.passed(0, true);
    };
    glance_at(&mut proxy, 1_000, GOOD[0], rewrite);
    glance_at(&mut proxy, 1_000, GOOD[1], rewrite);
    // The candidate fails where the baseline does not, and the router has rewritten the path by then.
    for _ in 0..20 {
        glance_at(&mut proxy, 100, GOOD[0], rewrite);
        glance_at(&mut proxy, 100, BAD[1], rewrite);
    }
    assert_eq!(proxy.verdict(), Some(3));
    let world = proxy.host.0.borrow();
    assert!(
        world
            .metrics
            .iter()
            .all(|metric| !metric.0.contains("rewritten"))
    );
}

#[test]
fn one_answer_in_grpc_makes_no_failures_of_the_others() {
    let mut proxy = proxy(10);
    proxy
        .host
        .0
        .borrow_mut()
        .properties
        .insert("response.grpc_status".into(), 2_u64.to_le_bytes().to_vec());
    let grpc = |_: &mut Stream, proxy: &Proxy| {
        let mut world = proxy.host.0.borrow_mut();
        world.response[1].1 = b"application/grpc".to_vec();
    };
    glance_at(&mut proxy, 2_000, GOOD[0], grpc);
    let before = total(&proxy, "serin_cases_total");
    glance_at(&mut proxy, 2_000, GOOD[0], |stream, _| {
        stream.passed(0, true)
    });
    assert_eq!(total(&proxy, "serin_cases_total"), before);
    glance_at(&mut proxy, 2_000, GOOD[0], |stream, proxy| {
        grpc(stream, proxy);
        stream.passed(0, true);
    });
    assert!(total(&proxy, "serin_cases_total") > before);
}

#[test]
fn what_is_not_the_versions_failure_is_no_case() {
    let mut proxy = proxy(10);
    proxy.traffic(2, 2_000, GOOD);
    let before = total(&proxy, "serin_cases_total");
    // The client leaves.
    glance_at(&mut proxy, 500, GOOD[0], |_, proxy| {
        let gone = 0x4000_u64.to_le_bytes().to_vec();
        let mut world = proxy.host.0.borrow_mut();
        world.properties.insert("response.flags".into(), gone);
    });
    // The proxy limits the rate.
    let limited = Answer {
        version: "v1",
        status: "429",
    };
    glance_at(&mut proxy, 500, limited, |stream, proxy| {
        let mut world = proxy.host.0.borrow_mut();
        let details = b"local_rate_limited".to_vec();
        world
            .properties
            .insert("response.code_details".into(), details);
        world
            .properties
            .insert("response.flags".into(), 0x800_u64.to_le_bytes().to_vec());
        stream.passed(0, true);
    });
    assert_eq!(total(&proxy, "serin_cases_total"), before);
}
