//! Sessions: what each client asked for last, so that its next call can be charged to the version
//! that served the one before.
//!
//! A call is charged at one fixed age, whatever followed it. A next call is known at once, the end
//! of a session only after a while: charged as they become known, next calls in a block would come
//! from the current shares of the versions and ends from earlier shares.
//!
//! Bounded: a call beyond the tables is not followed, and counted.

use crate::count::route_index::RouteIndex;
use hashbrown::HashMap;
use std::rc::Rc;

/// Most sessions that one worker follows.
pub const MAX_SESSIONS: usize = 4_096;
/// Ticks without a call after which a session is over.
pub const OVER_AFTER_TICKS: u32 = 30;
/// Most calls that wait to be charged.
const MAX_WAITING: usize = 4 * MAX_SESSIONS;

/// The last call of a session.
#[derive(Debug, Clone)]
pub struct LastCall {
    /// Its route.
    pub route: RouteIndex,
    /// The version that served it.
    pub version: Rc<str>,
    /// The session.
    pub session: u64,
    /// Who answered it.
    pub answered: Answered,
    tick: u32,
}

/// Who answered a call, for the judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Stands for the host; 0 where it is not known.
    pub host: u32,
    /// Whether the call is counted and not judged.
    pub is_surplus: bool,
}

/// The last calls of all sessions.
#[derive(Debug)]
pub struct Sessions {
    last: HashMap<u64, LastCall, foldhash::fast::FixedState>,
    /// Calls whose next one is known, with it, by the tick in which they were made.
    settled: Vec<Vec<(LastCall, Rc<str>)>>,
    /// How many of those there are.
    waiting: usize,
    tick: u32,
}

impl Sessions {
    /// No session yet. `seed` keys the hash table, since clients choose what is in it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            last: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(seed)),
            settled: vec![Vec::new(); OVER_AFTER_TICKS as usize + 2],
            waiting: 0,
            tick: 0,
        }
    }

    /// Takes a session's call.
    pub fn follow(
        &mut self,
        (session, answered): (u64, Answered),
        route: RouteIndex,
        version: &Rc<str>,
        label: &Rc<str>,
        overflow: &mut u64,
    ) {
        let call = LastCall {
            route,
            version: Rc::clone(version),
            session,
            answered,
            tick: self.tick,
        };
        if let Some(known) = self.last.get_mut(&session) {
            let before = core::mem::replace(known, call);
            let index = before.tick as usize % self.settled.len();
            if self.waiting < MAX_WAITING
                && let Some(settled) = self.settled.get_mut(index)
            {
                settled.push((before, Rc::clone(label)));
                self.waiting += 1;
            } else {
                *overflow += 1;
            }
        } else if self.last.len() >= MAX_SESSIONS {
            *overflow += 1;
        } else {
            self.last.insert(session, call);
        }
    }

    /// Ends a tick and gives the calls that are old enough, with what followed them.
    pub fn expire(&mut self) -> Vec<(LastCall, Option<Rc<str>>)> {
        self.tick = self.tick.wrapping_add(1);
        let now = self.tick;
        let mut due: Vec<(LastCall, Option<Rc<str>>)> = self
            .last
            .extract_if(|_, call| now.wrapping_sub(call.tick) > OVER_AFTER_TICKS)
            .map(|(_, call)| (call, None))
            .collect();
        let index = now.wrapping_sub(OVER_AFTER_TICKS + 1) as usize % self.settled.len();
        if let Some(settled) = self.settled.get_mut(index) {
            self.waiting -= settled.len();
            due.extend(settled.drain(..).map(|(call, next)| (call, Some(next))));
        }
        due
    }
}
