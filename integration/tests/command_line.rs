//! The reference of the command line is made from the commands' own help.

use crate::reference::hold;
use anyhow::Result;
use std::fmt::Write as _;

const PAGE: &str = "docs/reference-cli.md";
/// The width of a help text, so that it is the same in every terminal.
const WIDTH: usize = 100;

const OPENING: &str = "\
# Command line

<!-- Made from the commands' help by `make reference`: change it in scorer-sdk/cli/src. -->

`make install` builds the command `serin` and puts it, its completions and its manual pages under `PREFIX` (`~/.local`). It also installs the same file as `kubectl-serin`, so that `kubectl serin` works.

`serin replay` uses the same engine as the filter: the same exchanges lead to the same verdict. Recordings may be compressed with gzip: [recording.md](recording.md). A URL may be `https://`, with `--header`, `--token-file` and `--ca-cert`: [delivery-tools.md](delivery-tools.md#a-hosted-prometheus).

`serin-eval` is a separate command, which measures the error rates of Serin and of other judges on the same traffic: [evaluation.md](evaluation.md).

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | an input or a config cannot be used |
| 2 | wrong use of the command line |
| 10 | `replay` or `status` found a candidate anomalous |
";

/// Appends a section for every subcommand.
fn append(page: &mut String, name: &str, command: clap::Command) -> Result<()> {
    let mut command = command.term_width(WIDTH);
    // So that a subcommand's usage begins with the whole command.
    command.build();
    for subcommand in command.get_subcommands_mut() {
        if subcommand.get_name() == "help" {
            continue;
        }
        let title = format!("{name} {}", subcommand.get_name());
        let help = subcommand.render_long_help().to_string();
        write!(page, "\n## {title}\n\n```text\n")?;
        for line in help.lines() {
            writeln!(page, "{}", line.trim_end())?;
        }
        page.push_str("```\n");
    }
    Ok(())
}

#[test]
fn the_reference_page_of_the_command_line_is_made_from_its_help() -> Result<()> {
    let mut page = OPENING.to_owned();
    append(&mut page, "serin", serin_cli::args::Cli::whole())?;
    append(
        &mut page,
        "kubectl serin",
        serin_cli::kubectl::args::Cli::whole(),
    )?;
    hold(PAGE, &page)
}
