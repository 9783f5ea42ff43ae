//! Features of one route, or of all routes of a destination, and the past of their surprise.

use super::past::Past;
use super::settings::{Limits, MOST_FEATURES, MOST_TOKENS};
use super::table::Table;
use super::value::Stage;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Features of one route, or of all routes of the destination, and the past of their surprise.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Behaviour {
    /// Sorted by feature.
    features: Vec<(u64, Table)>,
    /// One for each stage.
    pasts: [Past; Stage::ALL.len()],
}

impl Behaviour {
    /// The past of what is known at this stage.
    pub(super) fn past(&self, stage: Stage) -> &Past {
        let [headers, end] = &self.pasts;
        match stage {
            Stage::Headers => headers,
            Stage::End => end,
        }
    }

    pub(super) fn past_mut(&mut self, stage: Stage) -> &mut Past {
        let [headers, end] = &mut self.pasts;
        match stage {
            Stage::Headers => headers,
            Stage::End => end,
        }
    }

    pub(super) fn table(&self, feature: u64) -> Option<&Table> {
        let index = self
            .features
            .binary_search_by_key(&feature, |item| item.0)
            .ok()?;
        self.features.get(index).map(|item| &item.1)
    }

    /// The table of a feature, made when there is room for one more.
    pub(super) fn table_mut(&mut self, feature: u64, limit: usize) -> Option<&mut Table> {
        let index = match self.features.binary_search_by_key(&feature, |item| item.0) {
            Ok(index) => index,
            Err(index) if self.features.len() < limit => {
                self.features.insert(index, (feature, Table::default()));
                index
            }
            Err(_) => return None,
        };
        self.features.get_mut(index).map(|item| &mut item.1)
    }

    pub(super) fn tokens(&self) -> usize {
        self.features.iter().map(|item| item.1.len()).sum()
    }

    pub(super) fn decay(&mut self, keep: f32) {
        for (_, table) in &mut self.features {
            table.decay(keep);
        }
        self.features.retain(|item| !item.1.is_empty());
        self.pasts.iter_mut().for_each(|past| past.decay(keep));
    }

    pub(super) fn merge(
        &mut self,
        other: &Self,
        epoch: u32,
        needed: u32,
        limits: Limits,
        room: &mut usize,
    ) {
        for (feature, table) in &other.features {
            if let Some(mine) = self.table_mut(*feature, limits.features) {
                mine.merge(table, epoch, needed, limits.tokens, room);
            }
        }
        for (past, other) in self.pasts.iter_mut().zip(&other.pasts) {
            past.merge(other, epoch, needed);
        }
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.length(self.features.len());
        for (feature, table) in &self.features {
            writer.u64(*feature);
            table.encode(writer);
        }
        self.pasts.iter().for_each(|past| past.encode(writer));
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut features: Vec<(u64, Table)> = Vec::new();
        for _ in 0..reader.length(MOST_FEATURES)? {
            let feature = reader.u64()?;
            ascending(features.last().map(|item| item.0), feature)?;
            features.push((feature, Table::decode(reader, MOST_TOKENS)?));
        }
        Ok(Self {
            features,
            pasts: [Past::decode(reader)?, Past::decode(reader)?],
        })
    }
}

pub(super) fn ascending(before: Option<u64>, key: u64) -> Result<(), CodecError> {
    match before {
        Some(before) if before >= key => Err(CodecError::Unknown {
            what: "key out of order",
            value: key,
        }),
        _ => Ok(()),
    }
}
