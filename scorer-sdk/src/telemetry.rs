//! The telemetry contract: every metric and every header of Serin, each named once.
//!
//! The filter writes these names, and the command line, the alert rules, the dashboard and the
//! manifests read them. `docs/reference-metrics.md` is generated from the tables here.
//!
//! Envoy has no labels for the metrics of a wasm module. The filter writes them into the name:
//! `destination=.=shop;.;version=.=v2;.;serin_verdict`. Istio's `extraStatTags`, or the regexes of
//! [`tag_regex`] in a plain bootstrap, turn the parts into Prometheus labels.
//!
//! Shipped code should read single fields, such as `VERDICT.name`. Field reads are constants, so the
//! help texts stay out of the wasm module. A reference to a whole [`Metric`] would pull its text in.

/// What every metric's name begins with.
pub const METRIC_PREFIX: &str = "serin_";
/// What every header's name begins with. Request headers with this prefix that come from outside
/// are removed.
pub const HEADER_PREFIX: &str = "x-serin-";
/// What Envoy puts before the name of a metric that a wasm module defines, with a dot between them.
/// Istio's `statsHistogramBuckets` and Envoy's bucket settings match on it.
pub const STAT_PREFIX: &str = "wasmcustom";
/// Stands between a label and its value in Envoy's name of a metric.
pub const TAG_EQUALS: &str = "=.=";
/// Ends a label's value in Envoy's name of a metric.
pub const TAG_END: &str = ";.;";

/// Longest value of a label in bytes.
pub const MAX_LABEL_BYTES: usize = 128;

/// A name as the value of a label, cut to [`MAX_LABEL_BYTES`]: `;` becomes `,`, `=` becomes `~`, and
/// a control character becomes `_`. These would end the value early, or could not be read. Whoever
/// asks Prometheus about a name asks with this.
#[must_use]
pub fn label_value(name: &str) -> String {
    let end = (0..=name.len().min(MAX_LABEL_BYTES))
        .rev()
        .find(|end| name.is_char_boundary(*end));
    let cut = end.and_then(|end| name.get(..end)).unwrap_or_default();
    cut.chars().map(label_character).collect()
}

/// A character of a label's value, as [`label_value`] has it.
#[must_use]
pub fn label_character(character: char) -> char {
    match character {
        ';' => ',',
        '=' => '~',
        other if other.is_control() => '_',
        other => other,
    }
}

/// Names of the metrics' labels.
pub mod label {
    /// The service that requests go to.
    pub const DESTINATION: &str = "destination";
    /// Method and path template of the requests.
    pub const ROUTE: &str = "route";
    /// A version of the destination.
    pub const VERSION: &str = "version";
    /// What a signal found in an exchange, such as `error`.
    pub const CATEGORY: &str = "category";
    /// What the requests of the versions differ in.
    pub const SIGNAL: &str = "signal";
    /// The size of a rise of the odds of failure.
    pub const ODDS_RATIO: &str = "odds_ratio";
    /// Why a guard refused, or a body was not looked at.
    pub const REASON: &str = "reason";
    /// The bounded table that was full.
    pub const TABLE: &str = "table";
    /// The job of the filter in the proxy: [`COMPARER`](super::COMPARER) or [`GUARD`](super::GUARD).
    pub const ROLE: &str = "role";
    /// What is compared with its own past.
    pub const ARM: &str = "arm";
    /// What is measured of an arm.
    pub const MEASURE: &str = "measure";
    /// What a change has been attributed to.
    pub const CAUSE: &str = "cause";
}

/// All labels, in the order of `extraStatTags`.
pub const LABELS: &[&str] = &[
    label::DESTINATION,
    label::ROUTE,
    label::VERSION,
    label::CATEGORY,
    label::SIGNAL,
    label::ODDS_RATIO,
    label::REASON,
    label::TABLE,
    label::ROLE,
    label::ARM,
    label::MEASURE,
    label::CAUSE,
];

/// Value of [`label::ROLE`] in a proxy that compares versions.
pub const COMPARER: &str = "comparer";
/// Value of [`label::ROLE`] in a proxy that guards one version's own inbound listener.
pub const GUARD: &str = "guard";

