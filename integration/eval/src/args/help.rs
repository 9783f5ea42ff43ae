//! Examples and exit codes of `serin-eval`, as `--help` shows them.

pub(super) const EVAL_HELP: &str = "\
Examples:
  serin-eval changerca changerca/
  serin-eval judges --runs 50
  serin-eval rates --json > rates.json
  serin-eval judges --json > judges.json && serin report rates.json judges.json -o eval.html
  serin-eval nab nab/ --markdown

changerca and judges put Serin beside Kayenta's Mann-Whitney test, Flagger's checks, an analysis of
Argo Rollouts and a z-test, each with its documented settings, once at the end and looked at every
minute. The same seed gives the same table.

Exit codes:
  0   evaluated, whoever was right
  1   the data or a config cannot be used
  2   wrong use of the command line";

pub(super) const NAB_HELP: &str = "\
Examples:
  serin-eval nab nab/
  serin-eval nab nab/ --json | jq '.scores[] | select(.series == \"held out\")'

The data set is numenta/NAB: DIR holds its folders data and labels, or an archive of both. Settings
and threshold are chosen on a random half of the series, which the seed draws, and scored on the
other. Takes about a minute.

Exit codes:
  0   evaluated
  1   there are no series or no windows in DIR, or a file cannot be read
  2   wrong use of the command line";

pub(super) const API_TRAFFIC_HELP: &str = "\
Examples:
  serin-eval api-traffic api-traffic/
  serin-eval api-traffic api-traffic/ --splits 20 --false-positives 0.01

The data set is set 1 of the API security challenge of Cisco and Ariel University: DIR holds
dataset_1_train.7z or the JSON that is in it. Half of the ordinary exchanges are learned, a quarter
sets the threshold, and a quarter counts false positives. Attacks teach nothing.

Exit codes:
  0   evaluated
  1   there is no data set in DIR, or it cannot be read
  2   wrong use of the command line";

pub(super) const TRACEANOMALY_HELP: &str = "\
Examples:
  serin-eval traceanomaly traceanomaly/
  serin-eval traceanomaly traceanomaly/ --json | jq .

The data set is NetManAIOps/TraceAnomaly: DIR holds test_normal and test_abnormal, zipped or not.
The training file is missing upstream, so that half of the normal traces is learned.

Exit codes:
  0   evaluated
  1   a file is missing or cannot be read
  2   wrong use of the command line";

pub(super) const RATES_HELP: &str = "\
Examples:
  serin-eval rates --quick
  serin-eval rates --json > rates.json && serin report rates.json -o rates.html

Without --quick it takes long: it runs thousands of rollouts on two threads.

Exit codes:
  0   measured
  2   wrong use of the command line";

pub(super) const REAL_TRAFFIC_HELP: &str = "\
Examples:
  serin-eval real-traffic --quick
  serin-eval real-traffic --runs 20 --row sticky
  serin-eval real-traffic --json | jq '.healthy[] | select(.anomalous > .allowed)'

200 rollouts of each healthy kind, 10 with --quick; the others take a fifth of it. A rollout takes
about a quarter of a second, and there are 46 healthy kinds. How many rows are done
is shown on the standard error of a terminal.

Exit codes:
  0   measured, and no healthy row has more false alarms than chance allows
  1   no row has that text in its name
  2   wrong use of the command line
  3   measured, and at least one healthy row has more";

pub(super) const LOOKS_HELP: &str = "\
Examples:
  serin-eval looks --quick
  serin-eval looks --runs 10 --row 404
  serin-eval looks --json | jq '.bad[] | {row, one_in, seconds}'

40 rollouts of each healthy kind and each way to sample, 5 with --quick; bad candidates take half of
it. A rollout takes about half a second, and there are 180 healthy cells. How many are done is shown
on the standard error of a terminal.

Exit codes:
  0   measured, and no way to sample has more false alarms than chance allows
  1   no row has that text in its name
  2   wrong use of the command line
  3   measured, and at least one has more";

pub(super) const JUDGES_HELP: &str = "\
Examples:
  serin-eval judges
  serin-eval judges --runs 100 --seed 7
  serin-eval judges --json | jq '.judges[] | select(.judge == \"Serin\") | {kind, mode, caught, delay}'

Each run is ten minutes of 100 requests a second with a tenth for the candidate. Twenty runs of each
kind take about a minute.

Exit codes:
  0   evaluated, whoever was right
  2   wrong use of the command line";

pub(super) const CHANGERCA_HELP: &str = "\
Examples:
  serin-eval changerca changerca/
  serin-eval changerca --seed 2 --requests-per-minute 60 2023-09-22/
  serin-eval changerca --each changerca/ | less
  serin-eval changerca --stand-ins --seed 3 changerca/
  serin-eval changerca --json changerca/ | jq '.judges[] | select(.mode == \"every minute\")'

The data set is IntelligentDDS/ChangeRCA: success rates and latencies of each pod and edge, a row a
minute. It has no counts, so that the requests are drawn from the rates; what else is done with the
data is told in docs/evaluation.md.

Exit codes:
  0   evaluated, whoever was right
  1   there is no case in DIR, a file cannot be read, or the config cannot be used
  2   wrong use of the command line";
