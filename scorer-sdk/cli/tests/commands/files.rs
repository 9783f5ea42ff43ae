//! The command as its users see it: arguments and files in, text, JSON and exit codes out.

use crate::support::rollout::Rollout;
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CONFIG: &str = r#"{
  "warm_up": "5s",
  "versions": {"destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}}
}"#;

fn serin() -> Command {
    let mut command = Command::cargo_bin("serin").unwrap();
    command.env_remove("CLICOLOR_FORCE");
    command
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(TempDir::new().unwrap());
        folder.write("serin.json", CONFIG);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// `serin replay --config serin.json` and more.
    fn replay(&self, arguments: &[&str]) -> Command {
        let mut command = serin();
        command
            .current_dir(self.0.path())
            .args(["replay", "--config", "serin.json"]);
        command.args(arguments);
        command
    }
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(name)
}

fn json(command: &mut Command, code: i32) -> Value {
    let output = command.assert().code(code).get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

fn bad_canary() -> Rollout {
    Rollout {
        error_rate: 0.15,
        ..Rollout::default()
    }
}

#[test]
fn a_good_canary_is_healthy_and_exits_with_0() {
    let folder = Folder::new();
    folder.write("good.jsonl", Rollout::default().lines());
    folder
        .replay(&["good.jsonl"])
        .assert()
        .code(0)
        .stdout(contains("shop: v2 is healthy beside v1"))
        .stdout(contains("read 4,800 of 4,800 lines"))
        .stdout(contains("\u{1b}").not())
        .stderr("");
}

#[test]
fn of_too_few_requests_it_is_not_said_that_only_one_version_was_seen() {
    let folder = Folder::new();
    let few = Rollout {
        seconds: 2,
        ..Rollout::default()
    };
    let versions = few.records().iter().any(|record| record.version == "v2");
    assert!(versions, "both versions are in it");
    folder.write("few.jsonl", few.lines());
    folder
        .replay(&["few.jsonl"])
        .assert()
        .code(0)
        .stdout(contains(
            "too few requests to say which version was there first",
        ))
        .stdout(contains("only one version").not());
}

#[test]
fn a_bad_canary_is_anomalous_and_exits_with_10() {
    let folder = Folder::new();
    folder.write("bad.jsonl", bad_canary().lines());
    folder
        .replay(&["bad.jsonl"])
        .assert()
        .code(10)
        .stdout(contains("shop: v2 is anomalous beside v1, after"))
        .stdout(contains("error: shop "))
        .stdout(contains("odds ratio"));
}

#[test]
fn the_json_names_verdict_reasons_and_counts() {
    let folder = Folder::new();
    folder.write("bad.jsonl", bad_canary().lines());
    let report = json(&mut folder.replay(&["--json", "bad.jsonl"]), 10);
    assert_eq!(report["lines"], 4_800);
    assert_eq!(report["read"], 4_800);
    assert_eq!(report["refused"], 0);
    assert_eq!(report["late"], 0);
    assert_eq!(report["first_refusals"], Value::Array(Vec::new()));
    let decision = &report["decisions"][0];
    for (name, value) in [
        ("verdict", "anomalous"),
        ("destination", "shop"),
        ("baseline", "v1"),
        ("candidate", "v2"),
    ] {
        assert_eq!(decision[name], value, "{name}");
    }
    assert!(decision["evidence"].as_f64().unwrap() >= decision["threshold"].as_f64().unwrap());
    let count = |name: &str| decision[name].as_u64().unwrap();
    assert!(count("exchanges_at_verdict") < count("candidate_exchanges"));
    assert!(count("judged_exchanges") <= count("candidate_exchanges"));
    let seconds = decision["seconds"].as_f64().unwrap();
    assert!((5.0..90.0).contains(&seconds), "{seconds}");
    let reason = &decision["reasons"][0];
    assert_eq!(reason["category"], "error");
    assert!(reason["odds_ratio_lower"].as_f64().unwrap() > 1.0);
    assert!(reason["candidate"]["inside"].as_u64().unwrap() > 0);
    assert!(
        decision["explanation"]
            .as_str()
            .unwrap()
            .contains("of v2's requests")
    );
    assert!(decision["differences"].is_array());
}

#[test]
fn a_replay_of_the_same_recording_says_the_same() {
    let folder = Folder::new();
    folder.write("bad.jsonl", bad_canary().lines());
    let run = || json(&mut folder.replay(&["--json", "bad.jsonl"]), 10);
    assert_eq!(run(), run());
}

#[test]
fn every_prints_the_evidence_of_each_tick_and_the_report_last() {
    let folder = Folder::new();
    folder.write("bad.jsonl", bad_canary().lines());
    let output = folder
        .replay(&["--every", "bad.jsonl"])
        .assert()
        .code(10)
        .get_output()
        .stdout
        .clone();
    let lines: Vec<Value> = String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (report, ticks) = lines.split_last().unwrap();
    assert!((85..=95).contains(&ticks.len()), "{}", ticks.len());
    assert!(ticks.windows(2).all(|pair| {
        (pair[1]["time"].as_f64().unwrap() - pair[0]["time"].as_f64().unwrap() - 1.0).abs() < 1e-6
    }));
    assert_eq!(ticks[0]["verdict"], "learning");
    assert_eq!(
        ticks.last().unwrap()["evidence"],
        report["decisions"][0]["evidence"]
    );
}

#[test]
fn envoys_log_gives_the_same_verdict_as_our_own_lines() {
    let folder = Folder::new();
    folder.write("bad.jsonl", bad_canary().lines());
    folder.write("bad.log", bad_canary().envoy_lines());
    let own = json(&mut folder.replay(&["--json", "bad.jsonl"]), 10);
    let envoys = json(&mut folder.replay(&["--json", "bad.log"]), 10);
    for name in ["candidate_exchanges", "exchanges_at_verdict", "seconds"] {
        assert_eq!(
            own["decisions"][0][name], envoys["decisions"][0][name],
            "{name}"
        );
    }
    assert_eq!(envoys["decisions"][0]["reasons"][0]["category"], "error");
}

#[test]
fn envoys_log_without_clusters_in_the_config_says_what_to_do() {
    let folder = Folder::new();
    folder.write("bad.log", bad_canary().envoy_lines());
    folder.write("serin.json", "{}");
    folder
        .replay(&["bad.log"])
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("cluster `shop-v1` does not say its version"))
        .stderr(contains("versions.destinations"));
}

