//! Behaviour beyond status and latency: bodies as they pass, and the calls behind a request.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const JSON: &str = r#"{"versions": {"from": "clusters", "destinations":
    {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}},
    "baseline": "v1", "candidate": "v2", "warm_up": "0s", EXTRA}"#;

fn proxy(extra: &str) -> Proxy {
    let mut proxy = Proxy::new("observe", 0);
    proxy.config = JSON.replace("EXTRA", extra);
    proxy.add_worker();
    proxy
}

/// One exchange whose answer has a JSON body.
/// One exchange whose answer has a body that comes in two chunks.
fn exchange_with(proxy: &mut Proxy, version: &'static str, content_type: &str, body: &[u8]) {
    let mut stream = begin(proxy, version, content_type, "");
    go_on(proxy, &mut stream, body);
    end(proxy, &mut stream);
}

/// The same with a body in a `content-encoding`.
fn exchange_encoded(proxy: &mut Proxy, version: &'static str, encoding: &str, body: &[u8]) {
    let mut stream = begin(proxy, version, "application/json", encoding);
    go_on(proxy, &mut stream, body);
    end(proxy, &mut stream);
}

/// An exchange whose response's headers have come.
fn begin(proxy: &mut Proxy, version: &'static str, content_type: &str, encoding: &str) -> Stream {
    proxy.request(&[]);
    proxy.respond(Answer {
        version,
        status: "200",
    });
    let set = |name: &str, value: &str| {
        let mut world = proxy.host.0.borrow_mut();
        world.response.retain(|header| header.0 != name);
        if !value.is_empty() {
            let header = (name.to_owned(), value.as_bytes().to_vec());
            world.response.push(header);
        }
    };
    set("content-type", content_type);
    set("content-encoding", encoding);
    let mut stream = Stream::new(1);
    let worker = &mut proxy.workers[0];
    assert!(worker.on_request(&mut stream, true));
    assert!(worker.on_response(&mut stream));
    stream
}

/// A part of its body passes, in two chunks.
fn go_on(proxy: &mut Proxy, stream: &mut Stream, body: &[u8]) {
    let (first, second) = body.split_at(body.len() / 2);
    for chunk in [first, second, b""] {
        proxy.host.0.borrow_mut().body = chunk.to_vec();
        proxy.workers[0].on_response_body(stream, chunk.len());
    }
}

/// It is over.
fn end(proxy: &mut Proxy, stream: &mut Stream) {
    proxy.workers[0].on_log(stream);
}

