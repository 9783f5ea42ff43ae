//! Bytes for shared data: little-endian, versioned by their owner, every length bounded.
//!
//! What comes out of shared data may have been written by another version of the module or by
//! another plugin, so a [`Reader`] never trusts a length: it is checked against the caller's bound
//! and against the bytes that are left before anything is allocated.
//!
//! The pairs of `encode` and `decode` are written by hand. serde with postcard was measured in their
//! place: 526 lines less and a delta half as long, but a module that is 4.3 % larger, an `encode`
//! that takes twice the time, errors that do not say what was wrong, and bounds that are absent
//! wherever a field's attribute is forgotten. Here a list cannot be read without its limit.

use core::fmt;

/// Why bytes could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes ended before the value did.
    Truncated,
    /// A length is above the bound that its owner gave.
    TooLong {
        /// The length that the bytes claim.
        length: usize,
        /// The most that the owner accepts.
        limit: usize,
    },
    /// A text is not UTF-8.
    NotText,
    /// A tag, version or number is not one that the decoder knows.
    Unknown {
        /// What was being decoded.
        what: &'static str,
        /// The value that was found.
        value: u64,
    },
    /// What was written under other settings, and must not be continued under these.
    OtherSettings,
    /// Bytes are left over after the last value.
    TrailingBytes(usize),
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end too early"),
            Self::TooLong { length, limit } => {
                write!(f, "a length of {length} is above the limit of {limit}")
            }
            Self::NotText => f.write_str("a text is not UTF-8"),
            Self::Unknown { what, value } => write!(f, "unknown {what} {value}"),
            Self::OtherSettings => f.write_str(
                "the config before had another rollout name, or other signals or tolerances",
            ),
            Self::TrailingBytes(count) => write!(f, "{count} bytes are left over"),
        }
    }
}

impl core::error::Error for CodecError {}

/// What could not be read of a value whose other parts could.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Damage {
    /// Parts that were left out.
    pub parts: u64,
    /// Why the first of them was.
    pub first: Option<CodecError>,
}

impl Damage {
    /// Notes a part that was left out.
    pub fn note(&mut self, error: CodecError) {
        self.add(Self {
            parts: 1,
            first: Some(error),
        });
    }

    /// Adds what could not be read of another value.
    pub fn add(&mut self, other: Self) {
        self.parts = self.parts.saturating_add(other.parts);
        self.first = self.first.or(other.first);
    }

    /// Refuses `value` unless all of it was read.
    ///
    /// # Errors
    /// Why the first part was left out.
    pub fn refuse<T>(self, value: T) -> Result<T, CodecError> {
        self.first.map_or(Ok(value), Err)
    }
}

/// Room of a writer that has just begun, in bytes.
const FIRST_ROOM: usize = 64;

