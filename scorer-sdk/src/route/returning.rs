//! Names that come back at a node that has collapsed.

/// Names that are counted at a time.
const MAX_COUNTED: usize = 32;
/// Names of one node that may come back.
const MAX_RETURNED: u32 = 16;
/// How often a name was seen, above what the others took from it, when it comes back.
const BACK_SEEN: u32 = 64;

/// Counts unknown names at one node and finds those that have a few per cent of its paths.
///
/// A count goes up with each sight of its name, and all go down when a name comes that has no count:
/// a name that more than one of 33 paths lead to gets there, and one of many equals never does
/// (Misra and Gries 1982, "Finding repeated elements").
#[derive(Debug, Default)]
pub(super) struct Returning {
    /// Hashes of names, with their counts.
    counts: Vec<(u64, u32)>,
    returned: u32,
}

impl Returning {
    /// Counts a name by its hash. Whether it is to stand for itself again.
    pub(super) fn comes_back(&mut self, hash: u64) -> bool {
        if self.returned >= MAX_RETURNED {
            return false;
        }
        let Some(at) = self.counts.iter().position(|(known, _)| *known == hash) else {
            if self.counts.len() < MAX_COUNTED {
                self.counts.push((hash, 1));
            } else {
                self.counts.retain_mut(|(_, count)| {
                    *count -= 1;
                    *count > 0
                });
            }
            return false;
        };
        let is_back = self.counts.get_mut(at).is_some_and(|(_, count)| {
            *count += 1;
            *count >= BACK_SEEN
        });
        if is_back {
            self.counts.swap_remove(at);
            self.returned += 1;
        }
        is_back
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_by_its_share_and_one_of_many_equals_does_not() {
        let mut returning = Returning::default();
        let mut back = Vec::new();
        for step in 0..20_000_u64 {
            // A tenth of the paths is the name 1; the others are 500 names in turn.
            let name = if step % 10 == 0 { 1 } else { 100 + step % 500 };
            if returning.comes_back(name) {
                back.push(name);
            }
        }
        assert_eq!(back.first(), Some(&1));
        assert!(back.iter().all(|name| *name == 1), "{back:?}");
    }

    #[test]
    fn so_many_names_come_back_and_no_more() {
        let mut returning = Returning::default();
        let back = (0..1_000_u64)
            .filter(|name| (0..BACK_SEEN).any(|_| returning.comes_back(*name)))
            .count();
        assert_eq!(back, MAX_RETURNED as usize);
    }
}
