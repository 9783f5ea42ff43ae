//! Short texts that come again and again, such as content types: each is kept once.

use hashbrown::HashMap;
use std::rc::Rc;

/// Most texts that are kept at a time.
const MAX_TEXTS: usize = 128;
/// Most bytes of one text; what goes beyond is cut off.
const MAX_TEXT_BYTES: usize = 512;

/// The texts that one worker has seen.
#[derive(Debug, Default)]
pub struct Texts {
    known: HashMap<Box<[u8]>, Rc<str>>,
}

impl Texts {
    /// The text of these bytes; what is no UTF-8 in them is replaced by U+FFFD.
    pub fn of(&mut self, bytes: &[u8]) -> Rc<str> {
        let bytes = bytes.get(..MAX_TEXT_BYTES).unwrap_or(bytes);
        if let Some(known) = self.known.get(bytes) {
            return Rc::clone(known);
        }
        let text: Rc<str> = String::from_utf8_lossy(bytes).into();
        if self.known.len() >= MAX_TEXTS {
            self.known.clear();
        }
        self.known.insert(bytes.into(), Rc::clone(&text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once() {
        let mut texts = Texts::default();
        let one = texts.of(b"application/json");
        assert_eq!(&*one, "application/json");
        assert!(Rc::ptr_eq(&one, &texts.of(b"application/json")));
        assert_eq!(&*texts.of(b"text/\xff"), "text/\u{fffd}");
    }

    #[test]
    fn texts_that_are_made_up_fill_no_memory() {
        let mut texts = Texts::default();
        for number in 0..1_000 {
            let long = format!("{number}{}", "a".repeat(10_000));
            assert!(texts.of(long.as_bytes()).len() <= MAX_TEXT_BYTES);
        }
        assert!(texts.known.len() <= MAX_TEXTS);
    }
}