/// Appends values to bytes.
#[derive(Debug, Default)]
pub struct Writer {
    /// What was written, and zeros where there is room. A state has a hundred thousand numbers, and to
    /// put one into its place costs a quarter of what it costs to lengthen a vector by it.
    bytes: Vec<u8>,
    /// Bytes written so far.
    length: usize,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for so many bytes, so that it need not grow step by step.
    #[must_use]
    pub fn with_room(bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes],
            length: 0,
        }
    }

    /// The bytes written so far.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.length);
        self.bytes
    }

    /// Puts bytes into their place.
    #[inline]
    fn put<const N: usize>(&mut self, value: [u8; N]) {
        let place = self
            .bytes
            .get_mut(self.length..)
            .and_then(<[u8]>::first_chunk_mut::<N>);
        match place {
            Some(place) => {
                *place = value;
                self.length += N;
            }
            None => self.put_slice(&value),
        }
    }

    /// Puts bytes into their place, for which it makes room where there is none.
    #[inline(never)]
    fn put_slice(&mut self, value: &[u8]) {
        let end = self.length.saturating_add(value.len());
        if end > self.bytes.len() {
            let room = end.max(self.bytes.len().saturating_mul(2)).max(FIRST_ROOM);
            self.bytes.resize(room, 0);
        }
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(value);
            self.length = end;
        }
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.put([value]);
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) {
        self.put(value.to_le_bytes());
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) {
        self.put(value.to_le_bytes());
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.put(value.to_le_bytes());
    }

    /// Appends a single-precision float.
    pub fn f32(&mut self, value: f32) {
        self.put(value.to_le_bytes());
    }

    /// Appends a double-precision float.
    pub fn f64(&mut self, value: f64) {
        self.put(value.to_le_bytes());
    }

    /// Appends a number of items that follow; more than `u32::MAX` cannot be written and is cut.
    pub fn length(&mut self, length: usize) {
        self.u32(u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// Appends the number of items, then each item as `write` does.
    pub fn list<T>(&mut self, items: &[T], write: impl Fn(&T, &mut Self)) {
        self.length(items.len());
        items.iter().for_each(|item| write(item, self));
    }

    /// Appends whether there is a value, then the value as `write` does.
    pub fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&T, &mut Self)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            write(value, self);
        }
    }

    /// Appends what `write` does as a part of its own, with its length in bytes: a reader that does
    /// not understand it can go on behind it. A part of more than `u32::MAX` bytes cannot be read.
    pub fn part(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.length;
        self.length(0);
        write(self);
        let length = self.length.saturating_sub(start + size_of::<u32>());
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        if let Some((head, _)) = self
            .bytes
            .get_mut(start..)
            .and_then(<[u8]>::split_first_chunk_mut)
        {
            *head = length;
        }
    }

    /// Appends the number of items, then each item as a part.
    pub fn parts<T>(&mut self, items: &[T], write: impl Fn(&T, &mut Self)) {
        self.list(items, |item, writer| {
            writer.part(|writer| write(item, writer));
        });
    }

    /// Appends bytes as they are, without their length.
    pub fn bytes(&mut self, value: &[u8]) {
        self.put_slice(value);
    }

    /// Appends a text with its length.
    pub fn text(&mut self, value: &str) {
        self.length(value.len());
        self.put_slice(value.as_bytes());
    }
}

