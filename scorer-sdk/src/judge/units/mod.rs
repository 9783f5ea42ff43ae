//! Units: what chance assigned to a version as a whole, hosts and sessions.
//!
//! Requests of one host, or of one session that stays with a version, are not independent trials.
//! Three things follow (4.9 of the design). A version has to differ by more than its hosts and
//! sessions differ among themselves ([`Units::tolerance`]). One unit cannot carry a verdict
//! ([`Units::allows`]). And a host that has only started is not judged by its latency
//! ([`Units::is_warm`]).
//!
//! What outcomes decide here, they decide from ticks before the one that is judged. Which units were
//! busy is known with that tick.

mod dispersion;
mod heterogeneity;
mod imbalance;
mod moments;
mod speed;
mod table;
mod warm_up;

use super::arm::Arm;
use super::trial::{Trial, counts_cases};
use crate::config::Plan;
use crate::count::rows::RowFacts;
use crate::evidence::Spread;
use crate::exchange::NO_ODDS;
use crate::limits::MAX_QUESTIONS;
use crate::wire::codec::{CodecError, Reader, Writer};
use dispersion::Dispersion;
use heterogeneity::{deviations, of_rare, spread};
pub(super) use imbalance::Imbalance;
use table::{Answers, Keep, Table};
use warm_up::WarmUp;

/// Hosts of a version that are told apart.
const MAX_HOSTS: usize = 32;
/// Sessions of a version that are told apart: the busiest.
const MAX_SESSIONS: usize = 64;
/// Time in which what tells who is busy counts for half.
const BUSY_MS: f64 = 120_000.0;
/// Time in which the short memory of the candidate's answers counts for half.
const RECENT_MS: f64 = 20_000.0;
/// But no less than this many exchanges.
const RECENT_EXCHANGES: f64 = 150.0;
/// The most that a tolerance can grow to.
const MOST_TOLERATED: f64 = 50.0;
/// Exchanges in a category that one host, or one session, may add whatever the others do.
const FREE: [f64; 2] = [3.0, 1.0];
/// How many times the rate of the others one unit may have.
const TIMES_OTHERS: f64 = 3.0;
/// The part of the candidate's exchanges that one session may have which stays with it.
const LARGEST_PART: f64 = 1.0 / 3.0;
/// Exchanges that were left out, from which on this is told.
const WORTH_TELLING: f64 = 10.0;
/// Standard deviations between units by which versions have to differ to be told to.
const DEVIATIONS_TOLD: f64 = 2.6;
/// Hosts that are seen this soon after the first exchange of a destination were there before.
const OLD_MS: u64 = 60_000;

/// Where the units of one trial are in the candidate's tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    host: Option<usize>,
    session: Option<usize>,
}

/// The units of a destination's two versions.
#[derive(Debug, Clone, Default)]
pub(super) struct Units {
    /// When the destination was first seen, in milliseconds since the epoch.
    since_ms: u64,
    hosts: [Table; 2],
    sessions: [Table; 2],
    warm_up: [WarmUp; 2],
    /// The same as it was before this tick: latencies must not decide whether they are judged
    /// themselves. Not part of the state.
    warm_up_before: [WarmUp; 2],
    imbalance: Imbalance,
    dispersion: Dispersion,
    /// Per question, the answers of all of the candidate's exchanges, over each memory.
    candidate: [Vec<Answers>; 2],
    /// Per question, the candidate's exchanges that were left out because their host, or their session,
    /// has too many; over the short memory.
    left_out: Vec<[f64; 2]>,
    /// Of the baseline's exchanges without its cases, decayed: how many, and the sum of the natural logs
    /// of [`Trial::odds`], in times.
    sampled: [f64; 2],
    /// The part of a busy session's exchanges that is still owed.
    owed: f64,
    /// How much slower the candidate may be at this tick because of its hosts, in natural logs; none where
    /// hosts are not known. Not part of the state.
    shift: Option<f64>,
    /// Per question, what the units are worth at this tick, as a variance in squared log odds: of hosts
    /// as a whole, and of sessions for each unit of imbalance. Not part of the state.
    variances: Vec<[f64; 2]>,
}

