//! A push tokenizer for JSON, as strict as RFC 8259: chunks with any borders go in, structure comes
//! out, and no value is ever kept.
//!
//! Why not a crate: actson 2.1 (MIT, maintained), the one push parser at hand, took 2.3 to 3.8 ns
//! per byte natively before anything was done with its events. It goes byte by byte through one
//! table and copies every value into a buffer without a bound, because its users want the values.
//! Here a string's end is looked for eight bytes at a time, and only a key that straddles two chunks
//! or has escapes is copied, up to the bound of its length.

use super::Kind;
use super::scan;

/// Nesting beyond which a body is given up: well above any that programs write on purpose.
const MAX_NESTING: u16 = 512;

/// What a body's structure is told to.
pub(super) trait Visitor {
    /// A value begins; it belongs to the last key, or to the array around it. Objects and arrays
    /// stay open until [`Visitor::close`].
    fn value(&mut self, kind: Kind);

    /// The innermost object or array ends.
    fn close(&mut self);

    /// If `bytes`, which follow a key's opening quote, are the key that usually comes here and its
    /// closing quote: takes it as [`Visitor::key`] would and tells its length without the quote.
    fn expected_key(&mut self, bytes: &[u8]) -> Option<usize>;

    /// A key, its escapes resolved.
    fn key(&mut self, key: &[u8]);

    /// A key longer than the bound.
    fn long_key(&mut self);
}

/// Why a body is not looked at any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Not JSON.
    Malformed,
    /// Nested deeper than [`MAX_NESTING`].
    TooDeep,
}

/// How a body looked at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing but white space.
    Empty,
    /// Complete.
    Whole,
    /// It ends in the middle.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a document.
    Start,
    /// After a document.
    Ended,
    /// A value has to come.
    Value,
    /// After `[`.
    FirstElement,
    /// After `{`.
    FirstKey,
    /// After a comma in an object.
    NextKey,
    Colon,
    /// After a value that is inside of something.
    After,
    /// In a string: a value or, if `in_key`, a key that is copied.
    Text,
    Escape,
    Hex,
    Literal,
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

/// The tokenizer's state between two chunks.
#[derive(Debug)]
pub(super) struct Tokenizer {
    state: State,
    /// Whether documents may follow each other, one a line.
    lines: bool,
    documents: u32,
    /// Objects (1) and arrays (0) that are open, from the outermost on.
    levels: [u64; (MAX_NESTING / 64) as usize],
    depth: u16,
    in_object: bool,
    /// What has to follow of `true`, `false` or `null`.
    literal: &'static [u8],
    hex_left: u8,
    hex: u16,
    in_key: bool,
    key: Vec<u8>,
    key_is_long: bool,
    /// A high surrogate in a key that waits for its low one.
    high: Option<u16>,
    max_key_bytes: usize,
}

impl Tokenizer {
    pub(super) fn new(lines: bool, max_key_bytes: usize) -> Self {
        Self {
            state: State::Start,
            lines,
            documents: 0,
            levels: [0; (MAX_NESTING / 64) as usize],
            depth: 0,
            in_object: false,
            literal: b"",
            hex_left: 0,
            hex: 0,
            in_key: false,
            key: Vec::new(),
            key_is_long: false,
            high: None,
            max_key_bytes,
        }
    }

    /// Documents that have begun.
    pub(super) fn documents(&self) -> u32 {
        self.documents
    }

    /// How the body looks if it ends here.
    pub(super) fn end(&self) -> End {
        match self.state {
            State::Start if self.documents == 0 => End::Empty,
            State::Start | State::Ended => End::Whole,
            State::Zero | State::Integer | State::Fraction | State::ExponentDigits
                if self.depth == 0 =>
            {
                End::Whole
            }
            _ => End::Cut,
        }
    }

