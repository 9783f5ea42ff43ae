//! What a tick is to its destination's routes.

use super::phase::Judgement;
use crate::config::Plan;

/// One tick of a destination.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Milliseconds since the epoch.
    pub(super) now_ms: u64,
    /// What may be done with a block.
    pub(super) judgement: Judgement,
    /// The log bucket of the microseconds since the candidate's share last changed. What has lasted
    /// longer began under another share, and the arms' numbers of it are not comparable.
    pub(super) longest: u16,
}

impl Moment {
    /// The time this many ticks ago, in milliseconds since the epoch; never 0.
    pub(super) fn before(&self, plan: &Plan, ticks: u32) -> u64 {
        let tick_ms = u64::try_from(plan.tick.as_millis()).unwrap_or(u64::MAX);
        let ago = tick_ms.saturating_mul(u64::from(ticks));
        self.now_ms.saturating_sub(ago).max(1)
    }
}
