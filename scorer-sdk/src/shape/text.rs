//! UTF-8 over chunks: whether a text that comes in pieces is valid, without keeping it.

/// At most three bytes of a character that the last chunk began.
#[derive(Debug, Default)]
pub(super) struct TextCheck {
    begun: [u8; 4],
    length: usize,
}

impl TextCheck {
    /// Whether `chunk` goes on as UTF-8.
    pub(super) fn accepts(&mut self, chunk: &[u8]) -> bool {
        let mut rest = chunk;
        while self.length > 0 {
            let Some((byte, tail)) = rest.split_first() else {
                return true;
            };
            rest = tail;
            let Some(slot) = self.begun.get_mut(self.length) else {
                return false;
            };
            *slot = *byte;
            self.length += 1;
            match core::str::from_utf8(self.begun.get(..self.length).unwrap_or_default()) {
                Ok(_) => self.length = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = core::str::from_utf8(rest) else {
            return true;
        };
        if error.error_len().is_some() {
            return false;
        }
        let begun = rest.get(error.valid_up_to()..).unwrap_or_default();
        self.begun
            .iter_mut()
            .zip(begun)
            .for_each(|(to, from)| *to = *from);
        self.length = begun.len();
        true
    }

    /// Whether the last character is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(bytes: &[u8], cut: usize) -> bool {
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        let mut check = TextCheck::default();
        check.accepts(head) && check.accepts(tail) && check.is_complete()
    }

    #[test]
    fn chunks_are_valid_where_the_whole_is() {
        let mut random = fastrand::Rng::with_seed(5);
        let text = "aß€𝄞é漢\u{10ffff}\u{d7ff}\u{e000}";
        for _ in 0..20_000 {
            let mut bytes = text.as_bytes().to_vec();
            if random.bool() {
                let index = random.usize(..bytes.len());
                bytes[index] = random.u8(..);
            }
            bytes.truncate(random.usize(..=bytes.len()));
            let whole = core::str::from_utf8(&bytes).is_ok();
            assert_eq!(
                accepts(&bytes, random.usize(..=bytes.len())),
                whole,
                "{bytes:?}"
            );
            let mut single = TextCheck::default();
            let accepted = bytes.chunks(1).all(|byte| single.accepts(byte));
            assert_eq!(accepted && single.is_complete(), whole, "{bytes:?}");
        }
    }
}
