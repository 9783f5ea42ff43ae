//! Units: what chance assigned to a version as a whole, hosts and sessions.
//!
//! Requests of one host, or of one session that stays with a version, are not independent trials.
//! Three things follow (4.9 of the design). A version has to differ by more than its hosts and
//! sessions differ among themselves ([`Units::tolerance`]). One unit cannot carry a verdict
//! ([`Units::allows`]). And a host that has only started is not judged by its latency
//! ([`Units::is_warm`]).
//!
//! Everything that is asked here is known from ticks before the one that is judged.

mod heterogeneity;
mod table;
mod warm_up;

use super::arm::Arm;
use super::trial::Trial;
use crate::config::Plan;
use crate::wire::codec::{CodecError, Reader, Writer};
use heterogeneity::{spread, t_quantile};
use table::{Answers, Table};
use warm_up::WarmUp;

/// Hosts of a version that are told apart.
const MAX_HOSTS: usize = 32;
/// Sessions of a version that are told apart: the busiest.
const MAX_SESSIONS: usize = 64;
/// Time in which a unit's recent exchanges, and what the candidate's units have answered, count for
/// half.
const RECENT_MS: f64 = 120_000.0;
/// The most that a tolerance can grow to.
const MOST_TOLERATED: f64 = 50.0;
/// Exchanges in a category that one unit may add whatever the others do.
const FREE: f64 = 3.0;
/// How many times the rate of the others one unit may have.
const TIMES_OTHERS: f64 = 3.0;
/// Hosts that are seen this soon after the first exchange of a destination were there before.
const OLD_MS: u64 = 60_000;

/// The units of a destination's two versions.
#[derive(Debug, Clone, Default)]
pub(super) struct Units {
    /// When the destination was first seen, in milliseconds since the epoch.
    since_ms: u64,
    hosts: [Table; 2],
    sessions: [Table; 2],
    warm_up: [WarmUp; 2],
    /// Per question, the answers of all of the candidate's exchanges, decayed.
    candidate: Vec<Answers>,
    /// Per question, the tolerance at this tick; none before the first.
    tolerances: Vec<f64>,
}

impl Units {
    /// Begins a tick.
    pub(super) fn begin(&mut self, plan: &Plan, now_ms: u64) {
        if self.since_ms == 0 {
            self.since_ms = now_ms;
        }
        self.tolerances = (0..plan.questions.len())
            .map(|question| self.tolerance_of(plan, question))
            .collect();
        let tick_ms = plan.tick.as_secs_f64() * 1_000.0;
        let recent = (-tick_ms / RECENT_MS).exp2();
        let keep = f64::from(plan.keep_per_tick());
        for kind in [&mut self.hosts, &mut self.sessions] {
            let [baseline, candidate] = kind;
            baseline.decay(recent, keep);
            candidate.decay(recent, recent);
        }
        for answers in &mut self.candidate {
            answers.inside *= recent;
            answers.total *= recent;
        }
    }

    /// Counts the exchange of a row.
    pub(super) fn see(&mut self, arm: Arm, host: u32, session: u32, now_ms: u64) {
        if let Some(hosts) = self.hosts.get_mut(arm as usize) {
            hosts.see(host, MAX_HOSTS, now_ms);
        }
        if session != 0
            && let Some(sessions) = self.sessions.get_mut(arm as usize)
        {
            sessions.see(session, MAX_SESSIONS, now_ms);
        }
    }

    /// The baseline's answer to a question. `expected` is the rate of its version on that route in
    /// that tick.
    pub(super) fn learn(&mut self, trial: &Trial, question: usize, inside: bool, expected: f64) {
        let [hosts, _] = &mut self.hosts;
        hosts.answer(trial.host, question, inside, expected);
        let [sessions, _] = &mut self.sessions;
        sessions.answer(trial.session, question, inside, expected);
    }

    /// The age of a host in seconds; none for one that was there before its destination was watched,
    /// or that is not known.
    pub(super) fn age(&self, arm: Arm, host: u32, now_ms: u64) -> Option<f64> {
        let unit = self.hosts.get(arm as usize)?.get(host)?;
        let was_there =
            arm == Arm::Baseline && unit.since_ms < self.since_ms.saturating_add(OLD_MS);
        (!was_there).then(|| now_ms.saturating_sub(unit.since_ms) as f64 / 1_000.0)
    }

    /// Takes the latency of a young host: see [`WarmUp::add`].
    pub(super) fn warm_up(&mut self, arm: Arm, age: f64, y: f64) {
        if let Some(warm_up) = self.warm_up.get_mut(arm as usize) {
            warm_up.add(age, y);
        }
    }

    /// Whether the latency of a host tells of its version.
    pub(super) fn is_warm(&self, plan: &Plan, arm: Arm, host: u32, now_ms: u64) -> bool {
        let Some(age) = self.age(arm, host, now_ms) else {
            return true;
        };
        let warm_up = &plan.warm_up;
        age >= warm_up.max.as_secs_f64()
            || age >= warm_up.min.as_secs_f64()
                && self
                    .warm_up
                    .get(arm as usize)
                    .is_some_and(|fit| fit.is_warm(age))
    }

    /// The odds ratio up to which a difference is tolerated now: the question's own, or what the units
    /// earn.
    pub(super) fn tolerance(&self, plan: &Plan, question: usize) -> f64 {
        let own = plan
            .questions
            .get(question)
            .map_or(1.0, |(_, question)| question.tolerance);
        self.tolerances
            .get(question)
            .copied()
            .unwrap_or(own)
            .max(own)
    }

