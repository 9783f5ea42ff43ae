//! `serin status` as its users see it: proxies in, a table and an exit code out.

use crate::support::proxy::{self, FakeEnvoy, closed, ok, serve, serve_prometheus};
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use scorer_sdk::telemetry;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

fn status(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("serin").unwrap();
    command
        .env("http_proxy", "http://127.0.0.1:1")
        .arg("status")
        .args(arguments);
    command
}

fn json(arguments: &[&str], code: i32) -> Value {
    let output = status(arguments).arg("--json").assert().code(code);
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn a_good_canary_is_shown_with_its_share_and_what_is_still_needed() {
    let url = FakeEnvoy::healthy().serve();
    status(&[&url]).assert().code(0).stdout(
        contains("1 proxy at ")
            .and(contains("v1 → v2"))
            .and(contains("healthy"))
            .and(contains("none, needs 1 in 100"))
            .and(contains("900 / 100"))
            .and(contains("10%"))
            .and(contains("1,234 for 5 times"))
            .and(contains("together").not()),
    );
}

#[test]
fn a_bad_canary_is_shown_with_route_category_and_counts_and_has_an_exit_code_of_its_own() {
    let url = FakeEnvoy::bad().serve();
    status(&["--once", &url]).assert().code(10).stdout(
        contains("shop: v2 is anomalous")
            .and(contains(
                "GET /api/items/{int}  error  by itself 1 in 3,294",
            ))
            .and(contains("14 of v2's and 2 other requests fail"))
            .and(contains("410 steered to stable"))
            .and(contains("\u{1b}").not()),
    );
}

#[test]
fn what_limits_a_verdict_is_said_beside_it() {
    let mut envoy = FakeEnvoy::healthy();
    envoy.rollout(telemetry::VERDICT.name, 2);
    envoy.rollout(telemetry::HELD_BY_PLACEBO.name, 1);
    envoy.rollout(telemetry::UNBALANCED.name, 1);
    let of_shop = |label| [("destination", "shop"), label];
    envoy.set(
        telemetry::PLACEBO_ODDS_RATIO.name,
        &of_shop(("category", "slow_p95")),
        2_400,
    );
    envoy.set(
        telemetry::BALANCE.name,
        &of_shop(("signal", "routes")),
        7_000,
    );
    envoy.set(
        telemetry::HEARTBEAT.name,
        &[("role", "comparer")],
        proxy::now() - 90,
    );
    envoy.set(telemetry::OVERFLOW.name, &[("table", "routes")], 5);
    status(&[&envoy.serve()]).assert().code(0).stdout(
        contains("suspect")
            .and(contains("held back"))
            .and(contains("halves differ in slow_p95, odds ratio 2.4"))
            .and(contains("differ in routes, by chance at most 1 in 1096"))
            .and(contains("no worker has judged for "))
            .and(contains("tables were full: routes")),
    );
}

/// A proxy whose own evidence is not enough.
fn part(nats: u64) -> FakeEnvoy {
    let mut envoy = FakeEnvoy::healthy();
    envoy.evidence("GET /api/items/{int}", "error", nats * 1_000);
    envoy
}

#[test]
fn what_no_proxy_can_say_alone_three_of_them_say_together() {
    let urls = [2, 2, 5].map(|nats| part(nats).serve());
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    // 9 nats on one pair of 64 are 1 in 126, and 1 in 100 is enough.
    status(&urls).assert().code(10).stdout(
        contains("3 proxies")
            .and(contains("anomalous, together"))
            .and(contains("1 in 126")),
    );
    // Two of them have 7 nats on that pair, which are 1 in 17.
    status(&urls[1..])
        .assert()
        .code(0)
        .stdout(contains("1 in 17").and(contains("healthy (2 of 2)")));
    let all = json(&urls, 10);
    let rollout = &all["rollouts"][0];
    assert_eq!(rollout["anomalous_together"], true);
    assert_eq!(rollout["pairs"][0]["evidence"], 9.0);
    assert_eq!(rollout["by_proxy"].as_array().unwrap().len(), 3);
    assert_eq!(rollout["exchanges"]["v2"], 300);
    assert_eq!(rollout["judged_exchanges"], 540);
}

#[test]
fn a_prometheus_is_found_out_and_a_pod_behind_two_ports_counts_once() {
    let pod = |pod: &'static str, instance: &'static str| {
        part(4).series(&[
            ("pod", pod),
            ("namespace", "istio-system"),
            ("instance", instance),
            ("version", "gateway-1"),
        ])
    };
    let mut series = pod("a", "10.0.0.1:15020");
    series.extend(pod("a", "10.0.0.1:15090"));
    series.extend(pod("b", "10.0.0.2:15020"));
    let url = serve_prometheus(series);
    for arguments in [&[&*url][..], &["--prometheus", &url]] {
        let all = json(arguments, 0);
        assert_eq!(all["proxies"].as_array().unwrap().len(), 2, "{all}");
        assert_eq!(all["rollouts"][0]["candidate"], "v2");
        assert_eq!(all["rollouts"][0]["pairs"][0]["evidence"], 8.0);
        assert_eq!(all["rollouts"][0]["exchanges"]["v2"], 200);
    }
}

#[test]
fn a_page_of_metrics_says_the_same_as_the_admin_address() {
    let url = FakeEnvoy::bad().serve_page();
    let page = json(&[&url], 10);
    let whole = json(&[&format!("{url}/stats/prometheus")], 10);
    let admin = json(&[&FakeEnvoy::bad().serve()], 10);
    assert_eq!(page["rollouts"][0]["pairs"], admin["rollouts"][0]["pairs"]);
    assert_eq!(whole["rollouts"], page["rollouts"]);
}

#[test]
fn a_proxy_that_is_gone_does_not_hide_the_others() {
    let (good, bad, gone) = (
        FakeEnvoy::healthy().serve(),
        FakeEnvoy::bad().serve(),
        closed(),
    );
    status(&[&gone, &good]).assert().code(1).stdout(
        contains("1 proxy")
            .and(contains("cannot look at"))
            .and(contains("healthy")),
    );
    status(&[&gone, &bad]).assert().code(10);
    status(&[&gone])
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("cannot look at").and(contains("forwarded")));
}

