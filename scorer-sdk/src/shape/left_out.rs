//! Bodies that were to be looked at and whose shape is unknown all the same.

use crate::wire::codec::{CodecError, Reader, Writer};

/// Why the shape of a body is unknown. It is no regression, whatever the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum LeftOut {
    /// Its `content-encoding` is `br`, which is not undone.
    Brotli,
    /// Its `content-encoding` is `zstd`, which is not undone.
    Zstd,
    /// It has another `content-encoding`, or several.
    OtherEncoding,
    /// Too many bodies were being decompressed.
    Busy,
    /// It cannot be decompressed: it is broken, or it ends too early.
    Damaged,
    /// It is not of the format that its content type names.
    Malformed,
    /// It exceeds a limit: of bytes, of nesting or of paths.
    TooLarge,
}

impl LeftOut {
    /// All reasons.
    pub const ALL: [Self; 7] = [
        Self::Brotli,
        Self::Zstd,
        Self::OtherEncoding,
        Self::Busy,
        Self::Damaged,
        Self::Malformed,
        Self::TooLarge,
    ];

    /// The name of the reason, for a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::OtherEncoding => "other_encoding",
            Self::Busy => "busy",
            Self::Damaged => "damaged",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
        }
    }
}

/// How many bodies were left out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOutCounts([u32; LeftOut::ALL.len()]);

impl LeftOutCounts {
    /// Counts one body; a count too large for 32 bits stays at the largest.
    pub fn count(&mut self, reason: LeftOut) {
        if let Some(count) = self.0.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// The reasons that there were, and how many bodies each has.
    pub fn items(&self) -> impl Iterator<Item = (LeftOut, u32)> + '_ {
        let items = LeftOut::ALL.into_iter().zip(self.0);
        items.filter(|(_, count)| *count > 0)
    }

    /// Whether no body was left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes the counts: one byte where there are none.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.option((!self.is_empty()).then_some(&self.0), |counts, writer| {
            counts.iter().for_each(|count| writer.u32(*count));
        });
    }

    /// Reads the counts.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let counts = reader.option(|reader| {
            let mut counts = Self::default();
            for count in &mut counts.0 {
                *count = reader.u32()?;
            }
            Ok(counts)
        })?;
        Ok(counts.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_they_were_written() {
        let mut counts = LeftOutCounts::default();
        for expected in 0..3 {
            let mut writer = Writer::new();
            counts.encode(&mut writer);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            assert_eq!(LeftOutCounts::decode(&mut reader), Ok(counts));
            assert_eq!(reader.finish(), Ok(()));
            let found: Vec<_> = counts.items().collect();
            let all = [(LeftOut::Zstd, expected), (LeftOut::TooLarge, expected)];
            assert_eq!(found, all.get(..if expected > 0 { 2 } else { 0 }).unwrap());
            counts.count(LeftOut::Zstd);
            counts.count(LeftOut::TooLarge);
        }
    }

    #[test]
    fn each_reason_has_its_own_place_and_name() {
        for (index, reason) in LeftOut::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
            let same = LeftOut::ALL
                .iter()
                .filter(|other| other.name() == reason.name());
            assert_eq!(same.count(), 1);
        }
    }
}
