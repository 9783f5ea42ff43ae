//! `serin doctor` as its users see it: one thing is wrong, and its repair is said.

use crate::support::proxy::{FakeEnvoy, closed, now, serve_prometheus};
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use scorer_sdk::telemetry;
use serde_json::Value;

fn doctor(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("serin").unwrap();
    command
        .env("http_proxy", "http://127.0.0.1:1")
        .arg("doctor")
        .args(arguments);
    command
}

/// State, text and repair of each check that is not well.
fn complaints(arguments: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let output = doctor(arguments).arg("--json").output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let complaints = checks
        .iter()
        .filter(|check| check["state"] != "ok")
        .map(|check| {
            let name = format!("{} {}", text(check, "state"), text(check, "check"));
            (name, text(check, "text"), text(check, "repair"))
        })
        .collect();
    (output.status.code().unwrap(), complaints)
}

#[test]
fn a_sound_installation_passes_every_check() {
    let url = FakeEnvoy::healthy().serve();
    doctor(&[&url, "--strict"]).assert().code(0).stdout(
        contains("Envoy 1.40.0, live")
            .and(contains("Serin is loaded, as comparer"))
            .and(contains("metrics have their labels"))
            .and(contains("last judged "))
            .and(contains("the proxy's clock is right"))
            .and(contains("1,000 exchanges"))
            .and(contains("more than one version of shop"))
            .and(contains("180 requests of v2 were compared"))
            .and(contains("no table was full"))
            .and(contains("warn").not())
            .and(contains("repair").not()),
    );
}

type Break = fn(&mut FakeEnvoy);

/// What is done to a sound proxy, the check that notices, a part of what it says, and of the repair.
const CASES: [(&str, Break, &str, &str, &str); 22] = [
    (
        "tags are missing",
        |envoy| envoy.tags.clear(),
        "fail labels",
        "role___comparer___serin_",
        "extraStatTags",
    ),
    (
        "one tag is missing",
        |envoy| envoy.tags.retain(|tag| *tag != "version"),
        "fail labels",
        "version___v2___serin",
        "add version to extraStatTags",
    ),
    (
        "a tag is missing that is not used yet",
        |envoy| envoy.tags.retain(|tag| *tag != "reason"),
        "warn labels",
        "does not extract reason",
        "started anew",
    ),
    (
        "the config is broken",
        |envoy| envoy.set(telemetry::CONFIG_BROKEN.name, &[], 1),
        "fail config",
        "refused",
        "serin check-config",
    ),
    (
        "nobody judges any more",
        |envoy| {
            envoy.set(
                telemetry::HEARTBEAT.name,
                &[("role", "comparer")],
                now() - 300,
            )
        },
        "fail heartbeat",
        // Five minutes, and what passes until it is asked.
        " for 5",
        "log",
    ),
    (
        "no worker has judged yet",
        |envoy| envoy.remove(telemetry::HEARTBEAT.name),
        "warn heartbeat",
        "no worker has judged yet",
        "ask again",
    ),
    (
        "the proxy's clock is wrong",
        |envoy| {
            envoy.ahead = 200;
            envoy.set(
                telemetry::HEARTBEAT.name,
                &[("role", "comparer")],
                now() + 200,
            );
        },
        "warn clock",
        "ahead of this machine's",
        "NTP",
    ),
    (
        "the heartbeat is in the future",
        |envoy| {
            envoy.set(
                telemetry::HEARTBEAT.name,
                &[("role", "comparer")],
                now() + 600,
            )
        },
        "warn clock",
        "in the future",
        "NTP",
    ),
    (
        "a hot restart adds two processes up",
        |envoy| {
            let role = [("role", "comparer")];
            envoy.set(telemetry::PROCESSES.name, &role, 2);
            envoy.set(telemetry::HEARTBEAT.name, &role, 2 * now());
        },
        "warn hot restart",
        "sums of two processes",
        "--skip-hot-restart-parent-stats",
    ),
    (
        "counts wait to be merged",
        |envoy| {
            envoy.set(
                telemetry::UNMERGED_TICKS.name,
                &[("role", "comparer")],
                1_234,
            )
        },
        "warn merging",
        "1,234 ticks",
        "runbook.md#serinnotmerging",
    ),
    (
        "no traffic",
        |envoy| envoy.remove(telemetry::EXCHANGES.name),
        "warn traffic",
        "no exchange",
        "send some requests",
    ),
    (
        "traffic of no known version",
        |envoy| {
            envoy.remove(telemetry::EXCHANGES.name);
            envoy.set(telemetry::UNATTRIBUTED.name, &[], 7_000);
        },
        "fail traffic",
        "7,000 requests",
        "versions.destinations",
    ),
    (
        "some traffic of no known version",
        |envoy| envoy.set(telemetry::UNATTRIBUTED.name, &[], 500),
        "warn traffic",
        "500 requests of no known version, beside 1,000",
        "DestinationRule",
    ),
    (
        "one version only",
        |envoy| {
            envoy.remove(telemetry::EXCHANGES.name);
            exchanges(envoy, "v1", 900);
        },
        "warn arms",
        "only v1 has had requests",
        "share of the traffic",
    ),
    (
        "both clusters are one version",
        |envoy| {
            envoy.remove(telemetry::EXCHANGES.name);
            exchanges(envoy, "v1", 900);
            envoy
                .own
                .push(("cluster.shop-v2.upstream_rq_total".to_owned(), 100));
        },
        "warn arms",
        "shop-v1 and shop-v2 both get requests, but Serin knows one version of shop: v1",
        "under its own version",
    ),
    (
        "nothing is compared",
        |envoy| {
            envoy.rollout(telemetry::JUDGED_EXCHANGES.name, 0);
            exchanges(envoy, "v1", 9_000);
            exchanges(envoy, "v2", 1_000);
        },
        "fail judging",
        "none was compared",
        "routes.templates",
    ),
    (
        "the candidate's name is misspelt",
        |envoy| {
            for gauge in [
                telemetry::VERDICT.name,
                telemetry::ROLLOUT_EVIDENCE.name,
                telemetry::ROLLOUT_THRESHOLD.name,
                telemetry::JUDGED_EXCHANGES.name,
            ] {
                envoy.remove(gauge);
            }
            exchanges(envoy, "v1", 9_000);
            exchanges(envoy, "v2", 1_000);
        },
        "warn judging",
        "shop: Serin takes no version for the candidate",
        "against the versions seen: v1, v2",
    ),
    (
        "the versions get other requests",
        |envoy| {
            envoy.rollout(telemetry::UNBALANCED.name, 1);
            let labels = [("destination", "shop"), ("signal", "request_headers")];
            envoy.set(telemetry::BALANCE.name, &labels, 9_000);
        },
        "warn balance",
        "request_headers",
        "header rule",
    ),
    (
        "the placebo finds a difference",
        |envoy| {
            envoy.rollout(telemetry::HELD_BY_PLACEBO.name, 1);
            let labels = [("destination", "shop"), ("category", "slow_p95")];
            envoy.set(telemetry::PLACEBO_ODDS_RATIO.name, &labels, 3_100);
        },
        "warn placebo",
        "slow_p95 by an odds ratio of 3.1, and Serin holds a verdict back",
        "slow pod",
    ),
    (
        "series are capped",
        |envoy| envoy.set(telemetry::OVERFLOW.name, &[("table", "series")], 12),
        "warn tables",
        "12 updates of metrics exceeded max_series",
        "max_series",
    ),
    (
        "stable fails",
        |envoy| envoy.rollout(telemetry::BASELINE_FAILING.name, 1),
        "warn baseline",
        "stable fails",
        "repair stable",
    ),
    (
        "all values of a histogram are in one bucket",
        |envoy| {
            envoy.more = "serin_surprise_bucket{route=\"GET /\",le=\"0.5\"} 0\n\
                serin_surprise_bucket{route=\"GET /\",le=\"1000\"} 499\n\
                serin_surprise_bucket{route=\"GET /\",le=\"+Inf\"} 500\n"
                .to_owned();
        },
        "warn histograms",
        "serin_surprise are in one bucket",
        "statsHistogramBuckets",
    ),
];

