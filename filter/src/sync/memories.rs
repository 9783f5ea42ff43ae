//! The leader's memories: one is asked for before a destination is judged, and what was learned is
//! handed to serve-verdict now and then.

use crate::host::Host;
use crate::report::fleet_line::Failure;
use crate::report::memory_line::MemoryLine;
use crate::sync::inquiry::Reply;
use crate::sync::templates;
use core::time::Duration;
use scorer_sdk::Plan;
use scorer_sdk::config::FleetPlan;
use scorer_sdk::judge::verdict::Decision;
use scorer_sdk::judge::{Judge, Recalled};
use scorer_sdk::memory::{Envelope, MAX_BYTES, Memory, PATIENCE, path};
use std::sync::Arc;

/// Questions whose answer has not come.
const MAX_ASKED: usize = 16;
/// Time between two times that the memory of a destination is stored, if nothing happens meanwhile.
const STORED_EVERY: Duration = Duration::from_secs(300);
/// What was learned from nothing, though there is a memory or may be one, is not stored sooner: it may
/// be wrong.
const DOUBTED_FOR: Duration = Duration::from_secs(600);
/// A destination that has just got its roles is stored after this time: proxies that start together do
/// not store together.
const FIRST_AFTER: Duration = Duration::from_secs(5);
/// Longest time for storing one.
const LONGEST_STORE: Duration = Duration::from_secs(5);
/// After failures in a row the time until the next try doubles, up to so many times.
const MAX_DOUBLINGS: u32 = 6;
/// The outcomes of asking, and of storing, that are counted until they are reported.
const RECALLS: [&str; 9] = [
    "taken",
    "none",
    "no_baseline",
    "old",
    "late",
    "not_sent",
    "no_answer",
    "refused",
    "unreadable",
];
const STORES: [&str; 6] = [
    "stored",
    "newer",
    "none",
    "not_sent",
    "no_answer",
    "refused",
];

/// What was said of a destination when it was asked for.
type Answer = Result<Option<(Box<Memory>, Duration)>, Failure>;

/// When a destination is stored next.
#[derive(Debug)]
struct Due {
    destination: String,
    /// What makes it worth storing at once.
    roles: Roles,
    not_before: Duration,
    next: Duration,
}

/// Who is what, as far as a change of it is stored at once.
#[derive(Debug, PartialEq, Eq)]
struct Roles {
    baseline: String,
    candidate: String,
    condemned: Vec<String>,
}

impl Roles {
    fn of(decision: &Decision) -> Self {
        Self {
            baseline: decision.baseline.clone(),
            candidate: decision.candidate.clone(),
            condemned: decision.condemned_versions.clone(),
        }
    }
}

/// Asks for memories, and stores them.
pub struct Memories {
    plan: Arc<Plan>,
    plugin: String,
    /// Where the proxy's workers keep the collapses of their path trees.
    templates_key: String,
    layout: u64,
    /// Questions whose answer has not come: the proxy's number, the destination, and since when.
    asked: Vec<(u32, String, Duration)>,
    answers: Vec<(String, Answer)>,
    /// Destinations of which nobody said that there is no memory, and none was taken.
    doubted: Vec<String>,
    due: Vec<Due>,
    storing: Option<(u32, String, Duration)>,
    /// Nothing is stored sooner.
    pause_until: Duration,
    failures: u32,
    recalls: [u64; RECALLS.len()],
    stores: [u64; STORES.len()],
    line: MemoryLine,
}

impl Memories {
    /// Asks nobody yet. `plugin` names the plugin among those of the proxy.
    #[must_use]
    pub fn new(plan: Arc<Plan>, plugin: &str, templates_key: String) -> Self {
        Self {
            layout: Judge::layout(&plan),
            plugin: plugin.to_owned(),
            templates_key,
            plan,
            asked: Vec::new(),
            answers: Vec::new(),
            doubted: Vec::new(),
            due: Vec::new(),
            storing: None,
            pause_until: Duration::ZERO,
            failures: 0,
            recalls: [0; RECALLS.len()],
            stores: [0; STORES.len()],
            line: MemoryLine::default(),
        }
    }

    /// Whether the config wants memories.
    #[must_use]
    pub fn are_kept(&self) -> bool {
        self.fleet().is_some()
    }

    fn fleet(&self) -> Option<&FleetPlan> {
        self.plan.fleet.as_ref().filter(|fleet| fleet.memory)
    }

    /// Another worker leads: answers to this one's questions are of no use to it.
    pub fn abandon(&mut self) {
        self.asked.clear();
        self.answers.clear();
        self.due.clear();
        self.storing = None;
    }

