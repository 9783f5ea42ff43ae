//! `serin report` as its users see it: files or a proxy in, one page out.

use crate::support::proxy::{closed, ok, serve, status};
use crate::support::rollout::Rollout;
use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const RATES: &str = r#"{"alpha": 0.01, "document": {
    "title": "Error rates", "command": "serin-eval rates", "paragraphs": ["Margins <are> binomial."],
    "tables": [{"title": "False alarms", "columns": ["judge", "share"],
        "rows": [["Serin", "0.1%"], ["another", "31%"]], "notes": ["Of 1,000 runs."]}],
    "plots": [{"title": "Power", "x_label": "odds ratio", "y_label": "requests",
        "logarithmic_x": true, "logarithmic_y": true,
        "series": [{"name": "Serin", "points": [[2, 4000], [5, 200], [25, 37]]}],
        "levels": [{"name": "limit", "y": 101}]}]}}"#;

pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn report(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("serin").unwrap();
        command
            .current_dir(self.0.path())
            .env("http_proxy", "http://127.0.0.1:1")
            .arg("report")
            .args(arguments);
        command
    }

    /// Makes a page and reads it.
    pub(super) fn page(&self, arguments: &[&str]) -> String {
        let path: &Path = &self.0.path().join("page.html");
        self.report(arguments)
            .args(["-o", "page.html"])
            .assert()
            .code(0)
            .stdout("")
            .stderr("");
        let page = std::fs::read_to_string(path).unwrap();
        is_sound(&page);
        page
    }
}

pub(super) fn bad_canary() -> Rollout {
    Rollout {
        error_rate: 0.15,
        ..Rollout::default()
    }
}

/// Every element is closed in its order, ids are there once, links lead somewhere, and nothing is
/// fetched or run.
fn is_sound(page: &str) {
    const VOID: [&str; 4] = ["meta", "br", "line", "path"];
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    let (head, rest) = page.split_once("<style>").unwrap();
    let (style, body) = rest.split_once("</style>").unwrap();
    for forbidden in ["@import", "url(", "http:", "https:"] {
        assert!(!style.contains(forbidden), "{forbidden} in the style sheet");
    }
    let text = format!("{head}{body}");
    let mut open: Vec<&str> = Vec::new();
    for part in text.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap();
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes another element");
            continue;
        }
        let name = tag.split([' ', '\n', '/']).next().unwrap();
        assert!(
            !["script", "link", "img", "iframe", "object", "embed", "base"].contains(&name),
            "<{tag}>"
        );
        for forbidden in [" src=", " onerror=", " onclick=", " onload=", " xlink:"] {
            // Within quotes a less-than sign would have been escaped, an equals sign not.
            let outside: String = tag.split('"').step_by(2).collect();
            assert!(
                !outside.contains(forbidden.trim_end_matches('=')),
                "<{tag}>"
            );
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
    let mut ids: Vec<&str> = values(&text, " id=\"").collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "an id is there twice");
    for link in values(&text, " href=\"") {
        assert!(ids.contains(&link.strip_prefix('#').unwrap()), "{link}");
    }
    assert_eq!(text.matches("<title>").count(), 1);
    assert_eq!(text.matches("<h1>").count(), 1);
    let plots = text.matches("<svg").count();
    assert_eq!(text.matches("role=\"img\" aria-label=\"").count(), plots);
    assert!(text.contains("default-src 'none'"));
}

fn values<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
}

