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

use super::bytes::{Bytes, kind};

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
    if bytes.len() < MIN_BYTES {
        return false;
    }
    let there = Bytes::of(bytes);
    !there.has(Bytes::NO_ID)
        && (is_random(bytes)
            || (there.has(Bytes::MARK) && there.has(Bytes::DIGIT) && has_numbered_part(bytes)))
}

/// Whether one of several parts is a long number. Names with a digit in them are short of that.
fn has_numbered_part(bytes: &[u8]) -> bool {
    bytes.split(|byte| kind(*byte) == Bytes::MARK).any(|part| {
        let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
        (digits >= MIN_NUMBER && digits == part.len())
            || (digits >= 2 && part.len() >= MIN_HEX && part.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Whether the bits of a stretch are enough.
fn is_random(bytes: &[u8]) -> bool {
    let (mut bits, mut digits, mut switches) = (0, 0, 0);
    let (mut before, mut kind_before) = (b'-', Bytes::MARK);
    for &byte in bytes {
        let kind = kind(byte);
        let is_digit = kind == Bytes::DIGIT;
        bits += bits_of((before, kind_before), (byte, kind));
        if bits <= 0 {
            // A stretch begins here.
            (bits, digits, switches) = (0, i32::from(is_digit), 0);
        } else {
            let is_pair = (kind_before | kind) & Bytes::MARK == 0;
            digits += i32::from(is_digit);
            switches += i32::from(is_pair && (kind_before == Bytes::DIGIT) != is_digit);
            if bits >= ENOUGH
                || (bits >= ENOUGH_WITH_DIGIT && digits >= 1)
                || (bits >= ENOUGH_WITH_DIGITS && digits >= 2 && switches >= 3)
            {
                return true;
            }
        }
        (before, kind_before) = (byte, kind);
    }
    false
}

/// What two neighbours are worth, each with its kind.
#[inline]
fn bits_of((before, kind_before): (u8, u8), (byte, kind): (u8, u8)) -> i32 {
    const LOWER: u8 = Bytes::LOWER;
    const UPPER: u8 = Bytes::UPPER;
    const LETTER: u8 = Bytes::LETTER;
    const DIGIT: u8 = Bytes::DIGIT;
    let (usual, odd) = match (kind_before, kind) {
        (LOWER, LOWER) => (-2, 3),
        (UPPER, UPPER) => (-1, 3),
        // `getUser`.
        (LOWER, UPPER) => (2, 2),
        (UPPER, LOWER) => (0, 5),
        (DIGIT, DIGIT) => return 0,
        (DIGIT, kind) if kind & LETTER != 0 => return 5,
        (kind, DIGIT) if kind & LETTER != 0 => return 3,
        _ => return -2,
    };
    if is_odd(before, byte) { odd } else { usual }
}

/// Whether the second letter hardly ever follows the first, in either case.
#[inline]
fn is_odd(before: u8, byte: u8) -> bool {
    // The last five bits of a letter are its place in the alphabet, from 1.
    let index = |letter: u8| usize::from(letter & 31).wrapping_sub(1);
    HARDLY_FOLLOW
        .get(index(before))
        .is_some_and(|row| row >> (index(byte) & 31) & 1 == 1)
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
