//! The leader: the worker that holds the lease merges all deltas into the state and publishes the
//! verdict.
//!
//! The state is swapped as one, together with the numbers of the deltas that are in it: two that
//! both believe to lead cannot count anything twice, and one that is lost in the middle has changed
//! nothing.

use crate::host::Host;
use crate::report::findings::{Findings, Overview};
use crate::report::sentences::Sentences;
use crate::report::series;
use crate::report::troubles::DamageLine;
use crate::sync::inquiry::{Inquiry, Reply};
use crate::sync::lease::Contender;
use crate::sync::mailbox::{
    Acknowledged, Keys, Unheard, collect, decode_acknowledged, encode_acknowledged,
};
use crate::sync::memories::Memories;
use crate::sync::publication::{Directive, Publication};
use core::time::Duration;
use scorer_sdk::Plan;
use scorer_sdk::judge::Judge;
use scorer_sdk::telemetry::COMPARER;
use scorer_sdk::wire::codec::{Damage, Reader, Writer};
use std::sync::Arc;

/// A state has room for this part more of the one before: some grow a little with each tick.
const MORE_STATE: usize = 16;

/// The judge with what it has merged, as it stands in shared data.
struct Held {
    judge: Judge,
    acknowledged: Acknowledged,
    /// Who wrote it and its number: whether shared data still holds just this.
    writer: u64,
    number: u64,
}

/// Merges, when it holds the lease.
pub struct Leader {
    plan: Arc<Plan>,
    keys: Keys,
    owner: u64,
    contender: Contender,
    held: Option<Held>,
    role: &'static str,
    findings: Findings,
    sentences: Sentences,
    unheard: Unheard,
    inquiry: Inquiry,
    memories: Memories,
    /// What could not be read and was not told yet.
    damage: Damage,
    damage_line: DamageLine,
}

impl Leader {
    /// One that holds nothing yet.
    #[must_use]
    pub fn new(
        plan: Arc<Plan>,
        (keys, plugin): (Keys, &str),
        owner: u64,
        configured: Duration,
        role: &'static str,
        series: series::Shared,
    ) -> Self {
        Self {
            contender: Contender::new(keys.lease(), owner, configured, plan.tick),
            findings: Findings::new(series, plan.max_series),
            sentences: Sentences::default(),
            unheard: Unheard::default(),
            inquiry: Inquiry::new(Arc::clone(&plan)),
            memories: Memories::new(Arc::clone(&plan), plugin, keys.templates()),
            damage: Damage::default(),
            damage_line: DamageLine::default(),
            plan,
            keys,
            owner,
            role,
            held: None,
        }
    }

    /// Merges if this worker holds the lease, and tries to get the lease otherwise. `busy` says that
    /// this worker answers requests.
    pub fn tick(&mut self, host: &impl Host, now: Duration, busy: bool) {
        if self.contender.hold(host, now, busy) {
            self.merge(host, now);
        } else {
            self.held = None;
            self.findings.forget_values();
            self.inquiry.abandon();
            self.memories.abandon();
        }
    }

    /// A call of this worker's has ended.
    pub fn hear(&mut self, host: &impl Host, reply: &Reply, now: Duration) {
        self.inquiry.hear(reply, now);
        self.memories.hear(host, reply, now);
    }

    fn merge(&mut self, host: &impl Host, now: Duration) {
        let shared = host.shared(&self.keys.state());
        let mut held = self.current(&shared.bytes);
        let known = &held.acknowledged;
        let collected = collect(host, &self.keys, known, &mut self.unheard, now);
        self.damage.add(collected.damage);
        self.memories.hand_over(&mut held.judge, now);
        held.judge.tick(&collected.deltas, now);
        self.inquiry
            .take_words(&mut |destination, candidate, word| {
                held.judge.heed(destination, candidate, word, now);
            });
        held.acknowledged.clone_from(&collected.acknowledged);
        held.writer = self.owner;
        // From damaged data any number may come, and readers only ask whether it is another.
        held.number = held.number.wrapping_add(1);
        let bytes = write_state(&held, shared.bytes.len());
        if !host.swap_shared(&self.keys.state(), &bytes, shared.swap) {
            // Another has merged meanwhile: what it wrote stands.
            return;
        }
        collected.free_gone(host, &self.keys);
        self.findings.count_categories(host, &mut held.judge);
        self.memories.tell(&mut held.judge);
        self.publish(host, &held, bytes.len(), now);
        self.held = Some(held);
    }

    /// The judge as it stands in shared data: the one in memory if that is it.
    fn current(&mut self, bytes: &[u8]) -> Held {
        let mut reader = Reader::new(bytes);
        let found = (reader.u64().unwrap_or(0), reader.u64().unwrap_or(0));
        if let Some(held) = self.held.take()
            && found == (held.writer, held.number)
        {
            return held;
        }
        let acknowledged = decode_acknowledged(&mut reader).unwrap_or_default();
        let plan = Arc::clone(&self.plan);
        let mut judge = match Judge::salvage(plan, &mut reader, &mut self.damage) {
            Ok(judge) => judge,
            Err(error) => {
                if !bytes.is_empty() {
                    log::warn!("serin: the state starts anew: {error}");
                }
                Judge::new(Arc::clone(&self.plan))
            }
        };
        if self.role == COMPARER && self.memories.are_kept() {
            judge.wait_for_memories();
        }
        Held {
            judge,
            acknowledged,
            writer: found.0,
            number: found.1,
        }
    }

    fn publish(&mut self, host: &impl Host, held: &Held, state_bytes: usize, now: Duration) {
        let decisions = held.judge.decisions();
        let publication = Publication {
            number: held.number,
            acknowledged: held.acknowledged.clone(),
            directives: decisions.iter().map(Directive::new).collect(),
            cuts: held.judge.slow_cuts(),
        };
        host.swap_shared(&self.keys.verdict(), &publication.encode(), None);
        let damage = core::mem::take(&mut self.damage);
        self.sentences.tell(&decisions);
        if self.role == COMPARER {
            self.inquiry.tick(host, &decisions, now);
            self.memories.tick(host, &held.judge, &decisions, now);
        }
        self.damage_line.tell(&damage);
        self.findings.publish(
            host,
            &held.judge,
            &decisions,
            damage.parts,
            Overview {
                role: self.role,
                state_bytes: state_bytes as u64,
                now,
            },
        );
        if let Some(fleet) = self.plan.fleet.as_ref().map(|_| &mut self.inquiry) {
            let enough = -self.plan.fleet_false_alarm().ln();
            self.findings
                .publish_fleet(host, &decisions, self.role, enough, fleet);
            self.findings.count_memories(host, &mut self.memories);
        }
    }
}

/// `before` is the length of the last state in bytes: the next one has about as many.
fn write_state(held: &Held, before: usize) -> Vec<u8> {
    let mut writer = Writer::with_room(before.saturating_add(before / MORE_STATE));
    writer.u64(held.writer);
    writer.u64(held.number);
    encode_acknowledged(&held.acknowledged, &mut writer);
    held.judge.encode(&mut writer);
    writer.into_bytes()
}
