//! `serin-eval` as its users see it, on a small data set in the form of ChangeRCA's.

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const READY_S: i64 = 1_700_000_000;

fn serin() -> Command {
    let mut command = Command::cargo_bin("serin-eval").unwrap();
    command.env_remove("CLICOLOR_FORCE");
    command
}

/// A row a minute: 20 before the release and 20 after it. `rate` gives per cent by minute.
fn table(from: i64, to: i64, rate: impl Fn(i64) -> f64) -> String {
    let mut text = "Time,Timestamp,SuccessRate,Latency,CPUUsageRate(%)\n".to_owned();
    for minute in from..to {
        let end_s = READY_S + 60 * minute;
        text.push_str(&format!(
            "t,{end_s},{},{},1\n",
            rate(minute),
            5 + minute.rem_euclid(3)
        ));
    }
    text
}

/// A case in which `ads` has a canary that fails, `cart` a harmless one, and `mail` one that is
/// never called. The files of deleted pods go on with what replaced them.
fn case() -> BTreeMap<String, String> {
    let step = |service: &str| {
        json!({"process": {"1": {
            "release_pod": [format!("{service}-v2-a")],
            "delete_pod": [format!("{service}-v1-c")],
            "release_complete_timestamp": READY_S,
        }}})
    };
    let json = json!({
        "plan": {"ads": step("ads"), "cart": step("cart"), "mail": step("mail")},
        "fault": "exception",
        "fault_release_service": "ads",
    });
    let mut files = BTreeMap::from([("day_1.json".to_owned(), json.to_string())]);
    for service in ["ads", "cart", "mail"] {
        for pod in ["v1-a", "v1-b", "v1-c"] {
            let replaced = |minute| {
                if pod == "v1-c" && minute > 0 && service == "ads" {
                    0.0
                } else {
                    100.0
                }
            };
            files.insert(
                format!("{service}-{pod}_frontend_{service}.csv"),
                table(-20, 20, replaced),
            );
        }
        if service != "mail" {
            let rate = if service == "ads" { 40.0 } else { 100.0 };
            files.insert(
                format!("{service}-v2-a_frontend_{service}.csv"),
                table(2, 20, |_| rate),
            );
        }
    }
    files
}

fn as_folder(folder: &Path) {
    let day = folder.join("day").join("day_1");
    fs::create_dir_all(&day).unwrap();
    for (name, text) in case() {
        fs::write(day.join(name), text).unwrap();
    }
}

fn as_archive(folder: &Path) {
    let file = fs::File::create(folder.join("day.tar.gz")).unwrap();
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    for (name, text) in case() {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, format!("day/day_1/{name}"), text.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap();
}

fn changerca(folder: &Path) -> Value {
    let output = serin()
        .args(["changerca", "--json"])
        .arg(folder)
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    serde_json::from_slice(&output).unwrap()
}

fn judge<'a>(found: &'a Value, list: &str, judge: &str) -> &'a Value {
    found[list]
        .as_array()
        .unwrap()
        .iter()
        .find(|score| score["judge"] == judge && score["mode"] == "every minute")
        .unwrap()
}

#[test]
fn the_faulty_canary_is_caught_and_the_harmless_one_left_alone() {
    let folder = TempDir::new().unwrap();
    as_folder(folder.path());
    let found = changerca(folder.path());
    for name in [
        "Serin",
        "Serin, own rows alone",
        "Flagger",
        "Argo Rollouts",
        "z-test",
    ] {
        let score = judge(&found, "judges", name);
        assert_eq!(score["caught"], 1, "{score}");
        assert_eq!(score["false"], 0, "{score}");
        assert_eq!(score["f1"], 1.0, "{score}");
    }
    assert_eq!(judge(&found, "judges", "Flagger")["delay"], 2.0);
    assert_eq!(judge(&found, "judges", "Argo Rollouts")["delay"], 4.0);
    let delay = judge(&found, "judges", "Serin")["delay"].as_f64().unwrap();
    assert!((0.0..4.0).contains(&delay), "{delay}");
}

#[test]
fn a_canary_that_is_never_called_is_told_by_serin_and_not_by_its_own_rows() {
    let folder = TempDir::new().unwrap();
    as_folder(folder.path());
    let found = changerca(folder.path());
    // It is harmless by the plan, so that being failed counts as false.
    assert_eq!(judge(&found, "judges_without_calls", "Serin")["false"], 1);
    let alone = judge(&found, "judges_without_calls", "Serin, own rows alone");
    assert_eq!(alone["false"], 0);
    assert_eq!(judge(&found, "judges_all", "Serin")["caught"], 1);
}

#[test]
fn stable_pods_are_put_in_the_candidates_place_where_that_is_asked_for() {
    let folder = TempDir::new().unwrap();
    as_folder(folder.path());
    assert_eq!(changerca(folder.path())["judges_stand_ins"], json!([]));
    // Three services with three stable pods each, which are all alike.
    serin()
        .args(["changerca", "--stand-ins", "--markdown"])
        .arg(folder.path())
        .assert()
        .success()
        .stdout(
            contains("### Stable pods in the candidate's place")
                .and(contains("| Serin | every minute | 0 of 0 | 0 of 9 |")),
        );
}

