//! Servers behind HTTPS, headers and tokens: everywhere that a command takes a URL.

use super::serve_verdict::{FakePrometheus, Served};
use crate::support::proxy::{FakeEnvoy, serve_prometheus};
use crate::support::tls::Tls;
use assert_cmd::Command;
use predicates::prelude::*;
use std::io::{Read, Write};
use std::net::TcpListener;

fn serin(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("serin"));
    command.args(args);
    command
}

#[test]
fn a_proxy_and_a_prometheus_behind_https_are_looked_at_as_others_are() {
    let envoy = Tls::before(&FakeEnvoy::healthy().serve());
    let prometheus = Tls::before(&serve_prometheus(
        FakeEnvoy::healthy().series(&[("pod", "a"), ("instance", "10.0.0.1:15020")]),
    ));
    let page = envoy.file("page.html");
    let metrics = format!("{}/stats/prometheus", envoy.url);
    for (server, args) in [
        (&envoy, vec!["status", "--once", &envoy.url]),
        (&prometheus, vec!["status", "--once", &prometheus.url]),
        (
            &prometheus,
            vec!["status", "--once", "--prometheus", &prometheus.url],
        ),
        (&envoy, vec!["doctor", &envoy.url]),
        (&envoy, vec!["doctor", &metrics]),
        (&prometheus, vec!["doctor", "--prometheus", &prometheus.url]),
        (
            &envoy,
            vec!["report", "--for", "1s", "-o", &page, "--scrape", &envoy.url],
        ),
    ] {
        serin(&args)
            .args(["--ca-cert", &server.file("ca.pem")])
            .assert()
            .success();
    }
}

#[test]
fn a_server_that_no_known_authority_vouches_for_is_not_asked_and_the_option_is_named() {
    let envoy = Tls::before(&FakeEnvoy::healthy().serve());
    let other = Tls::before(&FakeEnvoy::healthy().serve());
    envoy.write("token", "secret");
    let token = envoy.file("token");
    for more in [vec![], vec!["--ca-cert".to_owned(), other.file("ca.pem")]] {
        serin(&["status", "--once", &envoy.url, "--token-file", &token])
            .args(more)
            .assert()
            .code(1)
            .stderr(predicate::str::contains("--ca-cert"));
    }
    assert_eq!(envoy.asked().len(), 0);
}

#[test]
fn a_server_without_tls_is_said_to_have_none() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
        }
    });
    serin(&["status", "--once", &url])
        .assert()
        .code(1)
        .stderr(predicate::str::contains(
            "should the address begin with http://",
        ));
}

#[test]
fn headers_and_a_token_are_sent_with_every_request_and_a_new_token_is_noticed() {
    let fake = FakePrometheus::of_verdict(1);
    let prometheus = Tls::before(&format!("http://{}", fake.address));
    prometheus.write("token", "first\n");
    let served = Served::asking(
        &prometheus.url,
        &[
            "--header",
            "X-Scope-OrgID: shop",
            "--token-file",
            &prometheus.file("token"),
            "--ca-cert",
            &prometheus.file("ca.pem"),
        ],
    );
    served.get("/verdict?destination=shop");
    prometheus.write("token", "second");
    let (status, answer) = served.get("/verdict?destination=shop");
    assert_eq!(status, 200, "{answer}");
    let asked: Vec<_> = prometheus
        .asked()
        .iter()
        .map(|request| request.to_lowercase())
        .collect();
    assert!(
        asked
            .iter()
            .all(|request| request.contains("x-scope-orgid: shop\r\n"))
    );
    let tokens = |token| {
        let line = format!("authorization: bearer {token}\r\n");
        asked
            .iter()
            .filter(|request| request.contains(&line))
            .count()
    };
    assert!(tokens("first") > 0 && tokens("second") > 0, "{asked:?}");
    assert_eq!(tokens("first") + tokens("second"), asked.len());
}

#[test]
fn a_page_does_not_show_what_is_secret() {
    let envoy = Tls::before(&FakeEnvoy::healthy().serve());
    envoy.write("token", "hush-token");
    let page = envoy.file("page.html");
    serin(&["report", "--for", "1s", "-o", &page, "--scrape", &envoy.url])
        .args(["--header", "X-Key: hush-key"])
        .args(["--token-file", &envoy.file("token")])
        .args(["--ca-cert", &envoy.file("ca.pem")])
        .assert()
        .success();
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains("--token-file"));
    assert!(!page.contains("hush"));
    assert!(
        envoy
            .asked()
            .iter()
            .all(|request| request.contains("hush-token"))
    );
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let envoy = Tls::before(&FakeEnvoy::healthy().serve());
    envoy.write("empty", "\n");
    envoy.write("two", "a b");
    envoy.write("long", &"a".repeat(20_000));
    for (option, file, said) in [
        ("--ca-cert", "none", "cannot open"),
        ("--ca-cert", "empty", "has no certificate"),
        ("--token-file", "none", "cannot open"),
        ("--token-file", "empty", "one token"),
        ("--token-file", "two", "one token"),
        ("--token-file", "long", "more than 16384 bytes"),
    ] {
        serin(&["status", "--once", &envoy.url, option, &envoy.file(file)])
            .assert()
            .code(1)
            .stderr(predicate::str::contains(said));
    }
    assert_eq!(envoy.asked().len(), 0);
}

#[test]
fn a_report_of_files_takes_no_options_about_a_server() {
    serin(&["report", "--header", "A: b", "shop.jsonl"])
        .assert()
        .code(2)
        .stderr(predicate::str::contains("cannot be used with"));
}
