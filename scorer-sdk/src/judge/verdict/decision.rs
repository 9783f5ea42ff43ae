//! What is decided about one destination.

use crate::drift::SharedChange;
use crate::judge::timing::Timing;
use crate::judge::verdict::label::labels;
use crate::judge::verdict::{
    Difference, Found, LeftOut, Needed, PastFinding, PlaceboFinding, Reason, Silence, Verdict,
};
use crate::route::RouteKey;
use serde::Serialize;

/// The decision about one destination.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Decision {
    /// The destination.
    pub destination: String,
    /// The stable version; empty while none was seen.
    pub baseline: String,
    /// The new version; empty while there is none.
    pub candidate: String,
    /// The verdict on the candidate.
    pub verdict: Verdict,
    /// Evidence over all routes and categories, in nats.
    pub evidence: f64,
    /// Evidence that a verdict needs, in nats.
    pub threshold: f64,
    /// Evidence that the versions differ at all, in nats.
    pub change_evidence: f64,
    /// Exchanges of the baseline since the candidate came.
    pub baseline_exchanges: u64,
    /// Exchanges of the candidate, judged or not.
    pub candidate_exchanges: u64,
    /// Exchanges of the candidate that were judged.
    pub judged_exchanges: u64,
    /// Candidate exchanges at the moment of the anomalous verdict.
    pub exchanges_at_verdict: u64,
    /// Milliseconds since the epoch of the candidate's first exchange.
    pub started_ms: u64,
    /// Milliseconds since the epoch of the anomalous verdict; 0 when there is none.
    pub verdict_ms: u64,
    /// The facts at that moment; `None` without such a verdict.
    pub found: Option<Found>,
    /// Share of the requests that `steer` sends to the baseline: 0 without a verdict.
    pub steer_share: f64,
    /// The reasons for the verdict, the strongest first.
    pub reasons: Vec<Reason>,
    /// While the verdict is `learning`: a reason that by itself has a quarter of the evidence that a
    /// verdict needs, before Serin averages over all pairs. It keeps a candidate from being `healthy`.
    pub leaning: Option<Reason>,
    /// Where the versions behave differently.
    pub differences: Vec<Difference>,
    /// For a guard: the routes and categories that may be refused.
    #[serde(serialize_with = "labels")]
    pub condemned: Vec<(RouteKey, &'static str)>,
    /// Versions that were found anomalous and may still have traffic.
    pub condemned_versions: Vec<String>,
    /// Whether the verdict comes from all proxies together, not from this proxy's evidence.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub by_fleet: bool,
    /// Whether most of the baseline's recent exchanges failed; Serin then steers nothing to it.
    pub baseline_failing: bool,
    /// Where the baseline's own hosts or sessions differ from each other.
    pub placebo: Vec<PlaceboFinding>,
    /// Whether the evidence would be enough without the placebo.
    pub held_by_placebo: bool,
    /// Where the two versions get different requests, so that the comparison is unfair. The signals are
    /// those of requests, or `routes` for the mix of routes.
    pub balance: Vec<Difference>,
    /// Whether the candidate's latency is not judged yet: it is younger than `warm_up.min`, or most of
    /// its exchanges come from hosts that are still warming up.
    pub warming_up: bool,
    /// Hosts of baseline and candidate that take traffic; 0 where hosts are not known.
    pub hosts: [u64; 2],
    /// Exchanges that do not count, because single hosts or sessions have too many of them.
    pub left_out: Option<LeftOut>,
    /// Candidate requests that Serin still needs to find a regression of each size.
    pub needed: Vec<Needed>,
    /// If the candidate has taken over the traffic: where it is worse than the baseline's past, the
    /// strongest first.
    pub against_past: Vec<PastFinding>,
    /// Versions that answer no request, or get none while others do.
    pub silent: Vec<Silence>,
    /// Both versions against their own past, and whether what changed is usage, something shared,
    /// or the version.
    pub shared_change: SharedChange,
}

