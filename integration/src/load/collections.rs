//! Collections whose paths have ids: a client asks for things of all of them.

use rand::RngExt;
use rand::rngs::SmallRng;

/// Of each kind, so many collections.
const COLLECTIONS: usize = 4;

/// Letters and digits of an id, and how many it has.
const SHAPES: [(&str, &str, usize); COLLECTIONS] = [
    ("01JD", "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 22),
    ("trace_", "abcdefghijklmnopqrstuvwxyz234567", 26),
    (
        "cus_",
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        24,
    ),
    ("u-", "0123456789abcdefghijklmnopqrstuvwxyz", 24),
];

/// What names are made of that nobody can tell from words.
const SYLLABLES: [&str; 8] = ["ba", "ke", "lo", "mi", "nu", "ra", "se", "to"];

/// The path of a cart: in one half of the collections the ids look like ids, in the other like words.
pub(super) fn path(rng: &mut SmallRng) -> String {
    let collection = rng.random_range(0..COLLECTIONS);
    if rng.random() {
        let (prefix, alphabet, length) = SHAPES.get(collection).copied().unwrap_or_default();
        let letters = alphabet.as_bytes();
        let id: String = (0..length)
            .filter_map(|_| letters.get(rng.random_range(0..letters.len())))
            .map(|letter| char::from(*letter))
            .collect();
        format!("/api/cart/ids-{collection}/{prefix}{id}")
    } else {
        let name: String = (0..6)
            .filter_map(|_| SYLLABLES.get(rng.random_range(0..SYLLABLES.len())))
            .copied()
            .collect();
        format!("/api/cart/names-{collection}/{name}/lines")
    }
}
