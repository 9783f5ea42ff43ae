//! Exchanges in flight: a bounded slab, so that one that never ends is seen all the same.

use super::timing::Timing;
use scorer_sdk::Sampling;
use scorer_sdk::count::examples::Id;
use std::borrow::Cow;

/// Most exchanges in flight that one worker watches; the rest are counted when they end.
const MAX_IN_FLIGHT: usize = 8_192;

/// An exchange in flight.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// The stream.
    pub context_id: u32,
    /// When its parts came.
    pub timing: Timing,
    /// The response's status, once its headers have come.
    pub status: Option<u16>,
    /// Whether its latency was counted already.
    pub counted: bool,
    /// Microseconds of waiting before which there is nothing to be seen.
    pub not_before_us: u64,
    /// Request method.
    pub method: Cow<'static, str>,
    /// Request path.
    pub path: String,
    /// Stands for the session or the client, where a header tells of them.
    pub session: Option<u64>,
    /// Stands for the request that several attempts have in common.
    pub request: Option<u64>,
    /// Under which its log line or trace is found.
    pub id: Id,
    /// How exchanges were sampled when it came.
    pub sampling: Sampling,
}

/// All exchanges in flight of one worker.
#[derive(Debug, Default)]
pub struct Table {
    slots: Vec<Option<InFlight>>,
    free: Vec<u32>,
}

impl Table {
    /// Adds an exchange and gives its index; gives it back when the table is full.
    ///
    /// # Errors
    /// The exchange itself, when there is no room.
    pub fn add(&mut self, exchange: InFlight) -> Result<u32, Box<InFlight>> {
        if let Some(index) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(index as usize) {
                *slot = Some(exchange);
            }
            return Ok(index);
        }
        if self.slots.len() >= MAX_IN_FLIGHT {
            return Err(Box::new(exchange));
        }
        self.slots.push(Some(exchange));
        Ok((self.slots.len() - 1) as u32)
    }

    /// The exchange at an index.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<&InFlight> {
        self.slots.get(index as usize)?.as_ref()
    }

    /// The exchange at an index, to be changed.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut InFlight> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    /// Takes an exchange out.
    pub fn remove(&mut self, index: u32) -> Option<InFlight> {
        let taken = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(taken)
    }

    /// All exchanges in flight.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut InFlight> {
        self.slots.iter_mut().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn the_table_is_bounded_and_indices_are_used_again() {
        let exchange = |context_id| InFlight {
            context_id,
            timing: Timing::new(Duration::ZERO, true),
            status: None,
            counted: false,
            not_before_us: 0,
            method: Cow::Borrowed("GET"),
            path: String::new(),
            session: None,
            request: None,
            id: Id::default(),
            sampling: Sampling::ALL,
        };
        let mut table = Table::default();
        let indices: Vec<u32> = (0..MAX_IN_FLIGHT as u32)
            .map(|id| table.add(exchange(id)).unwrap())
            .collect();
        assert!(table.add(exchange(0)).is_err());
        assert_eq!(table.remove(indices[7]).unwrap().context_id, 7);
        assert!(table.remove(indices[7]).is_none());
        assert_eq!(table.add(exchange(1)).unwrap(), indices[7]);
        assert_eq!(table.iter_mut().count(), MAX_IN_FLIGHT);
    }
}
