//! The phases of a rollout, and what a phase allows to be done with a block.

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// Evidence is gathered.
    #[default]
    Watching,
    /// The candidate was found anomalous.
    Condemned,
    /// A trickle is let through, with fresh evidence.
    Probation,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Watching, Self::Condemned, Self::Probation];

    /// The phase with this number.
    pub(super) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// What may be done with a gathered block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Judge it if both arms are in it, else wait for the other.
    Judge,
    /// Only learn from it: a share that has just changed, a condemned candidate, none at all.
    LearnOnly,
}
