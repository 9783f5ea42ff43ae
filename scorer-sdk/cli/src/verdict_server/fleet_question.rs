//! What Prometheus is asked about a fleet: the proxies' own series, or what rules have made of them.
//!
//! Every part of the question is a sum over all proxies. With a thousand of them that is work, so the
//! rules of `alerts/fleet.yaml` do it once for all who ask, and a question reads a few recorded
//! series. Where there are no such rules, or they have stopped, the question is about the proxies'
//! series. Rules and question are made of the same text here; a test compares the rules with it.

use super::fleet::Scope;
use super::prometheus::{Sample, quoted};
use crate::fleet_evidence::{self, Evidence};
use anyhow::Result;
use scorer_sdk::telemetry::{self, COMPARER, Metric};
use std::time::Duration;

/// A proxy whose last merge is older does not judge any more, in seconds.
const OLDEST_HEARTBEAT: u64 = 60;
/// Most reasons that are told.
pub(super) const REASONS: usize = 5;
/// Label that tells the parts of the question from each other.
pub(super) const ASKED: &str = "asked";
/// Rules that were evaluated longer ago have stopped, in seconds.
const LONGEST_LAG: f64 = 30.0;
/// Parts that tell how long ago rules recorded what.
const LAGS: [&str; 2] = [OF_PROXIES, OF_ROUTES];
const OF_PROXIES: &str = "lag_of_proxies";
const OF_ROUTES: &str = "lag_of_routes";
/// The number of routes, which other rules record.
const ROUTES: &str = "serin:routes:count1d";
/// What the names of the recorded series begin with; the part follows.
const RECORDED: &str = "serin:fleet:";
/// Which proxy has which number of a config's `rollout`, as a label.
const MEMBER: &str = "serin:fleet:member";
/// Label with that number.
const ROLLOUT: &str = "rollout";
/// Parts that are read as they were recorded.
const AS_RECORDED: &str = "verdict|proxies|enough|enough_alone|held|start|onset|evidence";
/// The window whose increase is recorded for all.
const RECORDED_WINDOW: Duration = Duration::from_secs(300);

/// Which proxies' series the parts are made of, and what they are grouped by.
struct Parts<'a> {
    /// Matchers of the destination.
    of: &'a str,
    /// Leaves some proxies, as `and on (job, instance) x`.
    only: &'a str,
    by: &'a str,
}

impl Parts<'_> {
    fn metric(&self, metric: &Metric) -> String {
        let (of, only) = (self.of, self.only);
        let of = if of.is_empty() {
            String::new()
        } else {
            format!("{{{of}}}")
        };
        format!("({}{of}{only})", metric.name)
    }

    fn evidence(&self) -> [String; 2] {
        Evidence {
            selector: self.of,
            only: self.only,
            by: self.by,
        }
        .queries()
    }

    /// All parts that are about verdicts.
    fn verdicts(&self) -> Vec<(&'static str, String)> {
        let by = self.by;
        // A gauge that is the sum of two processes' says nothing.
        let single = format!(
            "unless on (job, instance) {} > 1",
            telemetry::PROCESSES.name
        );
        let beat = format!(
            "max by (job, instance) ({}{{role=\"{COMPARER}\"}} {single})",
            telemetry::HEARTBEAT.name
        );
        let verdict = format!("({} {single})", self.metric(&telemetry::VERDICT));
        let fresh =
            format!("{verdict} and on (job, instance) (time() - {beat} < {OLDEST_HEARTBEAT})");
        let most = |gauge: &Metric| format!("max by ({by}) ({})", self.metric(gauge));
        let first = |gauge: &Metric| format!("min by ({by}) ({} > 0 {single})", self.metric(gauge));
        vec![
            ("verdict", format!("max by ({by}) ({fresh})")),
            ("proxies", format!("count by ({by}) ({fresh})")),
            (
                "heartbeat",
                format!("max by ({by}) (0 * {verdict} + on (job, instance) group_left () {beat})"),
            ),
            (
                "enough",
                format!("{} / 1000", most(&telemetry::FLEET_THRESHOLD)),
            ),
            (
                "enough_alone",
                format!("{} / 1000", most(&telemetry::ROLLOUT_THRESHOLD)),
            ),
            ("held", format!("{} > 0", most(&telemetry::HELD_BY_PLACEBO))),
            ("start", first(&telemetry::ROLLOUT_START_TIME)),
            ("onset", first(&telemetry::ONSET_TIME)),
        ]
    }
}