    /// Hands the judge what was answered, before it judges.
    pub fn hand_over(&mut self, judge: &mut Judge, now: Duration) {
        for (destination, answer) in core::mem::take(&mut self.answers) {
            let memory = match answer {
                Ok(Some((memory, written))) => Some((*memory, written)),
                Ok(None) => {
                    self.note("none");
                    None
                }
                Err(failure) => {
                    self.note(reason(failure));
                    self.line.tell_failure(&destination, failure);
                    self.doubt(&destination);
                    None
                }
            };
            judge.remember(&destination, memory, now);
        }
    }

    /// Says what became of the memories that the judge was handed.
    pub fn tell(&mut self, judge: &mut Judge) {
        let mut told = Vec::new();
        judge.take_recalled(&mut |destination, recalled| {
            told.push((destination.to_owned(), recalled));
        });
        for (destination, recalled) in told {
            self.note(match &recalled {
                Recalled::Taken { .. } => "taken",
                Recalled::NoBaseline(_) => "no_baseline",
                Recalled::Old(_) => "old",
                Recalled::Late => "late",
            });
            self.line.tell(&destination, &recalled);
            match recalled {
                Recalled::Late => {
                    self.asked.retain(|(_, about, _)| *about != destination);
                    self.doubt(&destination);
                }
                // Its baseline may still have traffic elsewhere.
                Recalled::NoBaseline(_) => self.doubt(&destination),
                Recalled::Taken { .. } | Recalled::Old(_) => {}
            }
        }
    }

    /// Asks for what the judge waits for, and stores what is due.
    pub fn tick(&mut self, host: &impl Host, judge: &Judge, decisions: &[Decision], now: Duration) {
        let plan = Arc::clone(&self.plan);
        let Some(fleet) = plan.fleet.as_ref().filter(|fleet| fleet.memory) else {
            return;
        };
        self.ask(host, fleet, judge, now);
        self.plan_stores(host, decisions, now);
        self.store(host, fleet, judge, now);
    }

    fn ask(&mut self, host: &impl Host, fleet: &FleetPlan, judge: &Judge, now: Duration) {
        // A call that outlives its own timeout has been forgotten by the proxy.
        self.asked
            .retain(|(_, _, since)| now.saturating_sub(*since) < 2 * PATIENCE);
        for destination in judge.waiting() {
            let is_under_way = self.asked.iter().any(|(_, about, _)| about == destination)
                || self.answers.iter().any(|(about, _)| about == destination);
            if is_under_way || self.asked.len() >= MAX_ASKED {
                continue;
            }
            let path = path(fleet, &self.plugin, destination, self.layout);
            match host.call(
                &fleet.cluster,
                &path,
                fleet.token.as_deref(),
                None,
                PATIENCE,
            ) {
                Some(token) => self.asked.push((token, destination.to_owned(), now)),
                None => {
                    let answer = Err(Failure::NotSent);
                    self.answers.push((destination.to_owned(), answer));
                }
            }
        }
    }

    /// Notes when each destination is stored next.
    fn plan_stores(&mut self, host: &impl Host, decisions: &[Decision], now: Duration) {
        let known = |name: &str| decisions.iter().any(|it| it.destination == name);
        self.due.retain(|due| known(&due.destination));
        for decision in decisions.iter().filter(|it| !it.baseline.is_empty()) {
            let roles = Roles::of(decision);
            let mut known = self.due.iter_mut();
            match known.find(|due| due.destination == decision.destination) {
                None => {
                    let is_doubted = self.doubted.contains(&decision.destination);
                    let first = if is_doubted {
                        DOUBTED_FOR
                    } else {
                        Duration::ZERO
                    };
                    let jitter = spread(FIRST_AFTER, host.draw());
                    self.due.push(Due {
                        destination: decision.destination.clone(),
                        roles,
                        not_before: now + first,
                        next: now + first + jitter,
                    });
                }
                Some(due) if due.roles != roles => {
                    due.roles = roles;
                    due.next = due.next.min(due.not_before.max(now));
                }
                Some(due) => {
                    // After the clock was set back the old time is not waited for.
                    due.next = due.next.min(now + 2 * DOUBTED_FOR);
                }
            }
        }
    }

    fn store(&mut self, host: &impl Host, fleet: &FleetPlan, judge: &Judge, now: Duration) {
        if let Some((_, _, since)) = &self.storing {
            if now.saturating_sub(*since) < 2 * LONGEST_STORE {
                return;
            }
            self.storing = None;
            self.note_store(host, Err(Failure::NoAnswer), "no_answer", now);
        }
        self.pause_until = self.pause_until.min(now + 2 * DOUBTED_FOR);
        if now < self.pause_until {
            return;
        }
        let all = self.due.iter_mut().filter(|due| due.next <= now);
        let Some(due) = all.min_by_key(|due| due.next) else {
            return;
        };
        due.next = now + spread(STORED_EVERY, host.draw());
        let destination = due.destination.clone();
        let Some(mut memory) = judge.memory(&destination) else {
            return;
        };
        memory.collapses = templates::shared(host, &self.templates_key);
        let envelope = Envelope {
            plugin: self.plugin.clone(),
            destination: destination.clone(),
            layout: self.layout,
            written: now,
        };
        let bytes = envelope.seal(|writer| memory.encode(writer));
        if bytes.len() > MAX_BYTES {
            return;
        }
        let path = path(fleet, &self.plugin, &destination, self.layout);
        let token = fleet.token.as_deref();
        match host.put(&fleet.cluster, &path, token, &bytes, LONGEST_STORE) {
            Some(token) => self.storing = Some((token, destination, now)),
            None => {
                self.again(&destination, now);
                self.note_store(host, Err(Failure::NotSent), "not_sent", now);
            }
        }
    }

