//! Whatever a file holds: no panic, bounded memory, a message with the repair, and every line
//! counted once.

use crate::support::rollout::Rollout;
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Most memory of a run, in kilobytes, whatever its input.
const MEMORY_KB: u64 = 250_000;

fn serin() -> Command {
    let mut command = Command::cargo_bin("serin").unwrap();
    command.timeout(Duration::from_secs(180));
    command
}

/// A folder, and `serin replay --json` on a file in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn serin(&self, arguments: &[&str]) -> Command {
        let mut command = serin();
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    /// Replays and checks the sum of the lines.
    fn report(&self, bytes: impl AsRef<[u8]>) -> Value {
        self.write("bad.jsonl", bytes);
        let mut command = self.serin(&["replay", "--json", "bad.jsonl"]);
        let output = command.assert().success().get_output().stdout.clone();
        let report: Value = serde_json::from_slice(&output).unwrap();
        assert_adds_up(&report);
        report
    }

    /// Replays what has no exchange and gives the message.
    fn message(&self, bytes: impl AsRef<[u8]>) -> String {
        self.write("bad.jsonl", bytes);
        let mut command = self.serin(&["replay", "bad.jsonl"]);
        let output = command.assert().code(1).stdout("").get_output().clone();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.starts_with("error: "), "{message}");
        assert!(message.contains("bad.jsonl"), "{message}");
        message
    }
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

fn assert_adds_up(report: &Value) {
    let sum: u64 = ["read", "refused", "unattributed", "blank"]
        .iter()
        .map(|name| count(report, name))
        .sum();
    assert_eq!(sum, count(report, "lines"), "{report}");
}

fn line(start: f64, duration_ms: f64) -> String {
    format!(
        r#"{{"start":{start},"destination":"shop","method":"GET","path":"/","version":"v1","duration_ms":{duration_ms},"status":200}}"#
    )
}

fn lines(number: u32) -> Vec<String> {
    (0..number)
        .map(|index| line(1.77e9 + f64::from(index), 5.0))
        .collect()
}

fn reason(report: &Value, index: usize) -> &str {
    report["first_refusals"][index]["reason"].as_str().unwrap()
}

#[test]
fn the_committed_bad_recordings_give_the_words_beside_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/recordings/bad");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "txt") {
            continue;
        }
        let words = std::fs::read_to_string(path.with_extension("txt")).unwrap();
        let output = serin()
            .current_dir(&folder)
            .arg("replay")
            .arg(path.file_name().unwrap())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(words.trim()), "{}: {said}", path.display());
        seen += 1;
    }
    assert!(seen >= 14);
}

