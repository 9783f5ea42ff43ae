//! Path segments: which of them are values (ids, dates, addresses, files) rather than names.
//!
//! A value in a path would make every request a route of its own, so a segment that is
//! recognisably a value is replaced by its class. The rules look at the text alone, take one pass
//! each, and prefer to miss: a value that is not recognised is still caught by
//! [`PathTree`](super::PathTree) when too many siblings of it turn up.

use super::bytes::Bytes;
use super::id::is_id;

/// Longest segment, in bytes, that is looked at; a longer one counts as [`Segment::Any`].
pub const MAX_SEGMENT_BYTES: usize = 64;

/// Most segments of one path that are told apart.
pub(super) const MAX_SEGMENTS: usize = 16;

/// Fewest digits that make a hexadecimal id: a shortened commit hash has 7 or 8, and below that
/// ordinary names (`v1`, `2fa`, `b2b`) are hexadecimal too often.
const MIN_HEX_DIGITS: usize = 8;

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A name: it stands for itself.
    Literal,
    /// `{int}`: decimal digits, at most one leading `-`.
    Int,
    /// `{uuid}`: hexadecimal digits in groups of 8-4-4-4-12, either case.
    Uuid,
    /// `{hex}`: at least 8 hexadecimal digits and nothing else, one of them at least a decimal
    /// digit. The last condition keeps words that use only the letters a to f
    /// (`deadbeef`, `facade`) literal; of random ids with 8 digits it misses 1 in 2,560, of those
    /// with 16 digits 1 in 6.5 million.
    Hex,
    /// `{date}`: `2026-11-23`, month 1 to 12, day 1 to 31.
    Date,
    /// `{email}`: `name@host.tld`, the `@` also as `%40`. The last label of the host is at least
    /// two letters, so that `lodash@4.17.21` stays literal.
    Email,
    /// `{id}`: an id of letters and digits, alone or behind a word: ULID, nanoid, base32, base58,
    /// `cus_9s6XKzkNRiz8i3`, `order-004211`. Words with numbers in them (`v1beta1`, `oauth2`,
    /// `en-US`, `utf-8`) are names.
    Id,
    /// `{file}`: a file name with a value in it: a version (`name-1.0.tar.gz`), a hash
    /// (`main.8f3b2c1d.js`), an id (`1234.pdf`).
    File,
    /// `{x}`: any segment, where a node has collapsed, the segment is too long to look at, or it
    /// has an encoded slash in it and so is a path itself.
    Any,
    /// `**`: all that follows, where a path is deeper than the tree. Never a single segment's
    /// class.
    Rest,
}

impl Segment {
    /// How many classes there are beside [`Segment::Literal`].
    pub(super) const CLASSES: usize = 9;

    /// What stands in the template text for this class; `None` for a literal.
    pub const fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Literal => None,
            Self::Int => Some("{int}"),
            Self::Uuid => Some("{uuid}"),
            Self::Hex => Some("{hex}"),
            Self::Date => Some("{date}"),
            Self::Email => Some("{email}"),
            Self::Id => Some("{id}"),
            Self::File => Some("{file}"),
            Self::Any => Some("{x}"),
            Self::Rest => Some("**"),
        }
    }

    /// Index of this class among a node's children, below [`Self::CLASSES`]; `None` for a literal.
    pub(super) const fn slot(self) -> Option<usize> {
        match self {
            Self::Literal => None,
            Self::Int => Some(0),
            Self::Uuid => Some(1),
            Self::Hex => Some(2),
            Self::Date => Some(3),
            Self::Email => Some(4),
            Self::Any => Some(5),
            Self::Rest => Some(6),
            Self::Id => Some(7),
            Self::File => Some(8),
        }
    }

    /// Whether the text is a value by its type. Ids and file names are told by chance or by custom:
    /// that is enough for a path, and not for a key of a body, which is a field.
    #[must_use]
    pub const fn is_typed(self) -> bool {
        !matches!(self, Self::Literal | Self::Id | Self::File)
    }
}