fn exchanges(envoy: &mut FakeEnvoy, version: &str, count: u64) {
    let labels = [
        ("destination", "shop"),
        ("route", "GET /api/items/{int}"),
        ("version", version),
    ];
    envoy.set(telemetry::EXCHANGES.name, &labels, count);
}

#[test]
fn each_fault_is_named_by_one_check_with_its_repair() {
    for (case, damage, check, text, repair) in CASES {
        let mut envoy = FakeEnvoy::healthy();
        damage(&mut envoy);
        let (code, complaints) = complaints(&[&envoy.serve()]);
        let found = complaints
            .iter()
            .find(|complaint| complaint.0 == check)
            .unwrap_or_else(|| panic!("{case}: {complaints:?}"));
        assert!(found.1.contains(text), "{case}: {found:?}");
        assert!(found.2.contains(repair), "{case}: {found:?}");
        let failed = complaints.iter().any(|found| found.0.starts_with("fail"));
        assert_eq!(code, i32::from(failed), "{case}");
        assert_eq!(complaints.len(), 1, "{case}: {complaints:?}");
    }
}

#[test]
fn a_guard_need_not_see_both_versions() {
    let mut guard = FakeEnvoy::healthy();
    guard.remove(telemetry::EXCHANGES.name);
    guard.remove(telemetry::HEARTBEAT.name);
    guard.set(telemetry::HEARTBEAT.name, &[("role", "guard")], now());
    exchanges(&mut guard, "v2", 900);
    doctor(&[&guard.serve(), "--strict"])
        .assert()
        .code(0)
        .stdout(contains("as guard").and(contains("arms").not()));
}

