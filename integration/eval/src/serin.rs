//! Serin as a judge: the engine on the single requests, in the data's own time.

use scorer_sdk::{Engine, Exchange, Plan, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// The hash tables' seed: two runs should be alike.
const SEED: u64 = 0;

/// An engine that is fed in the order of time and remembers its first anomalous verdict.
pub struct Watcher {
    plan: Arc<Plan>,
    engine: Engine,
    next_tick: Option<Duration>,
    verdict: Option<Duration>,
}

impl Watcher {
    /// Watches under `plan`.
    #[must_use]
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            engine: Engine::new(Arc::clone(&plan), SEED),
            plan,
            next_tick: None,
            verdict: None,
        }
    }

    /// Ticks up to `now`, the time since the Unix epoch.
    pub fn advance(&mut self, now: Duration) {
        let tick = self.plan.tick;
        let next = self.next_tick.get_or_insert(now + tick);
        while *next <= now {
            let decisions = self.engine.tick(*next);
            let anomalous = decisions
                .iter()
                .any(|decision| decision.verdict == Verdict::Anomalous);
            if anomalous && self.verdict.is_none() {
                self.verdict = Some(*next);
            }
            *next += tick;
        }
    }

    /// Counts an exchange that ended at `now`.
    pub fn observe(&mut self, now: Duration, exchange: &Exchange<'_>) {
        self.advance(now);
        self.engine.observe(exchange);
    }

    /// When the candidate was first found anomalous, as time since the Unix epoch.
    #[must_use]
    pub fn verdict(&self) -> Option<Duration> {
        self.verdict
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}