impl Units {
    /// Begins a tick.
    pub(super) fn begin(&mut self, plan: &Plan, now_ms: u64) {
        if self.since_ms == 0 || now_ms < self.since_ms {
            self.since_ms = now_ms;
        }
        self.warm_up_before = self.warm_up;
        self.variances = (0..plan.questions.len())
            .map(|question| self.variances_of(plan, question))
            .collect();
        let [hosts, _] = &self.hosts;
        let apart = self.hosts_apart();
        self.shift = (apart > 0.0).then(|| speed::band(hosts) * apart.sqrt());
        let tick_ms = plan.tick.as_secs_f64() * 1_000.0;
        let by_time = (-tick_ms / RECENT_MS).exp2();
        let [_, recent] = &self.candidate;
        let exchanges = recent.iter().map(|all| all.total).fold(0.0, f64::max) / self.mean_odds();
        let keep = Keep {
            busy: Self::keep_busy(plan),
            past: f64::from(plan.keep_per_tick()),
            // What is rare is not forgotten by time alone.
            recent: by_time.max((RECENT_EXCHANGES / exchanges.max(1.0)).min(1.0)),
        };
        for table in self.hosts.iter_mut().chain(&mut self.sessions) {
            table.decay(&keep, now_ms);
        }
        self.imbalance.decay(keep.busy);
        self.dispersion.tick(keep.past);
        for sum in &mut self.sampled {
            *sum *= keep.past;
        }
        let [past, recent] = &mut self.candidate;
        table::decay(past, keep.past);
        table::decay(recent, keep.recent);
        for left_out in self.left_out.iter_mut().flatten() {
            *left_out *= keep.busy;
        }
    }

    /// What is left of who is busy after a tick.
    pub(super) fn keep_busy(plan: &Plan) -> f64 {
        (-plan.tick.as_secs_f64() * 1_000.0 / BUSY_MS).exp2()
    }

    /// Counts the exchange of a row.
    pub(super) fn see(&mut self, arm: Arm, host: u32, session: u32, now_ms: u64) {
        if let Some(hosts) = self.hosts.get_mut(arm as usize) {
            hosts.see(host, MAX_HOSTS, now_ms);
        }
        self.imbalance.see(arm, session);
        if session != 0
            && let Some(sessions) = self.sessions.get_mut(arm as usize)
        {
            sessions.see(session, MAX_SESSIONS, now_ms);
        }
    }

    /// Finds a place for the units of a case of the candidate, so that what one of them may add is
    /// limited before it was seen in the random part. A case weighs what its like weigh there, so that
    /// those who only fail keep their place.
    pub(super) fn meet(&mut self, facts: RowFacts, now_ms: u64) {
        let weight = f64::from(NO_ODDS) / f64::from(facts.odds.max(NO_ODDS));
        let ([_, hosts], [_, sessions]) = (&mut self.hosts, &mut self.sessions);
        let host = hosts.meet(facts.host, MAX_HOSTS, now_ms);
        let session = match facts.session {
            0 => None,
            session => sessions.meet(session, MAX_SESSIONS, now_ms),
        };
        for unit in [host, session].into_iter().flatten() {
            unit.weight += weight;
        }
    }

    /// The baseline's answers in a trial. `expected` gives, per question that is put, the rate of its
    /// version on that route in that tick.
    pub(super) fn learn(&mut self, trial: &Trial, expected: &[(usize, f64)]) {
        if !trial.is_case {
            let odds = f64::from(trial.odds) / f64::from(NO_ODDS);
            let [count, sum] = &mut self.sampled;
            *count += 1.0;
            *sum += odds.ln();
        }
        if trial.host != 0 {
            self.dispersion.learn(trial, expected);
        }
        let [hosts, _] = &mut self.hosts;
        let [sessions, _] = &mut self.sessions;
        for unit in [hosts.get_mut(trial.host), sessions.get_mut(trial.session)]
            .into_iter()
            .flatten()
        {
            for (question, rate) in expected {
                if let Some(inside) = trial.answer(*question) {
                    unit.answer(*question, inside, *rate);
                }
            }
        }
    }

    /// The age of a host in seconds; none for one that was there before its destination was watched,
    /// or that found no place in the table. Hosts that are not known count as one.
    pub(super) fn age(&self, arm: Arm, host: u32, now_ms: u64) -> Option<f64> {
        let unit = self.hosts.get(arm as usize)?.get(host)?;
        let was_there =
            arm == Arm::Baseline && unit.since_ms < self.since_ms.saturating_add(OLD_MS);
        (!was_there).then(|| now_ms.saturating_sub(unit.since_ms) as f64 / 1_000.0)
    }