/// The regex that turns a label in Envoy's name of a metric into a tag. Istio makes the same for
/// each of `extraStatTags`.
#[must_use]
pub fn tag_regex(label: &str) -> String {
    format!(r"({label}=\.=(.*?);\.;)")
}

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values in buckets.
    Histogram,
}

impl Kind {
    /// The kind's name in Prometheus' text format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Whether the config's `max_series` limits a metric's series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Counts toward `max_series`; series beyond it are not made.
    Capped,
    /// Made beyond the cap as well, within a bound of their own: there are few of them, and alerts
    /// depend on them.
    Always,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name in Prometheus, where Envoy leaves it as the filter gives it.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Names of its labels, in the order in which the filter writes them.
    pub labels: &'static [&'static str],
    /// What it says, with its unit: one line of Markdown.
    pub help: &'static str,
    /// Whether the cap applies.
    pub series: Series,
}

impl Metric {
    /// Names of its series in Prometheus: its own, or the three of a histogram.
    #[must_use]
    pub fn exposed(&self) -> Vec<String> {
        match self.kind {
            Kind::Counter | Kind::Gauge => vec![self.name.to_owned()],
            Kind::Histogram => ["bucket", "sum", "count"]
                .iter()
                .map(|part| format!("{}_{part}", self.name))
                .collect(),
        }
    }
}

/// Which messages carry a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A request, on its way to the service.
    Request,
    /// A response, on its way back.
    Response,
}

impl Direction {
    /// `request` or `response`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// One header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its name, in lower case.
    pub name: &'static str,
    /// The messages that carry it.
    pub on: Direction,
    /// Who sets it, and when: Markdown.
    pub set_by: &'static str,
    /// Who removes it: Markdown.
    pub removed_by: &'static str,
    /// What its value says, or an example: Markdown.
    pub value: &'static str,
}

/// Defines each metric as a constant, and the table of all of them.
macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:ident),*] $series:ident $help:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                labels: &[$(label::$label),*],
                help: $help,
                series: Series::$series,
            };
        )+

        /// All metrics, in the order of the reference page.
        pub const METRICS: &[Metric] = &[$($constant),+];
    };
}

