//! What a destination hands on to other proxies, and what it takes from them before it judges.
//!
//! A destination that waits for a memory counts which versions have traffic and chooses none. A memory
//! that has come is taken in once its baseline has an exchange here: a proxy never goes by a baseline
//! that nobody is sent to. Until then it still waits, and not for long.

use super::destination::Destination;
use super::past::Past;
use super::rollout::Rollout;
use super::volumes::Volumes;
use crate::config::Plan;
use crate::drift::Watch;
use crate::memory::{Candidate, Memory, OLDEST, PATIENCE};
use core::time::Duration;

/// For so long a memory waits for the first exchange of its baseline.
const HELD_MS: u64 = 600_000;
/// And for so many exchanges of other versions: a version with a share of 1% has one among them, except
/// in one of 20,000 cases.
const HELD_EXCHANGES: u64 = 1_000;

/// Whether a destination waits for a memory.
#[derive(Debug, Clone, Default)]
pub(super) enum Recall {
    /// It does not.
    #[default]
    Settled,
    /// For one that somebody may hand over, until this time; the first tick sets it.
    Waits(Option<u64>),
    /// For the first exchange of the memory's baseline.
    Holds(Box<Held>),
}

/// A memory whose baseline has had no exchange yet.
#[derive(Debug, Clone)]
pub(super) struct Held {
    memory: Memory,
    written_ms: u64,
    since_ms: u64,
    /// Exchanges of other versions since then.
    exchanges: u64,
}

/// What became of a memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recalled {
    /// It was taken in.
    Taken {
        /// How old it was.
        age: Duration,
        /// The stable version.
        baseline: String,
        /// The new version, where there is one, and whether a verdict had fallen on it.
        candidate: Option<(String, bool)>,
        /// Routes whose past is known now.
        routes: usize,
    },
    /// It was left: it names no baseline, or another one than the config, or one without traffic here.
    NoBaseline(String),
    /// It was left: it is older than a day.
    Old(Duration),
    /// Nothing came within three seconds.
    Late,
}

impl Destination {
    /// Waits for a memory, unless it has chosen versions already.
    pub(super) fn wait_for_memory(&mut self) {
        if self.versions.baseline().is_empty() {
            self.recall = Recall::Waits(None);
        }
    }

    /// Whether somebody should hand it a memory.
    pub(super) fn waits_for_memory(&self) -> bool {
        matches!(self.recall, Recall::Waits(_))
    }

    /// What another proxy may go on with; none while it has chosen no versions itself.
    pub(super) fn remembered(&self) -> Option<Memory> {
        if self.versions.baseline().is_empty() {
            return None;
        }
        let candidate = self.rollout.as_ref().map(|rollout| Candidate {
            name: rollout.candidate.clone(),
            rollout: rollout.remembered(),
        });
        let mut memory = Memory {
            roles: self.versions.roles(candidate),
            seasons: self
                .watch
                .as_ref()
                .and_then(|watch| watch.seasons())
                .map(Box::new),
            routes: self.comparison.remembered(),
            ..Memory::default()
        };
        memory.sort();
        Some(memory)
    }

    /// Takes the memory that it waits for, if it still does; none says that there is none.
    pub(super) fn remember(&mut self, plan: &Plan, memory: Option<(Memory, u64)>, now_ms: u64) {
        if !self.waits_for_memory() {
            return;
        }
        self.recall = Recall::Settled;
        let Some((memory, written_ms)) = memory else {
            return;
        };
        let age = Duration::from_millis(now_ms.saturating_sub(written_ms));
        let named = plan.baseline.as_ref();
        let baseline = &memory.roles.baseline;
        if age > OLDEST {
            self.recalled = Some(Recalled::Old(age));
        } else if baseline.is_empty() || named.is_some_and(|name| name != baseline) {
            self.recalled = Some(Recalled::NoBaseline(baseline.clone()));
        } else {
            self.recall = Recall::Holds(Box::new(Held {
                memory,
                written_ms,
                since_ms: now_ms,
                exchanges: 0,
            }));
        }
    }

    /// Whether versions may be chosen: not while a memory may still say which is which. `volumes` were
    /// counted in this tick already.
    pub(super) fn may_choose(&mut self, plan: &Plan, volumes: &Volumes, now_ms: u64) -> bool {
        match core::mem::take(&mut self.recall) {
            Recall::Settled => true,
            Recall::Waits(until) => {
                let patience = PATIENCE.as_millis() as u64;
                let until = until.unwrap_or(now_ms.saturating_add(patience));
                // After the clock was set back it does not wait until then.
                let waits =
                    (now_ms..=now_ms.saturating_add(patience)).contains(&until) && until > now_ms;
                if waits {
                    self.recall = Recall::Waits(Some(until));
                } else {
                    self.recalled = Some(Recalled::Late);
                }
                !waits
            }
            Recall::Holds(mut held) => {
                let baseline = &held.memory.roles.baseline;
                if self.versions.has_seen(baseline) {
                    self.take_in(plan, *held, now_ms);
                    return true;
                }
                let seen: u64 = volumes.iter().map(|(_, count)| count).sum();
                held.exchanges = held.exchanges.saturating_add(seen);
                let waited = now_ms.saturating_sub(held.since_ms);
                let is_over =
                    held.exchanges >= HELD_EXCHANGES || waited >= HELD_MS || now_ms < held.since_ms;
                if is_over {
                    self.recalled = Some(Recalled::NoBaseline(baseline.clone()));
                } else {
                    self.recall = Recall::Holds(held);
                }
                is_over
            }
        }
    }

    fn take_in(&mut self, plan: &Plan, held: Held, now_ms: u64) {
        let Held {
            mut memory,
            written_ms,
            ..
        } = held;
        let baseline = memory.roles.baseline.clone();
        let is_possible = |candidate: &Candidate| {
            !candidate.name.is_empty()
                && candidate.name != baseline
                && plan
                    .candidate
                    .as_ref()
                    .is_none_or(|name| *name == candidate.name)
        };
        let candidate = memory.roles.candidate.take().filter(is_possible);
        memory.roles.candidate.clone_from(&candidate);
        self.versions.recall(&memory.roles, now_ms);
        let age_ms = now_ms.saturating_sub(written_ms);
        let keep = Past::keep_of_memory(plan, age_ms);
        let routes = self
            .comparison
            .recall(plan, &self.name, &memory.routes, keep);
        if let (Some(watch), Some(seasons)) = (&mut self.watch, &memory.seasons) {
            **watch = Watch::with_seasons(seasons);
        }
        self.recalled = Some(Recalled::Taken {
            age: Duration::from_millis(age_ms),
            baseline,
            candidate: candidate
                .as_ref()
                .map(|candidate| (candidate.name.clone(), candidate.rollout.is_some())),
            routes,
        });
        if let Some(Candidate {
            name,
            rollout: Some(known),
        }) = candidate
        {
            self.versions.condemn(&name);
            self.rollout = Some(Rollout::recalled(name, known, now_ms));
        }
    }
}
