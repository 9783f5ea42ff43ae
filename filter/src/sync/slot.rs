//! One slot of the mailbox: a worker's deltas that nobody has acknowledged, each with a number and
//! as a part of its own, so that one that cannot be read costs itself alone.

use core::time::Duration;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::wire::codec::{CodecError, Damage, Reader, Writer};

/// Most deltas in a slot: streams that outlive their config hand in one each.
pub(super) const MAX_DELTAS: usize = 1_024;

/// What the leader finds in a slot.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// When it was written, in milliseconds since the Unix epoch.
    pub(super) written_ms: u64,
    /// The largest number of a delta, those included that could not be read.
    pub(super) last_number: u64,
    /// Deltas that were not merged yet.
    pub(super) deltas: Vec<Delta>,
    /// What could not be read.
    pub(super) damage: Damage,
}

/// Writes the deltas of `owner` with their numbers, [`MAX_DELTAS`] at most. They take about `room`
/// bytes.
pub(super) fn write<'a>(
    (owner, room): (u64, usize),
    now: Duration,
    waiting: impl ExactSizeIterator<Item = (u64, &'a Delta)>,
) -> Vec<u8> {
    let mut writer = Writer::with_room(room);
    writer.u64(owner);
    writer.u64(now.as_millis() as u64);
    writer.length(waiting.len().min(MAX_DELTAS));
    for (number, delta) in waiting.take(MAX_DELTAS) {
        writer.u64(number);
        writer.part(|writer| delta.encode(writer));
    }
    writer.into_bytes()
}

/// Reads what is new in the slot of `owner`, whose deltas up to the number `merged` have been merged.
/// `None` where the slot is empty or still holds what the owner before has left.
///
/// # Errors
/// When the bytes are not a slot.
pub(super) fn read(bytes: &[u8], owner: u64, merged: u64) -> Result<Option<Content>, CodecError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader::new(bytes);
    let found = reader.u64()?;
    let mut content = Content {
        written_ms: reader.u64()?,
        ..Content::default()
    };
    let count = reader.length(MAX_DELTAS)?;
    if let Err(error) = read_deltas(reader, count, merged, &mut content) {
        content.damage.note(error);
    }
    match content.damage.first {
        _ if found == owner => Ok(Some(content)),
        Some(error) => Err(error),
        None => Ok(None),
    }
}

fn read_deltas(
    mut reader: Reader<'_>,
    count: usize,
    merged: u64,
    content: &mut Content,
) -> Result<(), CodecError> {
    for _ in 0..count {
        let number = reader.u64()?;
        let mut part = reader.part()?;
        content.last_number = content.last_number.max(number);
        if number <= merged {
            continue;
        }
        let delta = Delta::salvage(&mut part, &mut content.damage)
            .and_then(|delta| part.finish().map(|()| delta));
        match delta {
            Ok(delta) => content.deltas.push(delta),
            Err(error) => content.damage.note(error),
        }
    }
    reader.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer_sdk::count::delta::Overflow;

    fn delta(routes: u64) -> Delta {
        Delta {
            overflow: Overflow {
                routes,
                ..Overflow::default()
            },
            ..Delta::default()
        }
    }

    /// The slot of worker 7 with the deltas 1 to `last`.
    fn slot(last: usize) -> Vec<u8> {
        let numbers = 1..=last as u64;
        let deltas: Vec<(u64, Delta)> = numbers.map(|number| (number, delta(number))).collect();
        let waiting = deltas.iter().map(|(number, delta)| (*number, delta));
        write((7, 0), Duration::from_secs(1), waiting)
    }

    #[test]
    fn what_was_merged_is_left_out_and_what_the_writer_has_too_many_of_is_not_written() {
        let bytes = slot(3);
        let content = read(&bytes, 7, 1).unwrap().unwrap();
        assert_eq!(content.deltas, [delta(2), delta(3)]);
        assert_eq!((content.written_ms, content.last_number), (1_000, 3));
        assert_eq!(content.damage, Damage::default());
        let bytes = slot(MAX_DELTAS + 5);
        let content = read(&bytes, 7, 0).unwrap().unwrap();
        assert_eq!(content.deltas.len(), MAX_DELTAS);
        assert_eq!(content.last_number, MAX_DELTAS as u64);
    }

    #[test]
    fn what_another_has_left_is_no_damage_and_bytes_that_are_no_slot_are() {
        let bytes = slot(1);
        assert!(read(&bytes, 8, 0).unwrap().is_none());
        assert!(read(&[], 8, 0).unwrap().is_none());
        assert!(read(&bytes[..bytes.len() - 1], 8, 0).is_err());
        assert!(read(&[0xff; 40], 8, 0).is_err());
    }

    #[test]
    fn a_slot_that_is_cut_off_gives_what_stands_before_the_cut() {
        let bytes = slot(3);
        for end in 0..bytes.len() {
            let Ok(Some(content)) = read(&bytes[..end], 7, 0) else {
                continue;
            };
            assert_eq!(content.last_number, content.deltas.len() as u64);
            assert_eq!(content.damage.parts, 1);
        }
    }
}