/// The same log with each line changed.
fn changed(log: &str, change: impl Fn(&mut Value)) -> String {
    let mut text = String::new();
    for line in log.lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        change(&mut line);
        text.push_str(&format!("{line}\n"));
    }
    text
}

#[test]
fn a_log_says_the_same_with_the_names_of_istios_statistics_and_with_a_clock_in_numbers() {
    let folder = Folder::new();
    let log = bad_canary().envoy_lines();
    folder.write("plain.log", &log);
    let numbers = |factor: f64| {
        changed(&log, |line| {
            let start: jiff::Timestamp = line["start_time"].as_str().unwrap().parse().unwrap();
            line["start_time"] = (start.as_microsecond() as f64 / 1e6 * factor).into();
        })
    };
    folder.write("seconds.log", numbers(1.0));
    folder.write("milliseconds.log", numbers(1e3));
    folder.write(
        "istio.log",
        changed(&log, |line| {
            line["upstream_cluster"] =
                format!("{};", line["upstream_cluster"].as_str().unwrap()).into();
        }),
    );
    let found = |name: &str| json(&mut folder.replay(&["--json", name]), 10)["decisions"].clone();
    let plain = found("plain.log");
    for name in ["seconds.log", "milliseconds.log", "istio.log"] {
        assert_eq!(found(name), plain, "{name}");
    }
}

#[test]
fn failures_of_grpc_are_seen_without_content_types_and_missed_aloud_without_statuses() {
    let folder = Folder::new();
    let log = changed(&bad_canary().envoy_lines(), |line| {
        let failed = line["response_code"] != 200;
        line["method"] = "POST".into();
        line["path"] = "/shop.Cart/Add".into();
        line["response_code"] = 200.into();
        line["content_type"] = Value::Null;
        line["grpc_status"] = if failed { "Unavailable" } else { "OK" }.into();
    });
    folder.write("grpc.log", &log);
    folder
        .replay(&["grpc.log"])
        .assert()
        .code(10)
        .stdout(contains("(grpc 14)"))
        .stdout(contains("have a grpc_status and no content_type"));
    folder.write(
        "blind.log",
        changed(&log, |line| line["grpc_status"] = Value::Null),
    );
    folder
        .replay(&["blind.log"])
        .assert()
        .code(0)
        .stdout(contains("look like gRPC and have no grpc_status"));
}

