//! The command line of `kubectl serin`.

use super::help::{AFTER_HELP, DOCTOR_HELP, REPORT_HELP, STATUS_HELP};
use crate::args::{DoctorView, StatusView, time};
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::time::Duration;

/// Show and check the rollouts that the proxies of a cluster watch.
#[derive(Debug, Parser)]
#[command(name = "kubectl-serin", bin_name = "kubectl serin", version)]
#[command(after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    /// Which proxies.
    #[command(flatten)]
    pub proxies: Proxies,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line of this process. An error in it ends the process.
    #[must_use]
    pub fn read() -> Self {
        Self::parse()
    }

    /// The description of every option and subcommand.
    #[must_use]
    pub fn whole() -> clap::Command {
        Self::command()
    }
}

/// What to do with the proxies.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch the rollouts, as `serin status` does
    #[command(after_help = STATUS_HELP)]
    Status(StatusView),
    /// Check each proxy, as `serin doctor` does
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorView),
    /// Watch one proxy and make an HTML page, as `serin report --scrape` does
    #[command(after_help = REPORT_HELP)]
    Report(Report),
}

/// The options of `kubectl serin report`.
#[derive(Debug, Args)]
pub struct Report {
    /// How long to watch the proxy, such as 30s or 5m
    #[arg(long = "for", value_name = "TIME", default_value = "30s", value_parser = time)]
    pub look: Duration,
    /// File to write [default: the standard output, unless it is a terminal]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
}

/// Which pods have the proxies, and how kubectl reaches them.
#[derive(Debug, Args)]
pub struct Proxies {
    /// Namespace of the pods
    #[arg(short, long, global = true, default_value = "istio-system")]
    pub namespace: String,
    /// Labels of the pods
    #[arg(
        short = 'l',
        long,
        global = true,
        value_name = "LABELS",
        default_value = "istio=ingressgateway"
    )]
    pub selector: String,
    /// Name of one pod, instead of the selector
    #[arg(long, global = true, value_name = "NAME")]
    pub pod: Option<String>,
    /// Port of Envoy's admin interface in the pod
    #[arg(long, global = true, value_name = "PORT", default_value_t = 15_000)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub admin_port: u16,
    /// Number of pods to connect to at once, at most 32
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=32))]
    pub most: u8,
    /// Longest time for kubectl to list the pods, and to reach each of them
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub timeout: Duration,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// The kubeconfig
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_stand_before_and_behind_the_subcommand() {
        Cli::whole().debug_assert();
        for words in [
            "kubectl-serin -n shop -l app=storefront status --once",
            "kubectl-serin status --once -n shop -l app=storefront",
        ] {
            let cli = Cli::try_parse_from(words.split(' ')).unwrap();
            assert_eq!(cli.proxies.namespace, "shop");
            assert_eq!(cli.proxies.selector, "app=storefront");
            assert!(matches!(
                cli.command,
                Command::Status(StatusView { once: true, .. })
            ));
        }
        for words in [
            "kubectl-serin status --most 33",
            "kubectl-serin status --admin-port 0",
            "kubectl-serin",
        ] {
            assert!(Cli::try_parse_from(words.split(' ')).is_err(), "{words}");
        }
    }
}
