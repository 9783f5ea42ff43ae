//! Eight bytes at a time: where the plain part of a JSON string ends, and hashes of key names.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x80 * ONES;

/// How many bytes from the front are plain: no quote, no backslash, no control character.
///
/// Bytes of 0x80 and above are plain: whether they are UTF-8 is checked elsewhere.
pub(super) fn plain(bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return count + (found.trailing_zeros() / 8) as usize;
        }
        count += 8;
        rest = tail;
    }
    let special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    count + rest.iter().position(special).unwrap_or(rest.len())
}

/// The high bit of the lowest byte that is not plain; bytes above it may be marked by a borrow.
///
/// The classic test for a zero byte: subtracting one borrows from the high bit only there.
const fn specials(word: u64) -> u64 {
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let control = word.wrapping_sub(ONES * 0x20);
    (quote | backslash | control) & !word & HIGH_BITS
}

/// The hash of `key` below the path with the hash `parent`.
///
/// Two rounds of multiply and shift, as in MurmurHash's finaliser. It is the same in every worker,
/// on every platform and in a replay, so that hashes of paths may be compared across them; the
/// library hashes used elsewhere promise none of that.
pub(super) fn path_hash(parent: u64, key: &[u8]) -> u64 {
    let mut hash = parent ^ (key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut rest = key;
    while let Some((word, tail)) = rest.split_first_chunk::<8>() {
        hash = mix(hash ^ u64::from_le_bytes(*word));
        rest = tail;
    }
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    mix(hash ^ u64::from_le_bytes(last))
}

/// Spreads every bit of `value` over all bits.
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 32)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let value = (value ^ (value >> 29)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    value ^ (value >> 32)
}

/// Whether `bytes` begin with `key` and a closing quote.
pub(super) fn is_key(bytes: &[u8], key: &[u8]) -> bool {
    let Some((head, tail)) = bytes.split_at_checked(key.len()) else {
        return false;
    };
    tail.first() == Some(&b'"') && head == key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_part_ends_where_a_look_at_each_byte_says() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..20_000 {
            let length = random.usize(0..40);
            let bytes: Vec<u8> = (0..length)
                .map(|_| match random.u8(0..12) {
                    0 => random.u8(..),
                    1 => *random.choice(b"\"\\\x1f\x20\x21\x23\x5b\x5d\x7f").unwrap(),
                    _ => random.u8(0x23..0x5c),
                })
                .collect();
            let expected = bytes
                .iter()
                .position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\')
                .unwrap_or(length);
            assert_eq!(plain(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn keys_that_differ_in_length_or_position_have_other_hashes() {
        let keys: [&[u8]; 6] = [b"", b"\0", b"a", b"a\0", b"price", b"prices and more"];
        let mut hashes: Vec<u64> = keys
            .iter()
            .flat_map(|key| [path_hash(1, key), path_hash(2, key)])
            .collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 12);
    }
}
