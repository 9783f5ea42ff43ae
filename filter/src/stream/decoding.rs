//! How many bodies one worker decompresses at once.

use std::rc::Rc;

/// Most bodies that are decompressed at once. Each takes some 43 KB, so that all take 1.4 MB.
const MOST: usize = 32;

/// Gives out permits.
#[derive(Debug, Default)]
pub struct Decoding {
    given: Rc<()>,
}

/// Allows one body to be decompressed, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    _given: Rc<()>,
}

impl Decoding {
    /// A permit, if there are not too many.
    #[must_use]
    pub fn begin(&self) -> Option<Permit> {
        // One reference is the giver's own.
        (Rc::strong_count(&self.given) <= MOST).then(|| Permit {
            _given: Rc::clone(&self.given),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_that_is_given_back_can_be_had_again() {
        let decoding = Decoding::default();
        let mut permits: Vec<Permit> = (0..MOST).filter_map(|_| decoding.begin()).collect();
        assert_eq!(permits.len(), MOST);
        assert!(decoding.begin().is_none());
        permits.pop();
        assert!(decoding.begin().is_some());
    }
}
