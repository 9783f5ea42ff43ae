//! Small numbers for texts, in a bounded table.

use crate::route::key::MAX_PART_BYTES;
use hashbrown::HashMap;

/// A bounded set of texts, each with a small number.
#[derive(Debug, Default)]
pub(super) struct Interner {
    numbers: HashMap<String, u16, foldhash::fast::FixedState>,
    limit: u16,
}

impl Interner {
    /// An empty set that takes up to `limit` texts. `seed` keys the hash table.
    pub(super) fn new(seed: u64, limit: u16) -> Self {
        let state = foldhash::fast::FixedState::with_seed(seed);
        Self {
            numbers: HashMap::with_hasher(state),
            limit,
        }
    }

    /// The number of `text`; `None` when it is new and the set is full or the text too long.
    pub(super) fn number(&mut self, text: &str) -> Option<u16> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let number = u16::try_from(self.numbers.len()).ok()?;
        if number >= self.limit || text.len() > MAX_PART_BYTES {
            return None;
        }
        self.numbers.insert(text.to_owned(), number);
        Some(number)
    }
}
