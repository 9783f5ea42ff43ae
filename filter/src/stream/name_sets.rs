//! Sets of header names: clients of one kind send the same names again and again, and so does a
//! route. A set is kept once and not once for each message, and the engine knows it again by a number.

use hashbrown::HashMap;
use scorer_sdk::HeaderNames;
use scorer_sdk::signal::NameHasher;
use std::rc::Rc;

/// Most sets that are kept at a time.
const MAX_SETS: usize = 256;
/// Most bytes of the names of one set; what goes beyond is left out.
const MAX_SET_BYTES: u16 = 4_096;

/// Names of one message's headers. A client may send another set with each request, so that a set
/// takes as few allocations as it can.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NameSet {
    number: u64,
    /// All names, one after the other.
    text: String,
    /// Where each of them ends.
    ends: Vec<u16>,
}

impl HeaderNames for NameSet {
    fn visit(&self, visitor: &mut dyn FnMut(&str)) {
        let mut begin = 0;
        for end in self.ends.iter().map(|end| usize::from(*end)) {
            if let Some(name) = self.text.get(begin..end) {
                visitor(name);
            }
            begin = end;
        }
    }

    fn number(&self) -> Option<u64> {
        Some(self.number)
    }
}

/// The sets that one worker has seen.
#[derive(Debug)]
pub struct NameSets {
    hasher: NameHasher,
    /// Whether a name belongs to a set.
    belongs: fn(&[u8]) -> bool,
    known: HashMap<u64, Rc<NameSet>>,
    /// The last new set, until it is known how long it is.
    text: Vec<u8>,
    ends: Vec<u16>,
}

impl NameSets {
    /// None yet, of the names that `belongs` takes. Others choose the names, so `hasher` is keyed.
    #[must_use]
    pub fn new(hasher: NameHasher, belongs: fn(&[u8]) -> bool) -> Self {
        Self {
            hasher,
            belongs,
            known: HashMap::new(),
            text: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// The set of a message with these header names. Names that are no UTF-8 belong to no set.
    pub fn of<'a>(&mut self, names: impl Iterator<Item = &'a [u8]> + Clone) -> Rc<NameSet> {
        // All names as they come: to leave out those that do not belong would cost more.
        let number = self.hasher.hash_all(names.clone());
        if let Some(known) = self.known.get(&number) {
            return Rc::clone(known);
        }
        self.collect(names.clone());
        let text = match core::str::from_utf8(&self.text) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                self.collect(names.filter(|name| core::str::from_utf8(name).is_ok()));
                String::from_utf8_lossy(&self.text).into_owned()
            }
        };
        let set = Rc::new(NameSet {
            number,
            text,
            ends: self.ends.clone(),
        });
        if self.known.len() >= MAX_SETS {
            self.known.clear();
        }
        self.known.insert(number, Rc::clone(&set));
        set
    }

    /// Puts together the names that belong to a set.
    fn collect<'a>(&mut self, names: impl Iterator<Item = &'a [u8]>) {
        self.text.clear();
        self.ends.clear();
        for name in names.filter(|name| (self.belongs)(name)) {
            let end = self.text.len().saturating_add(name.len());
            let Some(end) = u16::try_from(end).ok().filter(|end| *end <= MAX_SET_BYTES) else {
                break;
            };
            self.text.extend_from_slice(name);
            self.ends.push(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::signal::request::tells_of_the_client;

    fn of(sets: &mut NameSets, names: &[&str]) -> Rc<NameSet> {
        sets.of(names.iter().map(|name| name.as_bytes()))
    }

    fn names(set: &NameSet) -> Vec<String> {
        let mut names = Vec::new();
        set.visit(&mut |name| names.push(name.to_owned()));
        names
    }

    #[test]
    fn a_set_is_kept_once_and_holds_what_belongs_to_it() {
        let mut sets = NameSets::new(NameHasher::new(1), tells_of_the_client);
        let one = of(&mut sets, &[":path", "accept", "x-request-id", "cookie"]);
        let again = of(&mut sets, &[":path", "accept", "x-request-id", "cookie"]);
        assert!(Rc::ptr_eq(&one, &again));
        assert_eq!(names(&one), ["accept", "cookie"]);
        let other = of(&mut sets, &[":path", "accept", "cookie", "x-beta"]);
        assert_ne!(one.number(), other.number());
        assert_eq!(names(&other), ["accept", "cookie", "x-beta"]);
    }

    #[test]
    fn names_that_end_elsewhere_are_others() {
        let mut sets = NameSets::new(NameHasher::new(1), |_| true);
        let one = of(&mut sets, &["ab", "c"]).number();
        assert_ne!(one, of(&mut sets, &["a", "bc"]).number());
        assert_ne!(one, of(&mut sets, &["abc"]).number());
        assert_ne!(one, of(&mut sets, &["ab", "c", ""]).number());
    }

    #[test]
    fn names_that_are_no_text_belong_to_no_set() {
        let mut sets = NameSets::new(NameHasher::new(1), |_| true);
        let set = sets.of([&b"x-\xff"[..], b"accept"].into_iter());
        assert_eq!(names(&set), ["accept"]);
        // Together these two would be text.
        let set = sets.of([&b"x-\xc3"[..], b"\xa9", b"accept"].into_iter());
        assert_eq!(names(&set), ["accept"]);
    }

    #[test]
    fn clients_that_make_up_names_fill_no_memory() {
        let mut sets = NameSets::new(NameHasher::new(1), tells_of_the_client);
        for number in 0..10_000 {
            let long = format!("x-{number}-{}", "a".repeat(2_500));
            let set = of(&mut sets, &[&long, &long, "accept"]);
            assert!(set.text.len() <= usize::from(MAX_SET_BYTES));
            assert_eq!(names(&set).first(), Some(&long));
        }
        assert!(sets.known.len() <= MAX_SETS);
    }
}
