//! Where path trees have collapsed, so that another tree names the same paths the same way.

use super::segment::{MAX_SEGMENT_BYTES, Segment};
use crate::route::key::MAX_PART_BYTES;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Most nodes that are told.
const MAX_COLLAPSES: usize = 128;
/// Most names that stand for themselves below one of them.
const MAX_NAMES: usize = 128;

/// One node that has collapsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Collapse {
    /// The template that ends there, such as `/users`; empty for the root.
    pub(super) prefix: String,
    /// Whether unknown names there are `{id}`, and not `{x}`.
    pub(super) is_id: bool,
    /// Names that stand for themselves, in order.
    pub(super) names: Vec<String>,
}

impl Collapse {
    /// What an unknown name is.
    pub(super) fn value(&self) -> Segment {
        if self.is_id {
            Segment::Id
        } else {
            Segment::Any
        }
    }

    fn encode(&self, writer: &mut Writer) {
        writer.text(&self.prefix);
        writer.u8(u8::from(self.is_id));
        writer.list(&self.names, |name, writer| writer.text(name));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            prefix: reader.text(MAX_PART_BYTES)?.to_owned(),
            is_id: reader.u8()? == 1,
            names: reader.list(MAX_NAMES, |reader| {
                reader.text(MAX_SEGMENT_BYTES).map(str::to_owned)
            })?,
        })
    }
}

/// Nodes that have collapsed, by their prefix. What there is no room for is left out: a tree then
/// learns it by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collapses(Vec<Collapse>);

impl Collapses {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Collapse> {
        self.0.iter()
    }

    /// Adds a node, or what is known of it.
    pub(super) fn add(&mut self, collapse: &Collapse) {
        if collapse.prefix.len() > MAX_PART_BYTES {
            return;
        }
        let at = self
            .0
            .binary_search_by(|known| known.prefix.cmp(&collapse.prefix));
        let known = match at {
            Ok(at) => self.0.get_mut(at),
            Err(_) if self.0.len() >= MAX_COLLAPSES => None,
            Err(at) => {
                let empty = Collapse {
                    names: Vec::new(),
                    ..collapse.clone()
                };
                self.0.insert(at, empty);
                self.0.get_mut(at)
            }
        };
        let Some(known) = known else {
            return;
        };
        known.is_id &= collapse.is_id;
        for name in &collapse.names {
            if let Err(at) = known.names.binary_search(name)
                && known.names.len() < MAX_NAMES
            {
                known.names.insert(at, name.clone());
            }
        }
    }

    /// Adds what others know. Whether anything was new.
    pub fn merge(&mut self, others: &Self) -> bool {
        let before = self.clone();
        others.0.iter().for_each(|collapse| self.add(collapse));
        *self != before
    }

    /// Appends them.
    pub fn encode(&self, writer: &mut Writer) {
        writer.list(&self.0, Collapse::encode);
    }

    /// Reads what [`Collapses::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are not such a list.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut collapses = Self::default();
        for _ in 0..reader.length(MAX_COLLAPSES)? {
            collapses.add(&Collapse::decode(reader)?);
        }
        Ok(collapses)
    }
}