#[test]
fn a_recording_becomes_a_page_with_verdict_evidence_and_both_versions() {
    let folder = Folder::new();
    folder.write("bad.jsonl", bad_canary().lines());
    let page = folder.page(&["bad.jsonl"]);
    for part in [
        "<title>shop: anomalous · Serin</title>",
        "shop: v1 → v2",
        "of v2's requests",
        "Evidence against v2",
        "enough (4.6",
        "Where it comes from",
        "How much worse",
        "class=\"interval\"",
        "All values are those at the verdict",
        "<small>now ",
        "What each version answers",
        "Outcome",
        "Latency",
        "Is the comparison fair?",
        "Placebo",
        "Balance",
        "Both versions over time",
        "95th percentile of latency",
        "4,800 exchanges in 4,800 lines",
        "serin report bad.jsonl",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_page_says_beside_the_verdict_what_its_recording_has_nothing_of() {
    let folder = Folder::new();
    folder.write("good.jsonl", Rollout::default().lines());
    folder.write("serin.json", r#"{"body": {}}"#);
    let page = folder.page(&["--config", "serin.json", "good.jsonl"]);
    let warning =
        "<p class=\"warning\">not judged, because this recording has no data for it: body_shape";
    assert!(page.contains(warning));
}

#[test]
fn a_good_canary_is_called_healthy_and_its_page_exits_with_0() {
    let folder = Folder::new();
    folder.write("good.jsonl", Rollout::default().lines());
    let page = folder.page(&["good.jsonl"]);
    assert!(page.contains("class=\"verdict healthy\""));
    assert!(!page.contains("<h3>Why</h3>"));
}

#[test]
fn the_log_of_a_proxy_is_a_recording_too() {
    let folder = Folder::new();
    folder.write("access.log", bad_canary().envoy_lines());
    let clusters =
        r#"{"versions": {"destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}}}"#;
    folder.write("serin.json", clusters);
    let page = folder.page(&["--config", "serin.json", "access.log"]);
    assert!(page.contains("shop: anomalous"));
    assert!(page.contains("serin report --config serin.json access.log"));
    let page = folder.page(&["--config", "serin.json", "--format", "envoy", "access.log"]);
    let again = "serin report --config serin.json --format envoy access.log";
    assert!(
        page.contains(again),
        "the command makes the same page again"
    );
}

#[cfg(unix)]
#[test]
fn a_pipe_is_a_recording_of_which_no_line_is_lost() {
    let folder = Folder::new();
    let pipe = folder.0.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // It ends by itself once its reader has gone.
    std::thread::spawn(move || std::fs::write(pipe, bad_canary().lines()));
    folder
        .report(&["pipe", "-o", "page.html"])
        .timeout(std::time::Duration::from_secs(180))
        .assert()
        .code(0);
    let page = std::fs::read_to_string(folder.0.path().join("page.html")).unwrap();
    assert!(page.contains("4,800 exchanges in 4,800 lines"));
}

#[test]
fn what_a_recording_says_cannot_become_part_of_the_page() {
    let folder = Folder::new();
    let hostile = "\"><img src=x onerror=alert(1)><script>alert(2)</script>&amp;'";
    let mut text = String::new();
    for mut record in bad_canary().records() {
        record.destination = format!("shop{hostile}");
        record.path = format!("/a{hostile}");
        record.version = format!("{}{hostile}", record.version);
        record.content_type = format!("text/html{hostile}");
        record.method = "GET<b>".to_owned();
        record.headers = Some(vec![format!("x-{hostile}")]);
        text.push_str(&serde_json::to_string(&record).unwrap());
        text.push('\n');
    }
    text.push_str(&format!(
        "{{\"start\": \"{}\"}}\n",
        hostile.replace('"', "")
    ));
    folder.write("hostile<i>.jsonl", text);
    let page = folder.page(&["hostile<i>.jsonl"]);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&lt;script&gt;"));
    for forbidden in ["<img", "<script", "<b>", "<i>"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(
        page.contains("&amp;amp;"),
        "an entity of the data stays what it was"
    );
}

#[test]
fn a_long_recording_makes_a_page_of_bounded_size() {
    let folder = Folder::new();
    let of = |seconds| Rollout {
        seconds,
        rate: 4,
        ..bad_canary()
    };
    folder.write("long.jsonl", of(7_200).lines());
    let page = folder.page(&["long.jsonl"]);
    let lines: Vec<usize> = values(&page, " points=\"")
        .map(|line| line.split_whitespace().count())
        .collect();
    let most = lines.iter().max().copied();
    assert!(
        most.is_some_and(|most| (100..=501).contains(&most)),
        "{lines:?}"
    );
    assert!(page.len() < 300_000, "{} bytes", page.len());
}

#[test]
fn documents_are_shown_alone_or_beside_a_recording() {
    let folder = Folder::new();
    folder.write("rates.json", RATES);
    folder.write("bad.jsonl", bad_canary().lines());
    let inside: serde_json::Value = serde_json::from_str(RATES).unwrap();
    folder.write("whole.json", format!("{:#}", inside["document"]));
    let parts = [
        "Error rates",
        "serin-eval rates",
        "Margins &lt;are&gt; binomial.",
        "False alarms",
        "<td class=\"number\">31%</td>",
        "Of 1,000 runs.",
        "Power: requests by odds ratio. Serin: from 37 to 4000, at last 37. limit: 101.",
    ];
    for files in [
        &["rates.json"][..],
        &["whole.json"],
        &["bad.jsonl", "rates.json"],
    ] {
        let page = folder.page(files);
        for part in parts {
            assert!(page.contains(part), "{part} of {files:?}");
        }
    }
    assert!(
        folder
            .page(&["bad.jsonl", "rates.json"])
            .contains("v1 → v2")
    );
    let twice = folder.page(&["rates.json", "whole.json"]);
    assert_eq!(twice.matches("<h2>Error rates</h2>").count(), 2);
}

#[test]
fn without_o_the_page_goes_to_the_standard_output_and_the_input_may_come_from_it() {
    let folder = Folder::new();
    let page = |input: String| {
        let mut command = folder.report(&["-"]);
        let output = command
            .write_stdin(input)
            .assert()
            .code(0)
            .get_output()
            .clone();
        let page = String::from_utf8(output.stdout).unwrap();
        is_sound(&page);
        page
    };
    assert!(page(bad_canary().lines()).contains("v1 → v2"));
    assert!(page(RATES.to_owned()).contains("False alarms"));
}

#[test]
fn what_is_no_input_is_told_with_the_repair() {
    let folder = Folder::new();
    folder.write("nonsense.txt", "this is\nno recording\n");
    folder.write("other.json", "{\n  \"name\": \"x\"\n}\n");
    folder.write("cut.json", &RATES[..100]);
    folder.write("wrong.json", r#"{"document": {"titel": "x"}}"#);
    folder.write("empty.jsonl", "");
    folder.write("bad.jsonl", bad_canary().lines());
    let replayed = Command::cargo_bin("serin")
        .unwrap()
        .args(["replay", "--json"])
        .arg(folder.0.path().join("bad.jsonl"))
        .output()
        .unwrap();
    folder.write("replayed.json", replayed.stdout);
    for (file, message) in [
        ("nonsense.txt", "no exchange in 2 lines"),
        ("other.json", "holds no document"),
        ("cut.json", "is not JSON"),
        ("wrong.json", "unknown field `titel`"),
        ("empty.jsonl", "no exchange"),
        ("replayed.json", "give the recording itself to serin report"),
        ("missing.jsonl", "cannot open missing.jsonl"),
    ] {
        folder
            .report(&[file, "-o", "page.html"])
            .assert()
            .code(1)
            .stderr(contains(message));
        assert!(!folder.0.path().join("page.html").exists(), "{file}");
    }
    for path in ["nowhere/page.html", "."] {
        folder
            .report(&["bad.jsonl", "-o", path])
            .assert()
            .code(1)
            .stderr(contains(format!("cannot write {path}")));
    }
}

#[test]
fn wrong_use_exits_with_2() {
    let folder = Folder::new();
    for arguments in [
        &[][..],
        &["a.jsonl", "--scrape", "http://127.0.0.1:1"],
        &["a.jsonl", "--for", "30s"],
        &["--scrape", "http://127.0.0.1:1", "--for", "0s"],
        &["--scrape", "http://127.0.0.1:1", "--for", "soon"],
    ] {
        folder.report(arguments).assert().code(2).stdout("");
    }
}

/// Envoy's page after `looks` looks at a canary that turns bad.
pub(super) fn stats(looks: u32) -> String {
    let shop = "wasmcustom.destination=.=shop;.;";
    let v2 = format!("{shop}version=.=v2;.;");
    let error = format!("{shop}route=.=GET /<i>;.;version=.=v2;.;category=.=error;.;");
    let stats = [
        ("server.live".to_owned(), 1),
        (format!("{v2}serin_verdict"), if looks > 0 { 3 } else { 1 }),
        (format!("{v2}serin_rollout_evidence"), 1_000 + 4_000 * looks),
        (format!("{v2}serin_rollout_threshold"), 4_605),
        (format!("{v2}serin_judged_exchanges"), 1_234 + looks),
        (format!("{v2}serin_held_by_placebo"), 0),
        (format!("{v2}serin_differs"), 1),
        (format!("{error}serin_evidence_for"), 900 + 5_000 * looks),
        (format!("{error}serin_evidence_against"), 0),
        (format!("{error}serin_category_total"), 40 + 15 * looks),
        (
            format!("{shop}route=.=GET /;.;version=.=v2;.;serin_exchanges_total"),
            100 + 50 * looks,
        ),
        (
            format!("{shop}route=.=GET /;.;version=.=v1;.;serin_exchanges_total"),
            900 + 450 * looks,
        ),
        (format!("{shop}category=.=slow_p99;.;serin_placebo"), 7_000),
        (format!("{v2}odds_ratio=.=5;.;serin_requests_needed"), 2_660),
    ];
    let stats: Vec<_> = stats
        .iter()
        .map(|(name, value)| serde_json::json!({"name": name, "value": value}))
        .collect();
    ok(&serde_json::json!({"stats": stats}).to_string())
}

#[test]
fn a_live_proxy_is_looked_at_each_second() {
    let url = serve(|looks, line| {
        assert_eq!(line, "GET /stats?format=json&filter=serin_ HTTP/1.1");
        stats(looks)
    });
    let folder = Folder::new();
    let page = folder.page(&["--scrape", &url, "--for", "4s"]);
    for part in [
        "<title>shop: anomalous · Serin</title>",
        "Evidence against v2",
        "GET /&lt;i&gt;: error",
        "behave differently",
        "placebo, slow_p99: by chance at most 1 in 1,096",
        " looks at ",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("held back"));
    // The candidate is condemned: no more is needed.
    assert!(!page.contains("How much more is needed"));
    // Each look adds 15 requests of v2 to the category.
    let cell = |count: u32| {
        page.contains(&format!(
            "data-name=\"v2\">30%<br><small>{count}</small></td>"
        ))
    };
    assert!([15, 30, 45, 60].into_iter().any(cell), "{page}");
    let looks = values(&page, " points=\"").map(|line| line.split_whitespace().count());
    assert!(looks.max().unwrap() >= 2);
}

#[test]
fn a_proxy_that_stops_to_answer_leaves_a_page_that_says_so() {
    let url = serve(|looks, _| match looks {
        0 => stats(0),
        _ => status("503 Service Unavailable"),
    });
    let folder = Folder::new();
    let page = folder.page(&["--scrape", &format!("{url}/"), "--for", "4s"]);
    assert!(
        page.contains("more looks failed") && page.contains("503"),
        "{page}"
    );
}

#[test]
fn a_page_in_the_format_of_prometheus_is_read_under_its_own_url() {
    let url = serve(|_, line| {
        assert_eq!(line, "GET /stats/prometheus HTTP/1.1");
        ok("# TYPE serin_verdict gauge\n\
            serin_verdict{destination=\"cart\",version=\"v7\"} 1\n\
            serin_rollout_threshold{destination=\"cart\",version=\"v7\"} 4605\n")
    });
    let folder = Folder::new();
    let url = format!("{url}/stats/prometheus");
    let page = folder.page(&["--scrape", &url, "--for", "1s"]);
    assert!(page.contains("cart: v7") && page.contains("verdict healthy"));
}

#[test]
fn a_proxy_that_cannot_help_is_told() {
    let folder = Folder::new();
    let none = serve(|_, _| ok(r#"{"stats": [{"name": "server.live", "value": 1}]}"#));
    let web = serve(|_, _| ok("<!doctype html><title>Envoy Admin</title>"));
    let moved = serve(|_, _| {
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
    });
    for (url, message) in [
        (closed(), "admin address"),
        (none, "no metric of Serin"),
        (web, "is a web page"),
        (moved, "answers with 302"),
        ("ftp://127.0.0.1".to_owned(), "has to begin with http://"),
        ("127.0.0.1:9901".to_owned(), "has to begin with http://"),
    ] {
        folder
            .report(&["--scrape", &url, "--for", "1s", "-o", "page.html"])
            .assert()
            .code(1)
            .stdout("")
            .stderr(contains(message).and(contains("panicked").not()));
    }
    assert!(!folder.0.path().join("page.html").exists());
}
