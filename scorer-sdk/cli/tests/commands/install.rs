//! What `make install` puts beside the command.

use assert_cmd::Command;
use clap::CommandFactory;
use predicates::prelude::*;
use tempfile::TempDir;

fn serin(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("serin"));
    command.args(args);
    command
}

#[test]
fn each_shell_gets_completions_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        serin(&["completions", shell])
            .assert()
            .success()
            .stdout(predicate::str::contains("check-config"));
    }
    serin(&["completions", "cmd"]).assert().code(2);
}

#[test]
fn each_command_gets_a_manual_page() {
    let folder = TempDir::new().unwrap();
    let pages = folder.path().join("man1");
    serin(&["man", &pages.display().to_string()])
        .assert()
        .success();
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
    assert!(page("serin.1").contains("serin\\-replay"));
    for command in serin_cli::args::Cli::command().get_subcommands() {
        let text = page(&format!("serin-{}.1", command.get_name()));
        assert!(text.contains("Exit codes"), "{}", command.get_name());
    }
    for name in ["", "-status", "-doctor", "-report"] {
        let text = page(&format!("kubectl-serin{name}.1"));
        assert!(text.contains("Exit codes"), "{name}");
    }
    serin(&["man", "/proc/none"]).assert().code(1);
}

#[test]
fn the_script_installs_the_command_and_the_plugin_of_kubectl() {
    let folder = TempDir::new().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/install.sh");
    Command::new(script)
        .arg(assert_cmd::cargo::cargo_bin!("serin"))
        .arg("/usr")
        .env("DESTDIR", folder.path())
        .assert()
        .success();
    let program = |name: &str| Command::new(folder.path().join("usr/bin").join(name));
    let version = env!("CARGO_PKG_VERSION");
    program("serin")
        .arg("--version")
        .assert()
        .stdout(format!("serin {version}\n"));
    program("kubectl-serin")
        .arg("--version")
        .assert()
        .stdout(format!("kubectl-serin {version}\n"));
    for file in ["kubectl-serin.1", "serin-status.1"] {
        let page = folder.path().join("usr/share/man/man1").join(file);
        assert!(page.is_file(), "{file}");
    }
}