#[test]
fn archives_and_folders_give_the_same() {
    let (folder, archive) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    as_folder(folder.path());
    as_archive(archive.path());
    assert_eq!(changerca(folder.path()), changerca(archive.path()));
}

#[test]
fn the_same_case_twice_is_refused() {
    let folder = TempDir::new().unwrap();
    as_folder(folder.path());
    as_archive(folder.path());
    serin()
        .args(["changerca"])
        .arg(folder.path())
        .assert()
        .code(1)
        .stderr(contains("day_1 is there twice"));
}

#[test]
fn a_folder_without_a_case_says_what_is_wanted() {
    let folder = TempDir::new().unwrap();
    serin()
        .args(["changerca"])
        .arg(folder.path())
        .assert()
        .code(1)
        .stderr(contains("no case found").and(contains("2023-09-22.tar.gz")));
}

#[test]
fn a_number_of_requests_has_to_be_one() {
    for number in ["0", "-1", "NaN", "1e9"] {
        serin()
            .args(["changerca", "--requests-per-minute", number, "."])
            .assert()
            .code(2);
    }
}

#[test]
fn each_kind_of_rollout_is_scored_for_each_judge_and_mode() {
    let output = serin()
        .args(["judges", "--runs", "1", "--json"])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let found: Value = serde_json::from_slice(&output).unwrap();
    let scores = found["judges"].as_array().unwrap();
    let of = |kind: &str, judge: &str| {
        scores
            .iter()
            .find(|it| it["kind"] == kind && it["judge"] == judge && it["mode"] == "every minute")
            .unwrap()
    };
    // Gross failures are everybody's; a lost header only Serin's.
    for judge in ["Serin", "Kayenta", "Flagger", "Argo Rollouts", "z-test"] {
        assert_eq!(of("errors, odds ratio 25", judge)["caught"], 1, "{judge}");
    }
    for kind in ["lost header", "wrong content type in 10%"] {
        assert_eq!(of(kind, "Serin")["caught"], 1, "{kind}");
        assert_eq!(of(kind, "Argo Rollouts")["caught"], 0, "{kind}");
    }
}

#[test]
fn a_folder_without_the_data_set_says_what_is_wanted() {
    let folder = TempDir::new().unwrap();
    for (set, wanted) in [
        ("nab", "NAB's data and labels"),
        ("api-traffic", "dataset_1_train.7z"),
        ("traceanomaly", "test_normal.zip"),
    ] {
        serin()
            .args([set])
            .arg(folder.path())
            .assert()
            .code(1)
            .stderr(contains(wanted));
        serin().args([set, "--help"]).assert().success().stdout(
            contains("--seed")
                .and(contains("--json"))
                .and(contains("--markdown"))
                .and(contains("Exit codes")),
        );
    }
}

#[test]
fn markdown_has_a_row_under_a_rule_for_each_judge() {
    let folder = TempDir::new().unwrap();
    as_folder(folder.path());
    serin()
        .args(["changerca", "--markdown"])
        .arg(folder.path())
        .assert()
        .success()
        .stdout(
            contains("| judge | mode | caught |")
                .and(contains("| --- | --- | --- |"))
                .and(contains("| Kayenta | every minute |")),
        );
}

#[test]
fn a_row_of_real_traffic_is_chosen_by_its_name() {
    let name = "14 minutes: independent requests";
    let run = |row: &str| {
        let mut command = serin();
        command.args(["real-traffic", "--runs", "1", "--json", "--row", row]);
        command.assert()
    };
    let output = run(name).success().get_output().stdout.clone();
    let found: Value = serde_json::from_slice(&output).unwrap();
    let rows = found["healthy"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["row"], name);
    assert_eq!(
        (&rows[0]["rollouts"], &rows[0]["anomalous"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(found["bad"], json!([]));
    run("no such row")
        .code(1)
        .stderr(contains("no row's name contains"));
}

#[test]
fn a_row_of_looks_has_every_way_to_sample() {
    let name = "half of all is 404, 300 sticky users";
    let mut command = serin();
    command.args(["looks", "--runs", "1", "--json", "--row", name]);
    let output = command.assert().success().get_output().stdout.clone();
    let found: Value = serde_json::from_slice(&output).unwrap();
    let rows = found["healthy"].as_array().unwrap();
    let ways: Vec<&str> = rows
        .iter()
        .map(|row| row["looked_at"].as_str().unwrap())
        .collect();
    assert_eq!(ways[..3], ["1 in 1", "1 in 7", "1 in 50"]);
    assert!(rows.iter().all(|row| row["row"] == name), "{rows:?}");
    assert_eq!(found["bad"], json!([]));
}
