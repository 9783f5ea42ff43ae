//! Examples: exchanges that are told one by one, so that their log lines and traces can be found.
//!
//! A worker does not know which exchanges the judge will find in a category: cuts and sets are the
//! judge's. So it keeps a few of each tick that are the likeliest to be asked for: the newest that
//! failed, the slowest, and the newest others. Each belongs to a row, and the row has the answers.

use crate::exchange::{Ending, Exchange};
use crate::limits::MAX_ROWS;
use crate::wire::codec::{CodecError, Reader, Writer};
use core::fmt;
use serde::{Serialize, Serializer};

/// Longest id of an exchange, in bytes; the rest is cut off.
pub const MAX_ID_BYTES: usize = 64;
/// Most examples of each kind that a worker keeps of one version on one route and tick.
const MAX_OF_KIND: usize = 2;
/// Most examples of one version on one route and tick.
const MAX_OF_ROWS: usize = 3 * MAX_OF_KIND;
/// Most examples of one worker and tick.
pub(super) const MAX_EXAMPLES: usize = 256;

/// Under which an exchange is found in logs and traces: at most 64 printable signs of ASCII without
/// spaces. Clients choose ids, and logs and terminals show them. Empty where none is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Id {
    length: u8,
    bytes: [u8; MAX_ID_BYTES],
}

impl Id {
    /// What of an id may be shown: up to the first other sign, and at most [`MAX_ID_BYTES`].
    #[must_use]
    pub fn clean(id: &[u8]) -> Self {
        let mut clean = Self::default();
        for (place, byte) in clean.bytes.iter_mut().zip(id) {
            if !byte.is_ascii_graphic() {
                break;
            }
            *place = *byte;
            clean.length += 1;
        }
        clean
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length));
        core::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Default for Id {
    fn default() -> Self {
        Self {
            length: 0,
            bytes: [0; MAX_ID_BYTES],
        }
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One exchange, as it can be found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Example {
    /// When its request came, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Its `x-request-id`, else the id of its trace.
    pub id: Id,
    /// Response status; `None` when no response came, or none had come yet.
    pub status: Option<u16>,
    /// What it took in microseconds, or had taken while it was in flight.
    pub duration_us: u64,
}

impl Example {
    fn of(exchange: &Exchange<'_>) -> Self {
        Self {
            started_ms: exchange.started_ms,
            id: Id::clean(exchange.id.as_bytes()),
            status: exchange.status,
            duration_us: duration_us(exchange),
        }
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.u64(self.started_ms);
        writer.text(self.id.as_str());
        writer.option(self.status.as_ref(), |status, writer| writer.u16(*status));
        writer.u64(self.duration_us);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            started_ms: reader.u64()?,
            id: Id::clean(reader.text(MAX_ID_BYTES)?.as_bytes()),
            status: reader.option(Reader::u16)?,
            duration_us: reader.u64()?,
        })
    }
}

fn duration_us(exchange: &Exchange<'_>) -> u64 {
    exchange
        .duration_us
        .or(exchange.lasted_us)
        .unwrap_or_default()
}

/// Why an example was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Failed,
    Slow,
    Other,
}

/// An example with the row that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfRow {
    /// The index of its row.
    pub row: usize,
    /// Whether its body was counted.
    pub has_body: bool,
    kind: Kind,
    /// The exchange.
    pub example: Example,
}

/// The examples of one version on one route and tick.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Examples(Vec<OfRow>);

impl Examples {
    /// Offers the exchange of a row. Whether one more is kept than before: where there is no room for
    /// that, it may only take the place of another.
    pub(super) fn offer(
        &mut self,
        row: usize,
        exchange: &Exchange<'_>,
        has_body: bool,
        has_room: bool,
    ) -> bool {
        let hangs = exchange.ending == Ending::InFlight;
        let duration = duration_us(exchange);
        let (kind, place) = if !hangs && exchange.is_error() {
            (Kind::Failed, self.place(Kind::Failed, |it| it.row as u64))
        } else {
            let slow = self.place(Kind::Slow, |it| it.example.duration_us);
            let is_slow = match slow.and_then(|place| self.0.get(place)) {
                Some(known) => known.example.duration_us < duration,
                None => true,
            };
            if is_slow {
                (Kind::Slow, slow)
            } else {
                (Kind::Other, self.place(Kind::Other, |it| it.row as u64))
            }
        };
        let offered = OfRow {
            row,
            has_body,
            kind,
            example: Example::of(exchange),
        };
        match place.and_then(|place| self.0.get_mut(place)) {
            Some(kept) => {
                *kept = offered;
                false
            }
            None if has_room => {
                self.0.push(offered);
                true
            }
            None => false,
        }
    }

