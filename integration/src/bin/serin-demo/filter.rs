//! What the filter says: its metrics, and its lines in Envoy's log.

use anyhow::{Context, Result};
use scorer_sdk::judge::verdict::{Decision, Verdict};
use scorer_sdk::telemetry;
use serin_integration::envoy::Envoy;
use serin_integration::metrics::Metrics;

/// Only the filter's own numbers: the whole page is some hundred kilobytes.
const PAGE: &str = "/stats/prometheus?filter=serin_";

/// What the filter thinks of the canary at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Opinion {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Evidence over all routes and categories, in nats.
    pub(crate) evidence: f64,
    /// Evidence that is enough, in nats.
    pub(crate) threshold: f64,
    /// Requests of the canary that were judged.
    pub(crate) judged: u64,
    /// Requests sent to the stable version by the filter.
    pub(crate) steered: u64,
    /// Route, category and evidence in nats of the pair with most evidence.
    pub(crate) strongest: Option<(String, String, f64)>,
    /// Whose doing a change against the past is, as the metrics name it; `None` while nothing changed.
    pub(crate) cause: Option<String>,
    /// Whether both versions have a past that they can be held against.
    pub(crate) knows_past: bool,
}

impl Opinion {
    /// Asks Envoy for the filter's metrics.
    pub(crate) async fn read(front: &Envoy) -> Result<Self> {
        let page = front.admin(PAGE).await.context("read the metrics")?;
        Ok(Self::of(&Metrics::parse(&page)))
    }

    fn of(metrics: &Metrics) -> Self {
        let canary = [("destination", "shop"), ("version", "v2")];
        let number = |name| metrics.value(name, &canary).unwrap_or(0.0);
        let nats = |thousandths: f64| thousandths / 1_000.0;
        let strongest = metrics
            .select(telemetry::EVIDENCE_FOR.name, &[])
            .filter(|sample| sample.value > 0.0)
            .max_by(|a, b| a.value.total_cmp(&b.value))
            .map(|sample| {
                let label = |name| sample.label(name).unwrap_or_default().to_owned();
                (label("route"), label("category"), nats(sample.value))
            });
        Self {
            verdict: Verdict::from_number(number(telemetry::VERDICT.name) as u8)
                .unwrap_or_default(),
            evidence: nats(number(telemetry::ROLLOUT_EVIDENCE.name)),
            threshold: nats(number(telemetry::ROLLOUT_THRESHOLD.name)),
            judged: number(telemetry::JUDGED_EXCHANGES.name) as u64,
            steered: metrics.value(telemetry::STEERED.name, &[]).unwrap_or(0.0) as u64,
            strongest,
            cause: cause(metrics),
            knows_past: ["baseline", "candidate"].iter().all(|arm| {
                let labels = [("arm", *arm), ("measure", "latency")];
                metrics
                    .value(telemetry::DRIFT_EVIDENCE.name, &labels)
                    .is_some()
            }),
        }
    }

    /// Why the verdict is not `anomalous`, in the engine's words and today's numbers.
    pub(crate) fn explanation(&self) -> String {
        let decision = Decision {
            destination: "shop".to_owned(),
            baseline: "v1".to_owned(),
            candidate: "v2".to_owned(),
            verdict: self.verdict,
            evidence: self.evidence,
            threshold: self.threshold,
            judged_exchanges: self.judged,
            ..Decision::default()
        };
        decision.explanation()
    }
}

fn cause(metrics: &Metrics) -> Option<String> {
    let mut causes = metrics
        .select(telemetry::CAUSE.name, &[])
        .filter(|sample| sample.value > 0.0)
        .filter_map(|sample| sample.label("cause"));
    causes.find(|name| *name != "nothing").map(str::to_owned)
}

