//! What is in a memory, as bytes and back.

use super::MAX_WRITTEN_BYTES;
use super::roles::Roles;
use super::route::RememberedRoute;
use crate::drift::Seasons;
use crate::limits::MAX_ROUTES;
use crate::route::Collapses;
use crate::wire::codec::{CodecError, Reader, Writer};

/// What was learned of a destination.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// Which version is what.
    pub roles: Roles,
    /// The factors of hour and weekday, where drift is watched.
    pub seasons: Option<Box<Seasons>>,
    /// Where the path trees have collapsed.
    pub collapses: Collapses,
    /// What the baseline showed on each route; the busiest first.
    pub routes: Vec<RememberedRoute>,
    /// Routes that were left out, because there was no room for them.
    pub left_out: u64,
}

impl Memory {
    /// Puts the busiest routes first.
    pub(crate) fn sort(&mut self) {
        crate::order::sort_by(&mut self.routes, |one, other| {
            other
                .weight()
                .total_cmp(&one.weight())
                .then_with(|| one.key.cmp(&other.key))
        });
    }

    /// Appends it, with as many of the routes as there is room for.
    pub fn encode(&self, writer: &mut Writer) {
        let mut head = Writer::new();
        self.roles.encode(&mut head);
        head.option(self.seasons.as_deref(), Seasons::encode);
        self.collapses.encode(&mut head);
        let head = head.into_bytes();
        let mut room = MAX_WRITTEN_BYTES.saturating_sub(head.len());
        let mut routes: Vec<Vec<u8>> = Vec::new();
        for route in self.routes.iter().take(MAX_ROUTES) {
            let mut part = Writer::new();
            route.encode(&mut part);
            let part = part.into_bytes();
            let Some(rest) = room.checked_sub(part.len() + size_of::<u32>()) else {
                break;
            };
            room = rest;
            routes.push(part);
        }
        let more = self.routes.len().saturating_sub(routes.len()) as u64;
        writer.bytes(&head);
        writer.u64(self.left_out.saturating_add(more));
        writer.parts(&routes, |part, writer| writer.bytes(part));
    }

    /// Reads what [`Memory::encode`] wrote, up to the last byte.
    ///
    /// # Errors
    /// When the bytes are not such a memory.
    pub fn decode(mut reader: Reader<'_>) -> Result<Self, CodecError> {
        let reader = &mut reader;
        let mut memory = Self {
            roles: Roles::decode(reader)?,
            seasons: reader.option(Seasons::decode)?.map(Box::new),
            collapses: Collapses::decode(reader)?,
            left_out: reader.u64()?,
            routes: Vec::new(),
        };
        for _ in 0..reader.length(MAX_ROUTES)? {
            let mut part = reader.part()?;
            memory.routes.push(RememberedRoute::decode(&mut part)?);
            part.finish()?;
        }
        reader.clone().finish()?;
        Ok(memory)
    }
}