    fn tolerance_of(&self, plan: &Plan, question: usize) -> f64 {
        if plan.reject.reference.is_some() {
            return 1.0;
        }
        let [hosts, _] = &self.hosts;
        let [sessions, _] = &self.sessions;
        let band = |units: &Table, imbalance: f64| {
            if imbalance <= 0.0 {
                return 0.0;
            }
            let spread = spread(units, question);
            t_quantile(spread.freedom).powi(2) * spread.variance * imbalance
        };
        let variance = band(hosts, self.hosts_apart()) + band(sessions, self.sessions_apart());
        variance.sqrt().exp().min(MOST_TOLERATED)
    }

    /// `1/m_c + 1/m_s`: each host has one version. 0 where hosts are not known.
    fn hosts_apart(&self) -> f64 {
        let [baseline, candidate] = self.hosts.each_ref().map(Table::effective);
        if baseline < 1.0 || candidate < 1.0 || self.hosts.iter().any(|hosts| hosts.part(0) > 0.5) {
            return 0.0;
        }
        1.0 / baseline + 1.0 / candidate
    }

    /// `Σ (w_c − w_s)²` over the sessions, `w` their parts of each version's exchanges, less what
    /// chance adds to it. Sessions that stay with a version make it `1/k_c + 1/k_s`; where each
    /// request is assigned by itself it is 0, for then both versions have the same sessions.
    fn sessions_apart(&self) -> f64 {
        let [baseline, candidate] = &self.sessions;
        if baseline.weight() < 1.0 || candidate.weight() < 1.0 {
            return 0.0;
        }
        let of_baseline: f64 = baseline
            .iter()
            .map(|unit| (candidate.part(unit.id) - baseline.part(unit.id)).powi(2))
            .sum();
        let of_candidate: f64 = candidate
            .iter()
            .filter(|unit| baseline.get(unit.id).is_none())
            .map(|unit| candidate.part(unit.id).powi(2))
            .sum();
        // Exponential decay: the weights' sum squared is twice the sum over the sum of squares.
        let by_chance = 0.5 / baseline.weight() + 0.5 / candidate.weight();
        (of_baseline + of_candidate - by_chance).max(0.0)
    }

    /// Whether the candidate's trial may count where its answer is yes: its host and its session may
    /// not have much more of them than the others, so that no single one can carry a verdict. It is
    /// then counted itself.
    ///
    /// Leaving out exchanges of the candidate that are in a category makes the evidence smaller and
    /// never larger.
    pub(super) fn allows(&mut self, trial: &Trial, question: usize, inside: bool) -> bool {
        if self.candidate.len() <= question {
            self.candidate.resize(question + 1, Answers::default());
        }
        let all = self.candidate.get(question).copied().unwrap_or_default();
        let [_, hosts] = &self.hosts;
        let [_, sessions] = &self.sessions;
        let allowed = !inside
            || [(hosts, trial.host), (sessions, trial.session)]
                .into_iter()
                .all(|(units, id)| id == 0 || is_within(units, id, question, &all));
        if let Some(all) = self.candidate.get_mut(question) {
            all.add(inside, 0.0);
        }
        let [_, hosts] = &mut self.hosts;
        hosts.answer(trial.host, question, inside, 0.0);
        let [_, sessions] = &mut self.sessions;
        sessions.answer(trial.session, question, inside, 0.0);
        allowed
    }

    /// Numbers that stand for the baseline's hosts.
    pub(super) fn baseline_hosts(&self) -> impl Iterator<Item = u32> + '_ {
        let [hosts, _] = &self.hosts;
        hosts.iter().map(|unit| unit.id).filter(|id| *id != 0)
    }

    /// The hosts that count, of baseline and candidate: equally busy ones would vary as much.
    pub(super) fn effective_hosts(&self) -> [f64; 2] {
        self.hosts.each_ref().map(Table::effective)
    }

    /// Another candidate has come.
    pub(super) fn forget_candidate(&mut self) {
        for kind in [&mut self.hosts, &mut self.sessions] {
            let [_, candidate] = kind;
            *candidate = Table::default();
        }
        let [_, warm_up] = &mut self.warm_up;
        *warm_up = WarmUp::default();
        self.candidate = Vec::new();
    }

    /// The candidate has become the baseline: its hosts are known, and what its units answered was
    /// kept for another purpose.
    pub(super) fn promote(&mut self) {
        for kind in [&mut self.hosts, &mut self.sessions] {
            kind.reverse();
            let [baseline, _] = kind;
            baseline.forget_answers();
        }
        self.warm_up.reverse();
        self.forget_candidate();
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.u64(self.since_ms);
        for table in self.hosts.iter().chain(&self.sessions) {
            table.encode(writer);
        }
        self.warm_up.iter().for_each(|fit| fit.encode(writer));
        writer.list(&self.candidate, Answers::encode);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            since_ms: reader.u64()?,
            hosts: [
                Table::decode(reader, MAX_HOSTS)?,
                Table::decode(reader, MAX_HOSTS)?,
            ],
            sessions: [
                Table::decode(reader, MAX_SESSIONS)?,
                Table::decode(reader, MAX_SESSIONS)?,
            ],
            warm_up: [WarmUp::decode(reader)?, WarmUp::decode(reader)?],
            candidate: reader.list(crate::limits::MAX_QUESTIONS, Answers::decode)?,
            tolerances: Vec::new(),
        })
    }
}

/// Whether a unit has no more exchanges in the category than the others' rate allows it. One that is
/// alone has no others.
fn is_within(units: &Table, id: u32, question: usize, all: &Answers) -> bool {
    let own = units
        .get(id)
        .and_then(|unit| unit.answers.get(question))
        .copied()
        .unwrap_or_default();
    let others = all.total - own.total;
    if others < 1.0 {
        return true;
    }
    let rate = ((all.inside - own.inside).max(0.0) + 0.5) / (others + 1.0);
    own.inside < FREE + TIMES_OTHERS * own.total * rate
}
