//! `serin serve-verdict` as those who ask it see it, before a Prometheus that says what the test
//! wants. With a real one it is tested in `integration/tests/prometheus`.

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(180);

/// Answers each request with the same body, and keeps what it was asked.
pub(super) struct FakePrometheus {
    pub(super) address: SocketAddr,
    pub(super) asked: Arc<Mutex<Vec<String>>>,
}

impl FakePrometheus {
    pub(super) fn start(status: &'static str, body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    head.push_str(&line);
                }
                let mut form = vec![0; length];
                let _ = reader.read_exact(&mut form);
                kept.lock()
                    .unwrap()
                    .push(format!("{head}\n{}", String::from_utf8_lossy(&form)));
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, asked }
    }

    /// With a candidate v2 of this verdict.
    pub(super) fn of_verdict(verdict: u8) -> Self {
        let parts = [
            ("verdict", verdict.into()),
            ("fresh", verdict.into()),
            ("enough", 4.605),
            ("recent", 50.0),
        ];
        let samples: Vec<String> = parts
            .iter()
            .map(|(part, value): &(&str, f64)| {
                format!(r#"{{"metric":{{"asked":"{part}","version":"v2"}},"value":[0,"{value}"]}}"#)
            })
            .collect();
        Self::start(
            "200 OK",
            format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
                samples.join(",")
            ),
        )
    }
}

/// The command, running; it is killed when dropped.
pub(super) struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    pub(super) fn start(prometheus: SocketAddr, more: &[&str]) -> Self {
        Self::asking(&format!("http://{prometheus}"), more)
    }

    pub(super) fn asking(prometheus: &str, more: &[&str]) -> Self {
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("serin"))
            .args(["serve-verdict", "--listen", "127.0.0.1:0", "--prometheus"])
            .arg(prometheus)
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .strip_prefix("serving on http://")
            .and_then(|rest| rest.split(',').next())
            .unwrap_or_else(|| panic!("{line}"));
        Self {
            address: address.parse().unwrap(),
            child,
        }
    }

    /// Sends bytes as they are and reads until the end.
    pub(super) fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The server may refuse before all is written.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(super) fn get(&self, path: &str) -> (u16, Value) {
        parsed(&self.raw(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()))
    }

    pub(super) fn post(&self, path: &str, body: &str) -> (u16, Value) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        parsed(&self.raw(request.as_bytes()))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn status(answer: &str) -> u16 {
    let word = answer
        .split(' ')
        .nth(1)
        .unwrap_or_else(|| panic!("{answer}"));
    word.parse().unwrap()
}

pub(super) fn parsed(answer: &str) -> (u16, Value) {
    let (_, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{answer}"));
    (
        status(answer),
        serde_json::from_str(body).unwrap_or(Value::Null),
    )
}

#[test]
fn each_verdict_has_its_decision_and_its_statuses() {
    let body = r#"{"name": "shop", "namespace": "test", "phase": "Progressing",
        "metadata": {"destination": "shop", "candidate": "v2"}}"#;
    for (verdict, decision, rollback, gate, check) in [
        (0, "wait", 409, 409, 200),
        (1, "promote", 409, 200, 200),
        (3, "abort", 200, 409, 409),
    ] {
        let prometheus = FakePrometheus::of_verdict(verdict);
        let served = Served::start(prometheus.address, &[]);
        let (status, answer) = served.get("/verdict?destination=shop&candidate=v2");
        assert_eq!(
            (status, answer["decision"].as_str()),
            (200, Some(decision)),
            "{answer}"
        );
        for (path, expected) in [
            ("/flagger/rollback", rollback),
            // It has traffic already.
            ("/flagger/increase", gate),
            ("/flagger/gate", gate),
            ("/flagger/check", check),
        ] {
            assert_eq!(served.post(path, body).0, expected, "{path} of {verdict}");
        }
    }
}

#[test]
fn headers_go_to_prometheus_and_a_name_cannot_leave_its_quotes() {
    let prometheus = FakePrometheus::of_verdict(1);
    let served = Served::start(prometheus.address, &["--header", "X-Scope-OrgID: team"]);
    let (status, _) = served.get("/verdict?destination=a%22%7D%20or%20up%20%23");
    assert_eq!(status, 200);
    let asked = prometheus.asked.lock().unwrap().pop().unwrap();
    assert!(
        asked.to_lowercase().contains("x-scope-orgid: team"),
        "{asked}"
    );
    // The quote arrives escaped: backslash, quote.
    assert!(asked.contains("%5C%22%7D"), "{asked}");
}

