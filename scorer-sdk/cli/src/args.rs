//! The command line.

use crate::input::Format;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::time::Duration;

const AFTER_HELP: &str = "\
Examples:
  serin replay shop.jsonl                      judge a recorded rollout
  serin snapshot stable.jsonl -o stable.json   freeze what stable does, for a guard
  serin report shop.jsonl -o report.html       see the rollout in a browser
  serin explain stable.json                    see what is in it
  serin check-config plugin.yaml               check a config before it is applied
  serin status http://127.0.0.1:9901           watch a live proxy's rollouts
  serin doctor http://127.0.0.1:9901           check an installation

Exit codes:
  0   done; of replay and status: no candidate was found anomalous
  1   an input or a config cannot be used, a file cannot be read or written, or a proxy not be
      reached; of doctor: a check failed
  2   wrong use of the command line
  10  replay, status: a candidate was found anomalous

What a recording is and how Envoy writes one: docs/recording.md.";

const REPLAY_HELP: &str = "\
Examples:
  serin replay shop.jsonl
  serin replay --config serin.json gateway-1.log gateway-2.log
  zcat access.log.gz | serin replay --format envoy --config serin.yaml -
  serin replay --json shop.jsonl | jq '.decisions[] | {verdict, explanation}'
  serin replay --every shop.jsonl | jq -c 'select(.evidence > 2)'
  serin replay --surprise shop.jsonl

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

const REPORT_HELP: &str = "\
Examples:
  serin report shop.jsonl -o report.html
  serin report --config serin.yaml gateway-1.log gateway-2.log -o report.html
  serin eval rates --json > rates.json && serin report rates.json -o report.html
  serin report --scrape http://127.0.0.1:9901 --for 5m -o report.html

One self-contained HTML file: it holds no script and fetches nothing, so it can be opened, sent and
kept. Files are recordings, or what serin eval --json wrote; both kinds may go into one page. Of a
recording the page shows, per destination, the verdict and its reasons, the evidence over time, what
differs, and how both versions went.

--scrape looks at the metrics of a live proxy each second: at Envoy's admin address, such as
http://127.0.0.1:9901 or, for a sidecar, http://127.0.0.1:15000 behind kubectl port-forward; or at a
page in Prometheus' format, by its whole URL. What the proxy saw before is in its counters, not in
the page.

Exit codes:
  0   the page is made, whatever the verdict
  1   there is no exchange in the input, a file is neither a recording nor a document, the proxy
      cannot be reached or has no filter, a file cannot be read or written, or with --strict a
      line is bad
  2   wrong use of the command line";

const STATUS_HELP: &str = "\
Examples:
  serin status http://127.0.0.1:9901
  serin status http://10.0.0.1:15090 http://10.0.0.2:15090
  serin status --prometheus http://127.0.0.1:9090 --watch 10s
  serin status --once http://127.0.0.1:9901 || echo look at it
  serin status --json http://127.0.0.1:9901 | jq '.rollouts[] | {candidate, verdict, pairs}'

A URL is Envoy's admin address, a page in Prometheus' format (in Istio ports 15020 and 15090 have
/stats/prometheus), or a Prometheus; which of them is found out. On a terminal the table is shown
again and again until Ctrl-C; elsewhere, and with --once or --json, it is shown once, unless --watch
says how often. Evidence is in nats, as `most of one proxy, of what is enough`. Of several proxies
the column `together` has what they say as one: the evidence of each pair of route and category
summed over proxies, then the mean over pairs, as the recording rules have it. share is the
candidate's share of the requests, of the last 30 s while it is watched.

Exit codes:
  0   no candidate is anomalous
  1   a proxy cannot be reached, or a URL is of no known kind
  2   wrong use of the command line
  10  a candidate is anomalous, at one proxy or by all of them together";

const DOCTOR_HELP: &str = "\
Examples:
  serin doctor http://127.0.0.1:9901
  serin doctor http://127.0.0.1:15020/stats/prometheus
  serin doctor --prometheus http://127.0.0.1:9090
  serin doctor --json http://127.0.0.1:15000 | jq '.checks[] | select(.state != \"ok\")'

Says of each check whether it is well, and the repair where it is not. Envoy's admin address knows
most: for a sidecar or gateway, kubectl port-forward POD 15000. A page of metrics or a Prometheus is
checked as far as it goes.

Exit codes:
  0   no check failed; some may warn
  1   a check failed, or with --strict warns; or nothing that is known answers at the URL
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

const EVAL_HELP: &str = "\
Examples:
  serin eval changerca changerca/
  serin eval judges --runs 50
  serin eval rates --json > rates.json
  serin eval judges --json > judges.json && serin report rates.json judges.json -o eval.html
  serin eval nab nab/ --markdown

