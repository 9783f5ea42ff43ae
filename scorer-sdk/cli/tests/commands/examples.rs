//! Writes the committed examples under `testdata/recordings`, and checks that they are what the
//! generator makes: `SERIN_WRITE_EXAMPLES=1 cargo test -p serin-cli examples`.

use crate::support::rollout::Rollout;
use assert_cmd::Command;
use std::path::Path;

fn is_as_generated(name: &str, text: &str) {
    assert!(text.lines().count() <= 300);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/recordings")
        .join(name);
    if std::env::var_os("SERIN_WRITE_EXAMPLES").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{name}");
}

fn small(error_rate: f64) -> Rollout {
    Rollout {
        seed: 7,
        seconds: 10,
        rate: 30,
        share: 0.5,
        error_rate,
        ..Rollout::default()
    }
}

#[test]
fn the_examples_are_what_the_generator_makes() {
    is_as_generated("good-canary.jsonl", &small(0.005).lines());
    is_as_generated("bad-canary.jsonl", &small(0.7).lines());
    is_as_generated("bad-canary-envoy.log", &small(0.7).envoy_lines());
}

#[test]
fn the_page_on_recordings_shows_what_replay_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/recording.md")).unwrap();
    for name in ["bad-canary-envoy.log", "good-canary.jsonl"] {
        let output = Command::cargo_bin("serin")
            .unwrap()
            .current_dir(root.join("testdata/recordings"))
            .args(["replay", "--config", "serin.json", name])
            .output()
            .unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let code = output.status.code().unwrap();
        let shown = format!("{name}; echo \"exit code $?\"\n{printed}exit code {code}\n");
        assert!(
            page.contains(&shown),
            "docs/recording.md does not show:\n{shown}"
        );
    }
}
