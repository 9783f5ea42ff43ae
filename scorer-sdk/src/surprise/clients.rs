//! Who was counted how often in this epoch.
//!
//! A client has one of a fixed number of slots, by its hash. Two that share a slot share what
//! they may teach.

use crate::wire::codec::{CodecError, Reader, Writer};

/// Slots for clients.
const SLOTS: usize = 256;
/// A client may be counted this often in any case.
const LEAST_SHARE: f32 = 16.0;

/// The clients of one destination.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clients {
    counted: Vec<u32>,
    /// The most that one client is counted in this epoch.
    share: f32,
    /// Clients of the epoch before.
    before: u16,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            counted: vec![0; SLOTS],
            share: f32::INFINITY,
            before: 0,
        }
    }
}

impl Clients {
    /// Whether this exchange of a client may be counted.
    pub(super) fn admit(&mut self, client: u64) -> bool {
        let index = (client % SLOTS as u64) as usize;
        let Some(count) = self.counted.get_mut(index) else {
            return false;
        };
        if *count as f32 >= self.share {
            return false;
        }
        *count = count.saturating_add(1);
        true
    }

    /// From how many clients a value has to come until it is known: with few clients it cannot be
    /// many.
    pub(super) fn needed(&self) -> u32 {
        match self.before.max(self.present()) {
            0..=3 => 1,
            4..=15 => 2,
            _ => 3,
        }
    }

    fn present(&self) -> u16 {
        self.counted.iter().filter(|count| **count > 0).count() as u16
    }

    /// Ends the epoch.
    pub(super) fn end_epoch(&mut self) {
        let present = self.present();
        let counted: u64 = self.counted.iter().map(|count| u64::from(*count)).sum();
        if present > 0 {
            self.share = (2.0 * counted as f32 / f32::from(present)).max(LEAST_SHARE);
            self.before = present;
        }
        self.counted.fill(0);
    }

    /// Adds what another worker counted in the same epoch.
    pub(super) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counted.iter_mut().zip(&other.counted) {
            *mine = mine.saturating_add(*theirs);
        }
        self.share = self.share.min(other.share);
        self.before = self.before.max(other.before);
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.f32(self.share);
        writer.u16(self.before);
        for count in &self.counted {
            writer.u32(*count);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let share = reader.f32()?;
        if share.is_nan() || share < 0.0 {
            return Err(CodecError::Unknown {
                what: "share of a client",
                value: u64::from(share.to_bits()),
            });
        }
        let before = reader.u16()?;
        let mut counted = Vec::with_capacity(SLOTS);
        for _ in 0..SLOTS {
            counted.push(reader.u32()?);
        }
        Ok(Self {
            counted,
            share,
            before,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_counted_much_more_often_than_the_others() {
        let mut clients = Clients::default();
        let epoch = |clients: &mut Clients, flood: usize| {
            let mut admitted = 0;
            for client in 0..100 {
                for _ in 0..20 {
                    assert!(clients.admit(client));
                }
            }
            for _ in 0..flood {
                admitted += usize::from(clients.admit(200));
            }
            clients.end_epoch();
            admitted
        };
        epoch(&mut clients, 0);
        for _ in 0..10 {
            assert!(epoch(&mut clients, 100_000) <= 48);
        }
    }

    #[test]
    fn the_only_client_may_send_more_from_epoch_to_epoch() {
        let mut clients = Clients::default();
        for count in [5, 10, 20, 40] {
            for _ in 0..count {
                assert!(clients.admit(7));
            }
            clients.end_epoch();
        }
        assert_eq!(clients.needed(), 1);
    }
}
