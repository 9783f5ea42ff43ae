//! The command line of `serin-eval`.

mod help;

use clap::{Args, Parser, Subcommand};
use help::{
    API_TRAFFIC_HELP, CHANGERCA_HELP, EVAL_HELP, JUDGES_HELP, LOOKS_HELP, NAB_HELP, RATES_HELP,
    REAL_TRAFFIC_HELP, TRACEANOMALY_HELP,
};

/// Put Serin beside today's canary judges, on simulated rollouts and on recordings
#[derive(Debug, Parser)]
#[command(name = "serin-eval", version, propagate_version = true, after_help = EVAL_HELP)]
pub struct Eval {
    /// On what.
    #[command(subcommand)]
    pub command: EvalCommand,
}

/// On what judges are put beside each other.
#[derive(Debug, Subcommand)]
pub enum EvalCommand {
    /// Canary releases of Online Boutique with injected defects (IntelligentDDS/ChangeRCA)
    #[command(after_help = CHANGERCA_HELP)]
    Changerca(EvalChangerca),
    /// Simulated rollouts, one kind of regression at a time, and healthy ones
    #[command(after_help = JUDGES_HELP)]
    Judges(EvalJudges),
    /// Serin alone: how often a healthy rollout is blamed, how soon a bad one is found
    #[command(after_help = RATES_HELP)]
    Rates(EvalRates),
    /// Serin alone, where requests share a pod, a session, a client or a cold start
    #[command(after_help = REAL_TRAFFIC_HELP)]
    RealTraffic(EvalRealTraffic),
    /// Serin alone, where workers look at a part of heavy traffic
    #[command(after_help = LOOKS_HELP)]
    Looks(EvalRealTraffic),
    /// Drift on series with known anomalies (numenta/NAB)
    #[command(after_help = NAB_HELP)]
    Nab(EvalNab),
    /// Attacks among recorded API calls (Cisco and Ariel University)
    #[command(after_help = API_TRAFFIC_HELP)]
    ApiTraffic(EvalStrange),
    /// Abnormal traces of Train Ticket among normal ones (NetManAIOps/TraceAnomaly)
    #[command(name = "traceanomaly", after_help = TRACEANOMALY_HELP)]
    TraceAnomaly(EvalStrange),
}

/// How an evaluation is printed; tables for a terminal without either.
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
    /// Seed of the half that settings are chosen on
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How it is printed.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval api-traffic` and `serin-eval traceanomaly`
#[derive(Debug, Args)]
pub struct EvalStrange {
    /// Folder with the data set
    #[arg(value_name = "DIR")]
    pub dir: String,
    /// Seed of the first split; each further one takes the next
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Random splits into what is learned, what sets the threshold and what is counted
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub splits: u64,
    /// Share of ordinary exchanges that may count as strange
    #[arg(long, value_name = "SHARE", default_value = "0.005", value_parser = share)]
    pub false_positives: f64,
    /// How it is printed.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval changerca`
#[derive(Debug, Args)]
pub struct EvalChangerca {
    /// Folder with the day archives (2023-09-22.tar.gz) or unpacked day folders
    #[arg(value_name = "DIR")]
    pub dir: String,
    /// Mean number of requests that are drawn for each pod, edge and minute
    #[arg(long, value_name = "N", default_value = "15", value_parser = requests)]
    pub requests_per_minute: f64,
    /// Seed of what is drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Another config for Serin, JSON or YAML, with versions v1 and v2
    #[arg(long, value_name = "FILE")]
    pub config: Option<String>,
    /// Add a table of every canary, with Serin's reasons
    #[arg(long)]
    pub each: bool,
    /// Add a table of stable pods that are put in the candidate's place, one at a time
    #[arg(long)]
    pub stand_ins: bool,
    /// How it is printed.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval judges`
#[derive(Debug, Args)]
pub struct EvalJudges {
    /// Rollouts of each kind
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub runs: u64,
    /// Seed of the first one
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How it is printed.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval rates`
#[derive(Debug, Args)]
pub struct EvalRates {
    /// Rollouts of each kind for the false alarms; the other studies take a part of it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub runs: Option<u64>,
    /// Seed of the first rollout
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Take fewer runs and leave out what takes longest
    #[arg(long)]
    pub quick: bool,
    /// Threads
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = threads)]
    pub threads: usize,
    /// How it is printed.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin-eval real-traffic` and `serin-eval looks`
#[derive(Debug, Args)]
pub struct EvalRealTraffic {
    /// Rollouts of each healthy kind; the others take a part of it [default: see below]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub runs: Option<u64>,
    /// Seed of the first rollout
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Run only rows whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub row: String,
    /// Take fewer runs
    #[arg(long)]
    pub quick: bool,
    /// Threads
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = threads)]
    pub threads: usize,
    /// How it is printed.
    #[command(flatten)]
    pub printed: Printed,
}

/// Reads a number of threads.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if (1..=256).contains(&number) => Ok(number),
        _ => Err("has to be from 1 to 256".to_owned()),
    }
}

/// Reads a share.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=0.5).contains(&share) => Ok(share),
        _ => Err("has to be a number from 0 to 0.5".to_owned()),
    }
}

/// Reads a mean number of requests.
fn requests(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.1..=10_000.0).contains(&number) => Ok(number),
        _ => Err("has to be a number from 0.1 to 10000".to_owned()),
    }
}
