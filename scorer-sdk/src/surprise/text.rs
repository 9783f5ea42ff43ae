//! Coarse looks at a text: which kinds of characters are in it, and about how long it is. The text
//! itself is not kept.

/// How many tokens [`kinds`] has: one bit for each kind of character.
pub const KINDS_ALPHABET: u32 = 1 << 11;
/// How many tokens [`length`] has.
pub const LENGTH_ALPHABET: u32 = 34;
/// Names of the kinds, from the lowest bit on.
const NAMES: [&str; 11] = [
    "lower case",
    "upper case",
    "digits",
    "spaces",
    "controls",
    "quotes",
    "brackets",
    "$#@!",
    "percent signs",
    "=&?",
    "beyond ASCII",
];

/// The kind of each byte. Marks that are common in names and lists (`-_.,:;/+*~` and the backslash)
/// have none.
#[expect(clippy::indexing_slicing, reason = "done by the compiler")]
const KINDS: [u16; 256] = {
    let mut kinds = [0; 256];
    let mut byte: u8 = 0;
    loop {
        kinds[byte as usize] = match byte {
            b'a'..=b'z' => 1,
            b'A'..=b'Z' => 1 << 1,
            b'0'..=b'9' => 1 << 2,
            b' ' => 1 << 3,
            0..=31 | 127 => 1 << 4,
            b'"' | b'\'' | b'`' => 1 << 5,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'|' | b'^' => 1 << 6,
            b'$' | b'#' | b'@' | b'!' => 1 << 7,
            b'%' => 1 << 8,
            b'=' | b'&' | b'?' => 1 << 9,
            128.. => 1 << 10,
            _ => 0,
        };
        if byte == u8::MAX {
            break kinds;
        }
        byte += 1;
    }
};

/// The kinds of characters in `text`, a bit each.
#[must_use]
pub fn kinds(text: &[u8]) -> u16 {
    text.iter().fold(0, |kinds, byte| {
        kinds | KINDS.get(usize::from(*byte)).copied().unwrap_or(0)
    })
}

/// The kinds behind a token, in words.
#[must_use]
pub fn describe_kinds(kinds: u16) -> String {
    let names: Vec<&str> = (0..)
        .zip(NAMES)
        .filter(|(bit, _)| kinds >> bit & 1 == 1)
        .map(|item| item.1)
        .collect();
    if names.is_empty() {
        return "nothing but marks".to_owned();
    }
    names.join(", ")
}

/// A power of two: `n` stands for lengths from `2^(n−1)` to below `2^n` bytes, 0 for nothing.
#[must_use]
pub fn length(bytes: u64) -> u16 {
    (64 - bytes.leading_zeros()).min(LENGTH_ALPHABET - 1) as u16
}

/// The lengths behind a token, in words.
#[must_use]
pub fn describe_length(length: u16) -> String {
    match length {
        0 => "empty".to_owned(),
        length => {
            let least = 1u64 << (length - 1).min(62);
            format!("{least} to {} bytes", 2 * least - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_values_differ_from_smuggled_ones() {
        let plain = kinds(b"gzip, deflate, br");
        assert_eq!(plain, kinds(b"br, gzip"));
        assert_ne!(plain, kinds(b"gzip${x}"));
        assert_eq!(describe_kinds(kinds(b"a'b")), "lower case, quotes");
        assert_eq!(kinds(b"a./x"), kinds(b"a"));
    }

    #[test]
    fn lengths_are_powers_of_two() {
        assert_eq!([0, 1, 2, 3, 4, 1023].map(length), [0, 1, 2, 2, 3, 10]);
        assert_eq!(describe_length(10), "512 to 1023 bytes");
        assert_eq!(u32::from(length(u64::MAX)), LENGTH_ALPHABET - 1);
    }
}
