//! `serin replay --surprise`: the strangest exchanges of a recording, and why.

use assert_cmd::Command;
use predicates::str::contains;
use scorer_sdk::wire::recording::Record;
use serde_json::Value;
use std::fmt::Write as _;

fn serin() -> Command {
    Command::cargo_bin("serin").unwrap()
}

/// Two thousand ordinary exchanges with a strange one among the last.
fn recording() -> String {
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = String::new();
    for number in 0..2000u32 {
        let record = Record {
            start: 1.77e9 + f64::from(number),
            destination: "shop".to_owned(),
            method: "GET".to_owned(),
            path: format!("/items/{}", random.u32(0..50)),
            version: "v1".to_owned(),
            status: Some(if number == 1900 { 418 } else { 200 }),
            duration_ms: 5.0 + random.f64(),
            response_bytes: Some(random.u64(900..1000)),
            content_type: "application/json".to_owned(),
            ..Record::default()
        };
        writeln!(text, "{}", serde_json::to_string(&record).unwrap()).unwrap();
    }
    text
}

#[test]
fn the_strangest_exchange_of_a_recording_is_named_with_its_reason() {
    serin()
        .args(["replay", "--surprise", "-"])
        .write_stdin(recording())
        .assert()
        .success()
        .stdout(contains("outcome is 418"))
        .stdout(contains("usual is 200"));
    let output = serin()
        .args(["replay", "--surprise", "--top", "2", "--json", "-"])
        .write_stdin(recording())
        .assert()
        .success();
    let value: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(value["strangest"].as_array().unwrap().len(), 2);
    assert_eq!(value["strangest"][0]["start"], 1_770_001_900.0);
    assert_eq!(value["input"]["read"], 2000);
}

#[test]
fn the_number_of_exchanges_needs_the_ranking() {
    serin()
        .args(["replay", "--top", "2", "-"])
        .assert()
        .code(2)
        .stderr(contains("--surprise"));
}
