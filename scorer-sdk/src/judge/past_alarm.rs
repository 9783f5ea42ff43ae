//! Past against now: a version that has taken over the traffic, held against the past of the one
//! before it.
//!
//! A switch from 0 to 100% leaves nothing to compare side by side. Failures and durations of the
//! new version are then held against the rates and cuts that the baseline's past gives on each
//! route, at a margin that the baseline's own wandering earns ([`AgainstPast`]). The alarm informs:
//! it makes a verdict `suspect`, and more only where the config says so. While the baseline has a
//! twentieth of the traffic or more, the comparison side by side is the better one and this is
//! silent; the weather is learned then.

use super::arm::Arm;
use super::past::inside;
use super::route::Route;
use crate::config::Plan;
use crate::count::delta::{RouteDelta, VersionDelta};
use crate::drift::{AgainstPast, Seen, odds_ratio};
use crate::evidence::log_add_exp;
use crate::judge::verdict::{PastFinding, Rate};
use crate::signal::{Question, Rule};
use crate::wire::codec::{CodecError, Reader, Writer};

/// Questions that are put.
const MAX_QUESTIONS: usize = 16;
/// The baseline's part of a window's exchanges from which on versions are compared side by side.
const COMPARABLE: f64 = 0.05;
/// And the exchanges of it that end an alarm: with little traffic, one is a large part by chance.
const ENDS_ALARM: u64 = 5;

#[derive(Debug, Clone, Default)]
pub(super) struct PastAlarm {
    window_since_ms: u64,
    /// Exchanges of baseline and candidate in the open window.
    exchanges: [u64; 2],
    /// Per arm and question that is put, the open window.
    window: [Vec<Seen>; 2],
    /// Per question that is put.
    series: Vec<AgainstPast>,
    /// Whether the evidence was enough and half of it is still there.
    stands: bool,
}

/// What an alarm has to know of the rollout in a tick.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    /// Names of baseline and candidate.
    pub(super) arms: [&'a str; 2],
    /// Whether the candidate is older than `warm_up.min`.
    pub(super) warm: bool,
    /// Whether a verdict has fallen, so that the candidate is kept from traffic.
    pub(super) condemned: bool,
}

impl Standing<'_> {
    /// Whether a version is the baseline (0) or the candidate (1).
    #[inline(never)]
    fn arm(&self, version: &VersionDelta) -> Option<usize> {
        let mut arms = self.arms.iter();
        arms.position(|name| !name.is_empty() && **name == version.version)
    }
}

/// The questions that are put: those about failures and durations, whose codes mean the same to
/// every worker. Each with the index of its signal.
fn questions(plan: &Plan) -> impl Iterator<Item = (usize, usize, &Question)> {
    let signals = [plan.duration(), plan.failures().map(|(index, _)| index)];
    plan.questions
        .iter()
        .enumerate()
        .map(|(index, (signal, question))| (index, *signal, question))
        .filter(move |(_, signal, question)| {
            signals.contains(&Some(*signal))
                && matches!(question.rule, Rule::Fixed(_) | Rule::Above { .. })
        })
        .take(MAX_QUESTIONS)
}

impl PastAlarm {
    /// Takes a tick, before the routes learn it. `places` are the indices of the inbox's routes.
    pub(super) fn observe(
        &mut self,
        plan: &Plan,
        routes: &[Route],
        (inbox, places): (&[&RouteDelta], &[Option<usize>]),
        standing: Standing<'_>,
        now_ms: u64,
    ) {
        if plan.past_window.is_zero() || plan.reject.reference.is_some() {
            return;
        }
        let asked = questions(plan).count();
        if self.series.len() != asked {
            self.series = vec![AgainstPast::default(); asked];
            self.window = [vec![Seen::default(); asked], vec![Seen::default(); asked]];
        }
        for (delta, place) in inbox.iter().zip(places) {
            if let Some(route) = place.and_then(|index| routes.get(index)) {
                self.add(plan, route, delta, standing);
            }
        }
        self.end_window(plan, standing, now_ms);
    }

    /// Adds what both versions did on one route.
    fn add(&mut self, plan: &Plan, route: &Route, delta: &RouteDelta, standing: Standing<'_>) {
        for version in &delta.versions {
            if let Some(exchanges) = standing
                .arm(version)
                .and_then(|arm| self.exchanges.get_mut(arm))
            {
                *exchanges = exchanges.saturating_add(version.exchanges);
            }
        }
        for (put, (index, signal, question)) in questions(plan).enumerate() {
            if plan.is_expected(&route.key, index) {
                continue;
            }
            let (Some(asked), Some(past)) = (
                route.past.ask(plan, signal, question),
                route.past.arm(Arm::Baseline).get(signal),
            ) else {
                continue;
            };
            let expected = [inside(past, &asked), past.total()];
            for version in &delta.versions {
                let Some(arm) = standing.arm(version) else {
                    continue;
                };
                if arm == Arm::Candidate as usize && settles(question) && !standing.warm {
                    continue;
                }
                let seen = self.window.get_mut(arm).and_then(|it| it.get_mut(put));
                if let (Some(seen), Some(counts)) = (seen, version.counts.get(signal)) {
                    let bad = counts.total_where(|code| asked.is_bad(code));
                    seen.add(bad as f64, counts.total() as f64, expected);
                }
            }
        }
    }

