//! Path segments: which of them are values (ids, dates, addresses) rather than names.
//!
//! A value in a path would make every request a route of its own, so a segment that is
//! recognisably a value is replaced by its class. The rules look at the text alone, take one pass
//! each, and prefer to miss: a value that is not recognised is still caught by
//! [`PathTree`](super::PathTree) when too many siblings of it turn up.

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
    /// `{x}`: any segment, where a node has collapsed or the segment is too long to look at.
    Any,
    /// `**`: all that follows, where a path is deeper than the tree. Never a single segment's
    /// class.
    Rest,
}

impl Segment {
    /// How many classes there are beside [`Segment::Literal`].
    pub(super) const CLASSES: usize = 7;

    /// What stands in the template text for this class; `None` for a literal.
    pub const fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Literal => None,
            Self::Int => Some("{int}"),
            Self::Uuid => Some("{uuid}"),
            Self::Hex => Some("{hex}"),
            Self::Date => Some("{date}"),
            Self::Email => Some("{email}"),
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
        }
    }
}

/// The class of one segment (no slash in it), by the rules on [`Segment`]'s variants.
///
/// A segment that is itself a placeholder (`{int}`) is of that class: a template's text, fed back
/// as a path, gives the same template, and no literal can look like a class.
#[inline]
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
    if is_int(bytes) {
        Segment::Int
    } else if is_hex(bytes) {
        Segment::Hex
    } else if is_uuid(bytes) {
        Segment::Uuid
    } else if is_date(bytes) {
        Segment::Date
    } else if is_email(segment) {
        Segment::Email
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
    // Checked byte by byte first: nearly every literal ends here, and a search for two patterns
    // costs more than the rest of the walk.
    if !segment.bytes().any(|byte| byte == b'@' || byte == b'%') {
        return false;
    }
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

/// ASCII letters, digits and hyphens, or anything beyond ASCII (internationalised hosts).
fn is_host_label(label: &str) -> bool {
    !label.is_empty()
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || !byte.is_ascii())
}

/// A raw `:path` cut into its segments, without allocation.
///
/// The query string and the fragment are cut off. Empty segments and percent-encoding stay as they
/// are, so `/a` is one segment, `/a/` two and `/` a single empty one. A path that does not start
/// with a slash (`*`, `host:443`, rubbish) is one segment with its whole text.
pub(super) struct Segments<'a> {
    parts: [&'a str; MAX_SEGMENTS],
    len: usize,
    /// The path had no leading slash.
    pub(super) bare: bool,
    /// The path goes on beyond the segments held here.
    pub(super) more: bool,
}

impl<'a> Segments<'a> {
    #[inline]
    pub(super) fn split(path: &'a str) -> Self {
        let mut segments = Self {
            parts: [""; MAX_SEGMENTS],
            len: 0,
            bare: !path.starts_with('/'),
            more: false,
        };
        let mut start = usize::from(!segments.bare);
        let mut end = path.len();
        for (at, byte) in path.bytes().enumerate().skip(start) {
            match byte {
                // Letters first: one comparison for most bytes.
                b'@'.. => {}
                b'/' if !segments.bare => {
                    if !segments.push(path.get(start..at).unwrap_or_default()) {
                        return segments;
                    }
                    start = at + 1;
                }
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