/// The class of one segment (no slash in it), by the rules on [`Segment`]'s variants.
///
/// A segment that is itself a placeholder (`{int}`) is of that class: a template's text, fed back
/// as a path, gives the same template, and no literal can look like a class.
#[inline(never)]
pub fn classify(segment: &str) -> Segment {
    if segment.len() > MAX_SEGMENT_BYTES {
        return Segment::Any;
    }
    let bytes = segment.as_bytes();
    let Some(&first) = bytes.first() else {
        return Segment::Literal;
    };
    if first == b'{' {
        return placeholder_class(segment);
    }
    // A look at which bytes there are rules out most classes of most names.
    let there = Bytes::of(bytes);
    let is_number = there.has(Bytes::DIGIT);
    if is_number && is_int(bytes) {
        Segment::Int
    } else if is_number && is_hex(bytes) {
        Segment::Hex
    } else if is_uuid(bytes) {
        Segment::Uuid
    } else if is_number && is_date(bytes) {
        Segment::Date
    } else if there.has(Bytes::AT | Bytes::PERCENT) && is_email(segment) {
        Segment::Email
    } else if there.has(Bytes::DOT) && is_file(segment) {
        Segment::File
    } else if there.has(Bytes::PERCENT) && has_encoded_slash(bytes) {
        Segment::Any
    } else if !there.has(Bytes::NO_ID) && is_id(bytes) {
        Segment::Id
    } else {
        Segment::Literal
    }
}

#[inline]
fn placeholder_class(segment: &str) -> Segment {
    [
        Segment::Int,
        Segment::Uuid,
        Segment::Hex,
        Segment::Date,
        Segment::Email,
        Segment::Id,
        Segment::File,
        Segment::Any,
    ]
    .into_iter()
    .find(|class| class.placeholder() == Some(segment))
    .unwrap_or(Segment::Literal)
}