    /// Ends the window, if it is long enough: learns the weather from the baseline, or judges the
    /// candidate that is alone.
    fn end_window(&mut self, plan: &Plan, standing: Standing<'_>, now_ms: u64) {
        let ms = |time: core::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (length, tick) = (ms(plan.past_window).max(1), ms(plan.tick));
        let passed = now_ms.saturating_sub(self.window_since_ms);
        let runs = now_ms >= self.window_since_ms;
        if runs && passed.saturating_add(tick / 2) < length {
            return;
        }
        self.window_since_ms = now_ms;
        let [baseline, candidate] = core::mem::take(&mut self.exchanges);
        let windows = core::mem::take(&mut self.window);
        self.window = [
            vec![Seen::default(); self.series.len()],
            vec![Seen::default(); self.series.len()],
        ];
        // A window across a pause says nothing, nor does one across a clock that was set back.
        if !runs || passed >= length.saturating_add(tick).saturating_mul(3) {
            return;
        }
        let [of_baseline, of_candidate] = windows;
        if baseline + candidate == 0 {
            return;
        }
        let is_compared = baseline as f64 >= COMPARABLE * (baseline + candidate) as f64;
        let restarts = baseline >= ENDS_ALARM && !standing.condemned;
        let windows = of_baseline.iter().zip(&of_candidate);
        for ((series, (_, _, question)), (old, new)) in
            self.series.iter_mut().zip(questions(plan)).zip(windows)
        {
            let tolerance = question.tolerance;
            if is_compared {
                series.learn(old, tolerance);
                if restarts {
                    series.restart();
                }
            } else if !standing.condemned {
                series.judge(new, tolerance, settles(question));
            }
        }
        if !standing.condemned {
            let enough = -plan.false_alarm.ln();
            let evidence = self.evidence(plan);
            self.stands = evidence >= enough || (self.stands && evidence >= enough / 2.0);
        }
    }

    /// Another candidate has come, or this one begins anew: the open window is not its own.
    pub(super) fn restart(&mut self) {
        self.series.iter_mut().for_each(AgainstPast::restart);
        self.exchanges = [0; 2];
        self.window
            .iter_mut()
            .flatten()
            .for_each(|seen| *seen = Seen::default());
        self.stands = false;
    }

    /// Whether the candidate is worse than the past, beyond what weather explains.
    pub(super) fn stands(&self) -> bool {
        self.stands
    }

    /// Evidence for that over all questions, in nats, where it stands.
    pub(super) fn log_evidence(&self, plan: &Plan) -> Option<f64> {
        self.stands.then(|| self.evidence(plan))
    }

    /// The log of the weighted mean over the questions.
    fn evidence(&self, plan: &Plan) -> f64 {
        let weights: f64 = questions(plan)
            .map(|(_, _, question)| question.weight)
            .sum();
        questions(plan)
            .zip(&self.series)
            .map(|((_, _, question), series)| {
                (question.weight / weights).ln() + series.log_evidence_that_lasts()
            })
            .fold(f64::NEG_INFINITY, log_add_exp)
    }

    /// What the alarm is about, the strongest first; nothing while it does not stand.
    pub(super) fn findings(&self, plan: &Plan) -> Vec<PastFinding> {
        if !self.stands {
            return Vec::new();
        }
        let least = -plan.false_alarm.ln() / 2.0;
        let mut findings: Vec<PastFinding> = questions(plan)
            .zip(&self.series)
            .filter(|(_, series)| series.log_evidence_that_lasts() >= least)
            .map(|((_, _, question), series)| {
                let seen = series.seen();
                PastFinding {
                    category: question.name,
                    meaning: question.meaning,
                    evidence: series.log_evidence_that_lasts(),
                    candidate: Rate::new(seen.inside as u64, seen.total as u64),
                    expected: seen.expected_rate(),
                    odds_ratio: odds_ratio(seen.rate(), seen.expected_rate()),
                    tolerated: series.tolerated(),
                    seconds: series.windows_since() * plan.past_window.max(plan.tick).as_secs_f64(),
                }
            })
            .collect();
        crate::order::sort_by(&mut findings, |one, other| {
            other.evidence.total_cmp(&one.evidence)
        });
        findings
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.u64(self.window_since_ms);
        self.exchanges.iter().for_each(|value| writer.u64(*value));
        for window in &self.window {
            writer.list(window, Seen::encode);
        }
        writer.list(&self.series, AgainstPast::encode);
        writer.u8(u8::from(self.stands));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            window_since_ms: reader.u64()?,
            exchanges: [reader.u64()?, reader.u64()?],
            window: [
                reader.list(MAX_QUESTIONS, Seen::decode)?,
                reader.list(MAX_QUESTIONS, Seen::decode)?,
            ],
            series: reader.list(MAX_QUESTIONS, AgainstPast::decode)?,
            stands: reader.u8()? == 1,
        })
    }
}

/// Whether a category is high while a version starts, as slow answers are.
fn settles(question: &Question) -> bool {
    matches!(question.rule, Rule::Above { .. })
}