#[test]
fn a_recording_that_is_cut_off_loses_its_last_line_only_and_says_so() {
    let folder = Folder::new();
    let text = lines(3)
        .join("\n")
        .replace(r#""path":"/""#, r#""path":"/ä""#);
    let umlaut = text.rfind('ä').unwrap();
    for (cut, words) in [
        (text.len() - 1, "is cut off after"),
        (umlaut + 1, "in the middle of a character"),
        (umlaut, "is cut off after"),
    ] {
        let report = folder.report(&text.as_bytes()[..cut]);
        assert_eq!((count(&report, "read"), count(&report, "refused")), (2, 1));
        assert_eq!(report["first_refusals"][0]["line"], 3);
        assert!(reason(&report, 0).contains(words), "{report}");
    }
    // Also where the file was cut at its beginning, as logs are that turn over.
    let report = folder.report(&text.as_bytes()[40..]);
    assert_eq!((count(&report, "read"), count(&report, "refused")), (2, 1));
    assert!(
        reason(&report, 0).contains("is not a JSON object"),
        "{report}"
    );
}

#[test]
fn what_is_no_recording_at_all_is_named_with_the_repair() {
    let folder = Folder::new();
    let line = line(1.77e9, 5.0);
    for (bytes, words) in [
        (
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(),
            "compressed with gzip, and damaged or cut off",
        ),
        (b"\x28\xb5\x2f\xfd\x04".to_vec(), "zstd -dc"),
        (b"\xff\xfe{\0\"\0".to_vec(), "iconv -f UTF-16"),
        (format!("[{line},\n{line}]").into_bytes(), "jq -c '.[]'"),
        (format!("[\n  {line}\n]\n").into_bytes(), "jq -c '.[]'"),
        (
            b"{\"serin_snapshot\":1,\"destination\":\"shop\"}".to_vec(),
            "serin explain",
        ),
        (
            b"[2026-02-03T04:05:06.789Z] \"GET / HTTP/1.1\" 200 -\n".to_vec(),
            "Set the JSON format",
        ),
        (
            b"{\n  \"start\": 1\n}\n".to_vec(),
            "line 1: is cut off after 1 bytes",
        ),
        (b"\0\0\0\0\0".to_vec(), "line 1: "),
        (b"\x89PNG\r\n\x1a\n\0\0".to_vec(), "byte 0x89 at column 1"),
        (Vec::new(), "nothing in bad.jsonl"),
        (b"\n-\n\n".to_vec(), "`record: true`"),
    ] {
        let message = folder.message(&bytes);
        assert!(message.contains(words), "{message}");
        assert!(!message.chars().any(|c| c.is_control() && c != '\n'));
    }
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_no_fault() {
    let folder = Folder::new();
    let text = format!("\u{feff}{}\r\n", lines(3).join("\r\n"));
    let report = folder.report(text);
    assert_eq!((count(&report, "read"), count(&report, "lines")), (3, 3));
}

#[test]
fn binary_garbage_among_lines_is_refused_and_the_lines_are_read() {
    let folder = Folder::new();
    let mut random = fastrand::Rng::with_seed(4);
    let mut bytes = Vec::new();
    for line in lines(200) {
        writeln!(bytes, "{line}").unwrap();
        bytes.push(0);
        bytes.extend((0..random.usize(0..3_000)).map(|_| random.u8(..)));
        bytes.push(b'\n');
    }
    let report = folder.report(&bytes);
    assert_eq!(count(&report, "read"), 200);
    assert!(count(&report, "refused") >= 200);
    assert_eq!(report["first_refusals"].as_array().unwrap().len(), 5);
}

#[test]
fn an_hour_ahead_is_a_wrong_clock_and_does_not_spoil_the_rest() {
    let folder = Folder::new();
    let mut text = lines(300);
    // Also the very first, and two in a row.
    for index in [0, 100, 101, 200] {
        text[index] = line(4e9, 5.0);
    }
    let report = folder.report(text.join("\n"));
    assert_eq!(
        (count(&report, "read"), count(&report, "refused")),
        (296, 4)
    );
    assert_eq!(count(&report, "late"), 0);
    assert_eq!(report["first_refusals"][2]["line"], 102);
    assert!(reason(&report, 0).contains("is its clock right?"));
    assert!((290..310).contains(&count(&report, "ticks")), "{report}");

    // A real gap is none, nor few requests far from each other.
    let mut gap = lines(50);
    gap.extend((0..50).map(|index| line(1.78e9 + f64::from(index), 5.0)));
    gap.extend((0..50).map(|index| line(1.79e9 + f64::from(index) * 5_000.0, 5.0)));
    assert_eq!(count(&folder.report(gap.join("\n")), "read"), 150);
}

#[test]
fn days_in_the_wrong_order_are_counted_late_and_the_repair_is_said() {
    let folder = Folder::new();
    let mut text: Vec<String> = (0..200)
        .map(|index| line(1.77e9 + 1_800.0 + f64::from(index), 5.0))
        .collect();
    text.extend(lines(200));
    let report = folder.report(text.join("\n"));
    assert_eq!(count(&report, "read"), 400);
    assert!(count(&report, "late") >= 190, "{report}");
    folder
        .serin(&["replay", "bad.jsonl"])
        .assert()
        .success()
        .stdout(contains("sort the lines by time"));
}

#[test]
fn a_long_line_is_skipped_without_being_held() {
    let folder = Folder::new();
    let good = line(1.77e9, 5.0);
    let megabyte = good.replace(r#""/""#, &format!(r#""/{}""#, "x".repeat(1 << 20)));
    let report = folder.report(format!("{good}\n{megabyte}\n{good}\n"));
    assert_eq!((count(&report, "read"), count(&report, "refused")), (2, 1));
    assert_eq!(report["first_refusals"][0]["line"], 2);
    assert!(reason(&report, 0).contains("%REQ(:PATH):4096%"), "{report}");

    let gigabyte = if std::env::var_os("SERIN_LINES").is_some() {
        1 << 30
    } else {
        1 << 27
    };
    let (report, memory) = measured(&["replay", "--json", "-"], |out| {
        writeln!(out, "{good}")?;
        let chunk = vec![b'x'; 1 << 20];
        (0..gigabyte >> 20).try_for_each(|_| out.write_all(&chunk))
    });
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_adds_up(&report);
    assert_eq!((count(&report, "read"), count(&report, "refused")), (1, 1));
    assert!(memory < 30_000, "{memory} kB");
}

/// Runs the command with what `write` writes as its standard input. Gives the output and the most
/// memory that was resident, in kilobytes.
fn measured(
    arguments: &[&str],
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()> + Send,
) -> (String, u64) {
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("serin"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut out = BufWriter::with_capacity(1 << 16, stdin);
            write(&mut out).and_then(|()| out.flush()).unwrap();
        });
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let found = std::fs::read_to_string(&status).unwrap_or_default();
            let most = found
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
            peak = peak.max(most.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        assert!(peak > 0, "no memory was measured");
        (String::from_utf8(output.stdout).unwrap(), peak)
    })
}

/// Writes the lines of a rollout at 1,000 requests a second, every thousandth of them bad.
fn long_rollout(lines: u64, out: &mut dyn Write) -> std::io::Result<()> {
    let mut random = fastrand::Rng::with_seed(9);
    for number in 0..lines {
        if number % 1_000 == 999 {
            writeln!(out, "{{\"start\":NaN}}")?;
            continue;
        }
        let version = if random.u8(..) < 80 { "v2" } else { "v1" };
        writeln!(
            out,
            r#"{{"start":{}.{:03},"destination":"shop","method":"GET","path":"/api/items/{}","version":"{version}","status":200,"duration_ms":{},"response_bytes":1043,"content_type":"application/json","headers":["cache-control","content-type","etag"]}}"#,
            1_770_000_000 + number / 1_000,
            number % 1_000,
            random.u32(1..100_000),
            random.u32(5..50),
        )?;
    }
    Ok(())
}

/// `SERIN_LINES=10000000 cargo test --release -p serin-cli bad_input::memory -- --nocapture`
/// measures more.
#[test]
fn memory_stays_bounded_over_a_long_recording() {
    let number = std::env::var("SERIN_LINES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(500_000);
    for arguments in [
        &["replay", "--json", "-"][..],
        &["snapshot", "--version", "v1", "-o", "/dev/null", "-"][..],
    ] {
        let begun = Instant::now();
        let (report, memory) = measured(arguments, |out| long_rollout(number, out));
        let taken = begun.elapsed().as_secs_f64();
        println!(
            "{}: {number} lines in {taken:.1} s, {:.0} lines/s, {memory} kB",
            arguments[0],
            number as f64 / taken
        );
        assert!(memory < MEMORY_KB, "{memory} kB");
        if arguments[0] == "replay" {
            let report: Value = serde_json::from_str(&report).unwrap();
            assert_adds_up(&report);
            assert_eq!(count(&report, "lines"), number);
            assert_eq!(count(&report, "refused"), number / 1_000);
            let decision = &report["decisions"][0];
            let seen =
                count(decision, "candidate_exchanges") + count(decision, "baseline_exchanges");
            assert_eq!(seen, count(&report, "read"));
        }
    }
}

#[test]
fn memory_stays_bounded_where_each_line_is_as_large_as_it_may_be() {
    // Names of headers weigh many times more in memory than on their line.
    let headers = vec![r#""a""#; 512].join(",");
    let path = "x".repeat(60_000);
    for (field, times) in [
        (
            format!(r#","headers":[{headers}],"request_headers":[{headers}]"#),
            20_000_u32,
        ),
        (format!(r#","route":"{path}""#), 8_000),
    ] {
        let (report, memory) = measured(&["replay", "--json", "-"], |out| {
            for number in 0..times {
                let line = line(1.77e9 + f64::from(number) * 1e-3, 1.0);
                writeln!(out, "{}{field}}}", line.trim_end_matches('}'))?;
            }
            Ok(())
        });
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(count(&report, "read"), u64::from(times));
        println!("{} bytes a line: {memory} kB", field.len());
        assert!(memory < MEMORY_KB, "{memory} kB");
    }
}

/// Changes a few bytes, or swaps in a text that is likely to hurt.
fn mutate(line: &str, random: &mut fastrand::Rng) -> Vec<u8> {
    const HURTS: [&str; 24] = [
        "NaN",
        "-Infinity",
        "1e999",
        "-1",
        "1e-400",
        "null",
        "\"\"",
        "{}",
        "[]",
        "[[[[[[",
        "true",
        "18446744073709551616",
        "-0",
        "\"\\ud800\"",
        "\\",
        "\"",
        "\u{0}",
        "\u{feff}",
        "\u{202e}",
        "ä",
        "99999999999",
        ",",
        ":",
        "}",
    ];
    let mut bytes = line.as_bytes().to_vec();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..bytes.len().max(1)).min(bytes.len());
        let end = (at + random.usize(0..12)).min(bytes.len());
        match random.u8(0..6) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 => bytes.truncate(at),
            2 => {
                bytes.drain(at..end);
            }
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => {
                bytes.splice(at..end, random.choice(HURTS).unwrap().bytes());
            }
            _ => {
                // A value as a whole, so that more of them still are JSON.
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let colons: Vec<usize> = text.match_indices(':').map(|(at, _)| at + 1).collect();
                if let Some(begin) = random.choice(colons) {
                    let end = text[begin..]
                        .find([',', '}'])
                        .map_or(text.len(), |n| begin + n);
                    bytes = text.into_bytes();
                    bytes.splice(begin..end, random.choice(HURTS).unwrap().bytes());
                }
            }
        }
    }
    bytes.retain(|byte| *byte != b'\n');
    bytes
}

#[test]
fn mutated_lines_never_crash_and_each_is_counted() {
    let folder = Folder::new();
    let rollout = Rollout {
        seconds: 40,
        ..Rollout::default()
    };
    let originals = rollout.lines() + &rollout.envoy_lines();
    let mut accepted = 0;
    for seed in 0..8 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes: Vec<u8> = Vec::new();
        let mut number = 0;
        for line in originals.lines() {
            match random.u8(0..4) {
                0 => bytes.extend_from_slice(line.as_bytes()),
                _ => bytes.extend(mutate(line, &mut random)),
            }
            bytes.push(b'\n');
            number += 1;
        }
        folder.write("mutated.jsonl", &bytes);
        let output = folder
            .serin(&["replay", "--json", "mutated.jsonl"])
            .assert()
            .code(predicate::in_iter([0, 10]))
            .stderr("")
            .get_output()
            .stdout
            .clone();
        let report: Value = serde_json::from_slice(&output).unwrap();
        assert_adds_up(&report);
        assert_eq!(count(&report, "lines"), number);
        accepted += count(&report, "read");
        assert!(count(&report, "refused") > number / 4, "{report}");
        folder
            .serin(&[
                "snapshot",
                "--version",
                "v1",
                "--destination",
                "shop",
                "mutated.jsonl",
            ])
            .assert()
            .code(0);
    }
    assert!(accepted > 0);
}

#[test]
fn mutated_configs_and_snapshots_never_crash() {
    let folder = Folder::new();
    folder.write("rollout.jsonl", Rollout::default().lines());
    let snapshot = folder
        .serin(&["snapshot", "--version", "v1", "rollout.jsonl"])
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let snapshot = String::from_utf8(snapshot).unwrap();
    let config = r#"{"mode":"steer","tick":"2s","tolerance":{"error":2},"routes":{"templates":["/a/{id}"],"max":7},"steer":{"probation":{"after":"1m","share":0.1}}}"#;
    let mut random = fastrand::Rng::with_seed(3);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..40 {
        for (command, text) in [("explain", snapshot.as_str()), ("check-config", config)] {
            let file = folder.write("mutated.json", mutate(text, &mut random));
            let output = serin().arg(command).arg(file).output().unwrap();
            match output.status.code() {
                Some(0) => good += 1,
                Some(1) => bad += 1,
                other => panic!("{other:?}: {}", String::from_utf8_lossy(&output.stderr)),
            }
        }
    }
    assert!(good > 0 && bad > 0);
}

#[test]
fn a_config_of_a_gigabyte_is_refused_and_not_read() {
    let folder = Folder::new();
    let path = folder.write("huge.json", "{");
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 30).unwrap();
    for command in ["check-config", "explain"] {
        folder
            .serin(&[command, "huge.json"])
            .assert()
            .code(1)
            .stderr(contains("huge.json has more than 33554432 bytes"));
        let (_, memory) = measured(&[command, "-"], |out| {
            let chunk = vec![b' '; 1 << 20];
            // The reader goes away once it has seen enough.
            let _ = (0..200).try_for_each(|_| out.write_all(&chunk));
            Ok(())
        });
        assert!(memory < 120_000, "{memory} kB");
    }
}

#[test]
fn a_config_or_snapshot_of_many_tiny_values_stays_bounded_in_memory() {
    let tokens = concat!(
        r#"{"serin_snapshot":1,"destination":"a","version":"b","exchanges":1,"routes":["#,
        r#"{"method":"","path":"","exchanges":1,"signals":{"latency":[[0,0]"#
    );
    for (command, head, value, times) in [
        ("check-config", "[0", ",0", 1_000_000),
        ("check-config", r#"{"a":[0"#, ",0", 15_000_000),
        (
            "check-config",
            r#"{"kind":"WasmPlugin","a":[0"#,
            ",0",
            15_000_000,
        ),
        (
            "check-config",
            r#"{"ignored_headers":["""#,
            r#","""#,
            10_000_000,
        ),
        ("explain", tokens, ",[0,0]", 5_000_000),
    ] {
        let (_, memory) = measured(&[command, "-"], |out| {
            out.write_all(head.as_bytes())?;
            (0..times).try_for_each(|_| out.write_all(value.as_bytes()))?;
            out.write_all(if head.starts_with('[') { b"]" } else { b"]}" })
        });
        println!("{command} {head}: {memory} kB");
        assert!(memory < 450_000, "{head}: {memory} kB");
    }
}

#[test]
fn what_is_no_text_is_no_config() {
    let folder = Folder::new();
    for (bytes, words) in [
        (&b"\x1f\x8b\x08\0"[..], "compressed with gzip"),
        (b"\xff\xfe{\0}\0", "iconv"),
        (
            b"{\n\"mode\": \"\xff\"}",
            "bad.json, line 2: is no text in UTF-8",
        ),
    ] {
        folder.write("bad.json", bytes);
        for command in ["check-config", "explain"] {
            folder
                .serin(&[command, "bad.json"])
                .assert()
                .code(1)
                .stderr(contains(words));
        }
    }
    folder.write("bom.json", "\u{feff}{\"mode\": \"steer\"}\r\n");
    folder.serin(&["check-config", "bom.json"]).assert().code(0);
    for command in ["check-config", "explain"] {
        folder
            .serin(&[command, "."])
            .assert()
            .code(1)
            .stderr(contains(". is a directory"));
        folder
            .serin(&[command, "gone.json"])
            .assert()
            .code(1)
            .stderr(contains("cannot open gone.json"));
    }
}

#[test]
fn nothing_is_read_twice() {
    let folder = Folder::new();
    folder.write("serin.json", "{}");
    folder.write("one.jsonl", lines(3).join("\n"));
    for arguments in [
        &["replay", "-", "-"][..],
        &["replay", "--config", "-", "-"][..],
        &["snapshot", "-", "-"][..],
    ] {
        folder
            .serin(arguments)
            .write_stdin("{}")
            .assert()
            .code(1)
            .stderr(contains("can be read only once"));
    }
    folder
        .serin(&["replay", "one.jsonl", "./one.jsonl"])
        .assert()
        .code(1)
        .stderr(contains("./one.jsonl is named twice"));
    folder
        .serin(&["snapshot", "one.jsonl", "-o", "./one.jsonl"])
        .assert()
        .code(1)
        .stderr(contains("is the recording itself"));
    let kept = std::fs::read_to_string(folder.0.path().join("one.jsonl")).unwrap();
    assert_eq!(kept, lines(3).join("\n"));
}

#[test]
fn a_file_without_exchanges_among_others_is_named() {
    let folder = Folder::new();
    folder.write("one.jsonl", lines(3).join("\n"));
    folder.write("empty.jsonl", "");
    folder
        .serin(&["replay", "one.jsonl", "empty.jsonl"])
        .assert()
        .code(0)
        .stdout(contains("no exchange in empty.jsonl"));
    folder
        .serin(&["snapshot", "one.jsonl", "empty.jsonl"])
        .assert()
        .code(0)
        .stderr(contains("no exchange in empty.jsonl"));
}

#[test]
fn an_output_that_cannot_be_written_is_told_and_a_reader_that_left_is_none_of_our_business() {
    let folder = Folder::new();
    let mut text = String::new();
    for line in lines(300) {
        writeln!(text, "{line}").unwrap();
    }
    folder.write("one.jsonl", text);
    let run = |arguments: &[&str], stdout: Stdio| {
        std::process::Command::new(assert_cmd::cargo::cargo_bin("serin"))
            .current_dir(folder.0.path())
            .args(arguments)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap()
    };
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = run(&["replay", "one.jsonl"], full.into());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write the output"));

    for arguments in [&["replay", "one.jsonl"][..], &["snapshot", "one.jsonl"][..]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(arguments, writer.into());
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("error") && !said.contains("panic"), "{said}");
    }
}
