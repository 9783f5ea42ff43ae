//! The placebo is an A/A test: the harm test between two halves of the baseline, which run the same
//! version.
//!
//! It should find nothing. Where it does, the baseline's own hosts differ, and a candidate has to
//! differ by more than they do.

use super::halves::Halves;
use super::judged::Judged;
use super::pair::Pair;
use crate::config::Plan;
use crate::evidence::log_add_exp;
use crate::judge::verdict::PlaceboFinding;
use crate::limits::MAX_VERSION_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};

/// The halves of a destination's baseline, and the evidence between them.
#[derive(Debug, Clone, Default)]
pub(super) struct Placebo {
    /// The baseline.
    version: String,
    halves: Halves,
    /// Per question: the first half worse than the second, and the second worse than the first.
    pairs: Vec<[Pair; 2]>,
    /// Ticks in which only one half had exchanges, since both last had.
    one_sided_ticks: u32,
}

/// Ticks with exchanges of only one half after which the hosts are assigned anew.
const ONE_SIDED_TICKS: u32 = 60;

impl Placebo {
    /// Follows the baseline and its hosts through one tick. Tells whether the halves are others
    /// than before, so that what was gathered by the old ones is of no use.
    pub(super) fn follow(
        &mut self,
        plan: &Plan,
        baseline: &str,
        hosts: impl Iterator<Item = u32>,
    ) -> bool {
        if !plan.placebo || plan.reject.reference.is_some() || baseline.is_empty() {
            return false;
        }
        let mut other_halves = false;
        if self.version != baseline || self.one_sided_ticks >= ONE_SIDED_TICKS {
            // Another version, or one half's hosts are gone.
            self.one_sided_ticks = 0;
            baseline.clone_into(&mut self.version);
            self.halves = Halves::of_sessions();
            self.restart(plan);
            other_halves = true;
        }
        let live: Vec<u32> = hosts.collect();
        for host in &live {
            if self.halves.add(*host, &live) {
                self.restart(plan);
                other_halves = true;
            }
        }
        other_halves
    }

    /// How the baseline is split.
    pub(super) fn halves(&self) -> &Halves {
        &self.halves
    }

    fn restart(&mut self, plan: &Plan) {
        self.pairs = plan
            .questions
            .iter()
            .map(|(_, question)| [Pair::new(question), Pair::new(question)])
            .collect();
    }

    /// Judges the blocks of all routes together, per question: the first half is the laws'
    /// baseline and the second their candidate.
    pub(super) fn judge(&mut self, judged: &Judged) {
        self.one_sided_ticks = match judged.seen_halves {
            [true, true] => 0,
            [false, false] => self.one_sided_ticks,
            _ => self.one_sided_ticks.saturating_add(1),
        };
        let laws = judged.second_half.iter().zip(&judged.first_half);
        for (pairs, (second, first)) in self.pairs.iter_mut().zip(laws) {
            let [of_first, of_second] = pairs;
            of_first.update_all(first);
            of_second.update_all(second);
        }
    }

    /// Evidence that the halves differ on a question, in nats: the mean of both directions.
    fn evidence(pairs: &[Pair; 2]) -> f64 {
        let [first, second] = pairs;
        log_add_exp(first.harm.log_evidence(), second.harm.log_evidence()) - core::f64::consts::LN_2
    }

    fn stronger(pairs: &[Pair; 2]) -> &Pair {
        let [first, second] = pairs;
        if first.harm.log_evidence() >= second.harm.log_evidence() {
            first
        } else {
            second
        }
    }

    /// The odds ratio between the halves on a question, once half of the evidence for a finding is
    /// there (in logs). A verdict that is held back for nothing costs a delay; one that should have
    /// been held back costs a false alarm.
    pub(super) fn odds_ratio(&self, plan: &Plan, question: usize) -> Option<f64> {
        let pairs = self.pairs.get(question)?;
        if Self::evidence(pairs) < -plan.false_alarm.ln() / 2.0 {
            return None;
        }
        Self::stronger(pairs)
            .interval
            .estimate()
            .filter(|ratio| *ratio > 1.0)
    }

    /// Where the halves differ. All questions share the chance for a false finding.
    pub(super) fn findings(&self, plan: &Plan) -> Vec<PlaceboFinding> {
        plan.questions
            .iter()
            .zip(&self.pairs)
            .filter_map(|((_, question), pairs)| {
                let evidence = Self::evidence(pairs);
                let stronger = Self::stronger(pairs);
                (evidence + question.weight.ln() >= -plan.false_alarm.ln()).then(|| {
                    PlaceboFinding {
                        category: question.name,
                        meaning: question.meaning,
                        evidence,
                        first: stronger.candidate,
                        second: stronger.baseline,
                        odds_ratio: stronger.interval.estimate(),
                        interval: stronger.interval.interval(plan.false_alarm),
                        by_session: self.halves.by_session,
                    }
                })
            })
            .collect()
    }

    /// Per question, the evidence that the halves differ, in nats.
    pub(super) fn all_evidence(&self) -> impl Iterator<Item = f64> + '_ {
        self.pairs.iter().map(Self::evidence)
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.text(&self.version);
        self.halves.encode(writer);
        writer.u32(self.one_sided_ticks);
        writer.length(self.pairs.len());
        self.pairs
            .iter()
            .flatten()
            .for_each(|pair| pair.encode(writer));
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let version = reader.text(MAX_VERSION_BYTES)?.to_owned();
        let halves = Halves::decode(reader)?;
        let one_sided_ticks = reader.u32()?;
        let mut pairs = Vec::new();
        let questions = reader.length(plan.questions.len())?;
        for (_, question) in plan.questions.iter().take(questions) {
            pairs.push([
                Pair::decode(reader, question)?,
                Pair::decode(reader, question)?,
            ]);
        }
        Ok(Self {
            version,
            halves,
            pairs,
            one_sided_ticks,
        })
    }
}
