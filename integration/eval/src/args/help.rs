//! Examples and exit codes of `serin-eval`, as `--help` shows them.

pub(super) const EVAL_HELP: &str = "\
Examples:
  serin-eval changerca changerca/
  serin-eval judges --runs 50
  serin-eval rates --json > rates.json
  serin-eval judges --json > judges.json && serin report rates.json judges.json -o eval.html
  serin-eval nab nab/ --markdown

changerca and judges compare Serin with Kayenta's Mann-Whitney test, Flagger's checks, an analysis
of Argo Rollouts and a z-test. Each judge has its documented settings and decides twice: once at the
end, and at a look every minute. The same seed gives the same table.

Exit codes:
  0   evaluated, whichever judge was right
  1   the data or a config is unusable
  2   wrong use of the command line";

pub(super) const NAB_HELP: &str = "\
Examples:
  serin-eval nab nab/
  serin-eval nab nab/ --json | jq '.scores[] | select(.series == \"held out\")'

The data set is numenta/NAB. DIR holds its folders data and labels, or an archive of both. The
command chooses settings and threshold on a random half of the series, which the seed draws, and
scores them on the other half. It takes about a minute.

Exit codes:
  0   evaluated
  1   DIR has no series or no windows, or a file is unreadable
  2   wrong use of the command line";

pub(super) const API_TRAFFIC_HELP: &str = "\
Examples:
  serin-eval api-traffic api-traffic/
  serin-eval api-traffic api-traffic/ --splits 20 --false-positives 0.01

The data set is set 1 of the API security challenge of Cisco and Ariel University. DIR holds
dataset_1_train.7z or the JSON file inside it. Serin learns from half of the ordinary exchanges; a
quarter sets the threshold, and a quarter counts false positives. Serin never learns from attacks.

Exit codes:
  0   evaluated
  1   DIR has no data set, or it is unreadable
  2   wrong use of the command line";

pub(super) const TRACEANOMALY_HELP: &str = "\
Examples:
  serin-eval traceanomaly traceanomaly/
  serin-eval traceanomaly traceanomaly/ --json | jq .

The data set is NetManAIOps/TraceAnomaly. DIR holds test_normal and test_abnormal, zipped or not.
Upstream has no training file, so Serin learns from half of the normal traces.

Exit codes:
  0   evaluated
  1   a file is missing or unreadable
  2   wrong use of the command line";

pub(super) const RATES_HELP: &str = "\
Examples:
  serin-eval rates --quick
  serin-eval rates --json > rates.json && serin report rates.json -o rates.html

Without --quick it runs thousands of rollouts on two threads, which takes a long time.

Exit codes:
  0   measured
  2   wrong use of the command line";

pub(super) const REAL_TRAFFIC_HELP: &str = "\
Examples:
  serin-eval real-traffic --quick
  serin-eval real-traffic --runs 20 --row sticky
  serin-eval real-traffic --json | jq '.healthy[] | select(.anomalous > .allowed)'

Runs 200 rollouts of each of 46 healthy kinds, or 10 with --quick, and a fifth as many of the
others. A rollout takes about a quarter of a second. On a terminal, the standard error shows how
many rows are done.

Exit codes:
  0   measured; no healthy row has more false alarms than chance allows
  1   no row has the text of --row in its name
  2   wrong use of the command line
  3   measured; at least one healthy row has more false alarms than chance allows";

pub(super) const LOOKS_HELP: &str = "\
Examples:
  serin-eval looks --quick
  serin-eval looks --runs 10 --row 404
  serin-eval looks --json | jq '.bad[] | {row, one_in, seconds}'

Runs 40 rollouts of each healthy kind with each way to sample (180 combinations), or 5 with --quick,
and half as many with bad candidates. A rollout takes about half a second. On a terminal, the
standard error shows how many are done.

Exit codes:
  0   measured; no way to sample has more false alarms than chance allows
  1   no row has the text of --row in its name
  2   wrong use of the command line
  3   measured; at least one has more";

pub(super) const JUDGES_HELP: &str = "\
Examples:
  serin-eval judges
  serin-eval judges --runs 100 --seed 7
  serin-eval judges --json | jq '.judges[] | select(.judge == \"Serin\") | {kind, mode, caught, delay}'

Each run simulates ten minutes with 100 requests per second, a tenth of them to the candidate.
Twenty runs of each kind take about a minute.

Exit codes:
  0   evaluated, whichever judge was right
  2   wrong use of the command line";

pub(super) const CHANGERCA_HELP: &str = "\
Examples:
  serin-eval changerca changerca/
  serin-eval changerca --seed 2 --requests-per-minute 60 2023-09-22/
  serin-eval changerca --each changerca/ | less
  serin-eval changerca --stand-ins --seed 3 changerca/
  serin-eval changerca --json changerca/ | jq '.judges[] | select(.mode == \"every minute\")'

The data set is IntelligentDDS/ChangeRCA: success rates and latencies of each pod and edge, one row
per minute. It has no counts, so the command draws requests from the rates. docs/evaluation.md says
what else it does with the data.

Exit codes:
  0   evaluated, whichever judge was right
  1   DIR has no case, a file is unreadable, or the config is unusable
  2   wrong use of the command line";