    /// Goes on with the next chunk.
    ///
    /// # Errors
    /// When the body is given up; nothing may be fed after that.
    pub(super) fn feed(&mut self, bytes: &[u8], to: &mut impl Visitor) -> Result<(), Stop> {
        let mut rest = bytes;
        let mut state = self.state;
        loop {
            state = match state {
                State::Start => match token(&mut rest) {
                    None => break,
                    Some(byte) => {
                        self.documents = self.documents.saturating_add(1);
                        self.value(byte, to)?
                    }
                },
                State::Value => match token(&mut rest) {
                    None => break,
                    Some(byte) => self.value(byte, to)?,
                },
                State::FirstElement => match token(&mut rest) {
                    None => break,
                    Some(b']') => self.close(to),
                    Some(byte) => self.value(byte, to)?,
                },
                State::FirstKey | State::NextKey => match token(&mut rest) {
                    None => break,
                    Some(b'"') => self.key(&mut rest, to)?,
                    Some(b'}') if state == State::FirstKey => self.close(to),
                    Some(_) => return Err(Stop::Malformed),
                },
                State::Colon => match token(&mut rest) {
                    None => break,
                    Some(b':') => State::Value,
                    Some(_) => return Err(Stop::Malformed),
                },
                State::After => match token(&mut rest) {
                    None => break,
                    Some(b',') if self.in_object => State::NextKey,
                    Some(b',') => State::Value,
                    Some(b'}') if self.in_object => self.close(to),
                    Some(b']') if !self.in_object => self.close(to),
                    Some(_) => return Err(Stop::Malformed),
                },
                State::Ended => match take(&mut rest) {
                    None => break,
                    Some(b'\n') if self.lines => State::Start,
                    Some(b' ' | b'\t' | b'\r' | b'\n') => State::Ended,
                    Some(_) => return Err(Stop::Malformed),
                },
                State::Text => {
                    let (text, tail) = rest.split_at_checked(scan::plain(rest)).unwrap_or_default();
                    rest = tail;
                    if self.in_key {
                        self.copy_key(text);
                    }
                    match take(&mut rest) {
                        None => break,
                        Some(b'"') if self.in_key => self.end_key(to),
                        Some(b'"') => self.after(),
                        Some(b'\\') => State::Escape,
                        Some(_) => return Err(Stop::Malformed),
                    }
                }
                State::Escape => match take(&mut rest) {
                    None => break,
                    Some(b'u') => {
                        (self.hex, self.hex_left) = (0, 4);
                        State::Hex
                    }
                    Some(byte) => {
                        let meant = unescape(byte).ok_or(Stop::Malformed)?;
                        if self.in_key {
                            self.copy_key(&[meant]);
                        }
                        State::Text
                    }
                },
                State::Hex => match take(&mut rest) {
                    None => break,
                    Some(byte) => {
                        let digit = (byte as char).to_digit(16).ok_or(Stop::Malformed)?;
                        self.hex = self.hex << 4 | digit as u16;
                        self.hex_left -= 1;
                        if self.hex_left > 0 {
                            State::Hex
                        } else {
                            if self.in_key {
                                self.copy_unit(self.hex);
                            }
                            State::Text
                        }
                    }
                },
                State::Literal => {
                    let count = rest.len().min(self.literal.len());
                    let (found, tail) = rest.split_at_checked(count).unwrap_or_default();
                    let (meant, left) = self.literal.split_at_checked(count).unwrap_or_default();
                    if found != meant {
                        return Err(Stop::Malformed);
                    }
                    (rest, self.literal) = (tail, left);
                    if !left.is_empty() {
                        break;
                    }
                    self.after()
                }
                State::Minus => match take(&mut rest) {
                    None => break,
                    Some(b'0') => State::Zero,
                    Some(b'1'..=b'9') => State::Integer,
                    Some(_) => return Err(Stop::Malformed),
                },
                State::Zero => match rest.split_first() {
                    None => break,
                    Some((&byte, tail)) => self.after_integer(byte, tail, &mut rest),
                },
                State::Integer => match digits(&mut rest) {
                    None => break,
                    Some((byte, tail)) => self.after_integer(byte, tail, &mut rest),
                },
                State::Point => match take(&mut rest) {
                    None => break,
                    Some(b'0'..=b'9') => State::Fraction,
                    Some(_) => return Err(Stop::Malformed),
                },
                State::Fraction => match digits(&mut rest) {
                    None => break,
                    Some((b'e' | b'E', tail)) => {
                        rest = tail;
                        State::Exponent
                    }
                    Some(_) => self.after(),
                },
                State::Exponent => match take(&mut rest) {
                    None => break,
                    Some(b'+' | b'-') => State::ExponentSign,
                    Some(b'0'..=b'9') => State::ExponentDigits,
                    Some(_) => return Err(Stop::Malformed),
                },
                State::ExponentSign => match take(&mut rest) {
                    None => break,
                    Some(b'0'..=b'9') => State::ExponentDigits,
                    Some(_) => return Err(Stop::Malformed),
                },
                State::ExponentDigits => match digits(&mut rest) {
                    None => break,
                    Some(_) => self.after(),
                },
            };
        }
        self.state = state;
        Ok(())
    }

    /// A value whose first byte is `byte`.
    #[inline(always)]
    fn value(&mut self, byte: u8, to: &mut impl Visitor) -> Result<State, Stop> {
        let (kind, state) = match byte {
            b'"' => (Kind::String, State::Text),
            b'{' => (Kind::Object, State::FirstKey),
            b'[' => (Kind::Array, State::FirstElement),
            b'1'..=b'9' => (Kind::Number, State::Integer),
            b'0' => (Kind::Number, State::Zero),
            b'-' => (Kind::Number, State::Minus),
            b't' => (Kind::Boolean, self.literal(b"rue")),
            b'f' => (Kind::Boolean, self.literal(b"alse")),
            b'n' => (Kind::Null, self.literal(b"ull")),
            _ => return Err(Stop::Malformed),
        };
        to.value(kind);
        if matches!(kind, Kind::Object | Kind::Array) {
            self.open(kind == Kind::Object)?;
        }
        Ok(state)
    }