    /// Takes the latency of a host of the baseline: the natural log of a duration, less that of the
    /// baseline's at the same time.
    pub(super) fn time(&mut self, host: u32, y: f64) {
        let [hosts, _] = &mut self.hosts;
        if let Some(unit) = hosts.get_mut(host) {
            unit.speed.add(y);
        }
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
                    .warm_up_before
                    .get(arm as usize)
                    .is_some_and(|fit| fit.is_warm(age))
    }

    /// Whether most of the candidate's recent exchanges come from hosts whose latency does not tell of it
    /// yet.
    pub(super) fn candidate_is_cold(&self, plan: &Plan, now_ms: u64) -> bool {
        if plan.duration().is_none() {
            return false;
        }
        let [_, hosts] = &self.hosts;
        let (mut cold, mut all) = (0.0, 0.0);
        for unit in hosts.iter() {
            all += unit.weight;
            if !self.is_warm(plan, Arm::Candidate, unit.id, now_ms) {
                cold += unit.weight;
            }
        }
        cold > all / 2.0
    }

    /// How unlike the versions' sessions are over all routes: see [`Imbalance::apart`].
    pub(super) fn sessions_apart(&self) -> f64 {
        self.imbalance.apart()
    }

    /// The odds ratio up to which a difference is tolerated now: the question's own, or what the units
    /// earn. `sessions_apart` is [`Imbalance::apart`] of the route that is judged, or of all routes.
    /// `of_shift` is the natural log of the odds ratio that [`Units::shift`] makes, for a question about
    /// durations.
    pub(super) fn tolerance(
        &self,
        plan: &Plan,
        question: usize,
        sessions_apart: f64,
        of_shift: Option<f64>,
    ) -> f64 {
        let own = plan
            .questions
            .get(question)
            .map_or(1.0, |(_, question)| question.tolerance);
        let [hosts, sessions] = self.variances.get(question).copied().unwrap_or_default();
        let hosts = of_shift.map_or(hosts, |log_odds| log_odds * log_odds);
        let earned = (hosts + sessions * sessions_apart).sqrt().exp();
        own.max(earned.min(MOST_TOLERATED))
    }

    /// How much slower the candidate may be because of its hosts, in natural logs.
    pub(super) fn shift(&self) -> Option<f64> {
        self.shift
    }

    /// The most that one block may add to the evidence of a question, in nats.
    pub(super) fn gain_limit(&self, plan: &Plan, question: usize) -> f64 {
        let is_bursty = plan
            .questions
            .get(question)
            .is_some_and(|(_, question)| question.bursty);
        self.dispersion.gain_limit(question, is_bursty, plan.tick)
    }

    /// How many times as likely a failed exchange is to be judged as another, in the geometric mean.
    fn mean_odds(&self) -> f64 {
        let [count, sum] = self.sampled;
        if count > 0.0 {
            (sum / count).exp()
        } else {
            1.0
        }
    }

    /// What hosts are worth as they are, and sessions for each unit of imbalance.
    fn variances_of(&self, plan: &Plan, question: usize) -> [f64; 2] {
        if plan.reject.reference.is_some() {
            return [0.0; 2];
        }
        let [hosts, _] = &self.hosts;
        let [sessions, _] = &self.sessions;
        let worth = |units: &Table, prior: f64| {
            let spread = spread(units, question, prior);
            deviations(spread.freedom).powi(2) * spread.variance
        };
        // Categories are rarer than they are among what is judged, where cases count for them.
        let odds = if counts_cases(plan, question) {
            self.mean_odds()
        } else {
            1.0
        };
        let rare = of_rare(hosts, question, odds);
        [
            worth(hosts, heterogeneity::HOSTS) * self.hosts_apart(),
            worth(sessions, heterogeneity::SESSIONS * rare),
        ]
    }