    /// Takes the end of a call.
    pub fn hear(&mut self, host: &impl Host, reply: &Reply, now: Duration) {
        if self.storing.as_ref().is_some_and(|it| it.0 == reply.token) {
            let stored = self.storing.take();
            let (outcome, reason) = match reply.status {
                Some(200 | 201 | 204) => (Ok(()), "stored"),
                Some(409) => (Ok(()), "newer"),
                Some(404) => {
                    self.pause_until = now + DOUBTED_FOR;
                    (Ok(()), "none")
                }
                Some(status) => (Err(Failure::Refused(status)), "refused"),
                None => (Err(Failure::NoAnswer), "no_answer"),
            };
            if let (Err(_), Some((_, destination, _))) = (outcome, &stored) {
                self.again(destination, now);
            }
            self.note_store(host, outcome, reason, now);
            return;
        }
        let place = self.asked.iter().position(|it| it.0 == reply.token);
        let Some((_, destination, _)) = place.map(|place| self.asked.swap_remove(place)) else {
            return;
        };
        let answer = match reply.status {
            None => Err(Failure::NoAnswer),
            Some(200) => match self.read(&reply.body, &destination) {
                Some((memory, written)) => {
                    templates::add(host, &self.templates_key, &memory.collapses);
                    Ok(Some((Box::new(memory), written)))
                }
                None => Err(Failure::Unreadable),
            },
            Some(404) => Ok(None),
            Some(status) => Err(Failure::Refused(status)),
        };
        self.answers.push((destination, answer));
    }

    /// The memory of `destination`, if the bytes are that.
    fn read(&self, bytes: &[u8], destination: &str) -> Option<(Memory, Duration)> {
        let (envelope, reader) = Envelope::open(bytes).ok()?;
        let is_it = envelope.plugin == self.plugin
            && envelope.destination == destination
            && envelope.layout == self.layout;
        let memory = Memory::decode(reader).ok().filter(|_| is_it)?;
        Some((memory, envelope.written))
    }

    /// Lets a destination be stored again as soon as anything is.
    fn again(&mut self, destination: &str, now: Duration) {
        let mut due = self.due.iter_mut();
        if let Some(due) = due.find(|due| due.destination == destination) {
            due.next = now;
        }
    }

    fn doubt(&mut self, destination: &str) {
        if !self.doubted.iter().any(|known| known == destination) {
            self.doubted.push(destination.to_owned());
        }
    }

    fn note(&mut self, reason: &str) {
        count(&RECALLS, &mut self.recalls, reason);
    }

    fn note_store(
        &mut self,
        host: &impl Host,
        outcome: Result<(), Failure>,
        reason: &str,
        now: Duration,
    ) {
        count(&STORES, &mut self.stores, reason);
        let mut wait = Duration::ZERO;
        if outcome.is_ok() {
            self.failures = 0;
        } else {
            let doubled = FIRST_AFTER * 2_u32.pow(self.failures.min(MAX_DOUBLINGS));
            self.failures = self.failures.saturating_add(1);
            wait = spread(doubled, host.draw());
            self.pause_until = now + wait;
        }
        self.line.tell_stored(outcome, wait);
    }

    /// Hands what came of asking and of storing since the last call, by reason, to `count`; the first
    /// argument says whether it was asking.
    pub fn take_counts(&mut self, count: &mut dyn FnMut(bool, &'static str, u64)) {
        for (reason, number) in RECALLS.iter().zip(&mut self.recalls) {
            count(true, reason, core::mem::take(number));
        }
        for (reason, number) in STORES.iter().zip(&mut self.stores) {
            count(false, reason, core::mem::take(number));
        }
    }
}

fn count(reasons: &[&str], counts: &mut [u64], reason: &str) {
    let place = reasons.iter().position(|known| *known == reason);
    if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
        *count = count.saturating_add(1);
    }
}

fn reason(failure: Failure) -> &'static str {
    match failure {
        Failure::NotSent => "not_sent",
        Failure::NoAnswer => "no_answer",
        Failure::Refused(_) => "refused",
        Failure::Unreadable | Failure::Old => "unreadable",
    }
}

/// From 80% to 120% of a time; `draw` is any number.
fn spread(time: Duration, draw: u64) -> Duration {
    time * (80 + (draw % 41) as u32) / 100
}