metrics! {
    VERDICT: Gauge "serin_verdict" [DESTINATION, VERSION] Always
        "0 learning, 1 healthy, 2 suspect, 3 anomalous";
    ROLLOUT_EVIDENCE: Gauge "serin_rollout_evidence" [DESTINATION, VERSION] Always
        "evidence behind the verdict, in thousandths of a nat; 0 if it favours the candidate; unchanged while a verdict stands";
    ROLLOUT_THRESHOLD: Gauge "serin_rollout_threshold" [DESTINATION, VERSION] Always
        "evidence that a verdict needs, in thousandths of a nat";
    ROLLOUT_START_TIME: Gauge "serin_rollout_start_time_seconds" [DESTINATION, VERSION] Always
        "Unix time since when Serin judges this release of the candidate, in seconds; 0 once another candidate has replaced it";
    VERDICT_TIME: Gauge "serin_verdict_time_seconds" [DESTINATION, VERSION] Always
        "Unix time of the verdict `anomalous`, in seconds; 0 while there is none";
    ONSET_TIME: Gauge "serin_onset_time_seconds" [DESTINATION, VERSION] Always
        "estimated Unix time since when the candidate is worse, in seconds; 0 without such a verdict";
    VERDICT_EVIDENCE: Gauge "serin_verdict_evidence" [DESTINATION, VERSION] Always
        "evidence at the time of the verdict, in thousandths of a nat: a healthy candidate shows as much in at most one of `exp(nats)` rollouts; 0 without a verdict, and if only a comparison with the past led to it";
    VERDICT_RATE: Gauge "serin_verdict_rate" [DESTINATION, ROUTE, VERSION, CATEGORY, ARM] Capped
        "share of an arm's exchanges (`baseline`, `candidate`) in the category that carried the verdict, at the time of the verdict, in thousandths of a per cent, if enough is known; on one route, or on all routes together";
    DIFFERS: Gauge "serin_differs" [DESTINATION, VERSION] Always
        "1 if the versions behave differently, for better or worse; unchanged while a verdict stands";
    JUDGED_EXCHANGES: Gauge "serin_judged_exchanges" [DESTINATION, VERSION] Always
        "candidate exchanges that were compared with the baseline's; unchanged while a verdict stands";
    BASELINE_FAILING: Gauge "serin_baseline_failing" [DESTINATION, VERSION] Always
        "1 while most of the baseline's recent requests fail, on most of its routes, so that Serin steers nothing to it; the version is the candidate";
    HELD_BY_PLACEBO: Gauge "serin_held_by_placebo" [DESTINATION, VERSION] Always
        "1 while there is enough evidence, but stable's own hosts or sessions differ as much";
    UNBALANCED: Gauge "serin_unbalanced" [DESTINATION, VERSION] Always
        "1 while the two versions receive different kinds of requests";
    WARMING_UP: Gauge "serin_warming_up" [DESTINATION, VERSION] Always
        "1 while Serin does not judge the candidate's latency yet: it is younger than `warm_up.min`, or its hosts are still warming up";
    AGAINST_PAST: Gauge "serin_against_past" [DESTINATION, VERSION] Always
        "1 while the candidate has taken over the traffic and is worse than the baseline's past by more than that past varied; not a side-by-side comparison";
    PAST_EVIDENCE: Gauge "serin_past_evidence" [DESTINATION, VERSION, CATEGORY] Capped
        "evidence for that in a category, in thousandths of a nat, while it holds";
    MUTE: Gauge "serin_mute" [DESTINATION, VERSION] Always
        "1 while a version receives requests and answers none";
    IDLE: Gauge "serin_idle" [DESTINATION, VERSION] Always
        "1 while a version receives no requests although it had a share of them and others receive theirs; never for a guard or a condemned version";
    REQUESTS_NEEDED: Gauge "serin_requests_needed" [DESTINATION, VERSION, ODDS_RATIO] Always
        "candidate requests that Serin still needs, on average, to find failures whose odds rose by the factor in `odds_ratio`";
    PLACEBO: Gauge "serin_placebo" [DESTINATION, CATEGORY] Capped
        "evidence that stable's two halves differ, in thousandths of a nat, if positive";
    PLACEBO_ODDS_RATIO: Gauge "serin_placebo_odds_ratio" [DESTINATION, CATEGORY] Capped
        "odds ratio between stable's two halves, in thousandths, if they certainly differ";
    BALANCE: Gauge "serin_balance" [DESTINATION, SIGNAL] Capped
        "evidence that the versions' requests differ, in thousandths of a nat, if there is enough; the signal is `request_size`, `request_headers`, or `routes` for the mix of routes";
    DRIFT: Gauge "serin_drift" [DESTINATION, ARM, MEASURE] Capped
        "1 while an arm (`baseline`, `candidate`, or `both` for the requests to them) has left its own past in `traffic`, `mix`, `errors` or `latency`";
    DRIFT_EVIDENCE: Gauge "serin_drift_evidence" [DESTINATION, ARM, MEASURE] Capped
        "evidence for that drift, in thousandths of a nat";
    CAUSE: Gauge "serin_cause" [DESTINATION, CAUSE] Always
        "1 for the cause that holds: `nothing`, `shared`, `version`, `version_and_shared`, `baseline_alone`, `candidate_alone`, `baseline_moved`";
    EVIDENCE_FOR: Gauge "serin_evidence_for" [DESTINATION, ROUTE, VERSION, CATEGORY] Capped
        "evidence that the candidate is worse, on single routes, in thousandths of a nat, if positive; unchanged while a verdict stands, unlike `serin_category_total`";
    EVIDENCE_AGAINST: Gauge "serin_evidence_against" [DESTINATION, ROUTE, VERSION, CATEGORY] Capped
        "the same with the sign reversed, where negative";
    POOLED_EVIDENCE_FOR: Gauge "serin_pooled_evidence_for" [DESTINATION, VERSION, CATEGORY] Capped
        "evidence that the candidate is worse, over all routes together, in thousandths of a nat, if positive; unchanged while a verdict stands";
    POOLED_EVIDENCE_AGAINST: Gauge "serin_pooled_evidence_against" [DESTINATION, VERSION, CATEGORY] Capped
        "the same with the sign reversed, where negative";
    EXCHANGES: Counter "serin_exchanges_total" [DESTINATION, ROUTE, VERSION] Capped
        "exchanges that were looked at and ended";
    BODIES: Counter "serin_bodies_total" [DESTINATION, ROUTE, VERSION] Capped
        "with `body`: response bodies whose shape Serin read";
    BODIES_LEFT_OUT: Counter "serin_bodies_left_out_total" [DESTINATION, ROUTE, VERSION, REASON] Capped
        "with `body`: response bodies whose shape Serin could not read; the reason is a `content-encoding` that it does not decompress (`br`, `zstd`, `other_encoding`), `busy` if it was already decompressing too many, `damaged` or `malformed` if the body is broken, `too_large` if it exceeds `body.max_bytes` or another limit";
    CATEGORY: Counter "serin_category_total" [DESTINATION, ROUTE, VERSION, CATEGORY] Capped
        "exchanges in the category, among those that were looked at and ended; a body that lacks several paths counts once; continues while a verdict stands";
    SURPRISE: Histogram "serin_surprise" [DESTINATION, VERSION] Capped
        "with `surprise`: surprise of each exchange that was compared with a past, in tenths of a bit";
    STEERED: Counter "serin_steered_total" [DESTINATION] Capped
        "requests that got the steer header; if the cluster does not reveal the version, this includes those that the weights would have sent to the baseline anyway";
    REJECTED: Counter "serin_rejected_total" [ROUTE, REASON] Capped
        "requests that a guard refused; the reason is the category, or `surprise`";
    RESCUED: Counter "serin_rescued_total" [DESTINATION] Capped
        "with `count_rescued`: requests that were retried and then answered by the baseline";
    UNATTRIBUTED: Counter "serin_unattributed_total" [] Capped
        "requests of no known version: answered by the proxy, or by an upstream that is not listed";
    NOT_LOOKED_AT: Counter "serin_not_looked_at_total" [] Capped
        "exchanges beyond `looks_per_second` that a worker only glanced at and that succeeded, or that failed and were left out by chance";
    CASES: Counter "serin_cases_total" [] Capped
        "exchanges beyond `looks_per_second` that failed, so that a worker looked at them after they ended: they count as evidence, but not in `serin_exchanges_total`";
    OVERFLOW: Counter "serin_overflow_total" [TABLE] Capped
        "entries that did not fit a bounded table: `destinations`, `routes`, `versions`, `names`, `paths`, `in_flight`, `sessions`, `fan_outs`, `rows`, `surprise`, `series`, `mailbox` (exchanges on their way to the judge); `damaged` counts unreadable parts of shared data. The series for `series` ignores the cap";
    PROCESSES: Gauge "serin_processes" [ROLE] Always
        "1; 2 during a hot restart, while Envoy adds up the gauges of two processes: gauges are then sums and mean nothing by themselves";
    HEARTBEAT: Gauge "serin_heartbeat_seconds" [ROLE] Always
        "Unix time of the last merge, in seconds";
    MERGED_EXCHANGES: Gauge "serin_merged_exchanges" [ROLE] Always
        "exchanges in the judge's state";
    STATE_BYTES: Gauge "serin_state_bytes" [ROLE] Always
        "size of the judge's state, in bytes";
    UNMERGED_TICKS: Counter "serin_unmerged_ticks_total" [ROLE] Always
        "ticks of workers whose counts have waited for more than ten ticks, and ten seconds, to be merged";
    FLEET_THRESHOLD: Gauge "serin_fleet_threshold" [DESTINATION, VERSION] Always
        "with `fleet`: evidence of all proxies together that is enough, in thousandths of a nat";
    FLEET_ANSWER_TIME: Gauge "serin_fleet_answer_time_seconds" [ROLE] Always
        "with `fleet`: Unix time of the last answer of serve-verdict that could be used, in seconds; 0 before the first";
    FLEET_UNANSWERED: Counter "serin_fleet_unanswered_total" [REASON] Always
        "with `fleet`: questions to serve-verdict that led to nothing: `not_sent` (no such cluster), `no_answer`, `refused` (another status than 200), `unreadable`, `old` (evidence of more than a minute ago)";
    MEMORY_RECALLS: Counter "serin_memory_recalls_total" [REASON] Always
        "with `fleet.memory`: destinations for which this proxy asked what others have learned: `taken`, `none` (nobody has learned anything, or serve-verdict keeps none), `no_baseline` (its baseline has no traffic here), `old`, `late` (three seconds were over), `not_sent`, `no_answer`, `refused` (another status than 200 and 404), `unreadable`";
    MEMORY_STORES: Counter "serin_memory_stores_total" [REASON] Always
        "with `fleet.memory`: memories that were handed to serve-verdict: `stored`, `newer` (it has a newer one), `none` (it keeps none), `not_sent`, `no_answer`, `refused` (another status)";
    ROLLOUT_ID: Gauge "serin_rollout_id" [ROLE] Always
        "with `fleet`: a number made of the config's `rollout`, 0 without one; only proxies with the same one are counted together";
    CONFIG_BROKEN: Gauge "serin_config_broken" [] Always
        "1 when the last config was refused";
}