    fn literal(&mut self, rest: &'static [u8]) -> State {
        self.literal = rest;
        State::Literal
    }

    fn open(&mut self, object: bool) -> Result<(), Stop> {
        let level = self
            .levels
            .get_mut(usize::from(self.depth / 64))
            .ok_or(Stop::TooDeep)?;
        let bit = 1 << (self.depth % 64);
        *level = if object { *level | bit } else { *level & !bit };
        self.depth += 1;
        self.in_object = object;
        Ok(())
    }

    fn close(&mut self, to: &mut impl Visitor) -> State {
        to.close();
        self.depth -= 1;
        let around = self.depth.saturating_sub(1);
        let level = self.levels.get(usize::from(around / 64));
        self.in_object = level.is_some_and(|level| level >> (around % 64) & 1 == 1);
        self.after()
    }

    /// The state after a value.
    #[inline(always)]
    fn after(&self) -> State {
        if self.depth == 0 {
            State::Ended
        } else {
            State::After
        }
    }

    /// The state after a number's integer part, which `byte` follows.
    #[inline(always)]
    fn after_integer<'a>(&self, byte: u8, tail: &'a [u8], rest: &mut &'a [u8]) -> State {
        match byte {
            b'.' => {
                *rest = tail;
                State::Point
            }
            b'e' | b'E' => {
                *rest = tail;
                State::Exponent
            }
            _ => self.after(),
        }
    }

    /// A key after its opening quote.
    #[inline(always)]
    fn key(&mut self, rest: &mut &[u8], to: &mut impl Visitor) -> Result<State, Stop> {
        if let Some(length) = to.expected_key(rest) {
            *rest = rest.get(length + 1..).unwrap_or_default();
            return Ok(State::Colon);
        }
        let (key, tail) = rest.split_at_checked(scan::plain(rest)).unwrap_or_default();
        match tail.split_first() {
            Some((b'"', tail)) => {
                *rest = tail;
                if key.len() > self.max_key_bytes {
                    to.long_key();
                } else {
                    to.key(key);
                }
                Ok(State::Colon)
            }
            Some((b'\\', _)) | None => {
                self.in_key = true;
                self.key.clear();
                self.key_is_long = false;
                Ok(State::Text)
            }
            Some(_) => Err(Stop::Malformed),
        }
    }

    fn end_key(&mut self, to: &mut impl Visitor) -> State {
        self.flush_high();
        self.in_key = false;
        if self.key_is_long {
            to.long_key();
        } else {
            to.key(&self.key);
        }
        State::Colon
    }

    fn copy_key(&mut self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        self.flush_high();
        self.push_key(text);
    }

    fn push_key(&mut self, text: &[u8]) {
        if self.key_is_long || self.key.len() + text.len() > self.max_key_bytes {
            self.key_is_long = true;
        } else {
            self.key.extend_from_slice(text);
        }
    }

    /// A UTF-16 unit of a key. A surrogate without its other half counts as U+FFFD.
    fn copy_unit(&mut self, unit: u16) {
        let high = self.high.take();
        if matches!(unit, 0xd800..0xdc00) {
            self.high = high;
            self.flush_high();
            self.high = Some(unit);
            return;
        }
        for decoded in char::decode_utf16(high.into_iter().chain([unit])) {
            let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            self.push_key(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn flush_high(&mut self) {
        if self.high.take().is_some() {
            self.push_key("\u{fffd}".as_bytes());
        }
    }
}

#[inline(always)]
fn take(rest: &mut &[u8]) -> Option<u8> {
    let (byte, tail) = rest.split_first()?;
    *rest = tail;
    Some(*byte)
}

/// The next byte that is no white space.
#[inline(always)]
fn token(rest: &mut &[u8]) -> Option<u8> {
    loop {
        match take(rest)? {
            b' ' | b'\n' | b'\r' | b'\t' => {}
            byte => return Some(byte),
        }
    }
}

/// Goes past digits; the byte that ends them is left in place and shown with what follows it.
#[inline(always)]
fn digits<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    loop {
        let (byte, tail) = rest.split_first()?;
        if !byte.is_ascii_digit() {
            return Some((*byte, tail));
        }
        *rest = tail;
    }
}

fn unescape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' | b'/' => byte,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        _ => return None,
    })
}
