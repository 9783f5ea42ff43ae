//! What keeps a worker and the judge apart.

use scorer_sdk::wire::codec::Damage;

/// What one worker has met of it since the last tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Troubles {
    /// What could not be read of what the judge says.
    pub damage: Damage,
    /// Exchanges that found no room on their way to the judge.
    pub lost: u64,
    /// Whether counts have waited for too long to be merged.
    pub is_late: bool,
}

/// Says once that something in shared data could not be read.
#[derive(Debug, Default)]
pub struct DamageLine {
    is_told: bool,
}

impl DamageLine {
    /// Says it, if there is anything to say and it was not said before.
    pub fn tell(&mut self, damage: &Damage) {
        let Some(error) = damage.first.filter(|_| !self.is_told) else {
            return;
        };
        self.is_told = true;
        log::warn!(
            "serin: a part of shared data could not be read and is left out: {error}; further ones \
             are counted in serin_overflow_total, table damaged"
        );
    }
}
