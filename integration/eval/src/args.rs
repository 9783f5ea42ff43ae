//! The command line of `serin-eval`.

mod help;

use clap::{Args, Parser, Subcommand};
use help::{
    API_TRAFFIC_HELP, CHANGERCA_HELP, EVAL_HELP, JUDGES_HELP, LOOKS_HELP, NAB_HELP, RATES_HELP,
    REAL_TRAFFIC_HELP, TRACEANOMALY_HELP,
};

/// Compare Serin with other canary judges, on simulated rollouts and on recordings
#[derive(Debug, Parser)]
#[command(name = "serin-eval", version, propagate_version = true, after_help = EVAL_HELP)]
pub struct Eval {
    /// What to evaluate on.
    #[command(subcommand)]
    pub command: EvalCommand,
}

/// What to evaluate on.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Canary releases of Online Boutique with injected defects (IntelligentDDS/ChangeRCA)
    #[command(after_help = CHANGERCA_HELP)]
    Changerca(EvalChangerca),
    /// Simulated rollouts: healthy ones, and one kind of regression at a time
    #[command(after_help = JUDGES_HELP)]
    Judges(EvalJudges),
    /// Serin alone: how often it blames a healthy rollout, how soon it finds a bad one
    #[command(after_help = RATES_HELP)]
    Rates(EvalRates),
    /// Serin alone, with requests that share a pod, a session, a client or a cold start
    #[command(after_help = REAL_TRAFFIC_HELP)]
    RealTraffic(EvalRealTraffic),
    /// Serin alone, with workers that look at only part of heavy traffic
    #[command(after_help = LOOKS_HELP)]
    Looks(EvalRealTraffic),
    /// Drift detection on series with known anomalies (numenta/NAB)
    #[command(after_help = NAB_HELP)]
    Nab(EvalNab),
    /// Attacks among recorded API calls (Cisco and Ariel University)
    #[command(after_help = API_TRAFFIC_HELP)]
    ApiTraffic(EvalStrange),
    /// Abnormal traces of Train Ticket among normal ones (NetManAIOps/TraceAnomaly)
    #[command(name = "traceanomaly", after_help = TRACEANOMALY_HELP)]
    TraceAnomaly(EvalStrange),
}

/// How to print an evaluation; without either option, as tables for a terminal.
#[derive(Debug, Clone, Copy, Args)]
pub struct Printed {
    /// Print one JSON object, which serin report reads
    #[arg(long)]
    pub json: bool,
    /// Print the tables as Markdown
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

/// `serin-eval nab`
#[derive(Debug, Args)]
pub struct EvalNab {
    /// Folder with NAB's folders data and labels, or with an archive of them
    #[arg(value_name = "DIR")]
    pub dir: String,
    /// Seed that draws the half for choosing settings
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How to print the result.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval api-traffic` and `serin-eval traceanomaly`
#[derive(Debug, Args)]
pub struct EvalStrange {
    /// Folder with the data set
    #[arg(value_name = "DIR")]
    pub dir: String,
    /// Seed of the first split; each further split takes the next number
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Number of random splits into learning, threshold and counting
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub splits: u64,
    /// Share of ordinary exchanges that may count as strange
    #[arg(long, value_name = "SHARE", default_value = "0.005", value_parser = share)]
    pub false_positives: f64,
    /// How to print the result.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval changerca`
#[derive(Debug, Args)]
pub struct EvalChangerca {
    /// Folder with the day archives (2023-09-22.tar.gz) or unpacked day folders
    #[arg(value_name = "DIR")]
    pub dir: String,
    /// Mean number of requests to draw for each pod, edge and minute
    #[arg(long, value_name = "N", default_value = "15", value_parser = requests)]
    pub requests_per_minute: f64,
    /// Seed of the random draws
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Serin's config, JSON or YAML, with versions v1 and v2
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Add a table of every canary, with Serin's reasons
    #[arg(long)]
    pub each: bool,
    /// Add a table in which each stable pod in turn takes the candidate's place
    #[arg(long)]
    pub stand_ins: bool,
    /// How to print the result.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval judges`
#[derive(Debug, Args)]
pub struct EvalJudges {
    /// Rollouts of each kind
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub runs: u64,
    /// Seed of the first rollout
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How to print the result.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval rates`
#[derive(Debug, Args)]
pub struct EvalRates {
    /// Rollouts of each healthy kind; the other studies run fewer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub runs: Option<u64>,
    /// Seed of the first rollout
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Run fewer rollouts, and skip the slowest studies
    #[arg(long)]
    pub quick: bool,
    /// Number of threads
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = threads)]
    pub threads: usize,
    /// How to print the result.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval real-traffic` and `serin-eval looks`
#[derive(Debug, Args)]
pub struct EvalRealTraffic {
    /// Rollouts of each healthy kind; the others run fewer [default: see below]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub runs: Option<u64>,
    /// Seed of the first rollout
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Run only rows whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub row: String,
    /// Run fewer rollouts
    #[arg(long)]
    pub quick: bool,
    /// Number of threads
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = threads)]
    pub threads: usize,
    /// How to print the result.
    #[command(flatten)]
    pub printed: Printed,
}

/// Reads a number of threads.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if (1..=256).contains(&number) => Ok(number),
        _ => Err("must be from 1 to 256".to_owned()),
    }
}

/// Reads a share.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=0.5).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 0.5".to_owned()),
    }
}

/// Reads a mean number of requests.
fn requests(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.1..=10_000.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0.1 to 10000".to_owned()),
    }
}
