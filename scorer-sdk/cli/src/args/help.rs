//! What stands below the help of each command: examples, and exit codes.

pub(super) const AFTER_HELP: &str = "\
Examples:
  serin replay shop.jsonl                      judge a recorded rollout
  serin snapshot stable.jsonl -o stable.json   make a reference of stable, for a guard
  serin report shop.jsonl -o report.html       see the rollout in a browser
  serin explain stable.json                    see what a reference contains
  serin check-config plugin.yaml               check a config before it is applied
  serin status http://127.0.0.1:9901           watch a live proxy's rollouts
  serin doctor http://127.0.0.1:9901           check an installation

Exit codes:
  0   done; replay, status: no candidate is anomalous
  1   an input or a config is unusable, a file cannot be read or written, or a proxy cannot be
      reached; doctor: a check failed
  2   wrong use of the command line
  10  replay, status: a candidate is anomalous

Recordings, and how Envoy writes them: docs/recording.md.";

pub(super) const REPLAY_HELP: &str = "\
Examples:
  serin replay shop.jsonl
  serin replay --config serin.json gateway-1.log gateway-2.log
  serin replay --format envoy --config serin.yaml access.log access.log.1.gz
  serin replay --json shop.jsonl | jq '.decisions[] | {verdict, explanation}'
  serin replay --every shop.jsonl | jq -c 'select(.evidence > 2)'
  serin replay --surprise shop.jsonl

Keep each file in the order in which its exchanges ended, as access logs are. Files of several
proxies are merged. Unless the config names them, the baseline is the version with the most traffic
after 100 exchanges, and the candidate the newest version.

Exit codes:
  0   no candidate is anomalous (learning, healthy or suspect)
  1   there is no exchange in the input, a file cannot be read, a config is wrong, or with
      --strict a line is bad
  2   wrong use of the command line
  10  a candidate is anomalous";

pub(super) const SNAPSHOT_HELP: &str = "\
Examples:
  serin snapshot stable.jsonl -o stable.json
  serin snapshot rollout.jsonl --destination shop --version v1 > v1.json
  jq '{mode: \"reject\", reject: {reference: .}}' stable.json > guard.json

Exit codes:
  0   the snapshot is made
  1   there is no exchange of that version, several versions and no choice, a file cannot be read
      or written, or with --strict a line is bad
  2   wrong use of the command line";

pub(super) const EXPLAIN_HELP: &str = "\
Examples:
  serin explain stable.json
  serin explain --json stable.json | jq '.routes[] | {route, latency_ms}'

Exit codes:
  0   explained
  1   the file cannot be read or is not a snapshot
  2   wrong use of the command line";

pub(super) const REPORT_HELP: &str = "\
Examples:
  serin report shop.jsonl -o report.html
  serin report --config serin.yaml gateway-1.log gateway-2.log -o report.html
  serin-eval rates --json > rates.json && serin report rates.json -o report.html
  serin report --scrape http://127.0.0.1:9901 --for 5m -o report.html

The page is one self-contained HTML file without scripts, which fetches nothing. Files are
recordings, or output of serin-eval --json; one page may show both kinds. For a recording, the page
shows for each destination the verdict and its reasons, the evidence over time, what differs, and
how both versions behaved.

--scrape reads the metrics of a live proxy each second, from Envoy's admin address, such as
http://127.0.0.1:9901 or, for a sidecar, http://127.0.0.1:15000 behind kubectl port-forward; or from
a page in Prometheus' format, by its full URL. The page does not show what the proxy saw earlier.

Exit codes:
  0   the page is made, whatever the verdict
  1   there is no exchange in the input, a file is neither a recording nor a document, the proxy
      cannot be reached or has no filter, a file cannot be read or written, or with --strict a
      line is bad
  2   wrong use of the command line";

pub(super) const STATUS_HELP: &str = "\
Examples:
  serin status http://127.0.0.1:9901
  serin status http://10.0.0.1:15090 http://10.0.0.2:15090
  serin status --prometheus http://127.0.0.1:9090 --watch 10s
  serin status --prometheus https://prometheus.example.org --token-file token
  serin status --once http://127.0.0.1:9901 || echo look at it
  serin status --json http://127.0.0.1:9901 | jq '.rollouts[] | {candidate, verdict, pairs}'

A URL is Envoy's admin address, a page in Prometheus' format (in Istio ports 15020 and 15090 have
/stats/prometheus), or a Prometheus; the command detects which. On a terminal, the table refreshes
until Ctrl-C; elsewhere, and with --once or --json, it appears once, unless --watch sets an
interval.

