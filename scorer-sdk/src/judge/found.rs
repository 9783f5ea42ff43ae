//! What was known when an anomalous verdict fell: since when, how often, and how certain. It is kept
//! as it was, whatever is counted later.

use super::comparison::Comparison;
use super::past_alarm::PastAlarm;
use super::shares::{PairIndex, Shares};
use crate::config::Plan;
use crate::judge::verdict::{Found, Rate};
use crate::limits::MAX_QUESTIONS;
use crate::route::RouteKey;
use crate::wire::codec::{CodecError, Reader, Writer};

/// A [`Found`] in the state, with the number of its question in the plan.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FoundState {
    route: RouteKey,
    question: u16,
    onset_ms: u64,
    evidence: f64,
    candidate: Rate,
    baseline: Rate,
    against_past: bool,
}

impl FoundState {
    /// What the strongest pair shows, of those that carry `evidence`; what the past shows, where that
    /// is stronger than all pairs.
    pub(super) fn of(
        plan: &Plan,
        destination: &str,
        (comparison, shares): (&Comparison, &Shares),
        past: &PastAlarm,
        evidence: f64,
        now_ms: u64,
    ) -> Option<Self> {
        if evidence > shares.log_evidence() {
            return Self::of_past(plan, destination, past, evidence, now_ms);
        }
        let index = strongest(shares)?;
        let pair = index.pair(comparison)?;
        Some(Self {
            route: index.key(destination, comparison)?,
            question: index.question as u16,
            onset_ms: pair.onset_ms().unwrap_or(now_ms).min(now_ms),
            evidence,
            candidate: pair.candidate,
            baseline: pair.baseline,
            against_past: false,
        })
    }

    fn of_past(
        plan: &Plan,
        destination: &str,
        past: &PastAlarm,
        evidence: f64,
        now_ms: u64,
    ) -> Option<Self> {
        let findings = past.findings(plan);
        let finding = findings.first()?;
        let mut questions = plan.questions.iter();
        let question = questions.position(|(_, question)| question.name == finding.category)?;
        let expected = finding.expected * finding.candidate.total as f64;
        Some(Self {
            route: RouteKey::all(destination),
            question: question as u16,
            onset_ms: now_ms.saturating_sub((finding.seconds * 1_000.0) as u64),
            evidence,
            candidate: finding.candidate,
            baseline: Rate::new(expected.round() as u64, finding.candidate.total),
            against_past: true,
        })
    }

    /// The same, begun no sooner than the rollout.
    pub(super) fn not_before(mut self, started_ms: u64) -> Self {
        self.onset_ms = self.onset_ms.max(started_ms);
        self
    }

    /// The same for people and programs.
    pub(super) fn told(&self, plan: &Plan) -> Option<Found> {
        let (_, question) = plan.questions.get(usize::from(self.question))?;
        Some(Found {
            onset_ms: self.onset_ms,
            evidence: self.evidence,
            route: self.route.clone(),
            category: question.name,
            meaning: question.meaning,
            candidate: self.candidate,
            baseline: self.baseline,
            against_past: self.against_past,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        self.route.encode(writer);
        writer.u16(self.question);
        writer.u64(self.onset_ms);
        writer.f64(self.evidence);
        self.candidate.encode(writer);
        self.baseline.encode(writer);
        writer.u8(u8::from(self.against_past));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let route = RouteKey::decode(reader)?;
        let question = reader.u16()?;
        if usize::from(question) >= MAX_QUESTIONS {
            return Err(CodecError::Unknown {
                what: "question",
                value: u64::from(question),
            });
        }
        let (onset_ms, evidence) = (reader.u64()?, reader.finite("evidence")?);
        let (candidate, baseline) = (Rate::decode(reader)?, Rate::decode(reader)?);
        Ok(Self {
            route,
            question,
            onset_ms,
            evidence,
            candidate,
            baseline,
            against_past: reader.u8()? == 1,
        })
    }
}

/// The pair that adds most to the evidence.
fn strongest(shares: &Shares) -> Option<PairIndex> {
    let part = |share: &(PairIndex, crate::evidence::WeightedEvidence)| {
        share.1.weight.ln() + share.1.log_evidence
    };
    let all = shares.as_slice().iter();
    all.max_by(|one, other| part(one).total_cmp(&part(other)))
        .map(|(index, _)| *index)
}
