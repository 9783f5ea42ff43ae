//! Behaviour beyond status and latency: bodies as they pass, and the calls behind a request.

use super::*;

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
fn exchange_with_body(proxy: &mut Proxy, version: &'static str, body: &str) {
    exchange_with(
        proxy,
        version,
        "application/json; charset=utf-8",
        body.as_bytes(),
    );
}

/// One exchange whose answer has a body that comes in two chunks.
fn exchange_with(proxy: &mut Proxy, version: &'static str, content_type: &str, body: &[u8]) {
    proxy.request(&[]);
    proxy.respond(Answer {
        version,
        status: "200",
    });
    let set = |name: &str, value: &str| {
        let mut world = proxy.host.0.borrow_mut();
        world.response.retain(|header| header.0 != name);
        let header = (name.to_owned(), value.as_bytes().to_vec());
        world.response.push(header);
    };
    set("content-type", content_type);
    let mut stream = Stream::new(1);
    let worker = &mut proxy.workers[0];
    assert!(worker.on_request(&mut stream, true));
    assert!(worker.on_response(&mut stream));
    let (first, second) = body.split_at(body.len() / 2);
    for chunk in [first, second, b""] {
        proxy.host.0.borrow_mut().body = chunk.to_vec();
        worker.on_response_body(&mut stream, chunk.len());
    }
    worker.on_log(&mut stream);
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

fn bodies(proxy: &mut Proxy, candidate: &str) {
    for _ in 0..60 {
        for number in 0..25 {
            if number % 5 == 0 {
                exchange_with_body(proxy, "v2", candidate);
            } else {
                exchange_with_body(proxy, "v1", r#"{"items":[{"id":1,"price":2}]}"#);
            }
        }
        proxy.tick();
    }
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
        for number in 0..1_500 {
            if number % 5 == 0 {
                exchange_with(&mut proxy, "v2", "application/grpc", candidate);
            } else {
                exchange_with(&mut proxy, "v1", "application/grpc", &MESSAGE.repeat(4));
            }
            if number % 25 == 24 {
                proxy.tick();
            }
        }
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
        let inbound = Worker::new(host.clone(), config("auto"), "in", 1);
        host.pass(Duration::from_nanos(1));
        let outbound = Worker::new(host.clone(), config("comparer"), "out", 2);
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