#[test]
fn what_is_no_proxy_is_told() {
    let web = serve(|_, _| ok("<!doctype html><title>Shop</title>"));
    for (url, words) in [
        (&*web, "is neither Envoy nor Prometheus"),
        ("127.0.0.1:9901", "has to begin with http://"),
        ("ftp://prometheus.example", "or https://"),
    ] {
        status(&[url])
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains(words).and(contains("panicked").not()));
    }
}

#[test]
fn a_proxy_without_serin_or_without_a_candidate_says_so() {
    status(&[&FakeEnvoy::empty().serve()])
        .assert()
        .code(0)
        .stdout(
            contains("shows no metric of Serin").and(contains("no traffic yet to any destination")),
        );
    let mut idle = FakeEnvoy::healthy();
    for metric in [
        telemetry::VERDICT.name,
        telemetry::ROLLOUT_EVIDENCE.name,
        telemetry::ROLLOUT_THRESHOLD.name,
    ] {
        idle.remove(metric);
    }
    status(&[&idle.serve()]).assert().code(0).stdout(contains(
        "shop: no candidate; requests: 900 of v1, 100 of v2",
    ));
}

#[test]
fn a_replaced_candidate_is_not_shown() {
    let mut envoy = FakeEnvoy::bad();
    envoy.set(
        telemetry::ROLLOUT_THRESHOLD.name,
        &[("destination", "cart"), ("version", "v0")],
        0,
    );
    let all = json(&[&envoy.serve()], 10);
    assert_eq!(all["rollouts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_route_cannot_command_the_terminal() {
    let page = "serin_rollout_threshold{destination=\"shop\",version=\"v2\"} 4605\n\
        serin_evidence_for{destination=\"shop\",route=\"GET /\u{1b}[2J\",version=\"v2\",category=\"error\"} 900\n\
        serin_evidence_against{destination=\"shop\",route=\"GET /\u{1b}[2J\",version=\"v2\",category=\"error\"} 0\n";
    let url = serve(move |_, line| {
        if line.contains("prometheus") {
            FakeEnvoy::empty().ok(page)
        } else {
            proxy::status("404 Not Found")
        }
    });
    status(&[&url])
        .assert()
        .code(0)
        .stdout(contains("GET /\u{fffd}[2J").and(contains("\u{1b}").not()));
}

#[test]
fn watched_proxies_are_shown_again_and_the_share_is_that_of_the_last_seconds() {
    // Half of the traffic goes to v2 from the second look on.
    let url = serve(|looks, line| {
        let mut envoy = FakeEnvoy::healthy();
        for (version, count) in [("v1", 900), ("v2", 100)] {
            let labels = [
                ("destination", "shop"),
                ("route", "GET /api/items/{int}"),
                ("version", version),
            ];
            envoy.set(
                telemetry::EXCHANGES.name,
                &labels,
                count + 50 * u64::from(looks),
            );
        }
        envoy.admin(line)
    });
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("serin"))
        .args(["status", "--watch", "1", &url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let rows: Vec<String> = lines
        .map_while(Result::ok)
        .filter(|line| line.contains("v1 → v2"))
        .take(2)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(rows[0].contains("10%"), "{rows:?}");
    assert!(rows[1].contains("50%"), "{rows:?}");
}

#[test]
fn wrong_use_is_told() {
    for arguments in [
        &[][..],
        &["http://127.0.0.1:1", "--watch", "0"],
        &["http://127.0.0.1:1", "--watch", "soon"],
        &["http://127.0.0.1:1", "--watch", "2", "--once"],
    ] {
        status(arguments).assert().code(2).stdout("");
    }
}
