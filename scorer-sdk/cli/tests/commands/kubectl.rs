//! `kubectl serin` with a kubectl that lists pods and forwards to proxies which listen on this machine.

use crate::support::proxy::FakeEnvoy;
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use tempfile::TempDir;

/// What stands in for kubectl. The test links to it: a file that it wrote could not be started while
/// another thread of the tests starts a process.
const KUBECTL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/kubectl.sh");

/// A cluster with these pods, each with the URL of its proxy.
fn cluster(pods: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name);
    symlink(KUBECTL, file("kubectl")).unwrap();
    let names: Vec<_> = pods.iter().map(|(name, _)| format!("{name}\n")).collect();
    fs::write(file("pods"), names.concat()).unwrap();
    for (name, url) in pods {
        let port = url.rsplit(':').next().unwrap();
        fs::write(file(&format!("port-{name}")), port).unwrap();
    }
    let serin = assert_cmd::cargo::cargo_bin!("serin");
    symlink(serin, file("kubectl-serin")).unwrap();
    folder
}

fn plugin(folder: &TempDir, arguments: &[&str]) -> std::process::Command {
    let path = std::env::var("PATH").unwrap();
    let mut command = std::process::Command::new(folder.path().join("kubectl-serin"));
    command
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .args(arguments);
    command
}

fn run(folder: &TempDir, arguments: &[&str]) -> Command {
    Command::from_std(plugin(folder, arguments))
}

fn calls(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("calls")).unwrap()
}

/// Checks that forwards were started to just these pods, and that none is left.
fn forwards_have_ended(folder: &TempDir, pods: &[&str]) {
    let mut started = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(pod) = name.strip_prefix("forward-") else {
            continue;
        };
        let number = fs::read_to_string(&path).unwrap();
        // A process that nobody has waited for still has its folder.
        let process = Path::new("/proc").join(number.trim());
        assert!(!process.exists(), "the forward to {pod} is left");
        started.push(pod.to_owned());
    }
    started.sort();
    assert_eq!(started, pods);
}

#[test]
fn status_shows_all_pods_of_the_selector_as_one_fleet() {
    let bad = FakeEnvoy::bad().serve();
    let healthy = FakeEnvoy::healthy().serve();
    let folder = cluster(&[("gateway-b", &bad), ("gateway-a", &healthy)]);
    run(
        &folder,
        &["status", "--once", "-n", "edge", "-l", "app=gateway"],
    )
    .assert()
    .code(10)
    .stdout(contains("shop: v2 is anomalous").and(contains("2 proxies")))
    .stderr(contains(format!("gateway-a at {healthy}")));
    let calls = calls(&folder);
    for words in [
        "--namespace=edge",
        "--selector=app=gateway",
        "--field-selector=status.phase=Running",
        "pod/gateway-a :15000",
    ] {
        assert!(calls.contains(words), "{words}: {calls}");
    }
    forwards_have_ended(&folder, &["gateway-a", "gateway-b"]);
}

#[test]
fn doctor_names_the_pod_with_its_checks_and_fails_with_the_worst() {
    let healthy = FakeEnvoy::healthy().serve();
    let empty = FakeEnvoy::empty().serve();
    let folder = cluster(&[("gateway-a", &healthy), ("gateway-b", &empty)]);
    let output = run(&folder, &["doctor", "--json"]).assert().code(1);
    let report: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let pods = report["pods"].as_array().unwrap();
    let named: Vec<_> = pods
        .iter()
        .map(|pod| pod["pod"].as_str().unwrap())
        .collect();
    assert_eq!(named, ["gateway-a", "gateway-b"]);
    assert_eq!(pods[1]["state"], "fail");
    assert_ne!(pods[0]["state"], "fail");
    run(&folder, &["doctor"])
        .assert()
        .code(1)
        .stdout(contains("gateway-a\n").and(contains("gateway-b\n")));
    forwards_have_ended(&folder, &["gateway-a", "gateway-b"]);
}

#[test]
fn a_report_is_of_one_pod() {
    let url = FakeEnvoy::bad().serve();
    let folder = cluster(&[("gateway-a", &url), ("gateway-b", &url)]);
    let page = folder.path().join("report.html").display().to_string();
    run(&folder, &["report", "--for", "1s", "-o", &page])
        .assert()
        .code(1)
        .stderr(contains("2 pods match").and(contains("--pod")));
    forwards_have_ended(&folder, &[]);
    run(
        &folder,
        &["report", "--pod", "gateway-b", "--for", "1s", "-o", &page],
    )
    .assert()
    .code(0);
    assert!(fs::read_to_string(&page).unwrap().contains("shop"));
    forwards_have_ended(&folder, &["gateway-b"]);
}

