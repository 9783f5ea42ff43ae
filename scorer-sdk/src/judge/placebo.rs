//! The placebo: the harm test between two halves of the baseline, which run the same version.
//!
//! It must stay quiet. Where it does not, the baseline's own hosts differ, and a candidate has to
//! differ by more than they do.

use super::pair::Pair;
use super::route::Laws;
use crate::codec::{CodecError, Reader, Writer};
use crate::config::Plan;
use crate::evidence::log_add_exp;
use crate::split::{Half, MAX_HOSTS, Split};
use crate::verdict::PlaceboFinding;

/// The halves of a destination's baseline, and the evidence between them.
#[derive(Debug, Clone, Default)]
pub(super) struct Placebo {
    split: Split,
    /// Per question: the first half worse than the second, and the second worse than the first.
    pairs: Vec<[Pair; 2]>,
}

impl Placebo {
    /// Begins anew when another version is the baseline.
    pub(super) fn follow(&mut self, plan: &Plan, destination: &str, baseline: &str) {
        if self.split.version == baseline {
            return;
        }
        self.split = Split {
            destination: destination.to_owned(),
            version: baseline.to_owned(),
            by_session: true,
            hosts: Vec::new(),
        };
        self.restart(plan);
    }

    fn restart(&mut self, plan: &Plan) {
        self.pairs = plan
            .questions
            .iter()
            .map(|(_, question)| [Pair::new(question), Pair::new(question)])
            .collect();
    }

    /// Gives a host the half with fewer hosts.
    pub(super) fn add_host(&mut self, plan: &Plan, version: &str, host: u64) {
        if version != self.split.version || self.split.knows(host) {
            return;
        }
        if self.split.hosts.len() >= MAX_HOSTS {
            // Hosts come and go; those that are still there will be seen again.
            self.split.hosts.clear();
        }
        let first = self
            .split
            .hosts
            .iter()
            .filter(|known| known.1 == Half::First)
            .count();
        let half = if 2 * first <= self.split.hosts.len() {
            Half::First
        } else {
            Half::Second
        };
        let place = self.split.hosts.partition_point(|known| known.0 < host);
        self.split.hosts.insert(place, (host, half));
        if self.split.by_session && self.split.hosts.len() > 1 {
            self.split.by_session = false;
            self.restart(plan);
        }
    }

    /// How the baseline is split; `None` while there is no baseline.
    pub(super) fn split(&self) -> Option<&Split> {
        (!self.split.version.is_empty()).then_some(&self.split)
    }

    /// Judges the blocks of all routes together, per question: the first half is the laws'
    /// baseline and the second their candidate.
    pub(super) fn judge(&mut self, second_worse: &Laws, first_worse: &Laws) {
        for ((pairs, second), first) in self.pairs.iter_mut().zip(second_worse).zip(first_worse) {
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

    fn louder(pairs: &[Pair; 2]) -> &Pair {
        let [first, second] = pairs;
        if first.harm.log_evidence() >= second.harm.log_evidence() {
            first
        } else {
            second
        }
    }

    /// The odds ratio between the halves on a question, once half of the evidence for a finding is
    /// there (in logs): to hold a verdict back for nothing costs a delay, and to let one pass costs
    /// a false alarm.
    pub(super) fn odds_ratio(&self, plan: &Plan, question: usize) -> Option<f64> {
        let pairs = self.pairs.get(question)?;
        if Self::evidence(pairs) < -plan.false_alarm.ln() / 2.0 {
            return None;
        }
        Self::louder(pairs)
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
                let louder = Self::louder(pairs);
                (evidence + question.weight.ln() >= -plan.false_alarm.ln()).then(|| {
                    PlaceboFinding {
                        category: question.name,
                        meaning: question.meaning,
                        evidence,
                        first: louder.candidate,
                        second: louder.baseline,
                        odds_ratio: louder.interval.estimate(),
                        interval: louder.interval.interval(plan.false_alarm),
                        by_session: self.split.by_session,
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
        self.split.encode(writer);
        writer.length(self.pairs.len());
        self.pairs
            .iter()
            .flatten()
            .for_each(|pair| pair.encode(writer));
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let split = Split::decode(reader)?;
        let mut pairs = Vec::new();
        let questions = reader.length(plan.questions.len())?;
        for (_, question) in plan.questions.iter().take(questions) {
            pairs.push([
                Pair::decode(reader, question)?,
                Pair::decode(reader, question)?,
            ]);
        }
        Ok(Self { split, pairs })
    }
}
