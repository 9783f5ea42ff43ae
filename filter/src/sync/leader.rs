//! The leader: whoever holds the lease merges all deltas into the state and publishes the verdict.
//!
//! The state is swapped as one, together with the numbers of the deltas that are in it: two that
//! both believe to lead cannot count anything twice, and one that is lost in the middle has changed
//! nothing.

use crate::host::{Host, Level};
use crate::report::metrics::{Metrics, Overview};
use crate::sync::mailbox::{
    Acknowledged, Collected, Keys, collect, decode_acknowledged, encode_acknowledged,
};
use crate::sync::publication::{Directive, Publication};
use core::time::Duration;
use scorer_sdk::Plan;
use scorer_sdk::drift::Cause;
use scorer_sdk::judge::Judge;
use scorer_sdk::judge::verdict::{Decision, Verdict};
use scorer_sdk::wire::codec::{Reader, Writer};
use std::sync::Arc;

/// A lease is good for this many ticks.
const LEASE_TICKS: u32 = 3;
const SHORTEST_LEASE: Duration = Duration::from_secs(3);

/// Who leads, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lease {
    owner: u64,
    expires_ms: u64,
    /// When the holder was configured: a newer config takes the lease from an older one.
    configured_ms: u64,
}

impl Lease {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            owner: reader.u64().ok()?,
            expires_ms: reader.u64().ok()?,
            configured_ms: reader.u64().ok()?,
        })
    }

    fn write(self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.owner);
        writer.u64(self.expires_ms);
        writer.u64(self.configured_ms);
        writer.into_bytes()
    }
}

/// The judge with what it has merged, as it stands in shared data.
struct Held {
    judge: Judge,
    acknowledged: Acknowledged,
    /// Who wrote it and its number: whether shared data still holds just this.
    writer: u64,
    number: u64,
}

/// What the log has been told of a candidate.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    destination: String,
    candidate: String,
    verdict: Verdict,
    differs: bool,
    baseline_failing: bool,
    held_by_placebo: bool,
    unbalanced: bool,
}

impl Told {
    fn new(decision: &Decision) -> Self {
        Self {
            destination: decision.destination.clone(),
            candidate: decision.candidate.clone(),
            verdict: decision.verdict,
            differs: decision.differs(),
            baseline_failing: decision.baseline_failing,
            held_by_placebo: decision.held_by_placebo,
            unbalanced: !decision.balance.is_empty(),
        }
    }
}

/// Merges, when it holds the lease.
pub struct Leader {
    plan: Arc<Plan>,
    keys: Keys,
    owner: u64,
    configured_ms: u64,
    held: Option<Held>,
    role: &'static str,
    metrics: Metrics,
    last_verdicts: Vec<Told>,
    /// Destinations of whose placebo the log has been told.
    uneven: Vec<String>,
    /// What the log has been told changed, per destination.
    causes: Vec<(String, Cause)>,
}

impl Leader {
    /// One that holds nothing yet.
    #[must_use]
    pub fn new(
        plan: Arc<Plan>,
        keys: Keys,
        owner: u64,
        configured: Duration,
        role: &'static str,
    ) -> Self {
        Self {
            metrics: Metrics::new(plan.max_series),
            plan,
            keys,
            owner,
            role,
            configured_ms: configured.as_millis() as u64,
            held: None,
            last_verdicts: Vec::new(),
            uneven: Vec::new(),
            causes: Vec::new(),
        }
    }

    /// Merges if it holds the lease, and tries to get it otherwise. A new holder merges from its
    /// second tick on: the first value of a key cannot be swapped in, only written, and workers
    /// tick in the same millisecond, so that two may write the first lease. `busy` says that this worker answers requests: it leaves a
    /// free lease to an idle one (Envoy's main thread) for a tick.
    pub fn tick(&mut self, host: &impl Host, now: Duration, busy: bool) {
        if self.hold_lease(host, now, busy) {
            self.merge(host, now);
        } else {
            self.held = None;
            self.metrics.forget_values();
        }
    }

    /// Renews or takes the lease; whether it was held before already.
    fn hold_lease(&self, host: &impl Host, now: Duration, busy: bool) -> bool {
        let now_ms = now.as_millis() as u64;
        let shared = host.shared(&self.keys.lease());
        let length = SHORTEST_LEASE.max(self.plan.tick.saturating_mul(LEASE_TICKS));
        // A lease far beyond its length is nobody's: damaged, or from before the clock was set back.
        let latest_ms = now_ms.saturating_add(10 * length.as_millis() as u64);
        let lease = Lease::read(&shared.bytes)
            .filter(|lease| lease.expires_ms <= latest_ms && lease.configured_ms <= latest_ms);
        let tick_ms = self.plan.tick.as_millis() as u64;
        let held = lease.is_some_and(|lease| lease.owner == self.owner);
        let free = match lease {
            None => !busy || now_ms > self.configured_ms.saturating_add(2 * tick_ms),
            Some(lease) if lease.owner == self.owner => true,
            Some(lease) if lease.configured_ms < self.configured_ms => true,
            Some(lease) => {
                let grace = if busy { tick_ms } else { 0 };
                lease.expires_ms.saturating_add(grace) < now_ms
            }
        };
        if !free {
            return false;
        }
        let mine = Lease {
            owner: self.owner,
            expires_ms: now_ms.saturating_add(length.as_millis() as u64),
            configured_ms: self.configured_ms,
        };
        host.swap_shared(&self.keys.lease(), &mine.write(), shared.swap) && held
    }

