//! Bounded tables of names: a name's index in the table is its code; what comes after the table is
//! full is [`OTHER`].

use crate::wire::codec::{CodecError, Reader, Writer};

/// Most names of one signal on one route.
pub const MAX_NAMES: usize = 64;
/// Longest name in bytes; a longer one is cut at a character's border.
pub const MAX_NAME_BYTES: usize = 1024;
/// The code of all names that found no room.
pub const OTHER: u16 = MAX_NAMES as u16;

/// Names in the order in which they were first seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameTable {
    names: Vec<String>,
}

impl NameTable {
    /// The code of `name`, which gets the next free index when it is new; [`OTHER`] when there is
    /// none.
    pub fn code(&mut self, name: &str) -> u16 {
        let name = cut(name, MAX_NAME_BYTES);
        if let Some(index) = self.names.iter().position(|known| known == name) {
            return index as u16;
        }
        if self.names.len() >= MAX_NAMES {
            return OTHER;
        }
        self.names.push(name.to_owned());
        (self.names.len() - 1) as u16
    }

    /// The name of `code`.
    #[must_use]
    pub fn name(&self, code: u16) -> Option<&str> {
        self.names.get(usize::from(code)).map(String::as_str)
    }

    /// All names with their codes.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &str)> {
        (0..).zip(self.names.iter().map(String::as_str))
    }

    /// How many names the table holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether the table holds no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Writes the table.
    pub fn encode(&self, writer: &mut Writer) {
        writer.list(&self.names, |name, writer| writer.text(name));
    }

    /// Reads a table.
    ///
    /// # Errors
    /// When the bytes are not such a table.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let name = |reader: &mut Reader<'_>| reader.text(MAX_NAME_BYTES).map(str::to_owned);
        Ok(Self {
            names: reader.list(MAX_NAMES, name)?,
        })
    }
}

/// The start of `text`: as many whole characters as fit into `most` bytes.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_table_are_other() {
        let mut table = NameTable::default();
        for number in 0..MAX_NAMES {
            assert_eq!(usize::from(table.code(&number.to_string())), number);
        }
        assert_eq!(table.code("one too many"), OTHER);
        assert_eq!(table.code("5"), 5);
        assert_eq!(table.name(OTHER), None);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let mut table = NameTable::default();
        let code = table.code(&"ü".repeat(1000));
        assert_eq!(table.name(code).map(str::len), Some(MAX_NAME_BYTES));
    }
}