#[test]
fn a_rollout_that_is_over_and_one_that_has_hardly_begun_lack_no_candidate() {
    // What becomes of the gauges when the candidate is the new baseline; the counts stay.
    let mut over = FakeEnvoy::healthy();
    for gauge in [
        telemetry::VERDICT.name,
        telemetry::ROLLOUT_EVIDENCE.name,
        telemetry::ROLLOUT_THRESHOLD.name,
        telemetry::JUDGED_EXCHANGES.name,
    ] {
        over.rollout(gauge, 0);
    }
    exchanges(&mut over, "v1", 9_000);
    exchanges(&mut over, "v2", 9_000);
    let mut begun = FakeEnvoy::healthy();
    begun.remove(telemetry::ROLLOUT_THRESHOLD.name);
    exchanges(&mut begun, "v1", 9_000);
    exchanges(&mut begun, "v2", 10);
    for envoy in [over, begun] {
        doctor(&[&envoy.serve(), "--strict"]).assert().code(0);
    }
}

#[test]
fn a_warning_fails_only_where_it_is_asked_to() {
    let mut envoy = FakeEnvoy::healthy();
    envoy.rollout(telemetry::UNBALANCED.name, 1);
    let url = envoy.serve();
    doctor(&[&url]).assert().code(0).stdout(contains("warn"));
    doctor(&[&url, "--strict"]).assert().code(1);
}

#[test]
fn a_proxy_without_serin_says_why() {
    let mut none = FakeEnvoy::empty();
    none.own.clear();
    none.own.push(("wasm.wasm_vm_count".to_owned(), 0));
    let mut not_fetched = none.clone();
    not_fetched
        .own
        .push(("wasm.remote_load_fetch_failures".to_owned(), 4));
    for (envoy, text, repair) in [
        (none, "no wasm module runs", "selector"),
        (
            not_fetched,
            "could not fetch the module (4 times)",
            "sha256",
        ),
        (
            FakeEnvoy::empty(),
            "no metric of Serin",
            "proxyStatsMatcher",
        ),
    ] {
        let (code, complaints) = complaints(&[&envoy.serve()]);
        assert_eq!((code, complaints.len()), (1, 1), "{complaints:?}");
        let (check, found, help) = &complaints[0];
        assert_eq!(check, "fail filter");
        assert!(
            found.contains(text) && help.contains(repair),
            "{complaints:?}"
        );
    }
}

#[test]
fn a_page_of_metrics_is_checked_as_far_as_it_goes() {
    let url = FakeEnvoy::healthy().serve_page();
    doctor(&[&url])
        .assert()
        .code(0)
        .stdout(contains("a page of metrics"));
    let mut merged = FakeEnvoy::healthy();
    merged.tags.clear();
    let url = format!("{}/stats/prometheus", merged.serve_page());
    let (code, complaints) = complaints(&[&url]);
    assert_eq!(code, 1);
    assert_eq!(complaints[0].0, "fail labels");
    assert!(
        complaints[0]
            .2
            .contains("destination,odds_ratio,role,route,version to extraStatTags"),
        "{complaints:?}"
    );
}

#[test]
fn a_prometheus_that_hides_labels_or_scrapes_twice_is_told() {
    let of = |target: &[(&str, &str)]| FakeEnvoy::healthy().series(target);
    let sound = serve_prometheus(of(&[("instance", "10.0.0.1:15020"), ("pod", "a")]));
    doctor(&[&sound, "--strict"])
        .assert()
        .code(0)
        .stdout(contains("Prometheus scrapes each proxy once"));
    let hidden = serve_prometheus(of(&[
        ("instance", "10.0.0.1:15020"),
        ("version", "gateway"),
    ]));
    let mut both = of(&[("instance", "10.0.0.1:15020"), ("pod", "a")]);
    both.extend(of(&[("instance", "10.0.0.1:15090"), ("pod", "a")]));
    let twice = serve_prometheus(both);
    let mut merged = FakeEnvoy::healthy();
    merged.tags.clear();
    let merged = serve_prometheus(merged.series(&[("instance", "10.0.0.1:15020")]));
    for (url, check, text, repair) in [
        (
            hidden,
            "fail scrape",
            "hide Serin's version",
            "honor_labels",
        ),
        (twice, "fail scrape", "two ports: a", "keep one of the jobs"),
        (
            merged,
            "fail labels",
            "role___comparer___serin_",
            "extraStatTags",
        ),
    ] {
        let (code, complaints) = complaints(&["--prometheus", &url]);
        assert_eq!((code, complaints.len()), (1, 1), "{complaints:?}");
        let found = &complaints[0];
        assert_eq!(found.0, check);
        assert!(
            found.1.contains(text) && found.2.contains(repair),
            "{found:?}"
        );
    }
}

#[test]
fn what_cannot_be_reached_is_an_error() {
    doctor(&[&closed()])
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("cannot look at").and(contains("panicked").not()));
    doctor(&["127.0.0.1:9901"])
        .assert()
        .code(1)
        .stderr(contains("has to begin with http://"));
    doctor(&[]).assert().code(2);
}