    fn merge(&mut self, host: &impl Host, now: Duration) {
        let shared = host.shared(&self.keys.state());
        let mut held = self.current(host, &shared.bytes);
        let collected = collect(host, &self.keys, &held.acknowledged, now);
        held.judge.tick(&collected.deltas, now);
        held.acknowledged.clone_from(&collected.acknowledged);
        held.writer = self.owner;
        held.number += 1;
        let bytes = write_state(&held);
        if !host.swap_shared(&self.keys.state(), &bytes, shared.swap) {
            // Another has merged meanwhile: what it wrote stands.
            return;
        }
        collected.free_gone(host, &self.keys);
        self.metrics.count_categories(host, &mut held.judge);
        self.publish(host, &held, &collected, bytes.len(), now);
        self.held = Some(held);
    }

    /// The judge as it stands in shared data: the one in memory if that is it.
    fn current(&mut self, host: &impl Host, bytes: &[u8]) -> Held {
        let mut reader = Reader::new(bytes);
        let found = (reader.u64().unwrap_or(0), reader.u64().unwrap_or(0));
        if let Some(held) = self.held.take()
            && found == (held.writer, held.number)
        {
            return held;
        }
        let acknowledged = decode_acknowledged(&mut reader).unwrap_or_default();
        let judge = match Judge::decode(Arc::clone(&self.plan), &mut reader) {
            Ok(judge) => judge,
            Err(error) => {
                if !bytes.is_empty() {
                    let text = format!("serin: the state starts anew: {error}");
                    host.log(Level::Warn, &text);
                }
                Judge::new(Arc::clone(&self.plan))
            }
        };
        Held {
            judge,
            acknowledged,
            writer: found.0,
            number: found.1,
        }
    }

    fn publish(
        &mut self,
        host: &impl Host,
        held: &Held,
        collected: &Collected,
        state_bytes: usize,
        now: Duration,
    ) {
        let decisions = held.judge.decisions();
        let publication = Publication {
            number: held.number,
            acknowledged: held.acknowledged.clone(),
            directives: decisions.iter().map(Directive::new).collect(),
            cuts: held.judge.slow_cuts(),
            halves: held.judge.halves(),
        };
        host.swap_shared(&self.keys.verdict(), &publication.encode(), None);
        self.tell_placebo(host, &decisions);
        self.tell(host, &decisions);
        self.tell_shared_change(host, &decisions);
        self.metrics.publish(
            host,
            &held.judge,
            &decisions,
            collected.damaged,
            Overview {
                role: self.role,
                state_bytes: state_bytes as u64,
                now,
            },
        );
    }

    /// Says in the log when a baseline begins to differ from itself.
    fn tell_placebo(&mut self, host: &impl Host, decisions: &[Decision]) {
        let findings = decisions
            .iter()
            .filter_map(|decision| Some((decision, decision.placebo.first()?)));
        let mut uneven = Vec::new();
        for (decision, finding) in findings {
            if !self.uneven.contains(&decision.destination) {
                let text = format!(
                    "serin: {}: {}; a candidate has to differ by more",
                    decision.destination,
                    finding.sentence(&decision.baseline)
                );
                host.log(Level::Warn, &text);
            }
            uneven.push(decision.destination.clone());
        }
        self.uneven = uneven;
    }

    /// Says in the log when something drifts, whose doing it is, and when it is over.
    fn tell_shared_change(&mut self, host: &impl Host, decisions: &[Decision]) {
        let told = core::mem::take(&mut self.causes);
        for decision in decisions {
            let (name, shared_change) = (&decision.destination, &decision.shared_change);
            // A verdict without any drift has a line of its own.
            let drifts = shared_change
                .series
                .iter()
                .any(|series| series.drift.is_some());
            let cause = if drifts {
                shared_change.cause
            } else {
                Cause::Nothing
            };
            let before = told
                .iter()
                .find(|(destination, _)| destination == name)
                .map_or(Cause::Nothing, |(_, cause)| *cause);
            if cause != before {
                let (level, text) = match cause {
                    Cause::Nothing => (Level::Info, "nothing drifts any more"),
                    _ => (Level::Warn, shared_change.sentence.as_str()),
                };
                host.log(level, &format!("serin: {name}: drift: {text}"));
            }
            self.causes.push((name.clone(), cause));
        }
    }

    /// Says in the log when a verdict has changed, or what limits it.
    fn tell(&mut self, host: &impl Host, decisions: &[Decision]) {
        let mut told = Vec::new();
        for decision in decisions
            .iter()
            .filter(|decision| !decision.candidate.is_empty())
        {
            let now = Told::new(decision);
            let known = self.last_verdicts.contains(&now);
            told.push(now);
            if known {
                continue;
            }
            let level = match decision.verdict {
                Verdict::Anomalous => Level::Warn,
                // Also what differs: Istio's proxies log warnings only, if not told otherwise.
                _ if decision.held_by_placebo
                    || decision.differs()
                    || !decision.balance.is_empty() =>
                {
                    Level::Warn
                }
                _ => Level::Info,
            };
            let failing = if decision.baseline_failing && decision.verdict == Verdict::Anomalous {
                "; nothing is steered, for the baseline fails itself"
            } else {
                ""
            };
            let held = if decision.held_by_placebo && decision.placebo.is_empty() {
                "; held back, for two halves of the baseline seem to differ as much"
            } else {
                ""
            };
            let differs = match decision.differences.first() {
                Some(difference) => format!("; behaves differently: {difference}"),
                None => String::new(),
            };
            let text = format!(
                "serin: {} {} is {}: {}{held}{differs}{failing}",
                decision.destination,
                decision.candidate,
                decision.verdict,
                decision.explanation()
            );
            host.log(level, &text);
        }
        self.last_verdicts = told;
    }
}

fn write_state(held: &Held) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.u64(held.writer);
    writer.u64(held.number);
    encode_acknowledged(&held.acknowledged, &mut writer);
    held.judge.encode(&mut writer);
    writer.into_bytes()
}