/// What Envoy's log says last of a change against the past; `None` while there is none, or when it
/// is over.
pub(crate) fn drift(log: &str) -> Option<&str> {
    let said = log
        .lines()
        .rev()
        .find_map(|line| line.split_once("serin: shop: drift: "))?
        .1
        .trim_end();
    (said != "no version differs from its past any more").then_some(said)
}

/// Announcements of verdicts in Envoy's log, each of them once.
#[derive(Debug, Default)]
pub(crate) struct Announcements {
    seen: usize,
}

/// One announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// Why.
    pub(crate) why: String,
    /// On which route and signal the versions behave differently, for better or worse.
    pub(crate) differs: Option<String>,
}

impl Announcements {
    /// What has been said since the last call.
    pub(crate) fn new_ones(&mut self, log: &str) -> Vec<Announcement> {
        let all: Vec<Announcement> = log.lines().filter_map(announcement).collect();
        let new = all.get(self.seen..).unwrap_or_default().to_vec();
        self.seen = all.len();
        new
    }
}

fn announcement(line: &str) -> Option<Announcement> {
    let (_, said) = line.split_once("serin: shop v2 is ")?;
    let (name, said) = said.split_once(": ")?;
    let (why, differs) = match said.split_once("; behaves differently: ") {
        Some((why, differs)) => (why, Some(differs.trim_end().to_owned())),
        None => (said, None),
    };
    Some(Announcement {
        verdict: Verdict::ALL
            .into_iter()
            .find(|verdict| verdict.name() == name)?,
        why: why.trim_end().to_owned(),
        differs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_nats_and_the_strongest_pair_is_found() {
        let page = "\
serin_verdict{destination=\"shop\",version=\"v2\"} 2
serin_rollout_evidence{destination=\"shop\",version=\"v2\"} 2300
serin_evidence_for{destination=\"shop\",route=\"GET /\",category=\"error\"} 10
serin_evidence_for{destination=\"shop\",route=\"GET /cart\",category=\"slow\"} 5100
";
        let opinion = Opinion::of(&Metrics::parse(page));
        assert_eq!(opinion.verdict, Verdict::Suspect);
        assert_eq!(opinion.evidence, 2.3);
        let strongest = ("GET /cart".to_owned(), "slow".to_owned(), 5.1);
        assert_eq!(opinion.strongest, Some(strongest));
    }

    #[test]
    fn a_cause_is_named_only_while_something_drifts() {
        let page = |cause| format!("serin_cause{{destination=\"shop\",cause=\"{cause}\"}} 1\n");
        let cause = |page: &str| Opinion::of(&Metrics::parse(page)).cause;
        assert_eq!(cause(&page("shared")).as_deref(), Some("shared"));
        assert_eq!(cause(&page("nothing")), None);
        assert_eq!(cause(&page("shared").replace("} 1", "} 0")), None);
        assert_eq!(cause(""), None);
        let log = "else\nwasm log: serin: shop: drift: it is shared\nelse\n";
        assert_eq!(drift(log), Some("it is shared"));
        let over = format!("{log}serin: shop: drift: no version differs from its past any more\n");
        assert_eq!(drift(&over), None);
    }

    #[test]
    fn each_announcement_is_told_once() {
        let mut announcements = Announcements::default();
        let first = "[info][wasm] wasm log serin: serin: shop v2 is healthy: nothing speaks: yes\n";
        let healthy = Announcement {
            verdict: Verdict::Healthy,
            why: "nothing speaks: yes".to_owned(),
            differs: None,
        };
        assert_eq!(announcements.new_ones(first), [healthy]);
        assert_eq!(announcements.new_ones(first), []);
        let second = format!(
            "{first}else\nserin: shop v2 is anomalous: GET /; behaves differently: GET / size\n"
        );
        let new = announcements.new_ones(&second);
        let anomalous = Announcement {
            verdict: Verdict::Anomalous,
            why: "GET /".to_owned(),
            differs: Some("GET / size".to_owned()),
        };
        assert_eq!(new, [anomalous]);
    }
}