    /// Per signal, how much versions that are alike differ by their units: what a difference that is
    /// only told has to exceed. It takes less for granted than a verdict does.
    pub(super) fn spreads(&self, plan: &Plan) -> Vec<Spread> {
        let [hosts, _] = &self.hosts;
        let [sessions, _] = &self.sessions;
        let (hosts_apart, sessions_apart) = (self.hosts_apart(), self.sessions_apart());
        (0..plan.signals.len())
            .map(|signal| {
                let questions = plan.questions.iter().enumerate();
                // The question that tells most of how units differ.
                let best = questions
                    .filter(|(_, (of, _))| *of == signal)
                    .map(|(question, _)| {
                        let hosts = spread(hosts, question, heterogeneity::HOSTS_TOLD);
                        (question, hosts)
                    })
                    .max_by(|(_, one), (_, other)| one.freedom.total_cmp(&other.freedom));
                let Some((question, of_hosts)) = best else {
                    return Spread::default();
                };
                let of_sessions = spread(sessions, question, heterogeneity::SESSIONS_TOLD);
                let variance =
                    of_hosts.variance * hosts_apart + of_sessions.variance * sessions_apart;
                Spread {
                    log_odds: DEVIATIONS_TOLD * variance.sqrt(),
                    dispersion: self.dispersion.of(question),
                }
            })
            .collect()
    }

    /// `1/m_c + 1/m_s`: each host has one version. 0 where hosts are not known. A version that was not
    /// seen before this tick is taken for a single host.
    fn hosts_apart(&self) -> f64 {
        if self.hosts.iter().any(|hosts| hosts.part(0) > 0.5) {
            return 0.0;
        }
        let [baseline, candidate] = self
            .hosts
            .each_ref()
            .map(|hosts| hosts.effective().max(1.0));
        1.0 / baseline + 1.0 / candidate
    }

    /// Whether a trial of the candidate is judged. Of a session that stays with the candidate and makes
    /// up most of it, only so many exchanges are that it has a third.
    pub(super) fn admits(&mut self, session: u32) -> bool {
        let [baseline, candidate] = &self.sessions;
        let part = candidate.part(session);
        let others = 1.0 - part;
        if session == 0
            || part - baseline.part(session) <= LARGEST_PART
            || others * candidate.weight() < 1.0
        {
            return true;
        }
        self.owed += others * LARGEST_PART / (1.0 - LARGEST_PART) / part;
        let admitted = self.owed >= 1.0;
        if admitted {
            self.owed -= 1.0;
        }
        admitted
    }

    /// Where the units of a trial of the candidate are in the tables, for [`Units::allows`].
    pub(super) fn places(&self, trial: &Trial) -> Places {
        let ([_, hosts], [_, sessions]) = (&self.hosts, &self.sessions);
        Places {
            host: hosts.place(trial.host),
            session: sessions.place(trial.session),
        }
    }

    /// Whether the candidate's trial may count where its answer is yes: its host and its session may
    /// not have much more of them than the others, so that no single one can carry a verdict. Neither
    /// over the memory of the past, which limits a unit that differs, nor over the last seconds, which
    /// limits a burst.
    ///
    /// Leaving out exchanges of the candidate that are in a category makes the evidence smaller and
    /// never larger.
    ///
    /// Where cases count for the question (`is_sampled`), an exchange beside them stands for as many as
    /// its chance to be judged says, so that the rates are those of all exchanges.
    pub(super) fn allows(
        &mut self,
        (trial, places): (&Trial, Places),
        question: usize,
        inside: bool,
        is_sampled: bool,
    ) -> bool {
        let stands_for = if is_sampled && !inside {
            f64::from(trial.odds) / f64::from(NO_ODDS)
        } else {
            1.0
        };
        let all = self
            .candidate
            .each_ref()
            .map(|answers| answers.get(question).copied().unwrap_or_default());
        let [_, hosts] = &self.hosts;
        let [_, sessions] = &self.sessions;
        let has_too_many = |unit: Option<&table::Unit>, free: f64| {
            unit.filter(|unit| unit.id != 0).is_some_and(|unit| {
                let own = unit.answered(question);
                !own.iter()
                    .zip(&all)
                    .all(|(own, all)| is_within(own, all, free))
            })
        };
        let [of_host, of_session] = FREE;
        let too_many = if inside {
            [
                has_too_many(places.host.and_then(|place| hosts.at(place)), of_host),
                has_too_many(
                    places.session.and_then(|place| sessions.at(place)),
                    of_session,
                ),
            ]
        } else {
            [false; 2]
        };
        if too_many != [false; 2] {
            self.leave_out(question, too_many);
            // Not even as an exchange: a client that does nothing else would earn more by each.
            return false;
        }
        let [_, hosts] = &mut self.hosts;
        let [_, sessions] = &mut self.sessions;
        let host = places.host.and_then(|place| hosts.at_mut(place));
        let session = places.session.and_then(|place| sessions.at_mut(place));
        for unit in [host, session].into_iter().flatten() {
            unit.answer_as_candidate(question, inside, stands_for);
        }
        for answers in &mut self.candidate {
            table::answer(answers, question, (inside, 0.0), stands_for);
        }
        true
    }