fn is_int(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn is_hex(bytes: &[u8]) -> bool {
    bytes.len() >= MIN_HEX_DIGITS
        && bytes.iter().all(u8::is_ascii_hexdigit)
        && bytes.iter().any(u8::is_ascii_digit)
}

fn is_uuid(bytes: &[u8]) -> bool {
    // Four hyphens in their places and 32 digits fill the 36 bytes; a count has no branches.
    bytes.len() == 36
        && [8, 13, 18, 23]
            .iter()
            .all(|&at| bytes.get(at) == Some(&b'-'))
        && bytes.iter().filter(|byte| byte.is_ascii_hexdigit()).count() == 32
}

fn is_date(bytes: &[u8]) -> bool {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else {
        return false;
    };
    let number = |tens: u8, ones: u8| (tens - b'0') * 10 + (ones - b'0');
    [y1, y2, y3, y4, m1, m2, d1, d2]
        .iter()
        .all(u8::is_ascii_digit)
        && (1..=12).contains(&number(m1, m2))
        && (1..=31).contains(&number(d1, d2))
}

fn is_email(segment: &str) -> bool {
    let Some((name, host)) = segment
        .split_once('@')
        .or_else(|| segment.split_once("%40"))
    else {
        return false;
    };
    let Some((domain, top)) = host.rsplit_once('.') else {
        return false;
    };
    !name.is_empty()
        && !name.contains(char::is_whitespace)
        && domain.split('.').all(is_host_label)
        && top.len() >= 2
        && top.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Longest extension of a file name, in bytes.
const MAX_EXTENSION: usize = 5;
/// Fewest digits of a number that makes a file name a value: `404.html` is a page.
const MIN_FILE_NUMBER: usize = 4;

fn is_file(segment: &str) -> bool {
    let Some((stem, extension)) = segment.rsplit_once('.') else {
        return false;
    };
    let is_extension = extension.len() <= MAX_EXTENSION
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && extension.starts_with(|first: char| first.is_ascii_alphabetic());
    is_extension
        && (has_version(stem.as_bytes())
            || stem.split('.').map(str::as_bytes).any(|part| {
                is_hex(part)
                    || is_uuid(part)
                    || is_date(part)
                    || (part.len() >= MIN_FILE_NUMBER && is_int(part))
                    || is_id(part)
            }))
}

/// Whether there is a version behind a name: `-1.0`, `_v2.13`, `@4.17.21`.
fn has_version(stem: &[u8]) -> bool {
    let mut rest = stem;
    while let Some(at) = rest
        .iter()
        .position(|byte| matches!(byte, b'-' | b'_' | b'@'))
    {
        rest = rest.get(at + 1..).unwrap_or_default();
        let number = rest.strip_prefix(b"v").unwrap_or(rest);
        let digits = number
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits > 0
            && number.get(digits) == Some(&b'.')
            && number.get(digits + 1).is_some_and(u8::is_ascii_digit)
        {
            return true;
        }
    }
    false
}

fn has_encoded_slash(bytes: &[u8]) -> bool {
    bytes
        .windows(3)
        .any(|three| three.eq_ignore_ascii_case(b"%2F"))
}

/// Whether the segment at `level` is a directory of two hexadecimal digits that was split off the
/// digest behind it: `/packages/3f/b2/0c…` for the digest `3fb20c…`, or `/objects/3f/3fb20c…`.
/// Two digits alone would be a value or a word: `/ad/7`, `/de/7`.
#[inline]
pub(super) fn is_of_digest(segments: &[&str], level: usize) -> bool {
    segments.get(level).is_some_and(|it| is_two_digits(it)) && has_digest(segments, level)
}

fn is_two_digits(segment: &str) -> bool {
    segment.len() == 2 && segment.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[inline(never)]
fn has_digest(segments: &[&str], level: usize) -> bool {
    let is_directory = |at: &usize| segments.get(*at).is_some_and(|it| is_two_digits(it));
    let behind = (level..).take_while(is_directory).count();
    let before = (0..level).rev().take_while(is_directory).count();
    let Some(digest) = segments.get(level + behind).map(|it| it.as_bytes()) else {
        return false;
    };
    let of_length = |bytes: usize| matches!(bytes, 32 | 40 | 64);
    let directories = segments.get(level - before..level + behind);
    let begins_so = || {
        let mut start = digest.chunks(2);
        directories.unwrap_or_default().iter().all(|it| {
            let two = start.next().unwrap_or_default();
            two.eq_ignore_ascii_case(it.as_bytes())
        })
    };
    is_hex(digest)
        && ((1..=before + behind).any(|split_off| of_length(digest.len() + 2 * split_off))
            || (of_length(digest.len()) && begins_so()))
}

/// ASCII letters, digits and hyphens, or anything beyond ASCII (internationalised hosts).
fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || !byte.is_ascii())
}

/// A raw `:path` cut into its segments, without allocation.
///
/// The query string and the fragment are cut off, and several slashes are one. Percent-encoding
/// stays as it is, so `/a` is one segment, `/a/` two and `/` a single empty one. A path that does
/// not start with a slash (`*`, `host:443`, rubbish) is one segment with its whole text.
pub(super) struct Segments<'a> {
    parts: [&'a str; MAX_SEGMENTS],
    len: usize,
    /// The path had no leading slash.
    pub(super) bare: bool,
    /// The path goes on beyond the segments held here.
    pub(super) more: bool,
    /// There is a `%` in it.
    pub(super) escaped: bool,
}

impl<'a> Segments<'a> {
    #[inline]
    pub(super) fn split(path: &'a str) -> Self {
        let mut segments = Self {
            parts: [""; MAX_SEGMENTS],
            len: 0,
            bare: !path.starts_with('/'),
            more: false,
            escaped: false,
        };
        let mut start = usize::from(!segments.bare);
        let mut end = path.len();
        for (at, byte) in path.bytes().enumerate().skip(start) {
            match byte {
                // Letters first: one comparison for most bytes.
                b'@'.. => {}
                b'/' if !segments.bare => {
                    let part = path.get(start..at).unwrap_or_default();
                    if !part.is_empty() && !segments.push(part) {
                        return segments;
                    }
                    start = at + 1;
                }
                b'%' => segments.escaped = true,
                b'?' | b'#' => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        segments.push(path.get(start..end).unwrap_or_default());
        segments
    }

    #[inline]
    fn push(&mut self, part: &'a str) -> bool {
        match self.parts.get_mut(self.len) {
            Some(slot) => {
                *slot = part;
                self.len += 1;
                true
            }
            None => {
                self.more = true;
                false
            }
        }
    }

    /// The segments, at most [`MAX_SEGMENTS`], at least one.
    #[inline]
    pub(super) fn as_slice(&self) -> &[&'a str] {
        self.parts.get(..self.len).unwrap_or_default()
    }
}

/// Longest path that [`unescape`] looks at, in bytes.
const MAX_ESCAPED_BYTES: usize = 4_096;

/// Writes a raw path into `text` with one spelling for what means the same (RFC 3986, 6.2.2): a
/// letter, a digit or one of `-._~` is not encoded, and other bytes are encoded in capitals. The
/// query string and the fragment are cut off. Gives whether that changed it; a path that is too
/// long stays as it is.
pub(super) fn unescape(path: &str, text: &mut String) -> bool {
    text.clear();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.len() > MAX_ESCAPED_BYTES {
        return false;
    }
    let mut parts = path.split('%');
    text.push_str(parts.next().unwrap_or_default());
    let mut changed = false;
    for part in parts {
        let escape = part
            .get(..2)
            .filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let Some((escape, byte)) =
            escape.and_then(|it| Some((it, u8::from_str_radix(it, 16).ok()?)))
        else {
            text.push('%');
            text.push_str(part);
            continue;
        };
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
            changed = true;
        } else {
            text.push('%');
            text.extend(escape.chars().map(|it| it.to_ascii_uppercase()));
            changed |= escape.bytes().any(|it| it.is_ascii_lowercase());
        }
        text.push_str(part.get(2..).unwrap_or_default());
    }
    changed
}