#[test]
fn a_prometheus_that_is_gone_or_refuses_is_502_and_health_stays() {
    let refusing = FakePrometheus::start(
        "400 Bad Request",
        r#"{"status":"error","errorType":"bad_data","error":"no such function"}"#.to_owned(),
    );
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (address, expected) in [(refusing.address, "no such function"), (gone, "cannot ask")] {
        let served = Served::start(address, &["--timeout", "60s"]);
        let (status, answer) = served.get("/verdict?destination=shop");
        assert_eq!(status, 502);
        assert!(
            answer["error"].as_str().unwrap().contains(expected),
            "{answer}"
        );
        let payload = r#"{"metadata": {"destination": "shop"}}"#;
        assert_eq!(served.post("/flagger/rollback", payload).0, 502);
        assert_eq!(served.get("/healthz").0, 200);
    }
}

#[test]
fn what_is_too_large_too_slow_or_no_http_is_refused_and_the_next_is_served() {
    let prometheus = FakePrometheus::of_verdict(1);
    let served = Served::start(prometheus.address, &[]);
    let (status_of_large, _) = served.post("/flagger/rollback", &"x".repeat(65 << 10));
    assert_eq!(status_of_large, 413);
    let long = format!(
        "GET /healthz HTTP/1.1\r\nx: {}\r\n\r\n",
        "x".repeat(64 << 10)
    );
    assert_eq!(status(&served.raw(long.as_bytes())), 431);
    assert_eq!(served.post("/flagger/rollback", "{").0, 400);
    assert!(
        !served
            .raw(b"\x16\x03\x01\x02\x00nonsense\r\n\r\n")
            .contains("200 OK")
    );
    // A head that never ends, and a body that never comes: both are given up.
    assert!(
        !served
            .raw(b"GET /healthz HTTP/1.1\r\nx:")
            .contains("200 OK")
    );
    let waiting = b"POST /flagger/rollback HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
    assert_eq!(status(&served.raw(waiting)), 408);
    assert_eq!(served.get("/healthz").0, 200);
}

/// Hundreds of clients that hold their connections in four ways, and one that asks.
#[test]
fn clients_that_send_no_request_keep_nobody_out() {
    let prometheus = FakePrometheus::of_verdict(1);
    let served = Served::start(prometheus.address, &[]);
    let mut held: Vec<TcpStream> = Vec::new();
    let mut slowest = Duration::ZERO;
    for number in 0..800 {
        let mut stream = TcpStream::connect(served.address).unwrap();
        // Some say nothing, the others never come to an end.
        let sent: &[u8] = match number % 4 {
            0 => b"",
            1 => b"GET /v1/fleet?destination=shop HTTP/1.1\r\nx:",
            2 => b"POST /flagger/rollback HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n{",
            _ => b"G",
        };
        // Whoever had to make room may notice it here.
        let _ = stream.write_all(sent);
        held.push(stream);
        if number % 50 == 49 {
            // Those that are still there go on, a byte at a time.
            for stream in &mut held {
                let _ = stream.write_all(b"a");
            }
            for path in ["/v1/fleet?destination=shop&candidate=v2", "/healthz"] {
                let begun = Instant::now();
                assert_eq!(served.get(path).0, 200, "{path} beside {number}");
                slowest = slowest.max(begun.elapsed());
            }
        }
    }
    // Who waited for each of them to be given up would wait for five seconds, and again.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_well() {
    let prometheus = FakePrometheus::of_verdict(1);
    let mut served = Served::start(prometheus.address, &[]);
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &served.child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_address_that_cannot_be_used_is_said_at_once() {
    for (arguments, code, expected) in [
        (["--prometheus", "https://"], 1, "names no host"),
        (
            ["--prometheus", "prometheus:9090"],
            1,
            "has to begin with http://",
        ),
        (["--listen", "nowhere"], 2, "invalid"),
    ] {
        Command::new(assert_cmd::cargo::cargo_bin!("serin"))
            .arg("serve-verdict")
            .args(
                ["--prometheus", "http://127.0.0.1:1"]
                    .iter()
                    .filter(|_| arguments[0] == "--listen"),
            )
            .args(arguments)
            .timeout(PATIENCE)
            .assert()
            .code(code)
            .stderr(predicate::str::contains(expected));
    }
}
