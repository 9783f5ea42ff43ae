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
    /// All proxies together found the candidate anomalous; the evidence of this one is not enough.
    ByFleet,
}

impl Phase {
    const ALL: [Self; 4] = [
        Self::Watching,
        Self::Condemned,
        Self::Probation,
        Self::ByFleet,
    ];

    /// Whether the candidate is kept from traffic without exception, and not judged.
    pub(super) fn is_condemned(self) -> bool {
        matches!(self, Self::Condemned | Self::ByFleet)
    }

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