/// Defines each header as a constant, and the table of all of them.
macro_rules! headers {
    ($($constant:ident: $on:ident $name:literal set by $set_by:literal removed by $removed_by:literal
        value $value:literal;)+) => {
        $(
            #[doc = concat!("`", $name, "`, set by: ", $set_by, ".")]
            pub const $constant: Header = Header {
                name: $name,
                on: Direction::$on,
                set_by: $set_by,
                removed_by: $removed_by,
                value: $value,
            };
        )+

        /// All headers, in the order of the reference page.
        pub const HEADERS: &[Header] = &[$($constant),+];
    };
}

headers! {
    STEER_HEADER: Request "x-serin-steer"
        set by "comparer in mode `steer`"
        removed by "every mode, on requests from outside"
        value "the baseline's name";
    VERDICT_HEADER: Response "x-serin-verdict"
        set by "mode `annotate`"
        removed by "a guard, from its application's responses"
        value "`healthy;candidate=v2;version=v1`";
    SCORE_HEADER: Response "x-serin-score"
        set by "mode `annotate` with `surprise`"
        removed by "a guard, from its application's responses"
        value "`43.2;percentile=99.931`";
    REJECT_HEADER: Response "x-serin-reject"
        set by "guard in mode `reject`, with 503 or gRPC UNAVAILABLE"
        removed by "a guard, from its application's responses"
        value "`GET /api/items/{int};error`";
    REPORT_HEADER: Response "x-serin-report"
        set by "sidecar of a service with `fan_out`"
        removed by "the caller's Serin; a guard, from its application's responses"
        value "the calls that the service made for the request";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_have_the_prefix_and_the_ending_of_their_kind() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            assert!(metric.name.starts_with(METRIC_PREFIX), "{}", metric.name);
            let counts = metric.name.ends_with("_total");
            assert_eq!(counts, metric.kind == Kind::Counter, "{}", metric.name);
            assert!(!metric.help.contains(['|', '\n']), "{}", metric.name);
        }
        let names: BTreeSet<&str> = HEADERS.iter().map(|header| header.name).collect();
        assert_eq!(names.len(), HEADERS.len());
        for header in HEADERS {
            assert!(header.name.starts_with(HEADER_PREFIX), "{}", header.name);
        }
    }

    #[test]
    fn the_labels_are_those_that_metrics_have() {
        let used: BTreeSet<&str> = METRICS
            .iter()
            .flat_map(|metric| metric.labels.iter().copied())
            .collect();
        assert_eq!(used, LABELS.iter().copied().collect());
        assert_eq!(used.len(), LABELS.len());
    }

    #[test]
    fn a_tag_regex_is_made_of_the_separators() {
        let escaped = |text: &str| text.replace('.', r"\.");
        let (equals, end) = (escaped(TAG_EQUALS), escaped(TAG_END));
        assert_eq!(
            tag_regex(label::ROUTE),
            format!("(route{equals}(.*?){end})")
        );
    }
}
