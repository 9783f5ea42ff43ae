//! Texts from outside may hold anything: no command hands on what a terminal or a browser obeys.

use crate::support::proxy::{FakeEnvoy, now};
use assert_cmd::Command;
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use tempfile::TempDir;

/// Turns the direction of writing, clears the screen in two ways, and breaks the line.
const ODD: &str = "sh\u{202e}op\u{1b}[2J\u{9b}2J\u{2028}\r";

fn serin(folder: &TempDir, arguments: &[&str]) -> Vec<u8> {
    let output = Command::cargo_bin("serin")
        .unwrap()
        .current_dir(folder.path())
        .args(arguments)
        .output()
        .unwrap();
    let printed = [output.stdout, output.stderr].concat();
    assert!(!printed.is_empty(), "{arguments:?} printed nothing");
    printed
}

/// Fails where a terminal would obey what is printed.
fn is_harmless(printed: &[u8], what: &str) {
    let text = core::str::from_utf8(printed).unwrap();
    for sign in text.chars().filter(|sign| !matches!(sign, '\n' | '\t')) {
        let turns = matches!(sign, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!sign.is_control() && !turns, "{what}: {sign:?} in {text}");
    }
}

fn recording() -> String {
    let mut text = String::new();
    for number in 0..400_u32 {
        let version = if number > 120 && number % 3 == 0 {
            "v2"
        } else {
            "v1"
        };
        let line = json!({
            "start": 1.77e9 + f64::from(number) / 20.0, "destination": ODD, "method": "GET",
            "path": format!("/{ODD}"), "version": format!("{version}{ODD}"), "duration_ms": 5.0,
            "status": if version == "v2" { 500 } else { 200 }, "content_type": ODD, "headers": [ODD],
        });
        writeln!(text, "{line}").unwrap();
    }
    text
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("odd.jsonl", &recording());
    write("broken.jsonl", &format!("{{\"{ODD}\n"));
    write("config.json", &json!({"baseline": ODD}).to_string());
    write("wrong.json", &json!({ODD: 1}).to_string());
    write(
        "plugin.json",
        &json!({"kind": "WasmPlugin", "metadata": {"name": ODD}, "spec": {"url": ODD}}).to_string(),
    );
    folder
}

#[test]
fn no_command_hands_on_what_a_terminal_obeys() {
    let folder = folder();
    let version = format!("v1{ODD}");
    let snapshot = serin(&folder, &["snapshot", "--version", &version, "odd.jsonl"]);
    std::fs::write(folder.path().join("snapshot.json"), snapshot).unwrap();
    let mut envoy = FakeEnvoy::healthy();
    let of = [("destination", ODD), ("version", ODD)];
    envoy.set(telemetry::VERDICT.name, &of, 3);
    envoy.set(telemetry::ROLLOUT_EVIDENCE.name, &of, 9_000);
    envoy.set(telemetry::ROLLOUT_THRESHOLD.name, &of, 4_605);
    envoy.set(telemetry::HEARTBEAT.name, &[("role", "comparer")], now());
    let labels = [of[0], of[1], ("route", ODD), ("category", "error")];
    envoy.set(telemetry::CATEGORY.name, &labels, 9);
    let url = envoy.serve();
    for arguments in [
        &["replay", "odd.jsonl"][..],
        &["replay", "--json", "odd.jsonl"],
        &["replay", "--every", "odd.jsonl"],
        &["replay", "--surprise", "odd.jsonl"],
        &["replay", "--surprise", "--json", "odd.jsonl"],
        &["replay", "broken.jsonl"],
        &["snapshot", "--version", &version, "odd.jsonl"],
        &["snapshot", "odd.jsonl"],
        &["explain", "snapshot.json"],
        &["explain", "--json", "snapshot.json"],
        &["check-config", "config.json"],
        &["check-config", "--json", "config.json"],
        &["check-config", "wrong.json"],
        &["check-config", "plugin.json"],
        &["check-config", "--json", "plugin.json"],
        &["report", "odd.jsonl"],
        &["report", "--scrape", &url, "--for", "1s"],
        &["status", "--once", &url],
        &["status", "--once", "--json", &url],
        &["doctor", &url],
        &["doctor", "--json", &url],
    ] {
        is_harmless(&serin(&folder, arguments), &arguments.join(" "));
    }
    // As JSON it is still the same text.
    let json = serin(&folder, &["replay", "--json", "odd.jsonl"]);
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["decisions"][0]["destination"], ODD);
}

/// Serves a page in which a label is not UTF-8.
fn serve_latin() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut page = FakeEnvoy::healthy().page().into_bytes();
    page.extend(b"other_metric{name=\"caf\xe9\"} 1\n");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap_or(0);
            let is_page = request[..length].starts_with(b"GET /stats/prometheus ");
            let body: &[u8] = if is_page { &page } else { b"" };
            let status = if is_page { "200 OK" } else { "404 Not Found" };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    format!("http://{address}/stats/prometheus")
}

#[test]
fn a_page_that_is_not_utf_8_is_read_and_said_to_be_so() {
    let folder = TempDir::new().unwrap();
    let url = serve_latin();
    for arguments in [
        &["status", "--once", &url][..],
        &["doctor", &url],
        &["report", "--scrape", &url, "--for", "1s"],
    ] {
        let printed = String::from_utf8(serin(&folder, arguments)).unwrap();
        // And goes on.
        assert!(!printed.contains("error:"), "{arguments:?}: {printed}");
        assert!(
            printed.contains("is not all UTF-8"),
            "{arguments:?}: {printed}"
        );
    }
}
