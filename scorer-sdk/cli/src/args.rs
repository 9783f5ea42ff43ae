//! The command line.

mod help;

use crate::fetch::Access;
use crate::input::Format;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use help::{
    AFTER_HELP, CHECK_CONFIG_HELP, COMPLETIONS_HELP, DOCTOR_HELP, EXPLAIN_HELP, MAN_HELP,
    REPLAY_HELP, REPORT_HELP, SERVE_VERDICT_HELP, SNAPSHOT_HELP, STATUS_HELP,
};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Judge canaries from recordings, watch live rollouts, and check the filter's configs.
#[derive(Debug, Parser)]
#[command(name = "serin", version, after_help = AFTER_HELP)]
#[command(arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line of this process; what is wrong with it ends the process.
    #[must_use]
    pub fn read() -> Self {
        let matches = Self::whole().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// All that can be written, with what no single option's own description says.
    #[must_use]
    pub fn whole() -> clap::Command {
        // A server's options make no sense with files.
        Self::command().mut_subcommand("report", |report| {
            report.mut_args(|arg| match arg.get_id().as_str() {
                "header" | "token_file" | "ca_cert" => arg.conflicts_with("files"),
                _ => arg,
            })
        })
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge recorded exchanges as the filter would have
    #[command(after_help = REPLAY_HELP)]
    Replay(Replay),
    /// Make a guard's reference from a recording of one version
    #[command(after_help = SNAPSHOT_HELP)]
    Snapshot(Snapshot),
    /// Make an HTML page from recordings, evaluations or a live proxy
    #[command(after_help = REPORT_HELP)]
    Report(Report),
    /// Explain what a snapshot contains
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Explain),
    /// Check a config, or the configs in a manifest or in Envoy's own config
    #[command(after_help = CHECK_CONFIG_HELP)]
    CheckConfig(CheckConfig),
    /// Watch rollouts on live proxies
    #[command(after_help = STATUS_HELP)]
    Status(Status),
    /// Check an installation, and name the fix for each problem
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Doctor),
    /// Serve verdicts from a Prometheus to Flagger and Argo Rollouts, over HTTP
    #[command(after_help = SERVE_VERDICT_HELP)]
    ServeVerdict(ServeVerdict),
    /// Print the completion script for a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(Completions),
    /// Write a manual page for each command into a folder
    #[command(after_help = MAN_HELP)]
    Man(Man),
}

/// Where exchanges come from.
#[derive(Debug, Args)]
pub struct Recordings {
    /// Recordings; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// The filter's config, JSON or YAML [default: the filter's defaults]
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Format of the lines [default: detect it for each line]
    #[arg(long)]
    pub format: Option<Format>,
    /// Fail at the first bad line instead of counting bad lines
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
    /// Print the evidence at each tick as JSON lines; the last line is the output of --json
    #[arg(long)]
    pub every: bool,
    /// Rank the most unusual exchanges and say why, instead of judging versions
    #[arg(long, conflicts_with = "every")]
    pub surprise: bool,
    /// How many exchanges --surprise shows, at most 1000
    #[arg(long, value_name = "NUMBER", default_value_t = crate::surprise::SHOWN, requires = "surprise")]
    pub top: usize,
}

/// `serin snapshot`
#[derive(Debug, Args)]
pub struct Snapshot {
    /// Where exchanges come from.
    #[command(flatten)]
    pub recordings: Recordings,
    /// The service; required if there are several
    #[arg(long, value_name = "NAME")]
    pub destination: Option<String>,
    /// The version [default: the config's baseline, or the only version]
    #[arg(long, value_name = "NAME")]
    pub version: Option<String>,
    /// File to write [default: the standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
}

/// `serin report`
#[derive(Debug, Args)]
pub struct Report {
    /// Recordings, or output of serin-eval --json; `-` is the standard input
    #[arg(
        required_unless_present = "scrape",
        conflicts_with = "scrape",
        value_name = "FILE"
    )]
    pub files: Vec<String>,
    /// The filter's config, JSON or YAML [default: the filter's defaults]
    #[arg(long, value_name = "FILE", conflicts_with = "scrape")]
    pub config: Option<String>,
    /// Format of the lines [default: detect it for each line]
    #[arg(long, conflicts_with = "scrape")]
    pub format: Option<Format>,
    /// Fail at the first bad line instead of counting bad lines
    #[arg(long, conflicts_with = "scrape")]
    pub strict: bool,
    /// The admin address of a live Envoy, or the URL of a page in Prometheus' format
    #[arg(long, value_name = "URL")]
    pub scrape: Option<String>,
    /// How long to watch the proxy, such as 30s or 5m
    #[arg(
        long = "for",
        value_name = "TIME",
        default_value = "30s",
        conflicts_with = "files",
        value_parser = time
    )]
    pub look: Duration,
    /// How the proxy is asked.
    #[command(flatten)]
    pub access: Access,
    /// File to write [default: the standard output, unless it is a terminal]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
}