    fn leave_out(&mut self, question: usize, too_many: [bool; 2]) {
        if question < MAX_QUESTIONS && self.left_out.len() <= question {
            self.left_out.resize(question + 1, [0.0; 2]);
        }
        if let Some(left_out) = self.left_out.get_mut(question) {
            for (count, is_it) in left_out.iter_mut().zip(too_many) {
                *count += f64::from(u8::from(is_it));
            }
        }
    }

    /// The question of which most of the candidate's recent exchanges in the category were left out,
    /// because of single hosts or of single sessions, with their numbers.
    pub(super) fn left_out(&self) -> Option<(usize, [u64; 2])> {
        let (question, counts) = self
            .left_out
            .iter()
            .enumerate()
            .map(|(question, counts)| (question, *counts))
            .max_by(|(_, one), (_, other)| {
                let [one, other] = [one, other].map(|counts| counts.iter().sum::<f64>());
                one.total_cmp(&other)
            })?;
        let [_, recent] = &self.candidate;
        let counted = recent.get(question).map_or(0.0, |answers| answers.inside);
        let most = counts.into_iter().fold(0.0, f64::max);
        (most >= WORTH_TELLING && most > counted).then(|| (question, counts.map(|it| it as u64)))
    }

    /// How many hosts of baseline and candidate are busy; 0 where hosts are not known.
    pub(super) fn busy_hosts(&self) -> [u64; 2] {
        self.hosts.each_ref().map(|hosts| {
            let busy = hosts
                .iter()
                .filter(|unit| unit.id != 0 && unit.weight >= 1.0);
            busy.count() as u64
        })
    }

    /// Numbers that stand for the baseline's hosts.
    pub(super) fn baseline_hosts(&self) -> impl Iterator<Item = u32> + '_ {
        let [hosts, _] = &self.hosts;
        hosts.iter().map(|unit| unit.id).filter(|id| *id != 0)
    }

    /// Another candidate has come.
    pub(super) fn forget_candidate(&mut self) {
        for kind in [&mut self.hosts, &mut self.sessions] {
            let [_, candidate] = kind;
            *candidate = Table::default();
        }
        let [_, warm_up] = &mut self.warm_up;
        *warm_up = WarmUp::default();
        self.imbalance.forget(Arm::Candidate);
        self.candidate = Default::default();
        self.left_out = Vec::new();
        self.owed = 0.0;
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
        self.imbalance.swap();
        self.dispersion = Dispersion::default();
        self.forget_candidate();
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.u64(self.since_ms);
        for table in self.hosts.iter().chain(&self.sessions) {
            table.encode(writer);
        }
        self.warm_up.iter().for_each(|fit| fit.encode(writer));
        self.imbalance.encode(writer);
        self.dispersion.encode(writer);
        self.sampled.iter().for_each(|sum| writer.f64(*sum));
        for answers in &self.candidate {
            writer.list(answers, Answers::encode);
        }
        writer.list(&self.left_out, |counts, writer| {
            counts.iter().for_each(|count| writer.f32(*count as f32));
        });
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
            warm_up_before: Default::default(),
            imbalance: Imbalance::decode(reader)?,
            dispersion: Dispersion::decode(reader)?,
            sampled: [
                reader.finite("sum of what was sampled")?.max(0.0),
                reader.finite("sum of what was sampled")?.max(0.0),
            ],
            candidate: [
                reader.list(MAX_QUESTIONS, Answers::decode)?,
                reader.list(MAX_QUESTIONS, Answers::decode)?,
            ],
            left_out: reader.list(MAX_QUESTIONS, |reader| {
                Ok([table::count(reader)?, table::count(reader)?])
            })?,
            owed: 0.0,
            shift: None,
            variances: Vec::new(),
        })
    }
}

/// Whether a unit has no more exchanges in the category than `free` and what the others' rate allows
/// it. One that is
/// alone has no others.
fn is_within(own: &Answers, all: &Answers, free: f64) -> bool {
    let others = all.total - own.total;
    if others < 1.0 {
        return true;
    }
    let rate = ((all.inside - own.inside).max(0.0) + 0.5) / (others + 1.0);
    own.inside < free + TIMES_OTHERS * own.total * rate
}
