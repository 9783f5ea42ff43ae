//! Sessions: what each client asked for last, so that its next call can be charged to the version
//! that served the one before.
//!
//! Bounded: a session beyond the table is not followed, and counted.

use crate::tally::RoutePlace;
use hashbrown::HashMap;
use std::rc::Rc;

/// Most sessions that one worker follows.
pub const MAX_SESSIONS: usize = 4_096;
/// Ticks without a call after which a session is over.
const OVER_AFTER_TICKS: u32 = 30;

/// The last call of a session.
#[derive(Debug, Clone)]
pub struct LastCall {
    /// Its route.
    pub route: RoutePlace,
    /// The version that served it.
    pub version: Rc<str>,
    tick: u32,
}

/// The last calls of all sessions.
#[derive(Debug)]
pub struct Sessions {
    last: HashMap<u64, LastCall, foldhash::fast::FixedState>,
    tick: u32,
}

impl Sessions {
    /// No session yet. `seed` keys the hash table, since clients choose what is in it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            last: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(seed)),
            tick: 0,
        }
    }

    /// Takes a session's call and gives the one before. `None` also where there is no room;
    /// `overflow` counts that.
    pub fn follow(
        &mut self,
        session: u64,
        route: RoutePlace,
        version: &Rc<str>,
        overflow: &mut u64,
    ) -> Option<LastCall> {
        let call = LastCall {
            route,
            version: Rc::clone(version),
            tick: self.tick,
        };
        if let Some(known) = self.last.get_mut(&session) {
            return Some(core::mem::replace(known, call));
        }
        if self.last.len() >= MAX_SESSIONS {
            *overflow += 1;
        } else {
            self.last.insert(session, call);
        }
        None
    }

    /// Ends a tick and gives the last calls of the sessions that are over.
    pub fn expire(&mut self) -> Vec<LastCall> {
        self.tick = self.tick.wrapping_add(1);
        let now = self.tick;
        self.last
            .extract_if(|_, call| now.wrapping_sub(call.tick) > OVER_AFTER_TICKS)
            .map(|(_, call)| call)
            .collect()
    }
}
