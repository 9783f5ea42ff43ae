//! Values with their decayed counts, of which some are known and some only seen.

use super::value::Usual;
use crate::wire::codec::{CodecError, Reader, Writer};

/// The most that a value weighs before it is known.
const SEEN_WEIGHT: f32 = 1.0 / 16.0;
/// Counts below this are forgotten.
const NEGLIGIBLE: f32 = 0.02;

/// Who is counted, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness {
    /// The epoch.
    pub(super) epoch: u32,
    /// One bit of sixteen, by the client's hash.
    pub(super) client: u16,
    /// From how many clients a value has to come.
    pub(super) needed: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    token: u64,
    weight: f32,
    /// Clients it came from, a bit each; two clients may share one, so the count is a lower bound.
    clients: u16,
    first_epoch: u32,
    known: bool,
}

/// What became of a value that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// It was there.
    Old,
    /// It got a free slot.
    New,
    /// It took the slot of this token.
    Replaced(u64),
    /// There was no room.
    NoRoom,
}

/// The values of one feature, sorted by token.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Table {
    entries: Vec<Entry>,
    /// Sum of all weights.
    total: f64,
    /// How many are known.
    known: u32,
}

impl Table {
    fn find(&self, token: u64) -> Result<usize, usize> {
        self.entries
            .binary_search_by_key(&token, |entry| entry.token)
    }

    /// Counts a value. `limit` is the most values; `grow` says whether a new one may be added.
    pub(super) fn count(
        &mut self,
        token: u64,
        witness: Witness,
        limit: usize,
        grow: bool,
    ) -> Counted {
        match self.find(token) {
            Ok(index) => {
                if let Some(entry) = self.entries.get_mut(index) {
                    let before = (entry.weight, entry.known);
                    entry.weight += 1.0;
                    entry.clients |= witness.client;
                    entry.settle(witness);
                    self.total += f64::from(entry.weight) - f64::from(before.0);
                    self.known += u32::from(entry.known && !before.1);
                }
                Counted::Old
            }
            Err(index) => {
                let entry = Entry {
                    token,
                    weight: SEEN_WEIGHT,
                    clients: witness.client,
                    first_epoch: witness.epoch,
                    known: false,
                };
                if self.entries.len() < limit && grow {
                    self.entries.insert(index, entry);
                    self.total += f64::from(entry.weight);
                    return Counted::New;
                }
                // Room is made among what is only seen; what came from most clients stays longest.
                let weakest = self
                    .entries
                    .iter()
                    .enumerate()
                    .filter(|(_, entry)| !entry.known)
                    .min_by_key(|(_, entry)| (entry.clients.count_ones(), entry.first_epoch));
                let Some((weakest, old)) = weakest.map(|(at, old)| (at, *old)) else {
                    return Counted::NoRoom;
                };
                self.total += f64::from(entry.weight) - f64::from(old.weight);
                self.entries.remove(weakest);
                // What lay before the new one has one less.
                let index = index - usize::from(weakest < index);
                self.entries.insert(index, entry);
                Counted::Replaced(old.token)
            }
        }
    }

    /// `(c + D·parent) / (N + D)`.
    pub(super) fn probability(&self, token: u64, parent: f64) -> f64 {
        let known = f64::from(self.known.max(1));
        (self.weight(token) + known * parent) / (self.total + known)
    }

    /// As [`Table::probability`], without what a part of this table counted. The bounds of the two
    /// may have left out different tokens, so a difference can be below nothing.
    pub(super) fn probability_without(&self, part: &Self, token: u64, parent: f64) -> f64 {
        let known = f64::from(self.known.max(1));
        let total = (self.total - part.total).max(0.0);
        let weight = (self.weight(token) - part.weight(token)).clamp(0.0, total);
        (weight + known * parent) / (total + known)
    }

    fn weight(&self, token: u64) -> f64 {
        self.find(token)
            .ok()
            .and_then(|index| self.entries.get(index))
            .map_or(0.0, |entry| f64::from(entry.weight))
    }

    /// Sum of all weights.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// The known token with the largest count.
    pub(super) fn usual(&self) -> Option<Usual> {
        self.entries
            .iter()
            .filter(|entry| entry.known)
            .max_by(|a, b| a.weight.total_cmp(&b.weight))
            .map(|entry| Usual {
                token: entry.token,
                share: f64::from(entry.weight) / self.total.max(f64::MIN_POSITIVE),
            })
    }

    /// Tokens with their weights, in the order of the tokens.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, f64)> + '_ {
        self.entries
            .iter()
            .map(|entry| (entry.token, f64::from(entry.weight)))
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn contains(&self, token: u64) -> bool {
        self.find(token).is_ok()
    }

