//! The command line.

use crate::input::Format;
use clap::{Args, Parser, Subcommand};

const AFTER_HELP: &str = "\
Examples:
  serin replay shop.jsonl                      judge a recorded rollout
  serin snapshot stable.jsonl -o stable.json   freeze what stable does, for a guard
  serin explain stable.json                    see what is in it
  serin check-config plugin.yaml               check a config before it is applied

Exit codes:
  0   done; of replay: no candidate was found anomalous
  1   an input or a config cannot be used, or a file cannot be read or written
  2   wrong use of the command line
  10  replay: a candidate was found anomalous

What a recording is and how Envoy writes one: docs/recording.md.";

const REPLAY_HELP: &str = "\
Examples:
  serin replay shop.jsonl
  serin replay --config serin.json gateway-1.log gateway-2.log
  zcat access.log.gz | serin replay --format envoy --config serin.yaml -
  serin replay --json shop.jsonl | jq '.decisions[] | {verdict, explanation}'
  serin replay --every shop.jsonl | jq -c 'select(.evidence > 2)'

Each file should be in the order in which its exchanges ended, as access logs are. Files of
several proxies are merged. The baseline is the first version seen and the candidate the newest
one, unless the config names them.

Exit codes:
  0   no candidate was found anomalous (learning, healthy or suspect)
  1   there is no exchange in the input, a file cannot be read, a config is wrong, or with
      --strict a line is bad
  2   wrong use of the command line
  10  a candidate was found anomalous";

const SNAPSHOT_HELP: &str = "\
Examples:
  serin snapshot stable.jsonl -o stable.json
  serin snapshot rollout.jsonl --destination shop --version v1 > v1.json
  jq '{mode: \"reject\", reject: {reference: .}}' stable.json > guard.json

Exit codes:
  0   the snapshot is made
  1   there is no exchange of that version, several versions and no choice, a file cannot be read
      or written, or with --strict a line is bad
  2   wrong use of the command line";

const EXPLAIN_HELP: &str = "\
Examples:
  serin explain stable.json
  serin explain --json stable.json | jq '.routes[] | {route, latency_ms}'

Exit codes:
  0   explained
  1   the file cannot be read or is no snapshot
  2   wrong use of the command line";

const CHECK_CONFIG_HELP: &str = "\
Examples:
  serin check-config serin.json
  serin check-config wasmplugin.yaml
  kubectl get wasmplugin serin -o yaml | serin check-config -

Exit codes:
  0   the config can be used
  1   it cannot: the path in the config and the repair are said; or the file cannot be read
  2   wrong use of the command line";

/// Judge canaries from recordings, and make and check what the filter runs on.
#[derive(Debug, Parser)]
#[command(name = "serin", version, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge recorded exchanges as the filter would have
    #[command(after_help = REPLAY_HELP)]
    Replay(Replay),
    /// Freeze what one version does into a reference for guards
    #[command(after_help = SNAPSHOT_HELP)]
    Snapshot(Snapshot),
    /// Say what is in a snapshot
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Explain),
    /// Check a config, or those in a WasmPlugin's manifest
    #[command(after_help = CHECK_CONFIG_HELP)]
    CheckConfig(CheckConfig),
}

/// Where exchanges come from.
#[derive(Debug, Args)]
pub struct Recordings {
    /// Recordings; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// The filter's config, JSON or YAML; the defaults without it
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// How the lines are written; each line's own is found without it
    #[arg(long)]
    pub format: Option<Format>,
    /// Fail at the first bad line; without it, bad lines are counted
    #[arg(long)]
    pub strict: bool,
}

/// `serin replay`
#[derive(Debug, Args)]
pub struct Replay {
    /// Where exchanges come from.
    #[command(flatten)]
    pub recordings: Recordings,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print the evidence at each tick as JSON lines; the last line is what --json prints
    #[arg(long)]
    pub every: bool,
}

/// `serin snapshot`
#[derive(Debug, Args)]
pub struct Snapshot {
    /// Where exchanges come from.
    #[command(flatten)]
    pub recordings: Recordings,
    /// The service; needed when there are several
    #[arg(long, value_name = "NAME")]
    pub destination: Option<String>,
    /// The version; the config's baseline or the only one without it
    #[arg(long, value_name = "NAME")]
    pub version: Option<String>,
    /// Where to write; the standard output without it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
}

/// `serin explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// The snapshot; `-` is the standard input
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `serin check-config`
#[derive(Debug, Args)]
pub struct CheckConfig {
    /// The config, JSON or YAML, or a manifest with WasmPlugins; `-` is the standard input
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}