Evidence is the largest of any proxy. 1 in 8 means that a healthy candidate shows as much in at most
one of 8 rollouts; a verdict needs 1 in 100 unless the config says otherwise. For several proxies,
the column `together` has their combined evidence: the evidence of each pair of route and category
summed over proxies, then the mean over pairs, as in the recording rules. The mean counts the routes
of the last day if a Prometheus remembers them, else those that the proxies show. share is the
candidate's share of the requests; while the table refreshes, of the last 30 s. --json has evidence
in nats, its natural logarithm.

Exit codes:
  0   no candidate is anomalous
  1   a proxy cannot be reached, or a URL is of an unknown kind
  2   wrong use of the command line
  10  a candidate is anomalous, at one proxy or for all of them together";

pub(super) const DOCTOR_HELP: &str = "\
Examples:
  serin doctor http://127.0.0.1:9901
  serin doctor http://127.0.0.1:15020/stats/prometheus
  serin doctor --prometheus http://127.0.0.1:9090
  serin doctor --json http://127.0.0.1:15000 | jq '.checks[] | select(.state != \"ok\")'

Prints each check with its result, and the fix if it is not ok. Envoy's admin address allows the
most checks: for a sidecar or gateway, kubectl port-forward POD 15000. A page of metrics or a
Prometheus allows fewer.

Exit codes:
  0   no check failed; some may warn
  1   a check failed, or with --strict warns; or nothing known answers at the URL
  2   wrong use of the command line";

pub(super) const CHECK_CONFIG_HELP: &str = "\
Examples:
  serin check-config serin.json
  serin check-config wasmplugin.yaml
  serin check-config envoy.yaml                 Envoy's own config, or an EnvoyFilter
  kubectl get wasmplugin serin -o yaml | serin check-config -

Exit codes:
  0   the config is valid
  1   it is not, and the output names the path in the config and the repair; or the file cannot be
      read
  2   wrong use of the command line";

pub(super) const SERVE_VERDICT_HELP: &str = "\
Examples:
  serin serve-verdict --prometheus http://prometheus:9090
  serin serve-verdict --prometheus https://prometheus.example.org --header 'X-Scope-OrgID: shop'
  curl 'http://127.0.0.1:8095/verdict?destination=shop&candidate=v2'

Requests; destination and candidate are the labels of serin_verdict:
  GET  /verdict?destination=…[&candidate=…][&release=…]
                           JSON: decision (promote, wait, abort), verdict, reason, evidence, and
                           more; for Argo Rollouts' web provider with jsonPath {$.decision}
  POST /flagger/rollback   200: roll the candidate back; 409: do not
  POST /flagger/gate       200: continue or promote; 409: not yet
  POST /flagger/increase   like gate, and 200 while the candidate has no traffic
  POST /flagger/check      409: there is evidence against the candidate; 200: there is none
                           each takes Flagger's payload with metadata {destination, candidate}
  GET  /v1/fleet?destination=…[&candidate=…][&rollout=…]
                           the verdict of all proxies together, for proxies with `fleet` in their
                           config: docs/fleet.md
  GET  /healthz            200 as long as the server runs

Abort: one proxy, or all of them together, found the candidate anomalous. Promote: a proxy that
still judges found it healthy, no proxy found otherwise, the baseline works, and the candidate had
traffic within --window. Wait: anything else, including no traffic. Without candidate, the server
takes the version that is being compared, if there is exactly one.

The server answers 400 if it cannot understand the request, and 502 if Prometheus does not answer; a
delivery tool then neither promotes nor rolls back. Payloads: docs/delivery-tools.md.

Between two requests, the server remembers only which release each asker rolls out (Flagger's
checksum, or `release`), and when it was last asked about the one before. Whatever began before that
belongs to the earlier release and does not count. Run one server, so that it hears of each release.

Exit codes:
  0   stopped by SIGTERM or SIGINT
  1   the port or the address of Prometheus is unusable
  2   wrong use of the command line";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  serin completions bash > ~/.local/share/bash-completion/completions/serin
  serin completions zsh > ~/.zfunc/_serin

`make install` does this.

Exit codes:
  0   printed
  2   wrong use of the command line";

pub(super) const MAN_HELP: &str = "\
Examples:
  serin man ~/.local/share/man/man1

`make install` does this.

Exit codes:
  0   the pages are written: serin.1, serin-replay.1, kubectl-serin.1 and so on
  1   one cannot be written
  2   wrong use of the command line";