/// Takes values from the front of a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (head, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(CodecError::Truncated)?;
        self.bytes = rest;
        Ok(*head)
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`CodecError::Truncated`] when too few bytes are left; so for all that follow.
    pub fn u8(&mut self) -> Result<u8, CodecError> {
        let [byte] = self.take()?;
        Ok(byte)
    }

    /// Takes two bytes.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    pub fn u16(&mut self) -> Result<u16, CodecError> {
        Ok(u16::from_le_bytes(self.take()?))
    }

    /// Takes four bytes.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    pub fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    /// Takes eight bytes.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    pub fn u64(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// Takes a single-precision float.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    pub fn f32(&mut self) -> Result<f32, CodecError> {
        Ok(f32::from_le_bytes(self.take()?))
    }

    /// Takes a double-precision float.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    pub fn f64(&mut self) -> Result<f64, CodecError> {
        Ok(f64::from_le_bytes(self.take()?))
    }

    /// Takes a double-precision float that is finite; `what` names it in the error.
    ///
    /// # Errors
    /// As [`Reader::u8`], and [`CodecError::Unknown`] with the float's bits.
    pub fn finite(&mut self, what: &'static str) -> Result<f64, CodecError> {
        let value = self.f64()?;
        if value.is_finite() {
            return Ok(value);
        }
        Err(CodecError::Unknown {
            what,
            value: value.to_bits(),
        })
    }

    /// Takes a number of items, at most `limit`, each of at least one byte.
    ///
    /// # Errors
    /// [`CodecError::TooLong`] above the limit, [`CodecError::Truncated`] when fewer bytes are left
    /// than items are claimed.
    pub fn length(&mut self, limit: usize) -> Result<usize, CodecError> {
        let length = self.u32()? as usize;
        if length > limit {
            return Err(CodecError::TooLong { length, limit });
        }
        if length > self.bytes.len() {
            return Err(CodecError::Truncated);
        }
        Ok(length)
    }

    /// Takes at most `limit` items, each as `read` does. Memory grows with the items that are
    /// read, not with the number that the bytes claim.
    ///
    /// # Errors
    /// As [`Reader::length`], and those of `read`.
    pub fn list<T>(
        &mut self,
        limit: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        let mut items = Vec::new();
        for _ in 0..self.length(limit)? {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// Takes what [`Writer::option`] wrote; any other byte than 0 says that a value follows.
    ///
    /// # Errors
    /// As [`Reader::u8`], and those of `read`.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Option<T>, CodecError> {
        match self.u8()? {
            0 => Ok(None),
            _ => read(self).map(Some),
        }
    }

    /// Takes a part, for a reader of its own.
    ///
    /// # Errors
    /// As [`Reader::u8`].
    pub fn part(&mut self) -> Result<Self, CodecError> {
        let length = self.length(usize::MAX)?;
        let (head, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(CodecError::Truncated)?;
        self.bytes = rest;
        Ok(Self::new(head))
    }

    /// Takes at most `limit` parts, each as `read` does. A part that `read` refuses, or does not use
    /// up, is left out and noted in `damage`.
    ///
    /// # Errors
    /// As [`Reader::length`], when the parts themselves cannot be told apart.
    pub fn parts<T>(
        &mut self,
        limit: usize,
        damage: &mut Damage,
        mut read: impl FnMut(&mut Self) -> Result<T, CodecError>,
    ) -> Result<Vec<T>, CodecError> {
        let mut items = Vec::new();
        for _ in 0..self.length(limit)? {
            let mut part = self.part()?;
            match read(&mut part).and_then(|item| part.finish().map(|()| item)) {
                Ok(item) => items.push(item),
                Err(error) => damage.note(error),
            }
        }
        Ok(items)
    }

    /// Takes a text of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Reader::length`], and [`CodecError::NotText`].
    pub fn text(&mut self, limit: usize) -> Result<&'a str, CodecError> {
        let length = self.length(limit)?;
        let (head, rest) = self
            .bytes
            .split_at_checked(length)
            .ok_or(CodecError::Truncated)?;
        self.bytes = rest;
        core::str::from_utf8(head).map_err(|_| CodecError::NotText)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`CodecError::TrailingBytes`] when bytes are left over.
    pub fn finish(self) -> Result<(), CodecError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(CodecError::TrailingBytes(left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_little_endian_and_fixed() {
        let mut writer = Writer::new();
        writer.u8(1);
        writer.u16(0x0203);
        writer.u32(0x0405_0607);
        writer.u64(0x08);
        writer.f64(1.5);
        writer.text("ü");
        let bytes = writer.into_bytes();
        let expected = [
            1, 3, 2, 7, 6, 5, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 2, 0, 0, 0,
            0xc3, 0xbc,
        ];
        assert_eq!(bytes, expected);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.u8(), Ok(1));
        assert_eq!(reader.u16(), Ok(0x0203));
        assert_eq!(reader.u32(), Ok(0x0405_0607));
        assert_eq!(reader.u64(), Ok(8));
        assert_eq!(reader.f64(), Ok(1.5));
        assert_eq!(reader.text(2), Ok("ü"));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn lists_and_options_come_back_and_a_long_list_is_refused() {
        let mut writer = Writer::new();
        writer.list(&[7, 8], |item, writer| writer.u16(*item));
        writer.option(Some(&9), |item, writer| writer.u8(*item));
        writer.option(None, |item, writer| writer.u8(*item));
        let bytes = writer.into_bytes();
        assert_eq!(bytes, [2, 0, 0, 0, 7, 0, 8, 0, 1, 9, 0]);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.list(2, Reader::u16), Ok(vec![7, 8]));
        assert_eq!(reader.option(Reader::u8), Ok(Some(9)));
        assert_eq!(reader.option(Reader::u8), Ok(None));
        assert_eq!(reader.finish(), Ok(()));
        let too_long = CodecError::TooLong {
            length: 2,
            limit: 1,
        };
        assert_eq!(Reader::new(&bytes).list(1, Reader::u16), Err(too_long));
        assert_eq!(
            Reader::new(&bytes[..7]).list(2, Reader::u16),
            Err(CodecError::Truncated)
        );
    }

    #[test]
    fn a_part_that_cannot_be_read_costs_itself_alone() {
        let mut writer = Writer::new();
        writer.parts(&["one", "too long", "two"], |text, writer| {
            writer.text(text);
        });
        writer.u8(7);
        let bytes = writer.into_bytes();
        let mut damage = Damage::default();
        let mut reader = Reader::new(&bytes);
        let texts = reader.parts(3, &mut damage, |reader| reader.text(3));
        assert_eq!(texts, Ok(vec!["one", "two"]));
        let too_long = CodecError::TooLong {
            length: 8,
            limit: 3,
        };
        assert_eq!((damage.parts, damage.first), (1, Some(too_long)));
        assert_eq!(damage.refuse(()), Err(too_long));
        assert_eq!((reader.u8(), reader.finish()), (Ok(7), Ok(())));
        // What is left over in a part is damage as well.
        let mut damage = Damage::default();
        let numbers = Reader::new(&bytes).parts(3, &mut damage, Reader::u32);
        assert_eq!((numbers, damage.parts), (Ok(vec![]), 3));
        for end in 0..bytes.len() - 1 {
            let mut reader = Reader::new(&bytes[..end]);
            assert!(reader.parts(3, &mut damage, |_| Ok(())).is_err());
        }
    }

    #[test]
    fn a_float_that_is_not_finite_is_refused_with_its_name_and_bits() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let unknown = CodecError::Unknown {
                what: "sum",
                value: value.to_bits(),
            };
            let bytes = value.to_le_bytes();
            assert_eq!(Reader::new(&bytes).finite("sum"), Err(unknown));
        }
        let bytes = (-1.5_f64).to_le_bytes();
        assert_eq!(Reader::new(&bytes).finite("sum"), Ok(-1.5));
        assert_eq!(
            Reader::new(&bytes[..7]).finite("sum"),
            Err(CodecError::Truncated)
        );
    }

    #[test]
    fn a_length_is_checked_before_anything_is_allocated() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 1];
        let too_long = CodecError::TooLong {
            length: 0xffff_ffff,
            limit: 10,
        };
        assert_eq!(Reader::new(&bytes).length(10), Err(too_long));
        assert_eq!(
            Reader::new(&bytes).length(usize::MAX),
            Err(CodecError::Truncated)
        );
        assert_eq!(
            Reader::new(&[1, 0, 0, 0, 0xff]).text(9),
            Err(CodecError::NotText)
        );
        assert_eq!(
            Reader::new(&bytes).finish(),
            Err(CodecError::TrailingBytes(5))
        );
        assert_eq!(Reader::new(&[]).u8(), Err(CodecError::Truncated));
    }

    #[test]
    fn what_is_written_is_the_same_with_and_without_room_for_it() {
        let written = |mut writer: Writer| {
            writer.u8(1);
            writer.parts(&[2_u16, 3], |item, writer| writer.u16(*item));
            for number in 0..100 {
                writer.u64(number);
                writer.f32(0.5);
                writer.text(&"x".repeat(number as usize));
            }
            writer.into_bytes()
        };
        let bytes = written(Writer::new());
        assert_eq!(bytes.len(), 1 + 4 + 2 * (4 + 2) + 100 * (8 + 4 + 4) + 4_950);
        for room in [0, 1, 7, bytes.len() - 1, bytes.len(), 10_000] {
            assert_eq!(written(Writer::with_room(room)), bytes, "room for {room}");
        }
        assert!(Writer::with_room(100).into_bytes().is_empty());
    }
}
