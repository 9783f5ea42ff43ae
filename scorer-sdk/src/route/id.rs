//! Which letters and digits are an id rather than a name.
//!
//! Names are words: their letters follow one another as words let them, and digits come at the end
//! of a word, if at all. An id is drawn at random. So each pair of neighbours is worth some bits,
//! `log2 P(pair | id)/P(pair | name)`, and a segment is an id where the bits of a stretch of it add
//! up to what no name reaches. The stretch need not be the whole segment: `cus_9s6XKzkNRiz8i3` has
//! a word in front of its id.
//!
//! The bits were estimated from 157,000 identifiers of programs and 150,000 names of packages, and
//! from ids of 25 shapes (ULID, nanoid, base32, base58, base62, KSUID, CUID). Of a million names of
//! packages, 160 are taken for ids that are not some at sight, most of them numbers of parts
//! (`vl53l5cx`). Of ids of 20 characters and more, 95 in 100 are recognised, of those of 10 to 13
//! characters half; what is missed is left to the path tree.

/// For each letter, those that hardly ever follow it in a word: each pair is fewer than one in 2,000
/// of all, and together they are one in 15.
const HARDLY_FOLLOW: [u32; 26] = [
    letters(b"hjoq"),
    letters(b"bdfghjkmnpqtvwxyz"),
    letters(b"bfgjnqvwxz"),
    letters(b"hjknqvwxz"),
    letters(b"hjz"),
    letters(b"bcdghjkmnpqvwxz"),
    letters(b"bcdfjkqtvwxyz"),
    letters(b"bcdfghjklmnpqsvwxz"),
    letters(b"hijquwy"),
    letters(b"bcdfghijklmnopqrtuvwxyz"),
    letters(b"bcdfghjkmnpqrtvwxyz"),
    letters(b"hjnqrvwxz"),
    letters(b"fghjknqrvwxz"),
    letters(b"hjqrwxz"),
    letters(b"ehjqyz"),
    letters(b"bgjkmnqvwxz"),
    letters(b"abcdefghijkmnopqrstvwxyz"),
    letters(b"hjqwxz"),
    letters(b"bjvxz"),
    letters(b"gjknqvxz"),
    letters(b"hjkoquvwxyz"),
    letters(b"bcdfghjklmnpqrstuvwxyz"),
    letters(b"bcdfghjklmnpqtuvwxyz"),
    letters(b"abcdfghjklmnoqrsuvwxyz"),
    letters(b"hijkquvwxyz"),
    letters(b"bcdfghijklmnopqrstuvwxyz"),
];

/// Fewest bytes of an id: shorter names can be anything.
const MIN_BYTES: usize = 8;
/// Fewest digits of a number, and of a hexadecimal number, that is an id behind a word
/// (`order-004211`, `trace_4bf92f35`): `iso-27001` and `utf-8` are names.
const MIN_NUMBER: usize = 6;
const MIN_HEX: usize = 8;

/// Bits from which on a stretch is an id, whatever is in it.
const ENOUGH: i32 = 30;
/// The same where there is a digit in it.
const ENOUGH_WITH_DIGIT: i32 = 24;
/// The same where there are several, and letters between them.
const ENOUGH_WITH_DIGITS: i32 = 18;

/// Whether a segment is an id, or has one in it. Its bytes are ASCII letters, digits and the marks
/// `-`, `_`, `~`, `:` and `=`; with any other it is none.
#[inline(never)]
pub(super) fn is_id(bytes: &[u8]) -> bool {
    bytes.len() >= MIN_BYTES
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || is_mark(*byte))
        && (is_random(bytes) || has_numbered_part(bytes))
}

/// Whether one of several parts is a long number. Names with a digit in them are short of that.
fn has_numbered_part(bytes: &[u8]) -> bool {
    bytes.iter().copied().any(is_mark)
        && bytes.split(|byte| is_mark(*byte)).any(|part| {
            let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
            (digits >= MIN_NUMBER && digits == part.len())
                || (digits >= 2 && part.len() >= MIN_HEX && part.iter().all(u8::is_ascii_hexdigit))
        })
}

/// Whether the bits of a stretch are enough.
fn is_random(bytes: &[u8]) -> bool {
    let (mut bits, mut digits, mut switches) = (0, 0, 0);
    let mut before = b'-';
    for &byte in bytes {
        let is_digit = byte.is_ascii_digit();
        bits += bits_of(before, byte);
        if bits <= 0 {
            // A stretch begins here.
            (bits, digits, switches) = (0, i32::from(is_digit), 0);
        } else {
            let is_pair = !is_mark(before) && !is_mark(byte);
            digits += i32::from(is_digit);
            switches += i32::from(is_pair && before.is_ascii_digit() != is_digit);
        }
        if bits >= ENOUGH
            || (bits >= ENOUGH_WITH_DIGIT && digits >= 1)
            || (bits >= ENOUGH_WITH_DIGITS && digits >= 2 && switches >= 3)
        {
            return true;
        }
        before = byte;
    }
    false
}

/// What two neighbours are worth.
#[inline]
fn bits_of(before: u8, byte: u8) -> i32 {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic();
    match (is_letter(before), is_letter(byte)) {
        (true, true) => {
            let (usual, odd) = match (before.is_ascii_uppercase(), byte.is_ascii_uppercase()) {
                (false, false) => (-2, 3),
                (true, true) => (-1, 3),
                // `getUser`.
                (false, true) => (2, 2),
                (true, false) => (0, 5),
            };
            if is_odd(before, byte) { odd } else { usual }
        }
        (true, false) if byte.is_ascii_digit() => 3,
        (false, true) if before.is_ascii_digit() => 5,
        (false, false) if before.is_ascii_digit() && byte.is_ascii_digit() => 0,
        _ => -2,
    }
}

/// Whether the second letter hardly ever follows the first, in either case.
#[inline]
fn is_odd(before: u8, byte: u8) -> bool {
    let index = |letter: u8| usize::from(letter.to_ascii_lowercase().wrapping_sub(b'a'));
    HARDLY_FOLLOW
        .get(index(before))
        .is_some_and(|row| row >> index(byte) & 1 == 1)
}

const fn is_mark(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'~' | b':' | b'=')
}

/// A bit for each letter of a list.
const fn letters(mut list: &[u8]) -> u32 {
    let mut bits = 0;
    while let [letter, rest @ ..] = list {
        bits |= 1 << (*letter - b'a');
        list = rest;
    }
    bits
}
