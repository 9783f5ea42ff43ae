//! A header map as the host writes it.
//!
//! The layout: the number of headers; for each the lengths of its name and its value; then for each
//! its name and its value, with a zero byte after either. Numbers are `u32`, little endian.

use core::iter::FusedIterator;

/// Bytes of a number.
const NUMBER: usize = 4;

/// A header map in one buffer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Vec<u8>,
}

impl Headers {
    /// A map that a host wrote. Any bytes will do: what is no header is not there.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Writes a map, as a host does.
    #[must_use]
    pub fn of<'a>(headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let (mut count, mut lengths, mut texts) = (0, Vec::new(), Vec::new());
        for (name, value) in headers {
            count += 1;
            for text in [name, value] {
                lengths.extend(number(text.len()));
                texts.extend(text);
                texts.push(0);
            }
        }
        let bytes = [&number(count)[..], &lengths, &texts].concat();
        Self { bytes }
    }

    /// The headers, in their order: names in lower case, as the host gives them, and values. Ends
    /// before the first header that is not wholly there.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        Pairs::read(&self.bytes).unwrap_or_default()
    }

    /// Whether there is no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}

/// The headers of a map: names and values.
#[derive(Debug, Clone, Default)]
pub struct Pairs<'a> {
    /// Of the headers that are left.
    lengths: &'a [u8],
    texts: &'a [u8],
}

impl<'a> Pairs<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (count, rest) = number(bytes)?;
        let (lengths, texts) = rest.split_at_checked(count.checked_mul(2 * NUMBER)?)?;
        Some(Self { lengths, texts })
    }

    fn header(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        Some((self.text()?, self.text()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let (length, lengths) = number(self.lengths)?;
        let (text, rest) = self.texts.split_at_checked(length)?;
        self.lengths = lengths;
        self.texts = rest.get(1..)?;
        Some(text)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = self.header();
        if header.is_none() {
            *self = Self::default();
        }
        header
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.lengths.len() / (2 * NUMBER)))
    }
}

impl FusedIterator for Pairs<'_> {}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<NUMBER>()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Header<'a> = (&'a [u8], &'a [u8]);

    const SAMPLE: [Header<'_>; 4] = [
        (b":path", b"/cart/7?q=1"),
        (b"x-empty", b""),
        (b"", b"no name"),
        (b"x-bytes", b"\0\xff\xfe\0"),
    ];

    #[test]
    fn what_a_host_writes_is_read_back() {
        let headers = Headers::of(SAMPLE);
        assert_eq!(headers.iter().collect::<Vec<_>>(), SAMPLE);
        assert!(Headers::of([]).is_empty());
        assert!(Headers::default().is_empty());
    }

    #[test]
    fn the_layout_is_that_of_the_abi() {
        let headers = Headers::of([(&b"ab"[..], &b"c"[..])]);
        let layout = b"\x01\0\0\0\x02\0\0\0\x01\0\0\0ab\0c\0".to_vec();
        assert_eq!(headers, Headers::from_bytes(layout));
    }

    #[test]
    fn a_buffer_that_is_cut_off_gives_the_headers_before_the_cut() {
        let whole = Headers::of(SAMPLE).bytes;
        for end in 0..whole.len() {
            let cut = Headers::from_bytes(whole[..end].to_vec());
            let found: Vec<Header<'_>> = cut.iter().collect();
            assert!(found.len() < SAMPLE.len(), "{end}");
            assert_eq!(found, SAMPLE[..found.len()], "{end}");
        }
    }

    #[test]
    fn lengths_that_lie_end_the_map() {
        let whole = Headers::of(SAMPLE).bytes;
        for place in (0..4 + 8 * SAMPLE.len()).step_by(4) {
            for lie in [u32::MAX, u32::MAX / 8, 1 << 31, 1_000_000] {
                let mut bytes = whole.clone();
                bytes[place..place + 4].copy_from_slice(&lie.to_le_bytes());
                assert!(Headers::from_bytes(bytes).iter().count() < SAMPLE.len());
            }
        }
    }
}
