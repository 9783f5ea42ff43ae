//! The placebo is an A/A test: the harm test between two halves of the baseline, which run the same
//! version.
//!
//! It should find nothing. Where it does, the baseline's own hosts differ, and a candidate has to
//! differ by more than they do.

use super::judged::Laws;
use super::pair::Pair;
use crate::config::Plan;
use crate::count::delta::{NewHost, RouteDelta};
use crate::count::halves::{Half, Halves};
use crate::evidence::log_add_exp;
use crate::judge::verdict::PlaceboFinding;
use crate::limits::MAX_HOSTS;
use crate::wire::codec::{CodecError, Reader, Writer};

/// The halves of a destination's baseline, and the evidence between them.
#[derive(Debug, Clone, Default)]
pub(super) struct Placebo {
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
        destination: &str,
        baseline: &str,
        inbox: &[RouteDelta],
        new_hosts: &[NewHost],
    ) -> bool {
        let mut other_halves = false;
        if plan.placebo && plan.reject.reference.is_none() {
            let seen = |half: usize| {
                inbox
                    .iter()
                    .flat_map(|route| &route.versions)
                    .filter(|version| version.version == baseline)
                    .filter_map(|version| version.halves.get(half))
                    .flatten()
                    .any(|counts| !counts.is_empty())
            };
            self.note([seen(0), seen(1)]);
            other_halves |= self.follow_baseline(plan, destination, baseline);
        }
        for new in new_hosts {
            other_halves |= self.add_host(plan, &new.version, new.host);
        }
        other_halves
    }

    /// Begins anew when another version is the baseline, or when one half has been silent for long
    /// while the other was not, because its hosts are gone. Tells whether it did.
    fn follow_baseline(&mut self, plan: &Plan, destination: &str, baseline: &str) -> bool {
        if self.halves.version == baseline && self.one_sided_ticks < ONE_SIDED_TICKS {
            return false;
        }
        self.one_sided_ticks = 0;
        self.halves = Halves {
            destination: destination.to_owned(),
            version: baseline.to_owned(),
            by_session: true,
            hosts: Vec::new(),
        };
        self.restart(plan);
        true
    }

    /// Notes whether exchanges of the two halves came in this tick.
    fn note(&mut self, halves: [bool; 2]) {
        self.one_sided_ticks = match halves {
            [true, true] => 0,
            [false, false] => self.one_sided_ticks,
            _ => self.one_sided_ticks.saturating_add(1),
        };
    }

    fn restart(&mut self, plan: &Plan) {
        self.pairs = plan
            .questions
            .iter()
            .map(|(_, question)| [Pair::new(question), Pair::new(question)])
            .collect();
    }

    /// Assigns a host to the half with fewer hosts, unless the table is full. Tells whether the
    /// halves are others than before.
    fn add_host(&mut self, plan: &Plan, version: &str, host: u64) -> bool {
        if version != self.halves.version
            || self.halves.knows(host)
            || self.halves.hosts.len() >= MAX_HOSTS
        {
            return false;
        }
        let first = self
            .halves
            .hosts
            .iter()
            .filter(|known| known.1 == Half::First)
            .count();
        let half = if 2 * first <= self.halves.hosts.len() {
            Half::First
        } else {
            Half::Second
        };
        let index = self.halves.hosts.partition_point(|known| known.0 < host);
        self.halves.hosts.insert(index, (host, half));
        if self.halves.by_session && self.halves.hosts.len() > 1 {
            self.halves.by_session = false;
            self.restart(plan);
            return true;
        }
        false
    }

    /// How the baseline is split; `None` while there is no baseline.
    pub(super) fn halves(&self) -> Option<&Halves> {
        (!self.halves.version.is_empty()).then_some(&self.halves)
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
        self.halves.encode(writer);
        writer.u32(self.one_sided_ticks);
        writer.length(self.pairs.len());
        self.pairs
            .iter()
            .flatten()
            .for_each(|pair| pair.encode(writer));
    }

    pub(super) fn decode(plan: &Plan, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
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
            halves,
            pairs,
            one_sided_ticks,
        })
    }
}