#[test]
fn what_a_replay_does_not_judge_it_says() {
    let folder = Folder::new();
    folder.write("bad.log", bad_canary().envoy_lines());
    let found = json(&mut folder.replay(&["--json", "bad.log"]), 10);
    assert_eq!(found["before_baseline"], 80);
    let wants_more = r#"{"warm_up": "5s", "baseline": "v1", "candidate": "v2", "body": {},
        "session": {"from": "connection"}, "signals": {"fan_out": true},
        "versions": {"destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}}}"#;
    folder.write("serin.json", wants_more);
    let found = json(&mut folder.replay(&["--json", "bad.log"]), 10);
    assert_eq!(found["before_baseline"], 0);
    let missing = found["not_recorded"].as_array().unwrap();
    for signal in ["header_names", "body_shape", "fan_out", "next_call"] {
        assert!(missing.contains(&signal.into()), "{signal}: {missing:?}");
    }
    assert!(!missing.contains(&"latency".into()));
    folder
        .replay(&["bad.log"])
        .assert()
        .stdout(contains("this recording has no data for it: "));
}

#[test]
fn a_hanging_canary_is_found_before_its_first_answer_is_due() {
    let folder = Folder::new();
    let hanging = Rollout {
        hang_rate: 0.5,
        ..Rollout::default()
    };
    folder.write("hangs.jsonl", hanging.lines());
    let report = json(&mut folder.replay(&["--json", "hangs.jsonl"]), 10);
    let seconds = report["decisions"][0]["seconds"].as_f64().unwrap();
    assert!(
        seconds < 19.0,
        "{seconds}: the hanging requests end after 20"
    );
    let category = report["decisions"][0]["reasons"][0]["category"]
        .as_str()
        .unwrap();
    assert!(
        category.starts_with("slow") || category == "error",
        "{category}"
    );
}

#[test]
fn an_anomalous_rollout_that_was_followed_by_another_is_still_reported() {
    let folder = Folder::new();
    let bad = bad_canary().lines();
    let next = Rollout {
        seed: 3,
        ..Rollout::default()
    }
    .lines()
    .replace(r#""version":"v2""#, r#""version":"v3""#)
    .replace(r#""start":17700000"#, r#""start":17700010"#);
    folder.write("both.jsonl", bad + &next);
    let report = json(&mut folder.replay(&["--json", "both.jsonl"]), 10);
    assert_eq!(report["decisions"][0]["candidate"], "v3");
    assert_eq!(report["decisions"][0]["verdict"], "healthy");
    assert_eq!(report["earlier"][0]["candidate"], "v2");
    assert_eq!(report["earlier"][0]["verdict"], "anomalous");
    folder
        .replay(&["both.jsonl"])
        .assert()
        .code(10)
        .stdout(contains("earlier rollouts\n\nshop: v2 is anomalous"));
}

#[test]
fn the_standard_input_and_several_files_are_read() {
    let folder = Folder::new();
    let lines = bad_canary().lines();
    let whole = folder
        .replay(&["--json", "-"])
        .write_stdin(lines.clone())
        .assert()
        .code(10);
    let whole: Value = serde_json::from_slice(&whole.get_output().stdout).unwrap();
    let part = |rest: usize| -> String {
        lines
            .lines()
            .enumerate()
            .filter(|(index, _)| index % 2 == rest)
            .map(|(_, line)| format!("{line}\n"))
            .collect()
    };
    folder.write("one.jsonl", part(0));
    folder.write("two.jsonl", part(1));
    let merged = json(
        &mut folder.replay(&["--json", "one.jsonl", "two.jsonl"]),
        10,
    );
    assert_eq!(merged["late"], 0);
    assert_eq!(merged["decisions"], whole["decisions"]);
}

#[test]
fn exchanges_out_of_order_by_less_than_a_minute_change_nothing() {
    let folder = Folder::new();
    let lines = bad_canary().lines();
    folder.write("sorted.jsonl", &lines);
    let mut shuffled: Vec<&str> = lines.lines().collect();
    for chunk in shuffled.chunks_mut(1_000) {
        chunk.reverse();
    }
    folder.write("shuffled.jsonl", shuffled.join("\n"));
    let sorted = json(&mut folder.replay(&["--json", "sorted.jsonl"]), 10);
    let shuffled = json(&mut folder.replay(&["--json", "shuffled.jsonl"]), 10);
    assert_eq!(shuffled["late"], 0);
    assert_eq!(
        shuffled["decisions"][0]["seconds"],
        sorted["decisions"][0]["seconds"]
    );
    assert_eq!(
        shuffled["decisions"][0]["reasons"],
        sorted["decisions"][0]["reasons"]
    );
}

#[test]
fn exchanges_far_out_of_order_are_counted_late_and_not_lost() {
    let folder = Folder::new();
    let lines = Rollout::default().lines();
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.rotate_left(100);
    folder.write("rotated.jsonl", lines.join("\n"));
    let report = json(&mut folder.replay(&["--json", "rotated.jsonl"]), 0);
    assert_eq!(report["late"], 100);
    assert_eq!(report["read"], 4_800);
}

#[test]
fn bad_lines_are_counted_and_the_first_are_shown_with_their_reason() {
    let folder = Folder::new();
    let good = |extra: &str| {
        format!(
            r#"{{"start":1770000000,"destination":"shop","method":"GET","path":"/","version":"v1"{extra}}}"#
        )
    };
    let mut bad: Vec<u8> = Vec::new();
    for line in [
        good(r#","duration_ms":5,"status":200"#),
        good(r#","duration_ms":5"#)[..60].to_owned(),
        good(r#","duration_ms":NaN"#),
        good(r#","duration_ms":-3"#),
        good(r#","duration_ms":5,"colour":"red""#),
        good(&format!(
            r#","duration_ms":5,"route":"{}""#,
            "x".repeat(1 << 20)
        )),
        String::new(),
        "-".to_owned(),
    ] {
        bad.extend_from_slice(line.as_bytes());
        bad.push(b'\n');
    }
    bad.extend_from_slice(b"\xff\xfe\n");
    bad.extend_from_slice(good(r#","duration_ms":1e999"#).as_bytes());
    folder.write("bad.jsonl", bad);
    let report = json(&mut folder.replay(&["--json", "bad.jsonl"]), 0);
    assert_eq!((&report["lines"], &report["read"]), (&10.into(), &1.into()));
    assert_eq!(report["refused"], 7);
    assert_eq!(report["blank"], 2);
    let refusals = report["first_refusals"].as_array().unwrap();
    let expected = [
        (2, "cut off"),
        (3, "`NaN` at column"),
        (4, "duration_ms -3"),
        (5, "colour"),
        (6, "65536"),
    ];
    assert_eq!(refusals.len(), expected.len());
    for (refusal, (line, word)) in refusals.iter().zip(expected) {
        assert_eq!(refusal["line"], line);
        assert!(
            refusal["reason"].as_str().unwrap().contains(word),
            "{refusal}"
        );
    }
    folder
        .replay(&["bad.jsonl"])
        .assert()
        .code(0)
        .stdout(contains("7 refused"));
    folder
        .replay(&["--strict", "bad.jsonl"])
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("bad.jsonl, line 2: is cut off after 60 bytes"));
}

#[test]
fn an_empty_or_missing_input_is_an_error_and_no_good_verdict() {
    let folder = Folder::new();
    folder.write("empty.jsonl", "");
    folder
        .replay(&["empty.jsonl"])
        .assert()
        .code(1)
        .stderr(contains("no exchange in the input"));
    folder
        .replay(&["gone.jsonl"])
        .assert()
        .code(1)
        .stderr(contains("cannot open gone.jsonl"));
    folder
        .replay(&["."])
        .assert()
        .code(1)
        .stderr(contains(". is a directory"));
    folder.write("junk.jsonl", "junk\n");
    folder
        .replay(&["junk.jsonl"])
        .assert()
        .code(1)
        .stderr(contains("junk.jsonl, line 1"));
}

#[test]
fn a_gap_of_years_and_an_absurd_duration_take_no_time() {
    let folder = Folder::new();
    let line = |start: f64, duration: f64| {
        format!(
            r#"{{"start":{start},"destination":"shop","method":"GET","path":"/","version":"v1","duration_ms":{duration},"status":200}}"#
        )
    };
    let lines = [
        line(0.0, 1.0),
        line(9e10, 1.0),
        line(9e10, 1e300),
        line(1.0, 1e15),
        line(5.0, 1.0),
    ];
    folder.write("gap.jsonl", lines.join("\n"));
    let report = json(
        folder
            .replay(&["--json", "gap.jsonl"])
            .timeout(std::time::Duration::from_secs(180)),
        0,
    );
    assert_eq!(
        (&report["read"], &report["refused"]),
        (&3.into(), &2.into())
    );
    assert!(report["ticks"].as_u64().unwrap() < 2_000);
}

#[test]
fn control_characters_in_a_recording_do_not_reach_the_terminal() {
    let folder = Folder::new();
    let lines = bad_canary()
        .lines()
        .replace("/api/cart", "/api/\\u001b[31mcart");
    folder.write("bad.jsonl", lines);
    folder
        .replay(&["bad.jsonl"])
        .assert()
        .code(10)
        .stdout(contains("\u{1b}").not());
}

#[test]
fn colours_are_there_when_forced_and_not_with_no_color() {
    let file = testdata("config/valid/empty.json");
    let check = |variable: &str| {
        let mut command = serin();
        command
            .env(variable, "1")
            .arg("check-config")
            .arg(&file)
            .assert()
            .code(0)
    };
    check("CLICOLOR_FORCE").stdout(contains("\u{1b}["));
    check("NO_COLOR").stdout(contains("\u{1b}[").not());
}

#[test]
fn a_wrong_config_is_named_with_its_path() {
    let folder = Folder::new();
    folder.write("serin.json", r#"{"steer": {"probing": {}}}"#);
    folder.write("good.jsonl", Rollout::default().lines());
    folder
        .replay(&["good.jsonl"])
        .assert()
        .code(1)
        .stderr(contains("serin.json"))
        .stderr(contains("steer.probing"))
        .stderr(contains("correct the name or remove the field"));
}

#[test]
fn a_snapshot_of_several_versions_wants_a_choice_and_names_it() {
    let folder = Folder::new();
    let file = folder.write("rollout.jsonl", Rollout::default().lines());
    serin()
        .arg("snapshot")
        .arg(&file)
        .assert()
        .code(1)
        .stdout("")
        .stderr(contains("--destination shop --version v1"))
        .stderr(contains("--destination shop --version v2"));
    serin()
        .arg("snapshot")
        .arg(&file)
        .args(["--version", "v9"])
        .assert()
        .code(1)
        .stderr(contains("no exchange of version v9"));
}

#[test]
fn a_snapshot_can_be_explained_and_makes_a_guard() {
    let folder = Folder::new();
    let rollout = folder.write("rollout.jsonl", Rollout::default().lines());
    let snapshot = folder.path("v1.json");
    serin()
        .arg("snapshot")
        .arg(&rollout)
        .args(["--version", "v1", "-o"])
        .arg(&snapshot)
        .assert()
        .code(0)
        .stdout("")
        .stderr("");

    serin()
        .arg("explain")
        .arg(&snapshot)
        .assert()
        .code(0)
        .stdout(contains("GET /api/products/{int}"))
        .stdout(contains("application/json 100.0%"))
        .stdout(contains(
            "POST /api/cart: cache-control, content-type, vary\n",
        ));
    let explained = json(serin().args(["explain", "--json"]).arg(&snapshot), 0);
    assert_eq!(explained["version"], "v1");
    let routes = explained["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 3);
    let sum: u64 = routes
        .iter()
        .map(|route| route["exchanges"].as_u64().unwrap())
        .sum();
    assert_eq!(explained["exchanges"], sum);
    let route = &routes[0];
    assert!(route["outcomes"]["200"].as_f64().unwrap() > 0.98);
    assert!(
        route["latency_ms"]["p50"].as_f64().unwrap() < route["latency_ms"]["p99"].as_f64().unwrap()
    );
    assert!((900..1_200).contains(&route["bytes"]["p50"].as_u64().unwrap()));

    let reference: Value =
        serde_json::from_str(&std::fs::read_to_string(&snapshot).unwrap()).unwrap();
    let guard = serde_json::json!({
        "mode": "reject", "warm_up": "5s", "candidate": "v2", "reject": {"reference": reference},
    });
    folder.write("serin.json", guard.to_string());
    folder.write(
        "bad.jsonl",
        bad_canary()
            .lines()
            .replace(r#""version":"v1""#, r#""version":"v0""#),
    );
    folder
        .replay(&["bad.jsonl"])
        .assert()
        .code(10)
        .stdout(contains("v2 is anomalous beside v1"));
    folder.write(
        "good.jsonl",
        Rollout {
            seed: 2,
            ..Rollout::default()
        }
        .lines(),
    );
    folder.replay(&["good.jsonl"]).assert().code(0);
}

#[test]
fn what_is_no_snapshot_is_refused() {
    let folder = Folder::new();
    let file = folder.write("other.json", r#"{"serin_snapshot": 1}"#);
    serin()
        .arg("explain")
        .arg(&file)
        .assert()
        .code(1)
        .stderr(contains("is no snapshot"));
    let file = folder.write(
        "newer.json",
        r#"{"serin_snapshot": 2, "destination": "a", "version": "b", "exchanges": 0, "routes": []}"#,
    );
    serin()
        .arg("explain")
        .arg(&file)
        .assert()
        .code(1)
        .stderr(contains("format 2 is not known"));
}

#[test]
fn valid_configs_are_fine_and_say_what_they_mean() {
    let mut seen = 0;
    for entry in std::fs::read_dir(testdata("config/valid")).unwrap() {
        let path = entry.unwrap().path();
        serin()
            .arg("check-config")
            .arg(&path)
            .assert()
            .code(0)
            .stdout(contains(": fine"));
        let report = json(serin().args(["check-config", "--json"]).arg(&path), 0);
        assert_eq!(report["valid"], true);
        assert!(report["configs"][0]["plan"]["mode"].is_string());
        seen += 1;
    }
    assert!(seen >= 5);
}

#[test]
fn every_field_of_a_config_is_said_by_check_config() {
    let mut config = serde_json::json!({
        "mode": "steer", "role": "comparer", "false_alarm": 0.07, "tick": "3s", "warm_up": "41s",
        "memory": "13m", "healthy_after": 321, "baseline": "v7", "candidate": "v8",
        "rollout": "rollout-17",
        "versions": {"from": "clusters", "destinations": {"shop": {"v7": ["shop-v7"]}}},
        "tolerance": {"error": 2.5}, "latency": {"margin": 0.37, "floor": "9ms"},
        "size": {"margin": 0.23},
        "differs": {"latency": 0.17, "floor": "7ms", "share": 0.11}, "signals": {"header_names": false},
        "ignored_headers": ["x-build"],
        "expected": [{"route": "GET /x*", "category": "size"}, {"signal": "content_type"}],
        "placebo": true, "past": {"window": "37s", "act": true}, "session": {"from": "cookie", "name": "sid"}, "drift": {"window": "31s"},
        "body": {"content_types": ["application/problem+json"], "sample": 0.19, "max_bytes": 4567},
        "surprise": {"epoch": "29s", "max_values": 4321, "refuse_above": 0.991},
        "routes": {"templates": ["/a/{id}"], "max": 77, "by_name": true},
        "steer": {"probation": {"after": "5m", "share": 0.03}},
        "fleet": {"cluster": "decisions", "every": "4s", "token": "s3cret", "proxies": 7},
        "reject": {"share": 0.4}, "max_series": 1234, "record": true, "examples": false, "traces": true, "looks_per_second": 654,
        "count_rescued": true
    });
    let check = |config: &Value| {
        let output = serin()
            .args(["check-config", "-"])
            .write_stdin(config.to_string())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = check(&config);
    for words in [
        "steer: sends",
        "comparer",
        "7% of healthy",
        "every 3s",
        "after 41s to 41s",
        "after 13m",
        "321",
        "baseline        v7",
        "candidate       v8",
        "rollout         rollout-17",
        "shop-v7 is shop v7",
        "error 2.5",
        "37% or 9ms",
        "23%",
        "17% and 7ms of the median duration, or 11% of the exchanges",
        "x-build",
        "size on GET /x*, content_type on every route",
        "the cookie sid",
        "every 31s",
        "every 37s; acts on it",
        "in epochs of 29s, with at most 4321 values",
        "above the 99.1% percentile",
        "19% of the answers, 4567 bytes",
        "application/problem+json",
        "/a/{id}",
        "at most 77",
        "by route name",
        "3% of the requests, 5m",
        "asks decisions/v1/fleet every 4s",
        "up to 7 of them, so 0.5% is",
        "1234",
        "leaves each exchange",
        "reads no ids of requests",
        "leaves version, verdict and surprise",
        "counts requests that were retried",
        "because something that is on needs each of them",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(
        !said.contains("header_names") && !said.contains("s3cret"),
        "{said}"
    );

    let said = check(&serde_json::json!({"looks_per_second": 654}));
    assert!(said.contains("at 654 exchanges a second"), "{said}");

    let mut all_types = config.clone();
    all_types["body"]["content_types"] = serde_json::json!([]);
    let said = check(&all_types);
    let words = "of the types JSON, what is built on it, and gRPC; ";
    assert!(said.contains(words), "{said}");

    // A new field has to come into this test: serde lists all where one is unknown.
    config["no_such_field"] = Value::Null;
    let said = check(&config);
    let (_, known) = said.split_once("expected one of ").unwrap();
    let known = known
        .lines()
        .next()
        .unwrap()
        .split(" at line ")
        .next()
        .unwrap();
    let known: Vec<&str> = known
        .split(", ")
        .map(|name| name.trim_matches('`'))
        .collect();
    assert!(known.len() > 20, "{known:?}");
    for name in known {
        assert!(config.get(name).is_some(), "{name} is not in this test");
    }
}

#[test]
fn invalid_configs_are_refused_with_path_problem_and_repair() {
    let mut seen = 0;
    for entry in std::fs::read_dir(testdata("config/invalid")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let expected = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let report = json(serin().args(["check-config", "--json"]).arg(&path), 1);
        assert_eq!(report["valid"], false, "{}", path.display());
        let error = &report["configs"][0]["error"];
        let part = |name: &str| error[name].as_str().unwrap();
        let message = format!("{}: {}; {}", part("path"), part("problem"), part("repair"));
        assert!(
            message.contains(expected.trim()),
            "{}: {message}",
            path.display()
        );
        serin()
            .arg("check-config")
            .arg(&path)
            .assert()
            .code(1)
            .stdout(contains("cannot be used"))
            .stdout(contains("repair: "));
        seen += 1;
    }
    assert!(seen >= 20);
}

#[test]
fn the_config_in_a_wasm_plugin_is_checked() {
    let manifest = |mode: &str| {
        format!(
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata:\n  name: serin\n\
             spec:\n  url: oci://example/serin\n  pluginConfig:\n    mode: {mode}\n    tick: 2s\n"
        )
    };
    serin()
        .args(["check-config", "-"])
        .write_stdin(manifest("steer"))
        .assert()
        .code(0)
        .stdout(contains("WasmPlugin serin: fine"))
        .stdout(contains("every 2s"));
    serin()
        .args(["check-config", "-"])
        .write_stdin(manifest("stear"))
        .assert()
        .code(1)
        .stdout(contains("spec.pluginConfig.mode: `stear` is not known"));
    serin()
        .args(["check-config", "-"])
        .write_stdin("kind: Service\n")
        .assert()
        .code(1)
        .stderr(contains("nothing in it configures Serin"));
    for nothing in ["", "\n", "# all of it commented out\n", "---\n"] {
        serin()
            .args(["check-config", "-"])
            .write_stdin(nothing)
            .assert()
            .code(1)
            .stderr(contains("is empty, so nothing was checked"));
    }
    serin()
        .args(["check-config", "-"])
        .write_stdin("{}")
        .assert()
        .code(0);
}

#[test]
fn wrong_use_exits_with_2_and_help_teaches() {
    for arguments in [
        &[][..],
        &["replay"][..],
        &["replay", "--colour", "x"][..],
        &["judge"][..],
    ] {
        serin().args(arguments).assert().code(2);
    }
    for command in ["replay", "snapshot", "explain", "check-config"] {
        serin()
            .args([command, "--help"])
            .assert()
            .code(0)
            .stdout(contains("Examples:"))
            .stdout(contains("Exit codes:"));
    }
    serin()
        .arg("--help")
        .assert()
        .code(0)
        .stdout(contains("Exit codes:"));
}

#[test]
fn the_committed_examples_show_one_good_and_one_bad_canary() {
    for (name, code, words) in [
        ("good-canary.jsonl", 0, "v2 is healthy beside v1"),
        ("bad-canary.jsonl", 10, "v2 is anomalous beside v1"),
        ("bad-canary-envoy.log", 10, "v2 is anomalous beside v1"),
    ] {
        serin()
            .current_dir(testdata("recordings"))
            .args(["replay", "--config", "serin.json", name])
            .assert()
            .code(code)
            .stdout(contains(words));
    }
}