    /// The place that an example of a kind takes: that of the least one, where there are enough.
    fn place(&self, kind: Kind, rank: impl Fn(&OfRow) -> u64) -> Option<usize> {
        let mut of_kind = 0;
        let mut least: Option<(u64, usize)> = None;
        for (place, kept) in self.0.iter().enumerate() {
            if kept.kind == kind {
                of_kind += 1;
                let found = (rank(kept), place);
                least = Some(least.map_or(found, |least| least.min(found)));
            }
        }
        least
            .filter(|_| of_kind >= MAX_OF_KIND)
            .map(|(_, place)| place)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn as_slice(&self) -> &[OfRow] {
        &self.0
    }

    pub(super) fn encode(&self, writer: &mut Writer) {
        writer.list(&self.0, |kept, writer| {
            writer.u32(u32::try_from(kept.row).unwrap_or(u32::MAX));
            writer.u8(u8::from(kept.has_body));
            writer.u8(kept.kind as u8);
            kept.example.encode(writer);
        });
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let kept = reader.list(MAX_OF_ROWS, |reader| {
            let row = reader.u32()?;
            Ok(OfRow {
                row: usize::try_from(row).unwrap_or(MAX_ROWS),
                has_body: reader.u8()? == 1,
                kind: match reader.u8()? {
                    0 => Kind::Failed,
                    1 => Kind::Slow,
                    _ => Kind::Other,
                },
                example: Example::decode(reader)?,
            })
        })?;
        Ok(Self(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::exchange;

    fn offer(examples: &mut Examples, row: usize, status: u16, duration_us: u64) {
        let id = format!("request-{row}");
        let exchange = Exchange {
            id: &id,
            started_ms: 1_700_000_000_000 + row as u64,
            status: Some(status),
            duration_us: Some(duration_us),
            ..exchange()
        };
        examples.offer(row, &exchange, false, true);
    }

    fn rows(examples: &Examples) -> Vec<usize> {
        let mut rows: Vec<usize> = examples.0.iter().map(|kept| kept.row).collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn the_newest_failures_the_slowest_and_the_newest_others_are_kept() {
        let mut examples = Examples::default();
        for row in 0..1_000 {
            let (status, duration) = match row {
                100 | 200 | 300 => (503, 1),
                400 | 500 => (200, 9_000),
                _ => (200, 1_000),
            };
            offer(&mut examples, row, status, duration);
        }
        assert_eq!(rows(&examples), [200, 300, 400, 500, 998, 999]);
    }

    #[test]
    fn without_room_only_a_place_is_taken_over() {
        let mut examples = Examples::default();
        let failed = Exchange {
            status: Some(503),
            started_ms: 1,
            ..exchange()
        };
        assert!(!examples.offer(0, &failed, false, false));
        assert!(examples.offer(1, &failed, false, true));
        assert!(examples.offer(2, &failed, false, true));
        assert!(!examples.offer(3, &failed, false, false));
        assert_eq!(rows(&examples), [2, 3]);
    }

    #[test]
    fn an_id_that_clients_choose_is_bounded_and_harmless() {
        for (id, clean) in [
            (&b"9c1b0f6e-5a7d"[..], "9c1b0f6e-5a7d"),
            (b"abc\x1b[31m", "abc"),
            (b"one two", "one"),
            ("abc\u{202e}def".as_bytes(), "abc"),
            (b"abc\xff", "abc"),
            (b"\n", ""),
        ] {
            assert_eq!(Id::clean(id).as_str(), clean);
        }
        let long = Id::clean(&[b'x'; 10_240]);
        assert_eq!(long.as_str(), "x".repeat(MAX_ID_BYTES));
    }

    #[test]
    fn what_is_read_is_as_clean_as_what_is_written() {
        let read = |id: &str| {
            let mut writer = Writer::new();
            writer.u64(1);
            writer.text(id);
            writer.option(None::<&u16>, |status, writer| writer.u16(*status));
            writer.u64(2);
            let bytes = writer.into_bytes();
            Example::decode(&mut Reader::new(&bytes)).map(|example| example.id)
        };
        assert_eq!(read("abc\u{1b}[2J").unwrap().as_str(), "abc");
        assert!(read(&"x".repeat(MAX_ID_BYTES + 1)).is_err());
    }
}
