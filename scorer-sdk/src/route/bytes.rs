//! Kinds of bytes in path segments, by a table: a segment is looked at with every request.

/// Kinds of bytes, a bit each; of a whole segment, those that occur in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(u8);

/// The kind of each byte.
const KINDS: [u8; 256] = kinds();

impl Bytes {
    pub(super) const LOWER: u8 = 1;
    pub(super) const UPPER: u8 = 2;
    pub(super) const LETTER: u8 = Self::LOWER | Self::UPPER;
    pub(super) const DIGIT: u8 = 4;
    /// What stands between the parts of an id: `-`, `_`, `~`, `:` and `=`.
    pub(super) const MARK: u8 = 8;
    pub(super) const DOT: u8 = 16;
    pub(super) const AT: u8 = 32;
    pub(super) const PERCENT: u8 = 64;
    pub(super) const OTHER: u8 = 128;
    /// No id has any of these.
    pub(super) const NO_ID: u8 = Self::DOT | Self::AT | Self::PERCENT | Self::OTHER;

    /// The kinds of a segment's bytes.
    #[inline]
    pub(super) fn of(segment: &[u8]) -> Self {
        let mut there = 0;
        for byte in segment {
            there |= kind(*byte);
        }
        Self(there)
    }

    /// Whether one of these kinds occurs.
    #[inline]
    pub(super) const fn has(self, kinds: u8) -> bool {
        self.0 & kinds != 0
    }
}

/// The kind of a byte.
#[inline]
pub(super) fn kind(byte: u8) -> u8 {
    KINDS
        .get(usize::from(byte))
        .copied()
        .unwrap_or(Bytes::OTHER)
}

const fn kinds() -> [u8; 256] {
    let mut kinds = [Bytes::OTHER; 256];
    let mut rest: &mut [u8] = &mut kinds;
    let mut byte = 0_u8;
    while let [first, behind @ ..] = rest {
        *first = match byte {
            b'a'..=b'z' => Bytes::LOWER,
            b'A'..=b'Z' => Bytes::UPPER,
            b'0'..=b'9' => Bytes::DIGIT,
            b'-' | b'_' | b'~' | b':' | b'=' => Bytes::MARK,
            b'.' => Bytes::DOT,
            b'@' => Bytes::AT,
            b'%' => Bytes::PERCENT,
            _ => Bytes::OTHER,
        };
        rest = behind;
        byte = byte.wrapping_add(1);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_has_the_kinds_of_its_bytes() {
        let there = Bytes::of(b"user-42@example.com");
        for kind in [
            Bytes::LOWER,
            Bytes::DIGIT,
            Bytes::MARK,
            Bytes::AT,
            Bytes::DOT,
        ] {
            assert!(there.has(kind), "{kind}");
        }
        for kind in [Bytes::UPPER, Bytes::PERCENT, Bytes::OTHER] {
            assert!(!there.has(kind), "{kind}");
        }
        assert!(Bytes::of("é".as_bytes()).has(Bytes::NO_ID));
        assert!(!Bytes::of(b"").has(u8::MAX));
    }
}
