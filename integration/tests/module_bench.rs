//! The benchmark of the module alone (`make bench-module`) measures a filter that works.

use std::process::Command;

use serde_json::Value;
use serin_integration::envoy::workspace;

/// Exit code of the script where node is missing.
const NO_NODE: i32 = 3;

/// Runs the benchmark; its report. `None`, said on stderr, where there is no node.
fn run(arguments: &[&str]) -> Option<Result<Value, String>> {
    let answer = Command::new(workspace().join("scripts/bench-module.sh"))
        .args(arguments)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&answer.stderr).into_owned();
    match answer.status.code() {
        Some(0) => Some(Ok(serde_json::from_slice(&answer.stdout).unwrap())),
        Some(NO_NODE) if std::env::var_os("CI").is_none() => {
            eprintln!("left out: {message}");
            None
        }
        _ => Some(Err(message)),
    }
}

#[test]
fn every_exchange_of_the_benchmark_is_counted_and_every_host_call_is_seen() {
    let Some(report) = run(&["--quick", "--json"]) else {
        return;
    };
    let report = report.unwrap();
    let module = |name: &str| {
        let modules = report["modules"].as_array().unwrap();
        modules
            .iter()
            .find(|module| module["name"] == name)
            .unwrap()
    };

    let (noop, serin) = (module("noop"), module("serin"));

    assert_eq!(noop["host_calls_in_all"], 0);
    assert!(serin["exchanges"].as_u64().unwrap() > 20_000);
    assert_eq!(serin["counted"], serin["exchanges"]);
    let clock = &serin["host_calls"]["proxy_get_current_time_nanoseconds"];
    assert!(clock.as_u64().unwrap() >= 1, "{serin}");
    let allocations = serin["mallocs"].as_f64().unwrap();
    assert!(allocations >= 1.0, "{serin}");
    assert!(serin["module_ns"]["median"].as_f64() > noop["module_ns"]["median"].as_f64());
}

#[test]
fn a_module_that_counts_nothing_is_not_measured_as_if_it_did() {
    let Some(report) = run(&["--quick", "--only", "--module", "x=target/noop.wasm"]) else {
        return;
    };

    let problem = report.unwrap_err();

    assert!(problem.contains("serin_exchanges_total"), "{problem}");
}

#[test]
fn more_routes_are_a_larger_state() {
    let routes = ["--routes", "10", "--routes", "100"];
    let module = ["--only", "--module", "serin=target/serin.wasm"];
    let arguments = [&["--quick", "--json"], &module[..], &routes[..]].concat();
    let Some(report) = run(&arguments) else {
        return;
    };
    let report = report.unwrap();
    let rows = report["modules"].as_array().unwrap();
    let bytes = |row: &Value| row["shared_bytes"]["state"].as_u64().unwrap();

    assert_eq!(rows.len(), 2);
    // Each route has a part of its own, beside what all share.
    assert!(bytes(&rows[1]) > 4 * bytes(&rows[0]), "{report}");
    for row in rows {
        assert_eq!(row["counted"], row["exchanges"], "{report}");
    }
}