/// The recording rules, as name and expression, in their order.
#[must_use]
pub fn rules() -> Vec<(String, String)> {
    let by = format!("destination, version, {ROLLOUT}");
    let only = format!(" * on (job, instance) group_left ({ROLLOUT}) {MEMBER}");
    let parts = Parts {
        of: "",
        only: &only,
        by: &by,
    };
    let id = telemetry::ROLLOUT_ID.name;
    let member =
        format!("count_values by (job, instance) (\"{ROLLOUT}\", {id}{{role=\"{COMPARER}\"}}) ^ 0");
    let [pairs, pooled] = parts.evidence();
    let name = |part: &str| format!("{RECORDED}{part}");
    let evidence = fleet_evidence::fleet_query(&by, &name("pair"), &name("pooled"), ROUTES);
    let mut rules = vec![(MEMBER.to_owned(), member)];
    rules.extend(
        parts
            .verdicts()
            .into_iter()
            .chain([("pair", pairs), ("pooled", pooled), ("evidence", evidence)])
            .map(|(part, expression)| (name(part), expression)),
    );
    rules
}

impl Scope {
    /// Asks Prometheus with `query`: for what was recorded, else for the proxies' series. `window` is
    /// the time within which a version has had traffic.
    ///
    /// # Errors
    /// Those of `query`.
    pub fn ask(
        &self,
        window: Duration,
        query: impl Fn(&str) -> Result<Vec<Sample>>,
    ) -> Result<Vec<Sample>> {
        if let Some(question) = self.recorded_question(window) {
            let recorded = query(&question)?;
            // Without the number of routes, the evidence on single ones would be missing.
            if LAGS.iter().all(|part| is_current(&recorded, part)) {
                return Ok(recorded);
            }
        }
        query(&self.question(window))
    }

    /// The question about the proxies' series: all parts in one, so that they are of one moment.
    #[must_use]
    pub fn question(&self, window: Duration) -> String {
        let of = self.matcher();
        let only = self.rollout.map_or_else(String::new, |number| {
            let id = telemetry::ROLLOUT_ID.name;
            format!(" and on (job, instance) ({id}{{role=\"{COMPARER}\"}} == {number})")
        });
        let parts = Parts {
            of: &of,
            only: &only,
            by: "version",
        };
        // Evidence is added up over routes and destinations that are named.
        let [pairs, pooled] = Parts {
            by: "destination, version",
            ..parts
        }
        .evidence();
        let routes = fleet_evidence::routes_of_counters_query(&of);
        let evidence =
            fleet_evidence::fleet_query("destination, version", &pairs, &pooled, &routes);
        let mut all: Vec<(&str, String)> = parts
            .verdicts()
            .into_iter()
            .map(|(part, expression)| match part {
                "heartbeat" => ("age", format!("time() - {expression}")),
                _ => (part, expression),
            })
            .collect();
        all.extend([
            ("evidence", format!("({evidence})")),
            ("recent", self.recent(window)),
            ("pair", strongest(&pairs)),
            ("pooled", strongest(&pooled)),
        ]);
        joined(all)
    }

    /// The question about recorded series; none without a number of a rollout.
    #[must_use]
    pub fn recorded_question(&self, window: Duration) -> Option<String> {
        let of = format!("{}, {ROLLOUT}=\"{}\"", self.matcher(), self.rollout?);
        let recent = if window == RECORDED_WINDOW {
            format!("serin:exchanges:increase5m{{{}}}", self.matcher())
        } else {
            self.recent(window)
        };
        let of_part = |part: &str| format!("{RECORDED}{part}{{{of}}}");
        let beat = of_part("heartbeat");
        let routes = format!("{ROUTES}{{{}}}", self.matcher());
        let others = joined([
            ("age", format!("time() - {beat}")),
            (OF_PROXIES, format!("time() - timestamp({beat})")),
            (OF_ROUTES, format!("time() - timestamp({routes})")),
            ("recent", recent),
            ("pair", strongest(&of_part("pair"))),
            ("pooled", strongest(&of_part("pooled"))),
        ]);
        Some(format!(
            "label_replace({{__name__=~\"{RECORDED}({AS_RECORDED})\", {of}}}, \
             \"{ASKED}\", \"$1\", \"__name__\", \"{RECORDED}(.+)\")\nor {others}"
        ))
    }

