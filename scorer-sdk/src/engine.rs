//! The engine as a whole: exchanges and the time in, decisions out.
//!
//! A tally and a judge in one process, for replays, tests and embedders. In a proxy they are apart:
//! each worker has a [`Tally`], and the worker with the lease has the [`Judge`]. The same exchanges
//! lead to the same verdict.

use crate::config::Plan;
use crate::count::tally::Tally;
use crate::exchange::Exchange;
use crate::judge::Judge;
use crate::judge::verdict::Decision;
use core::time::Duration;
use std::sync::Arc;

/// A tally and a judge.
pub struct Engine {
    tally: Tally,
    judge: Judge,
}

impl Engine {
    /// An engine that knows nothing yet. `seed` keys its hash tables.
    #[must_use]
    pub fn new(plan: Arc<Plan>, seed: u64) -> Self {
        Self {
            tally: Tally::new(Arc::clone(&plan), seed),
            judge: Judge::new(plan),
        }
    }

    /// Counts an exchange.
    pub fn observe(&mut self, exchange: &Exchange<'_>) {
        self.tally.record(exchange);
    }

    /// Judges what was counted since the last tick and says what is decided about each
    /// destination. `now` is the time since the Unix epoch.
    pub fn tick(&mut self, now: Duration) -> Vec<Decision> {
        self.advance(now);
        self.judge.decisions()
    }

    /// As [`Engine::tick`], for those who do not need the decisions at each tick.
    pub fn advance(&mut self, now: Duration) {
        let delta = self.tally.take();
        self.judge.tick(&[delta], now);
    }

    /// The tally.
    #[must_use]
    pub fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// The judge, to hand it a memory.
    #[must_use]
    pub fn judge_mut(&mut self) -> &mut Judge {
        &mut self.judge
    }

    /// The judge.
    #[must_use]
    pub fn judge(&self) -> &Judge {
        &self.judge
    }
}