fn gzip(body: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The sum of a counter's series that have this label.
fn counted(proxy: &Proxy, label: &str, metric: &str) -> u64 {
    let world = proxy.host.0.borrow();
    let series = world.metrics.iter();
    let series = series.filter(|series| series.0.contains(label) && series.0.ends_with(metric));
    series.map(|series| series.1).sum()
}

fn reasons(proxy: &Proxy, category: &str) -> u64 {
    proxy
        .host
        .0
        .borrow()
        .metrics
        .iter()
        .filter(|metric| {
            metric.0.contains(&format!("category=.={category}"))
                && metric.0.ends_with("serin_evidence_for")
        })
        .map(|metric| metric.1)
        .sum()
}

/// 60 ticks of 25 exchanges, a fifth of them the candidate's, with bodies of that content type.
fn rollout(proxy: &mut Proxy, content_type: &str, candidate: &[u8], baseline: &[u8]) {
    for _ in 0..60 {
        for number in 0..25 {
            if number % 5 == 0 {
                exchange_with(proxy, "v2", content_type, candidate);
            } else {
                exchange_with(proxy, "v1", content_type, baseline);
            }
        }
        proxy.tick();
    }
}

fn bodies(proxy: &mut Proxy, candidate: &str) {
    let baseline = br#"{"items":[{"id":1,"price":2}]}"#;
    rollout(
        proxy,
        "application/json; charset=utf-8",
        candidate.as_bytes(),
        baseline,
    );
}

#[test]
fn a_field_that_the_candidates_bodies_lack_carries_a_verdict() {
    let mut looked_at = proxy(r#""body": {}"#);
    bodies(&mut looked_at, r#"{"items":[{"id":1}]}"#);
    assert_eq!(looked_at.verdict(), Some(3));
    assert!(reasons(&looked_at, "lost_path") > 0);
    let mut off = proxy(r#""record": false"#);
    bodies(&mut off, r#"{"items":[{"id":1}]}"#);
    assert_eq!(off.verdict(), Some(1));
}

#[test]
fn a_grpc_stream_with_fewer_messages_than_stables_carries_a_verdict() {
    const MESSAGE: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
    let judge = |candidate: &[u8]| {
        let mut proxy = proxy(r#""body": {}"#);
        rollout(
            &mut proxy,
            "application/grpc",
            candidate,
            &MESSAGE.repeat(4),
        );
        (proxy.verdict(), reasons(&proxy, "lost_path") > 0)
    };
    assert_eq!(judge(&MESSAGE.repeat(4)), (Some(1), false));
    assert_eq!(judge(&MESSAGE.repeat(3)), (Some(3), true));
}

#[test]
fn bodies_of_other_content_types_and_those_beyond_the_sample_are_not_looked_at() {
    for extra in [
        r#""body": {"content_types": ["application/problem+json"]}"#,
        r#""body": {"sample": 0.0001}"#,
    ] {
        let mut proxy = proxy(extra);
        bodies(&mut proxy, r#"{"items":[{"id":1}]}"#);
        assert_eq!(proxy.verdict(), Some(1), "{extra}");
    }
}

const STABLE: &str = r#"{"items":[{"id":1,"price":2}]}"#;
const WITHOUT_PRICE: &str = r#"{"items":[{"id":1}]}"#;

/// Rollouts of a candidate whose bodies are encoded so, beside a stable version that answers gzip.
fn encoded(encoding: &str, body: &[u8]) -> Proxy {
    let mut proxy = proxy(r#""body": {}"#);
    let stable = gzip(STABLE);
    for number in 0..1_500 {
        if number % 5 == 0 {
            exchange_encoded(&mut proxy, "v2", encoding, body);
        } else {
            exchange_encoded(&mut proxy, "v1", "gzip", &stable);
        }
        if number % 25 == 24 {
            proxy.tick();
        }
    }
    proxy
}

#[test]
fn a_field_that_compressed_bodies_lack_carries_a_verdict() {
    let lost = encoded("gzip", &gzip(WITHOUT_PRICE));
    assert_eq!(lost.verdict(), Some(3));
    assert!(reasons(&lost, "lost_path") > 0);
    assert_eq!(counted(&lost, "", "serin_bodies_total"), 1_500);
    assert_eq!(counted(&lost, "", "serin_bodies_left_out_total"), 0);
}

#[test]
fn a_candidate_that_stops_compressing_is_compared_all_the_same() {
    let same = encoded("", STABLE.as_bytes());
    assert_eq!(reasons(&same, "lost_path"), 0);
    assert_eq!(counted(&same, "version=.=v2", "serin_bodies_total"), 300);
    let lost = encoded("", WITHOUT_PRICE.as_bytes());
    assert!(reasons(&lost, "lost_path") > 0);
}

#[test]
fn a_body_that_cannot_be_decompressed_is_counted_and_no_regression() {
    let whole = gzip(WITHOUT_PRICE);
    let cut_off = &whole[..whole.len() - 9];
    let cases: [(&str, &[u8], &str); 6] = [
        ("br", b"whatever", "br"),
        ("zstd", b"whatever", "zstd"),
        ("gzip, br", b"whatever", "other_encoding"),
        ("gzip", cut_off, "damaged"),
        ("gzip", WITHOUT_PRICE.as_bytes(), "damaged"),
        ("", b"{not JSON", "malformed"),
    ];
    for (encoding, body, reason) in cases {
        let proxy = encoded(encoding, body);
        let label = format!("version=.=v2;.;reason=.={reason};.;");
        let left_out = counted(&proxy, &label, "serin_bodies_left_out_total");
        assert_eq!(left_out, 300, "{encoding}: {reason}");
        let all = counted(&proxy, "", "serin_bodies_left_out_total");
        assert_eq!(all, 300, "{encoding}: {reason}");
        assert_eq!(reasons(&proxy, "lost_path"), 0, "{encoding}: {reason}");
    }
}

#[test]
fn bodies_beyond_those_that_are_decompressed_at_once_are_counted_and_the_next_ones_looked_at() {
    let mut proxy = proxy(r#""body": {}"#);
    let body = gzip(STABLE);
    let (first, second) = body.split_at(20);
    let begin = |proxy: &mut Proxy| {
        let mut stream = begin(proxy, "v1", "application/json", "gzip");
        go_on(proxy, &mut stream, first);
        stream
    };
    let mut streams: Vec<Stream> = (0..40).map(|_| begin(&mut proxy)).collect();
    for stream in &mut streams {
        go_on(&mut proxy, stream, second);
        end(&mut proxy, stream);
    }
    proxy.tick();
    proxy.tick();
    let busy = |proxy: &Proxy| counted(proxy, "reason=.=busy", "serin_bodies_left_out_total");
    assert_eq!(counted(&proxy, "", "serin_bodies_total"), 32);
    assert_eq!(busy(&proxy), 8);
    // A stream that breaks off gives its place back, too.
    for _ in 0..100 {
        drop(begin(&mut proxy));
    }
    let mut stream = begin(&mut proxy);
    go_on(&mut proxy, &mut stream, second);
    end(&mut proxy, &mut stream);
    proxy.tick();
    proxy.tick();
    assert_eq!(busy(&proxy), 8);
    assert_eq!(counted(&proxy, "", "serin_bodies_total"), 33);
}

#[test]
fn compressed_messages_of_grpc_are_counted_and_not_looked_into() {
    // The flag says that what follows is compressed as `grpc-encoding` names it; this is no gzip.
    const MESSAGE: &[u8] = &[1, 0, 0, 0, 2, 0xff, 0xff];
    let judge = |candidate: &[u8]| {
        let mut proxy = proxy(r#""body": {}"#);
        rollout(
            &mut proxy,
            "application/grpc",
            candidate,
            &MESSAGE.repeat(4),
        );
        assert_eq!(counted(&proxy, "", "serin_bodies_total"), 1_500);
        reasons(&proxy, "lost_path") > 0
    };
    assert!(!judge(&MESSAGE.repeat(4)));
    assert!(judge(&MESSAGE.repeat(3)));
}

/// The proxy beside the application: an inbound listener and an outbound one in one process.
struct Sidecar {
    host: FakeHost,
    inbound: Worker<FakeHost>,
    outbound: Worker<FakeHost>,
}

impl Sidecar {
    fn new() -> Self {
        let host = FakeHost::default();
        host.pass(Duration::from_secs(1_700_000_000));
        let config = |role: &str| {
            let text = format!(r#"{{"role": "{role}", "signals": {{"fan_out": true}}}}"#);
            Arc::new(Plan::from_json(&text).unwrap())
        };
        let inbound = worker(&host, config("auto"), "in", 1);
        host.pass(Duration::from_nanos(1));
        let outbound = worker(&host, config("comparer"), "out", 2);
        let mut sidecar = Self {
            host,
            inbound,
            outbound,
        };
        // The first request tells the direction; then the listener says that it is there, and
        // reports when every worker's outbound listener knows.
        for second in 0..3 {
            let id = format!("early {second}");
            assert_eq!(sidecar.serve(&id, &["/check"]), None);
            sidecar.host.pass(Duration::from_secs(1));
            sidecar.inbound.tick();
            sidecar.outbound.tick();
        }
        sidecar
    }

    fn set(&self, request: &[(&str, &str)], response: &[(&str, &str)]) {
        let headers = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect()
        };
        let mut world = self.host.0.borrow_mut();
        world.request = headers(request);
        world.response = headers(response);
    }

    /// The application serves a request and makes these calls for it; what is reported.
    fn serve(&mut self, id: &str, calls: &[&str]) -> Option<String> {
        let mut stream = Stream::new(1);
        let inbound = 1u64.to_le_bytes().to_vec();
        let direction = "xds.listener_direction".to_owned();
        self.host
            .0
            .borrow_mut()
            .properties
            .insert(direction, inbound);
        self.set(
            &[(":method", "GET"), (":path", "/"), ("x-request-id", id)],
            &[],
        );
        assert!(self.inbound.on_request(&mut stream, true));
        for path in calls {
            self.host
                .0
                .borrow_mut()
                .properties
                .insert("xds.cluster_name".into(), b"stock".to_vec());
            self.set(
                &[(":method", "GET"), (":path", path), ("x-request-id", id)],
                &[(":status", "200")],
            );
            let mut call = Stream::new(2);
            assert!(self.outbound.on_request(&mut call, true));
            assert!(self.outbound.on_response(&mut call));
            self.outbound.on_log(&mut call);
        }
        // The application cannot report in its sidecar's place.
        self.set(&[], &[(":status", "200"), ("x-serin-report", "forged")]);
        assert!(self.inbound.on_response(&mut stream));
        let world = self.host.0.borrow();
        let report = world
            .response
            .iter()
            .find(|header| header.0 == "x-serin-report")?;
        Some(String::from_utf8(report.1.clone()).unwrap())
    }
}

#[test]
fn a_sidecar_reports_the_calls_behind_each_request_and_nothing_else() {
    let mut sidecar = Sidecar::new();
    let calls = ["/items/1", "/items/2", "/check", "/items/3"];
    assert_eq!(
        sidecar.serve("request-1", &calls).as_deref(),
        Some("stock GET /check 1,stock GET /items/{int} 3-5")
    );
    assert_eq!(sidecar.serve("request-2", &[]).as_deref(), Some(""));
}

#[test]
fn the_caller_takes_the_report_off_and_judges_by_it() {
    let mut proxy = proxy(r#""signals": {"fan_out": true}"#);
    for _ in 0..60 {
        for number in 0..25 {
            let (version, report) = match number % 5 {
                0 => ("v2", "stock GET /items 6+"),
                _ => ("v1", "stock GET /items 1"),
            };
            proxy.request(&[]);
            proxy.respond(Answer {
                version,
                status: "200",
            });
            let header = ("x-serin-report".to_owned(), report.as_bytes().to_vec());
            proxy.host.0.borrow_mut().response.push(header);
            let mut stream = Stream::new(1);
            let worker = &mut proxy.workers[0];
            assert!(worker.on_request(&mut stream, true));
            assert!(worker.on_response(&mut stream));
            assert_eq!(proxy.host.0.borrow().response.len(), 2);
            worker.on_log(&mut stream);
        }
        proxy.tick();
    }
    assert_eq!(proxy.verdict(), Some(3));
    assert!(reasons(&proxy, "lost_call") > 0);
}

/// What is left of an answer with these headers and trailers once it has passed a proxy.
fn left_of(proxy: &mut Proxy, status: &str, own: &[&str]) -> (Vec<String>, Vec<String>) {
    proxy.request(&[]);
    proxy.respond(GOOD[1]);
    {
        let mut world = proxy.host.0.borrow_mut();
        world.response[0].1 = status.as_bytes().to_vec();
        let headers = own.iter().map(|name| ((*name).to_owned(), b"1".to_vec()));
        world.trailers = headers.collect();
        let headers = world.trailers.clone();
        world.response.extend(headers);
        world
            .trailers
            .push(("grpc-status".to_owned(), b"0".to_vec()));
    }
    let mut stream = Stream::new(1);
    let worker = &mut proxy.workers[0];
    assert!(worker.on_request(&mut stream, true));
    assert!(worker.on_response(&mut stream));
    worker.on_response_trailers(&mut stream);
    worker.on_log(&mut stream);
    let world = proxy.host.0.borrow();
    let names =
        |headers: &[(String, Vec<u8>)]| headers.iter().map(|header| header.0.clone()).collect();
    (names(&world.response), names(&world.trailers))
}

#[test]
fn a_comparer_keeps_of_serins_headers_only_what_a_guard_may_have_set() {
    let own = [
        "x-serin-verdict",
        "x-serin-score",
        "x-serin-reject",
        "x-serin-report",
        "x-serin-x",
    ];
    let usual = [":status", "content-type"];
    let mut comparer = proxy(r#""tick": "1s""#);
    let (headers, trailers) = left_of(&mut comparer, "200", &own);
    assert_eq!(headers, usual);
    assert_eq!(trailers, ["grpc-status"]);
    let (headers, trailers) = left_of(&mut comparer, "503", &own);
    assert_eq!(headers, [usual[0], usual[1], "x-serin-reject"]);
    assert_eq!(trailers, ["grpc-status"]);
}