    fn matcher(&self) -> String {
        format!("destination={}", quoted(&self.destination))
    }

    fn recent(&self, window: Duration) -> String {
        let (of, window) = (self.matcher(), window.as_secs().max(1));
        let metric = telemetry::EXCHANGES.name;
        format!("sum by (version) (increase({metric}{{{of}}}[{window}s]))")
    }
}

/// Whether rules have recorded something lately, by the lag in this part.
fn is_current(samples: &[Sample], part: &str) -> bool {
    let mut lags = samples
        .iter()
        .filter(|sample| sample.label(ASKED) == part)
        .map(|sample| sample.value)
        .peekable();
    lags.peek().is_some() && lags.all(|lag| lag <= LONGEST_LAG)
}

fn strongest(pairs: &str) -> String {
    format!("topk by (version) ({REASONS}, {pairs} > 0)")
}

/// One question of all parts.
fn joined<'a>(parts: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(part, expression)| {
            format!("label_replace({expression}, \"{ASKED}\", \"{part}\", \"\", \"\")")
        })
        .collect();
    parts.join("\nor ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const WINDOW: Duration = Duration::from_secs(300);

    fn scope(rollout: Option<u32>) -> Scope {
        Scope {
            destination: "shop".to_owned(),
            rollout,
        }
    }

    #[test]
    fn a_rollout_of_another_name_is_not_asked_about() {
        let text = scope(Some(77)).question(WINDOW);
        let only = "and on (job, instance) (serin_rollout_id{role=\"comparer\"} == 77)";
        assert!(text.contains(only), "{text}");
        let any = scope(None).question(WINDOW);
        assert!(!any.contains("serin_rollout_id"), "{any}");
    }

    /// What was asked, where the recorded series of proxies and of routes lag by so much.
    fn asked(rollout: Option<u32>, lags: [Option<f64>; 2]) -> Vec<&'static str> {
        let asked = RefCell::new(Vec::new());
        let answer = scope(rollout).ask(WINDOW, |question| {
            let is_recorded = question.contains(RECORDED);
            asked
                .borrow_mut()
                .push(["proxies", "recorded"][usize::from(is_recorded)]);
            let lags = LAGS.iter().zip(lags).filter(|_| is_recorded);
            let lags = lags.filter_map(|(part, lag)| {
                Some(Sample {
                    labels: [(ASKED.to_owned(), (*part).to_owned())].into(),
                    value: lag?,
                })
            });
            Ok(lags.collect())
        });
        assert!(answer.is_ok());
        asked.into_inner()
    }

    #[test]
    fn recorded_series_answer_while_rules_record_them() {
        assert_eq!(asked(Some(7), [Some(4.0), Some(15.0)]), ["recorded"]);
        for lags in [
            [Some(31.0), Some(4.0)],
            [Some(4.0), Some(31.0)],
            [None, Some(4.0)],
            [Some(4.0), None],
            [None, None],
        ] {
            assert_eq!(asked(Some(7), lags), ["recorded", "proxies"], "{lags:?}");
        }
        assert_eq!(asked(None, [None, None]), ["proxies"]);
    }

    #[test]
    fn all_that_is_recorded_is_read() {
        let question = scope(Some(7)).recorded_question(WINDOW).unwrap();
        for (name, _) in rules() {
            let part = name.strip_prefix(RECORDED).unwrap();
            let is_read = AS_RECORDED.split('|').any(|known| known == part)
                || question.contains(&format!("{name}{{"));
            assert!(is_read || name == MEMBER, "{name}");
        }
    }
}