impl Decision {
    /// The reason for the verdict in one sentence, followed by what limits the comparison.
    #[must_use]
    pub fn explanation(&self) -> String {
        let mut text = match self.against_past.first() {
            Some(finding) if self.reasons.is_empty() => {
                finding.sentence(&self.candidate, &self.baseline)
            }
            Some(finding) => format!(
                "{}; {}",
                self.reason_sentence(),
                finding.sentence(&self.candidate, &self.baseline)
            ),
            None => self.reason_sentence(),
        };
        if self.by_fleet {
            text.insert_str(
                0,
                "by the evidence of all proxies together; this proxy alone says: ",
            );
        }
        for silence in &self.silent {
            text.push_str(&format!("; {}", silence.sentence()));
        }
        if self.held_by_placebo && self.placebo.is_empty() {
            text.push_str(&format!(
                "; held back, because the hosts or sessions of {} seem to differ as much from each other",
                self.baseline
            ));
        }
        if let Some(finding) = self.placebo.first() {
            text.push_str("; ");
            if self.held_by_placebo {
                text.push_str("held back, because ");
            }
            text.push_str(&finding.sentence(&self.baseline));
        }
        if let Some(left_out) = &self.left_out {
            text.push_str("; ");
            text.push_str(&left_out.sentence(&self.candidate));
        }
        let [baseline_hosts, candidate_hosts] = self.hosts;
        if baseline_hosts > 1 && candidate_hosts == 1 && self.verdict >= Verdict::Suspect {
            text.push_str(&format!(
                "; {} runs on one host, and a bad host looks like a bad version",
                self.candidate
            ));
        }
        if let Some(unlike) = self.balance.first() {
            text.push_str(&format!(
                "; the versions get different requests ({} on {}), so requests are not assigned at random",
                unlike.signal, unlike.route
            ));
        }
        text
    }

    fn reason_sentence(&self) -> String {
        match (self.verdict, self.reasons.first()) {
            (_, _) if self.candidate.is_empty() => {
                format!("{}: only one version has had traffic", self.destination)
            }
            (Verdict::Learning, _) if self.baseline_exchanges == 0 => format!(
                "nothing to compare {} with: no exchange of {} since it appeared",
                self.candidate,
                match self.baseline.as_str() {
                    "" => "a baseline",
                    name => name,
                }
            ),
            (Verdict::Learning, _) => {
                let why = match &self.leaning {
                    Some(reason) => format!(
                        "not healthy, but too little evidence for a verdict: {}",
                        reason.sentence(&self.candidate, &self.baseline)
                    ),
                    None if self.warming_up => "its latency is not judged yet".to_owned(),
                    None => "too few for a verdict".to_owned(),
                };
                let mut text = format!(
                    "{} candidate exchanges compared so far: {why}",
                    self.judged_exchanges
                );
                let needed: Vec<String> = self
                    .needed
                    .iter()
                    .map(|needed| format!("{} for {} times", needed.requests, needed.odds_ratio))
                    .collect();
                if !needed.is_empty() {
                    text.push_str(&format!(
                        "; requests still needed to find failures at so many times the odds: {}",
                        needed.join(", ")
                    ));
                }
                text
            }
            (Verdict::Healthy, _) | (_, None) => format!(
                "nothing speaks against {}: {} of its exchanges were compared with {}'s",
                self.candidate, self.judged_exchanges, self.baseline
            ),
            (_, Some(reason)) => {
                let mut text = reason.sentence(&self.candidate, &self.baseline);
                let mut told = 1;
                let pooled = |other: &&Reason| {
                    other.is_pooled() && other.category == reason.category && !reason.is_pooled()
                };
                if let Some(pooled) = self.reasons.iter().find(pooled) {
                    told += 1;
                    text.push_str(&format!(
                        "; all routes together: {} against {}{}",
                        pooled.candidate.percentage(),
                        pooled.baseline.percentage(),
                        pooled.odds().replacen(';', ",", 1)
                    ));
                }
                let more = self.reasons.len().saturating_sub(told);
                if more > 0 {
                    text.push_str(&format!("; and {more} more"));
                }
                text
            }
        }
    }

    /// Since when the candidate is worse, how soon that was found and how certain it is; none without
    /// a verdict.
    #[must_use]
    pub fn timing(&self) -> Option<Timing> {
        let found = self.found.as_ref()?;
        Some(Timing {
            onset_ms: found.onset_ms,
            verdict_ms: self.verdict_ms,
            evidence: (!found.against_past).then_some(found.evidence),
        })
    }

    /// Whether the versions behave differently, for better or worse.
    #[must_use]
    pub fn differs(&self) -> bool {
        !self.differences.is_empty()
    }
}