Of changerca and judges, the judges are Kayenta's Mann-Whitney test, Flagger's checks, an analysis of Argo Rollouts and a
z-test, each with its documented settings, once at the end and looked at every minute. The same
seed gives the same table.

Exit codes:
  0   evaluated, whoever was right
  1   the data or a config cannot be used
  2   wrong use of the command line";

const NAB_HELP: &str = "\
Examples:
  serin eval nab nab/
  serin eval nab nab/ --json | jq '.scores[] | select(.series == \"held out\")'

The data set is numenta/NAB: DIR holds its folders data and labels, or an archive of both. Settings
and threshold are chosen on a random half of the series, which the seed draws, and scored on the
other. Takes about a minute.

Exit codes:
  0   evaluated
  1   there are no series or no windows in DIR, or a file cannot be read
  2   wrong use of the command line";

const API_TRAFFIC_HELP: &str = "\
Examples:
  serin eval api-traffic api-traffic/
  serin eval api-traffic api-traffic/ --splits 20 --false-positives 0.01

The data set is set 1 of the API security challenge of Cisco and Ariel University: DIR holds
dataset_1_train.7z or the JSON that is in it. Half of the ordinary exchanges are learned, a quarter
sets the threshold, and a quarter counts false positives. Attacks teach nothing.

Exit codes:
  0   evaluated
  1   there is no data set in DIR, or it cannot be read
  2   wrong use of the command line";

const TRACEANOMALY_HELP: &str = "\
Examples:
  serin eval traceanomaly traceanomaly/
  serin eval traceanomaly traceanomaly/ --json | jq .

The data set is NetManAIOps/TraceAnomaly: DIR holds test_normal and test_abnormal, zipped or not.
The training file is missing upstream, so that half of the normal traces is learned.

Exit codes:
  0   evaluated
  1   a file is missing or cannot be read
  2   wrong use of the command line";

const RATES_HELP: &str = "\
Examples:
  serin eval rates --quick
  serin eval rates --json > rates.json && serin report rates.json -o rates.html

Without --quick it takes long: it runs thousands of rollouts on two threads.

Exit codes:
  0   measured
  2   wrong use of the command line";

const JUDGES_HELP: &str = "\
Examples:
  serin eval judges
  serin eval judges --runs 100 --seed 7
  serin eval judges --json | jq '.judges[] | select(.judge == \"Serin\") | {kind, mode, caught, delay}'

Each run is ten minutes of 100 requests a second with a tenth for the candidate. Twenty runs of each
kind take about a minute.

Exit codes:
  0   evaluated, whoever was right
  2   wrong use of the command line";

const CHANGERCA_HELP: &str = "\
Examples:
  serin eval changerca changerca/
  serin eval changerca --seed 2 --requests-per-minute 60 2023-09-22/
  serin eval changerca --each changerca/ | less
  serin eval changerca --json changerca/ | jq '.judges[] | select(.mode == \"every minute\")'

The data set is IntelligentDDS/ChangeRCA: success rates and latencies of each pod and edge, a row a
minute. It has no counts, so that the requests are drawn from the rates; what else is done with the
data is told in docs/evaluation.md.

Exit codes:
  0   evaluated, whoever was right
  1   there is no case in DIR, a file cannot be read, or the config cannot be used
  2   wrong use of the command line";

const SERVE_VERDICT_HELP: &str = "\
Examples:
  serin serve-verdict --prometheus http://prometheus:9090
  curl 'http://127.0.0.1:8095/verdict?destination=shop&candidate=v2'

What can be asked; destination and candidate are the labels of serin_verdict:
  GET  /verdict?destination=…[&candidate=…]   JSON: decision (promote, wait, abort), verdict, reason,
                                              evidence, and more; for Argo Rollouts' web provider
                                              with jsonPath {$.decision}
  POST /flagger/rollback   200 if it is to be rolled back, 409 if not
  POST /flagger/gate       200 if it may go on or be promoted, 409 if that is not sure yet
  POST /flagger/increase   as gate, and 200 while the candidate has had no traffic yet
  POST /flagger/check      409 if there is evidence against it, 200 if not
                           each with Flagger's payload, its metadata: {destination, candidate}
  GET  /healthz            200 as long as it serves

Abort: a proxy found the candidate anomalous, or all of them together did. Promote: a proxy found it
healthy and none otherwise, that proxy still judges, the baseline works, and the candidate has had
traffic within --window. Wait: all else, so that no traffic is neither. Without candidate, the
version that is being compared is meant, if it is one.

