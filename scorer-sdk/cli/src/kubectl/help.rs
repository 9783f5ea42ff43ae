//! Examples and exit codes below the help of each subcommand.

pub(super) const AFTER_HELP: &str = "\
Examples:
  kubectl serin status                                    Istio's ingress gateway
  kubectl serin status -n shop -l app=storefront          the sidecars of the callers
  kubectl serin status -n shop -l gateway.networking.k8s.io/gateway-name=shop-gateway
  kubectl serin doctor --pod istio-ingressgateway-5d8c7b6f9-x2x7k
  kubectl serin report --pod istio-ingressgateway-5d8c7b6f9-x2x7k --for 5m -o report.html

The command lists the running pods that the selector matches, starts one kubectl port-forward to
Envoy's admin port in each, and ends them when it ends. It needs the rights to list pods and to
create pods/portforward in that namespace. Without a cluster, serin status URL does the same.

Exit codes are those of the command serin:
  0   done; of status: no candidate was found anomalous
  1   kubectl or a proxy cannot be reached, no pod matches, or a file cannot be written; of doctor:
      a check failed
  2   wrong use of the command line
  10  status: a candidate was found anomalous";

pub(super) const STATUS_HELP: &str = "\
Examples:
  kubectl serin status
  kubectl serin status --once --json | jq '.rollouts[] | {candidate, verdict}'

`serin status --help` explains the table.

Exit codes:
  0   no candidate is anomalous
  1   a proxy cannot be reached, or no pod matches
  2   wrong use of the command line
  10  a candidate is anomalous, at one proxy or by all of them together";

pub(super) const DOCTOR_HELP: &str = "\
Examples:
  kubectl serin doctor
  kubectl serin doctor -n shop -l app=storefront --strict
  kubectl serin doctor --json | jq '.pods[] | select(.state != \"ok\")'

Exit codes:
  0   no check failed in any pod; some may warn
  1   a check failed, or with --strict warns; or a proxy cannot be reached, or no pod matches
  2   wrong use of the command line";

pub(super) const REPORT_HELP: &str = "\
Examples:
  kubectl serin report -o report.html
  kubectl serin report --pod istio-ingressgateway-5d8c7b6f9-x2x7k --for 5m -o report.html

A page shows one proxy. Where the selector matches several pods, name one with --pod.

Exit codes:
  0   the page is made, whatever the verdict
  1   the proxy cannot be reached or has no filter, no pod or several match, or the file cannot be
      written
  2   wrong use of the command line";