/// Reads a time such as `30s`, of at least a second and at most a day.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write it as 30s or 5m"))?;
    match time.as_secs() {
        1..=86_400 => Ok(time),
        _ => Err("has to be from 1s to 24h".to_owned()),
    }
}

/// `serin serve-verdict`
#[derive(Debug, Args)]
pub struct ServeVerdict {
    /// Address of Prometheus, or of what answers /api/v1/query like it
    #[arg(long, value_name = "URL")]
    pub prometheus: String,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8095")]
    pub listen: SocketAddr,
    /// How Prometheus is asked.
    #[command(flatten)]
    pub access: Access,
    /// Longest time for a question to Prometheus
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub timeout: Duration,
    /// Without traffic for so long, a candidate is not promoted
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub window: Duration,
    /// Tell the fleet's verdict, and memories, only to who sends this file's token; it is read anew each time
    #[arg(long, value_name = "FILE")]
    pub fleet_token_file: Option<String>,
    /// Keep what proxies have learned in this folder, or in the bucket of a URL such as s3://BUCKET/PATH
    #[arg(long, value_name = "PLACE")]
    pub memory: Option<String>,
    /// Most memories; the ones written longest ago go first
    #[arg(long, value_name = "NUMBER", default_value = "1000", requires = "memory",
        value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub memory_most: u32,
    /// Most MiB of all memories together
    #[arg(long, value_name = "MIB", default_value = "256", requires = "memory",
        value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub memory_mib: u32,
}

/// `serin completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

/// `serin man`
#[derive(Debug, Args)]
pub struct Man {
    /// The folder; it is created if it does not exist
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
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
    /// The config, or a manifest or Envoy config that contains it, JSON or YAML; `-` is the standard input
    #[arg(value_name = "FILE")]
    pub file: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `serin status`
#[derive(Debug, Args)]
pub struct Status {
    /// Addresses of proxies or of a Prometheus
    #[arg(required_unless_present = "prometheus", value_name = "URL")]
    pub urls: Vec<String>,
    /// Address of a Prometheus that the command does not recognise as one; its path may have a prefix
    #[arg(long, value_name = "URL")]
    pub prometheus: Vec<String>,
    /// How the servers are asked.
    #[command(flatten)]
    pub access: Access,
    /// How often and in which form.
    #[command(flatten)]
    pub view: StatusView,
}

/// How often `serin status` shows what it sees, and in which form.
#[derive(Debug, Clone, Copy, Args)]
pub struct StatusView {
    /// Show the table once and exit
    #[arg(long)]
    pub once: bool,
    /// Time between two refreshes, such as 5 or 5s [default: 2s on a terminal]
    #[arg(long, value_name = "SECONDS", conflicts_with = "once", value_parser = period)]
    pub watch: Option<Duration>,
    /// Print JSON: one object, or with --watch one object per line
    #[arg(long)]
    pub json: bool,
}

/// `serin doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Address of a proxy or of a Prometheus
    #[arg(value_name = "URL")]
    pub url: String,
    /// Treat the address as a Prometheus; its path may have a prefix
    #[arg(long)]
    pub prometheus: bool,
    /// How the server is asked.
    #[command(flatten)]
    pub access: Access,
    /// What counts as a failure, and in which form it is printed.
    #[command(flatten)]
    pub view: DoctorView,
}

/// What `serin doctor` counts as a failure, and in which form it prints.
#[derive(Debug, Clone, Copy, Args)]
pub struct DoctorView {
    /// Count warnings as failures
    #[arg(long)]
    pub strict: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Reads a time between two looks: seconds, or a text such as `5s`, from a second to an hour.
fn period(text: &str) -> Result<Duration, String> {
    let time = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text)
            .map_err(|error| format!("{error}: write it as 5 or 5s"))?,
    };
    match time.as_secs() {
        1..=3_600 => Ok(time),
        _ => Err("has to be from 1s to 1h".to_owned()),
    }
}