    /// Multiplies all counts by `keep` and forgets what is left of the smallest.
    pub(super) fn decay(&mut self, keep: f32) {
        for entry in &mut self.entries {
            entry.weight *= keep;
        }
        self.entries.retain(|entry| entry.weight >= NEGLIGIBLE);
        self.sum_up();
    }

    fn sum_up(&mut self) {
        self.total = self.iter().map(|item| item.1).sum();
        self.known = self.entries.iter().filter(|entry| entry.known).count() as u32;
    }

    /// Adds what another worker counted. `needed` is as in [`Witness`], `limit` the most values here,
    /// `room` how many new ones may be added in all.
    pub(super) fn merge(
        &mut self,
        other: &Self,
        epoch: u32,
        needed: u32,
        limit: usize,
        room: &mut usize,
    ) {
        for theirs in &other.entries {
            match self.find(theirs.token) {
                Ok(index) => {
                    if let Some(mine) = self.entries.get_mut(index) {
                        mine.weight += theirs.weight;
                        mine.known |= theirs.known;
                        mine.first_epoch = mine.first_epoch.min(theirs.first_epoch);
                        mine.clients |= theirs.clients;
                        mine.settle(Witness {
                            epoch,
                            client: theirs.clients,
                            needed,
                        });
                    }
                }
                Err(index) if self.entries.len() < limit && *room > 0 => {
                    *room -= 1;
                    self.entries.insert(index, *theirs);
                }
                Err(_) => {}
            }
        }
        self.sum_up();
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.length(self.entries.len());
        for entry in &self.entries {
            writer.u64(entry.token);
            writer.f32(entry.weight);
            writer.u16(entry.clients);
            writer.u32(entry.first_epoch);
            writer.u8(u8::from(entry.known));
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>, limit: usize) -> Result<Self, CodecError> {
        let mut table = Self::default();
        for _ in 0..reader.length(limit)? {
            let token = reader.u64()?;
            let weight = reader.f32()?;
            if !weight.is_finite() || weight < 0.0 {
                return Err(CodecError::Unknown {
                    what: "weight",
                    value: u64::from(weight.to_bits()),
                });
            }
            let entry = Entry {
                token,
                weight,
                clients: reader.u16()?,
                first_epoch: reader.u32()?,
                known: match reader.u8()? {
                    0 => false,
                    1 => true,
                    other => {
                        return Err(CodecError::Unknown {
                            what: "mark of a known value",
                            value: u64::from(other),
                        });
                    }
                },
            };
            match table.find(token) {
                Err(index) => table.entries.insert(index, entry),
                Ok(_) => {
                    return Err(CodecError::Unknown {
                        what: "token that comes twice",
                        value: token,
                    });
                }
            }
        }
        table.sum_up();
        Ok(table)
    }
}

impl Entry {
    /// Makes the value known when it has come in two epochs and from enough clients, and holds its
    /// weight down as long as it is not.
    fn settle(&mut self, witness: Witness) {
        let enough = self.clients.count_ones() >= witness.needed;
        self.known |= enough && self.first_epoch != witness.epoch;
        if !self.known {
            self.weight = self.weight.min(SEEN_WEIGHT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(epoch: u32, client: u32) -> Witness {
        Witness {
            epoch,
            client: 1 << client,
            needed: 3,
        }
    }

    #[test]
    fn probabilities_sum_to_one() {
        let mut table = Table::default();
        for epoch in 0..3 {
            for client in 0..4 {
                for token in 0..10 {
                    if token % (client + 1) == 0 {
                        table.count(u64::from(token), witness(epoch, client), 64, true);
                    }
                }
            }
        }
        let sum: f64 = (0..16)
            .map(|token| table.probability(token, 1.0 / 16.0))
            .sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn a_value_is_known_after_two_epochs_and_three_clients() {
        let known = |sightings: &[(u32, u32)]| {
            let mut table = Table::default();
            for (epoch, client) in sightings {
                table.count(5, witness(*epoch, *client), 64, true);
            }
            table.known == 1
        };
        assert!(known(&[(0, 0), (0, 1), (1, 2)]));
        assert!(!known(&[(0, 0), (0, 1), (0, 2)]));
        assert!(!known(&[(0, 0), (1, 0), (2, 0), (3, 1)]));
    }

    #[test]
    fn what_is_only_seen_makes_room_and_what_is_known_stays() {
        let mut table = Table::default();
        for epoch in 0..2 {
            for client in 0..3 {
                table.count(1, witness(epoch, client), 4, true);
            }
        }
        for token in 2..1000 {
            table.count(token, witness(2, 0), 4, true);
        }
        assert_eq!((table.len(), table.known), (4, 1));
        assert!(table.probability(1, 0.0) > 0.5);
    }
}
