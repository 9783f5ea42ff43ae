//! Values from the bytes of the fuzzer. Beyond their end all is zero and empty.

/// Takes values from the front.
#[derive(Clone)]
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        *byte
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Any number: small ones in two bytes, the extremes in one.
    pub(crate) fn u64(&mut self) -> u64 {
        match self.byte() {
            0xff => u64::MAX,
            shift @ 0x80.. => u64::from(self.u16()) << (shift & 63),
            small => u64::from(small),
        }
    }

    pub(crate) fn optional_u64(&mut self) -> Option<u64> {
        (self.byte() & 1 == 1).then(|| self.u64())
    }

    /// Up to 255 bytes, which begin with their number.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.bytes.len());
        let (head, rest) = self.bytes.split_at_checked(length).unwrap_or_default();
        self.bytes = rest;
        head
    }

    /// Such bytes as a text: to its first byte that is no UTF-8.
    pub(crate) fn text(&mut self) -> &'a str {
        valid_prefix(self.bytes())
    }

    /// What is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes
    }
}

/// The bytes to the first that is no UTF-8.
pub(crate) fn valid_prefix(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

/// The bytes in chunks whose lengths `seed` chooses: from one byte to 32.
pub(crate) fn chunks(mut bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    // Xorshift (Marsaglia 2003): zero is its one fixed point.
    let mut random = seed | 1;
    let mut chunks = Vec::new();
    while !bytes.is_empty() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let length = (1 + (random % 32) as usize).min(bytes.len());
        let (head, rest) = bytes.split_at_checked(length).unwrap_or_default();
        chunks.push(head);
        bytes = rest;
    }
    chunks
}
