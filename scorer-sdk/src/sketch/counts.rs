//! Sorted lists of codes with their counts.

use crate::wire::codec::{CodecError, Reader, Writer};

/// Most distinct codes that a list holds; every signal stays below it by construction (41 powers of
/// two with 16 buckets each; statuses; tables of names).
pub const MAX_CODES: usize = 1200;

/// Whole counts: what a tally holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    items: Vec<(u16, u32)>,
}

impl Counts {
    /// Adds `count` to `code`. Above [`MAX_CODES`] distinct codes a new one is left out.
    #[inline]
    pub fn add(&mut self, code: u16, count: u32) {
        match self.items.binary_search_by_key(&code, |item| item.0) {
            Ok(index) => {
                if let Some(item) = self.items.get_mut(index) {
                    item.1 = item.1.saturating_add(count);
                }
            }
            Err(index) if self.items.len() < MAX_CODES => self.items.insert(index, (code, count)),
            Err(_) => {}
        }
    }

    /// Codes with their counts, in the order of the codes.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.items.iter().copied()
    }

    /// Sum of all counts.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.items.iter().map(|item| u64::from(item.1)).sum()
    }

    /// Sum of the counts whose code satisfies `predicate`.
    pub fn total_where(&self, predicate: impl Fn(u16) -> bool) -> u64 {
        self.iter()
            .filter(|item| predicate(item.0))
            .map(|item| u64::from(item.1))
            .sum()
    }

    /// The count of one code.
    #[must_use]
    pub fn get(&self, code: u16) -> u32 {
        self.items
            .binary_search_by_key(&code, |item| item.0)
            .ok()
            .and_then(|index| self.items.get(index))
            .map_or(0, |item| item.1)
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Forgets all counts and keeps the memory.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Writes the list.
    pub fn encode(&self, writer: &mut Writer) {
        writer.length(self.items.len());
        for (code, count) in self.iter() {
            writer.u16(code);
            writer.u32(count);
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// When the bytes are not such a list.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut counts = Self::default();
        for _ in 0..reader.length(MAX_CODES)? {
            counts.add(reader.u16()?, reader.u32()?);
        }
        Ok(counts)
    }
}

/// Decayed counts: the past of one arm. Each block is multiplied in with weight one and loses a
/// fixed share with every later block.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DecayedCounts {
    items: Vec<(u16, f32)>,
}

/// Decayed counts below this are dropped: they no longer move any share that is asked for.
const NEGLIGIBLE: f32 = 1e-3;

impl DecayedCounts {
    /// Multiplies every count by `keep` (0 to 1), then adds `block`.
    pub fn decay_and_add(&mut self, keep: f32, block: &Counts) {
        for item in &mut self.items {
            item.1 *= keep;
        }
        self.items.retain(|item| item.1 >= NEGLIGIBLE);
        for (code, count) in block.iter() {
            self.add(code, count as f32);
        }
    }

    /// Adds `count` to `code`.
    pub fn add(&mut self, code: u16, count: f32) {
        match self.items.binary_search_by_key(&code, |item| item.0) {
            Ok(index) => {
                if let Some(item) = self.items.get_mut(index) {
                    item.1 += count;
                }
            }
            Err(index) if self.items.len() < MAX_CODES => self.items.insert(index, (code, count)),
            Err(_) => {}
        }
    }

    /// Codes with their counts, in the order of the codes.
    pub fn iter(&self) -> impl Iterator<Item = (u16, f32)> + '_ {
        self.items.iter().copied()
    }

    /// Sum of all counts.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.items.iter().map(|item| f64::from(item.1)).sum()
    }

    /// The count of one code.
    #[must_use]
    pub fn get(&self, code: u16) -> f64 {
        self.items
            .binary_search_by_key(&code, |item| item.0)
            .ok()
            .and_then(|index| self.items.get(index))
            .map_or(0.0, |item| f64::from(item.1))
    }

    /// The code at quantile `q` (0 to 1): the smallest code with at least `q` of the total at or
    /// below it; `None` when empty.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u16> {
        let goal = self.total() * q;
        let mut sum = 0.0;
        for (code, count) in self.iter() {
            sum += f64::from(count);
            if sum >= goal {
                return Some(code);
            }
        }
        self.items.last().map(|item| item.0)
    }

    /// Writes the list.
    pub fn encode(&self, writer: &mut Writer) {
        writer.length(self.items.len());
        for (code, count) in self.iter() {
            writer.u16(code);
            writer.f32(count);
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// When the bytes are not such a list, or a count is not a finite, positive number.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut counts = Self::default();
        for _ in 0..reader.length(MAX_CODES)? {
            let code = reader.u16()?;
            let count = reader.f32()?;
            if !count.is_finite() || count < 0.0 {
                return Err(CodecError::Unknown {
                    what: "count",
                    value: u64::from(count.to_bits()),
                });
            }
            counts.add(code, count);
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_survive_the_codec() {
        let mut counts = Counts::default();
        for code in [7, 3, 900, 3] {
            counts.add(code, 2);
        }
        let mut writer = Writer::new();
        counts.encode(&mut writer);
        let bytes = writer.into_bytes();
        assert_eq!(Counts::decode(&mut Reader::new(&bytes)), Ok(counts));
        assert!(Counts::decode(&mut Reader::new(&bytes[..bytes.len() - 1])).is_err());
    }

    #[test]
    fn a_quantile_is_the_smallest_code_that_reaches_it() {
        let mut past = DecayedCounts::default();
        for code in 1..=100 {
            past.add(code, 1.0);
        }
        assert_eq!(past.quantile(0.5), Some(50));
        assert_eq!(past.quantile(0.99), Some(99));
        assert_eq!(DecayedCounts::default().quantile(0.5), None);
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let (mut past, mut block) = (DecayedCounts::default(), Counts::default());
        past.add(1, 1.0);
        block.add(2, 1);
        for _ in 0..200 {
            past.decay_and_add(0.9, &block);
        }
        assert_eq!(past.get(1), 0.0);
        assert!((past.total() - 10.0).abs() < 0.1);
    }
}