#[test]
fn no_more_pods_are_asked_than_allowed_and_it_says_so() {
    let url = FakeEnvoy::healthy().serve();
    let folder = cluster(&[("c", &url), ("b", &url), ("a", &url)]);
    run(&folder, &["status", "--once", "--most", "2"])
        .assert()
        .code(0)
        .stderr(contains("3 pods match; the first 2 are asked"));
    forwards_have_ended(&folder, &["a", "b"]);
}

#[test]
fn what_kubectl_cannot_do_is_said_in_its_words() {
    let url = FakeEnvoy::healthy().serve();
    let folder = cluster(&[("a", &url)]);
    run(&folder, &["status", "--once", "--pod", "gone"])
        .assert()
        .code(1)
        .stderr(contains("pod gone is not running"));
    run(&folder, &["status", "--once", "--pod", "--all"])
        .assert()
        .code(2);
    run(&folder, &["status", "--once", "--pod=--all"])
        .assert()
        .code(1)
        .stderr(contains("no name of a pod"));
    fs::write(folder.path().join("pods"), "").unwrap();
    run(&folder, &["status", "--once"])
        .assert()
        .code(1)
        .stderr(contains("no running pod").and(contains("istio=ingressgateway")));
    fs::write(folder.path().join("pods"), "--kubeconfig=/tmp/other\n").unwrap();
    run(&folder, &["status", "--once"])
        .assert()
        .code(1)
        .stderr(contains("no name of a pod"));
    fs::remove_file(folder.path().join("pods")).unwrap();
    run(&folder, &["status", "--once"])
        .assert()
        .code(1)
        .stderr(contains("kubectl cannot list the pods"));
    forwards_have_ended(&folder, &[]);
    // Without kubectl.
    let mut command = plugin(&folder, &["status", "--once"]);
    command.env("PATH", "/nowhere");
    Command::from_std(command)
        .assert()
        .code(1)
        .stderr(contains("cannot start kubectl: install it"));
}

#[test]
fn a_pod_that_is_not_reached_in_time_leaves_no_forward_behind() {
    let url = FakeEnvoy::healthy().serve();
    let folder = cluster(&[("a", &url)]);
    fs::write(folder.path().join("port-a"), "silent").unwrap();
    run(&folder, &["status", "--once", "--timeout", "1s"])
        .assert()
        .code(1)
        .stderr(contains("does not reach a within 1s"));
    forwards_have_ended(&folder, &["a"]);
}

#[test]
fn a_pod_that_is_not_reached_leaves_the_others_to_be_asked() {
    let url = FakeEnvoy::healthy().serve();
    let folder = cluster(&[("a", &url), ("b", &url)]);
    fs::remove_file(folder.path().join("port-b")).unwrap();
    for command in [&["status", "--once"][..], &["doctor"]] {
        run(&folder, command)
            .assert()
            .code(1)
            .stdout(
                contains("fail ")
                    .not()
                    .and(contains("v2").or(contains("ok"))),
            )
            .stderr(contains("pod b is not running").and(contains(format!("a at {url}"))));
    }
    forwards_have_ended(&folder, &["a"]);
}

/// Watches until the first look is printed.
fn watching(folder: &TempDir) -> Child {
    let mut child = plugin(folder, &["status", "--watch", "1", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.as_mut().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.contains("\"rollouts\""), "{line}");
    child
}

#[test]
fn a_signal_ends_the_forwards_too() {
    let url = FakeEnvoy::healthy().serve();
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let folder = cluster(&[("a", &url), ("b", &url)]);
        let mut child = watching(&folder);
        let sent = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let ended = child.wait().unwrap();
        assert_eq!(ended.code(), Some(code), "{signal}: {:?}", ended.signal());
        forwards_have_ended(&folder, &["a", "b"]);
    }
}

#[test]
fn the_help_teaches_and_the_same_file_is_serin_under_its_own_name() {
    let folder = cluster(&[]);
    run(&folder, &["--help"]).assert().code(0).stdout(
        contains("Usage: kubectl serin")
            .and(contains("kubectl serin status -n shop"))
            .and(contains("pods/portforward")),
    );
    for subcommand in ["status", "doctor", "report"] {
        run(&folder, &[subcommand, "--help"])
            .assert()
            .code(0)
            .stdout(contains("Exit codes:").and(contains("--selector")));
    }
    Command::new(assert_cmd::cargo::cargo_bin!("serin"))
        .arg("--help")
        .assert()
        .stdout(contains("Usage: serin"));
}
