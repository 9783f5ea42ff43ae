//! What gzip (RFC 1952) puts around DEFLATE: a header, and the sum and the length of the content.

/// The bytes with which a member begins.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];
const METHOD_DEFLATE: u8 = 8;
/// Bytes of the header that are always there.
const FIXED: u8 = 10;
/// Flags: a sum of the header, further fields, a name, a comment.
const HEADER_SUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
/// Flags that do not exist.
const RESERVED: u8 = 0b1110_0000;

/// What a byte of the header has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// More of it has to come.
    Part,
    /// The header is complete.
    Whole,
    /// It is none.
    Wrong,
}

/// The part of the header that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Fixed,
    ExtraLength,
    Extra,
    Name,
    Comment,
    Sum,
}

/// The header of one member, read byte by byte: it is short, and nothing of it is kept.
#[derive(Debug, Clone)]
pub(super) struct Header {
    part: Part,
    /// Bytes of the part that have come.
    come: u8,
    flags: u8,
    /// Bytes of the further fields that are missing.
    extra: u16,
}

impl Header {
    /// Before the first byte.
    pub(super) fn new() -> Self {
        Self {
            part: Part::Fixed,
            come: 0,
            flags: 0,
            extra: 0,
        }
    }

    /// Whether not even the bytes by which gzip is known have come.
    pub(super) fn is_before_magic(&self) -> bool {
        self.part == Part::Fixed && usize::from(self.come) < MAGIC.len()
    }

    /// The next byte.
    pub(super) fn byte(&mut self, byte: u8) -> Parsed {
        match self.part {
            Part::Fixed => {
                let is_right = match self.come {
                    0 => byte == MAGIC[0],
                    1 => byte == MAGIC[1],
                    2 => byte == METHOD_DEFLATE,
                    3 => {
                        self.flags = byte;
                        byte & RESERVED == 0
                    }
                    // The time, the effort and the system.
                    _ => true,
                };
                if !is_right {
                    return Parsed::Wrong;
                }
                self.come += 1;
                if self.come < FIXED {
                    return Parsed::Part;
                }
            }
            Part::ExtraLength => {
                self.extra |= u16::from(byte) << (8 * self.come);
                self.come += 1;
                if self.come < 2 {
                    return Parsed::Part;
                }
            }
            Part::Extra => {
                self.extra -= 1;
                if self.extra > 0 {
                    return Parsed::Part;
                }
            }
            Part::Name | Part::Comment => {
                if byte != 0 {
                    return Parsed::Part;
                }
            }
            Part::Sum => {
                self.come += 1;
                if self.come < 2 {
                    return Parsed::Part;
                }
            }
        }
        self.next_part()
    }

    /// Goes on to the next part that there is.
    fn next_part(&mut self) -> Parsed {
        self.come = 0;
        loop {
            let (next, is_there) = match self.part {
                Part::Fixed => (Part::ExtraLength, self.flags & EXTRA != 0),
                Part::ExtraLength => (Part::Extra, self.extra > 0),
                Part::Extra => (Part::Name, self.flags & NAME != 0),
                Part::Name => (Part::Comment, self.flags & COMMENT != 0),
                Part::Comment => (Part::Sum, self.flags & HEADER_SUM != 0),
                Part::Sum => return Parsed::Whole,
            };
            self.part = next;
            if is_there {
                return Parsed::Part;
            }
        }
    }
}

/// The sum and the length of a member's content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    crc: u32,
    length: u32,
}

impl Sum {
    /// Of nothing.
    pub(super) fn new() -> Self {
        Self { crc: !0, length: 0 }
    }

    /// Adds content.
    pub(super) fn add(&mut self, content: &[u8]) {
        // The length is told modulo 2^32.
        self.length = self.length.wrapping_add(content.len() as u32);
        self.crc = content.iter().fold(self.crc, |crc, byte| {
            let entry = TABLE.get(usize::from(crc as u8 ^ byte));
            entry.copied().unwrap_or_default() ^ (crc >> 8)
        });
    }

    /// As a member ends: CRC-32 and length, least significant byte first.
    pub(super) fn trailer(self) -> [u8; 8] {
        let bytes = u64::from(!self.crc) | u64::from(self.length) << 32;
        bytes.to_le_bytes()
    }
}

/// CRC-32 of each byte: the polynomial of ISO 3309, as gzip has it, reflected.
static TABLE: [u32; 256] = table();

#[allow(
    clippy::indexing_slicing,
    reason = "evaluated when it is compiled, and the index is below the length"
)]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_standard() {
        let mut sum = Sum::new();
        sum.add(b"1234");
        sum.add(b"56789");
        let expected = [0x26, 0x39, 0xf4, 0xcb, 9, 0, 0, 0];
        assert_eq!(sum.trailer(), expected);
    }

    #[test]
    fn a_header_ends_after_the_parts_that_its_flags_name() {
        let parts: [(u8, &[u8]); 5] = [
            (0, b""),
            (EXTRA, &[3, 0, 1, 2, 3]),
            (NAME, b"name\0"),
            (COMMENT, b"\0"),
            (HEADER_SUM, &[1, 2]),
        ];
        for flags in 0..32 {
            let mut header = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
            for (flag, bytes) in parts {
                if flags & flag != 0 {
                    header.extend(bytes);
                }
            }
            let (last, rest) = header.split_last().unwrap();
            let mut parser = Header::new();
            for byte in rest {
                assert_eq!(parser.byte(*byte), Parsed::Part, "{flags:b}");
            }
            assert_eq!(parser.byte(*last), Parsed::Whole, "{flags:b}");
        }
        let without_extra = [0x1f, 0x8b, 8, EXTRA, 0, 0, 0, 0, 0, 3, 0, 0];
        let mut parser = Header::new();
        let parsed = without_extra.map(|byte| parser.byte(byte));
        assert_eq!(parsed.last(), Some(&Parsed::Whole));
        for wrong in [&[0x1fu8, 0x8c][..], &[0x1f, 0x8b, 7], &[0x1f, 0x8b, 8, 64]] {
            let mut parser = Header::new();
            let parsed: Vec<_> = wrong.iter().map(|byte| parser.byte(*byte)).collect();
            assert_eq!(parsed.last(), Some(&Parsed::Wrong), "{wrong:?}");
        }
    }
}
