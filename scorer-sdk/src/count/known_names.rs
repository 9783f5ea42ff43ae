//! Tokens of header names that were seen before: sets come again and again, and to read one costs
//! more than everything else that is counted of an exchange.

use crate::exchange::Exchange;
use crate::signal::{NameHasher, Signal, Token};
use hashbrown::HashMap;

/// Most tokens that are kept at a time.
const MAX_TOKENS: usize = 1_024;

/// The tokens, by the signal's index in the plan and the number of the set.
#[derive(Debug)]
pub(super) struct KnownNames {
    tokens: HashMap<(usize, u64), Token, foldhash::fast::FixedState>,
}

impl KnownNames {
    /// None yet. `seed` keys the table.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            tokens: HashMap::with_hasher(foldhash::fast::FixedState::with_seed(seed)),
        }
    }

    /// What `signal`, the plan's number `index`, reads from an exchange.
    #[inline]
    pub(super) fn read(
        &mut self,
        index: usize,
        signal: &dyn Signal,
        exchange: &Exchange<'_>,
        hasher: &NameHasher,
    ) -> Option<Token> {
        let number = signal.names(exchange).and_then(|names| names.number());
        let Some(number) = number else {
            return signal.read(exchange, hasher);
        };
        if let Some(token) = self.tokens.get(&(index, number)) {
            return Some(*token);
        }
        let token = signal.read(exchange, hasher)?;
        if self.tokens.len() >= MAX_TOKENS {
            self.tokens.clear();
        }
        self.tokens.insert((index, number), token);
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::HeaderNames;
    use crate::signal::header_names::HeaderNameSet;
    use crate::testing::exchange;
    use std::cell::Cell;

    struct Numbered {
        number: u64,
        names: [&'static str; 2],
        visits: Cell<u32>,
    }

    impl HeaderNames for Numbered {
        fn visit(&self, visitor: &mut dyn FnMut(&str)) {
            self.visits.set(self.visits.get() + 1);
            self.names.visit(visitor);
        }

        fn number(&self) -> Option<u64> {
            Some(self.number)
        }
    }

    #[test]
    fn a_set_is_read_once_and_gives_the_same_token_as_ever() {
        let (signal, hasher) = (HeaderNameSet::default(), NameHasher::new(1));
        let mut known = KnownNames::new(1);
        let names = Numbered {
            number: 7,
            names: ["etag", "vary"],
            visits: Cell::new(0),
        };
        let good = Exchange {
            header_names: Some(&names),
            ..exchange()
        };
        let token = signal.read(&good, &hasher);
        for _ in 0..3 {
            assert_eq!(known.read(0, &signal, &good, &hasher), token);
        }
        assert_eq!(names.visits.get(), 2);
        // A failure has headers of its own, whatever they are.
        let failed = Exchange {
            status: Some(500),
            ..good
        };
        assert_eq!(known.read(0, &signal, &failed, &hasher), None);
    }

    #[test]
    fn numbers_that_are_made_up_fill_no_memory() {
        let (signal, hasher) = (HeaderNameSet::default(), NameHasher::new(1));
        let mut known = KnownNames::new(1);
        for number in 0..5_000 {
            let names = Numbered {
                number,
                names: ["etag", "vary"],
                visits: Cell::new(0),
            };
            let exchange = Exchange {
                header_names: Some(&names),
                ..exchange()
            };
            known.read(0, &signal, &exchange, &hasher);
        }
        assert!(known.tokens.len() <= MAX_TOKENS);
    }
}
