//! Recordings that are compressed with gzip, as rotated access logs are.

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;
use predicates::prelude::*;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

fn serin(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("serin"));
    command.args(args);
    command
}

fn recording() -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/recordings/bad-canary.jsonl");
    std::fs::read_to_string(path).unwrap()
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

/// What is said of a rollout, without the names of files.
fn decisions(command: &mut Command) -> Value {
    let output = command.assert().code(10).get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&output).unwrap();
    report["decisions"].clone()
}

#[test]
fn a_compressed_recording_replays_as_the_plain_one_whatever_its_name_and_in_several_members() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let text = recording();
    let (first, rest) = text.split_at(text[..text.len() / 2].rfind('\n').unwrap() + 1);
    let plain = write("plain.jsonl", text.as_bytes());
    let whole = write("whole.jsonl.gz", &packed(&text));
    let members = write("members", &[packed(first), packed(rest)].concat());
    let early = write("early.gz", &packed(first));
    let late = write("late.jsonl", rest.as_bytes());
    let expected = decisions(&mut serin(&["replay", "--json", &plain]));
    for files in [vec![&whole], vec![&members], vec![&late, &early]] {
        let found = decisions(serin(&["replay", "--json"]).args(&files));
        assert_eq!(found, expected, "{files:?}");
    }
    let piped = decisions(serin(&["replay", "--json", "-"]).write_stdin(packed(&text)));
    assert_eq!(piped, expected);
    let snapshot = ["snapshot", "--version", "v1", &whole];
    serin(&snapshot).assert().success();
    let page = folder.path().join("page.html").display().to_string();
    serin(&["report", "-o", &page, &whole]).assert().success();
}

#[test]
fn a_compressed_recording_that_is_cut_off_gives_no_verdict() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.gz");
    let bytes = packed(&recording());
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    serin(&["replay", &path.display().to_string()])
        .assert()
        .code(1)
        .stdout("")
        .stderr(predicate::str::contains("damaged or cut off"));
}

#[test]
fn a_short_recording_says_what_it_lacks_and_a_verdict_says_when() {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/recordings");
    let file = |name: &str| testdata.join(name).display().to_string();
    let missing = "still missing for a verdict: judged requests of v2: 66 of the 200";
    serin(&["replay", &file("good-canary.jsonl")])
        .assert()
        .success()
        .stdout(
            predicate::str::contains(missing)
                .and(predicate::str::contains("--config"))
                .and(predicate::str::contains("-0.00").not()),
        );
    serin(&["replay", &file("bad-canary.jsonl")])
        .assert()
        .code(10)
        .stdout(
            predicate::str::contains("71 requests and 4.0 s of traffic").and(
                predicate::str::contains("Worse since 2026-02-02 02:40:04 UTC"),
            ),
        );
}
