//! Chance, for who takes a part of what comes.

use scorer_sdk::count::identity::mix;

/// Draws numbers, each unlike the one before. Not each nth of what comes is taken, because balancers
/// take turns as well.
#[derive(Debug)]
pub(super) struct Draw {
    number: u64,
}

impl Draw {
    /// The draws that follow from a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { number: seed }
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.number = self.number.wrapping_add(1);
        mix(self.number)
    }
}