400 is a question that cannot be understood, 502 a Prometheus that does not answer: no promotion and
no rollback. Nothing is kept between two questions. Payloads: docs/delivery-tools.md.

Exit codes:
  0   stopped by SIGTERM or SIGINT
  1   the port or the address of Prometheus cannot be used
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
    /// Make one page for a browser, from recordings, evaluations or a live proxy
    #[command(after_help = REPORT_HELP)]
    Report(Report),
    /// Say what is in a snapshot
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Explain),
    /// Check a config, or those in a WasmPlugin's manifest
    #[command(after_help = CHECK_CONFIG_HELP)]
    CheckConfig(CheckConfig),
    /// Show what live proxies think of their rollouts, again and again
    #[command(after_help = STATUS_HELP)]
    Status(Status),
    /// Check an installation, and say the repair for what is wrong
    #[command(after_help = DOCTOR_HELP)]
    Doctor(Doctor),
    /// Put Serin beside today's canary judges, on the same traffic
    #[command(after_help = EVAL_HELP)]
    Eval(Eval),
    /// Tell Flagger and Argo Rollouts the verdict, over HTTP, from what Prometheus knows
    #[command(after_help = SERVE_VERDICT_HELP)]
    ServeVerdict(ServeVerdict),
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
    /// Rank the strangest exchanges and say why, instead of judging versions
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

/// `serin report`
#[derive(Debug, Args)]
pub struct Report {
    /// Recordings, or what serin eval --json wrote; `-` is the standard input
    #[arg(
        required_unless_present = "scrape",
        conflicts_with = "scrape",
        value_name = "FILE"
    )]
    pub files: Vec<String>,
    /// The filter's config, JSON or YAML; the defaults without it
    #[arg(long, value_name = "FILE", conflicts_with = "scrape")]
    pub config: Option<String>,
    /// How the lines are written; each line's own is found without it
    #[arg(long, conflicts_with = "scrape")]
    pub format: Option<Format>,
    /// Fail at the first bad line; without it, bad lines are counted
    #[arg(long, conflicts_with = "scrape")]
    pub strict: bool,
    /// The admin address of a live Envoy, or the URL of a page in Prometheus' format
    #[arg(long, value_name = "URL")]
    pub scrape: Option<String>,
    /// How long to look at the proxy, such as 30s or 5m
    #[arg(
        long = "for",
        value_name = "TIME",
        default_value = "30s",
        conflicts_with = "files",
        value_parser = time
    )]
    pub look: Duration,
    /// Where to write; the standard output without it, unless that is a terminal
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
}

/// Reads a time such as `30s`, of at least a second and at most a day.
fn time(text: &str) -> Result<Duration, String> {
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
    /// Sent to Prometheus with each question, such as 'X-Scope-OrgID: shop'
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub header: Vec<(String, String)>,
    /// Longest time for a question to Prometheus
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    pub timeout: Duration,
    /// Without traffic for so long, a candidate is not promoted
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub window: Duration,
}

/// Reads a header such as `X-Scope-OrgID: shop`.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| "write it as NAME: VALUE".to_owned())?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("{name:?} is no name of a header"));
    }
    if !value
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        return Err("a value has to be of printable ASCII".to_owned());
    }
    Ok((name.to_owned(), value.trim().to_owned()))
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

/// `serin status`
#[derive(Debug, Args)]
pub struct Status {
    /// Addresses of proxies or of a Prometheus
    #[arg(required_unless_present = "prometheus", value_name = "URL")]
    pub urls: Vec<String>,
    /// The address of a Prometheus, where it cannot be found out; its path may have a prefix
    #[arg(long, value_name = "URL")]
    pub prometheus: Vec<String>,
    /// Show it once and end
    #[arg(long)]
    pub once: bool,
    /// Show it again after this time, such as 5 or 5s; 2s on a terminal
    #[arg(long, value_name = "SECONDS", conflicts_with = "once", value_parser = period)]
    pub watch: Option<Duration>,
    /// Print JSON: one object, or with --watch one a line
    #[arg(long)]
    pub json: bool,
}

/// `serin doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Address of a proxy or of a Prometheus
    #[arg(value_name = "URL")]
    pub url: String,
    /// It is a Prometheus; its path may have a prefix
    #[arg(long)]
    pub prometheus: bool,
    /// Warnings fail, too
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

/// `serin eval`
#[derive(Debug, Args)]
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

/// `serin eval nab`
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

/// `serin eval api-traffic` and `serin eval traceanomaly`
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

/// `serin eval changerca`
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
    /// How it is printed.
    #[command(flatten)]
    pub printed: Printed,
}

/// `serin eval judges`
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

/// `serin eval rates`
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
