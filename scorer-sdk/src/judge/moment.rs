//! What a tick is to its destination's routes.

use super::phase::Judgement;

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
