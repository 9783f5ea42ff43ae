//! The sets of request header names: clients of one kind send the same names again and again, so a
//! set is kept once and not once for each request.

use crate::host::Header;
use hashbrown::HashMap;
use scorer_sdk::HeaderNames;
use scorer_sdk::signal::NameHasher;
use scorer_sdk::signal::request::tells_of_the_client;
use std::rc::Rc;

/// Most sets that are kept at a time.
const MAX_SETS: usize = 256;
/// Most bytes of the names of one set; what goes beyond is left out.
const MAX_SET_BYTES: usize = 1_024;

/// The names of one request's headers that tell of its client.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NameSet(Vec<String>);

impl HeaderNames for NameSet {
    fn visit(&self, visitor: &mut dyn FnMut(&str)) {
        self.0.visit(visitor);
    }
}

/// The sets that one worker has seen.
#[derive(Debug)]
pub struct NameSets {
    hasher: NameHasher,
    known: HashMap<u64, Rc<NameSet>>,
}

impl NameSets {
    /// None yet. Clients choose the names, so `hasher` is keyed.
    #[must_use]
    pub fn new(hasher: NameHasher) -> Self {
        Self {
            hasher,
            known: HashMap::new(),
        }
    }

    /// The set of these headers' names.
    pub fn of(&mut self, headers: &[Header]) -> Rc<NameSet> {
        let names = || {
            headers
                .iter()
                .map(|header| header.0.as_str())
                .filter(|name| tells_of_the_client(name))
        };
        let key = names().fold(0, |sum: u64, name| sum.wrapping_add(self.hasher.hash(name)));
        if let Some(known) = self.known.get(&key) {
            return Rc::clone(known);
        }
        let mut room = MAX_SET_BYTES;
        let set = names()
            .take_while(|name| {
                let fits = name.len() <= room;
                room = room.saturating_sub(name.len());
                fits
            })
            .map(str::to_owned)
            .collect();
        let set = Rc::new(NameSet(set));
        if self.known.len() >= MAX_SETS {
            self.known.clear();
        }
        self.known.insert(key, Rc::clone(&set));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(names: &[&str]) -> Vec<Header> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), Vec::new()))
            .collect()
    }

    #[test]
    fn a_set_is_kept_once_whatever_the_order_and_the_way() {
        let mut sets = NameSets::new(NameHasher::new(1));
        let one = sets.of(&headers(&[":path", "accept", "x-request-id", "cookie"]));
        let other = sets.of(&headers(&["cookie", "accept", "x-forwarded-for"]));
        assert!(Rc::ptr_eq(&one, &other));
        assert_eq!(one.0, ["accept", "cookie"]);
        assert_ne!(sets.of(&headers(&["cookie", "accept", "x-beta"])), one);
    }

    #[test]
    fn clients_that_make_up_names_fill_no_memory() {
        let mut sets = NameSets::new(NameHasher::new(1));
        for number in 0..10_000 {
            let long = format!("x-{number}-{}", "a".repeat(700));
            let set = sets.of(&headers(&[&long, &long, "accept"]));
            assert!(set.0.iter().map(String::len).sum::<usize>() <= MAX_SET_BYTES);
        }
        assert!(sets.known.len() <= MAX_SETS);
    }
}
