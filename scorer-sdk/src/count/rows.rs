//! Rows: one for each exchange that is judged, with what chance assigned it to. What is learned of an
//! exchange at another time than its end is a further row.
//!
//! Requests share a host, a session, a cold start. Counts forget that, so the judge is handed the
//! exchanges of a tick one by one, as few numbers as it can judge them by. A row that waits for its
//! other arm is kept by the judge, within limits of its own.

use super::examples::{Examples, MAX_EXAMPLES, OfRow};
use crate::exchange::{Exchange, NO_ODDS};
use crate::limits::MAX_ROWS;
use crate::wire::codec::{CodecError, Reader, Writer};

/// Stands for a token that an exchange does not have.
pub const NO_TOKEN: u16 = u16::MAX;

/// What a row says beside its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowFacts {
    /// Stands for the host that answered; 0 where it is not known.
    pub host: u32,
    /// Stands for the session; 0 where it is not known.
    pub session: u32,
    /// The log bucket ([`crate::sketch::buckets`]) of the microseconds since the exchange began; 0 where
    /// that is not known.
    pub lasted: u16,
    /// Whether it is a case ([`crate::Exchange::is_case`]) and not of the random part.
    pub is_case: bool,
    /// Whether the exchange has another row, or gets one: this one says how long it has taken while it
    /// was in flight, or what its session asked for next. Such a row is judged and is no exchange more.
    pub is_further: bool,
    /// [`crate::Sampling::odds`] of the exchange, in sixteenths.
    pub odds: u16,
}

impl Default for RowFacts {
    fn default() -> Self {
        Self {
            host: 0,
            session: 0,
            lasted: 0,
            is_case: false,
            is_further: false,
            odds: NO_ODDS,
        }
    }
}

impl RowFacts {
    /// Whether it is an exchange that was looked at when it ended, as all others were.
    fn is_plain(&self) -> bool {
        self.kind() == 0 && self.odds == NO_ODDS
    }

    /// What kind of row it is, as bits.
    fn kind(&self) -> u8 {
        u8::from(self.is_case) | u8::from(self.is_further) << 1
    }
}

/// Rows of one version on one route. Each has one token per signal that is asked a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Tokens in a row.
    width: usize,
    facts: Vec<RowFacts>,
    tokens: Vec<u16>,
    examples: Examples,
}

impl Rows {
    /// No rows, of `width` tokens each.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self {
            width,
            facts: Vec::new(),
            tokens: Vec::new(),
            examples: Examples::default(),
        }
    }

    /// Begins a row: its tokens follow by [`Rows::token`], `width` of them. Rows of no tokens are not
    /// kept: nothing could be asked of them.
    #[inline]
    pub fn begin(&mut self, facts: RowFacts) {
        if self.width > 0 {
            self.facts.push(facts);
        }
    }

    /// Makes room for so many rows more.
    pub fn reserve(&mut self, rows: usize) {
        if self.width > 0 {
            self.facts.reserve(rows);
            self.tokens.reserve(rows.saturating_mul(self.width));
        }
    }

    /// Adds the next token of the last row.
    #[inline]
    pub fn token(&mut self, token: u16) {
        self.tokens.push(token);
    }

    /// Offers the exchange of the row that was begun last as an example, if its time is known. `kept`
    /// is how many the worker has kept in this tick; where they are enough, it may only take the place
    /// of another.
    pub(super) fn offer(&mut self, exchange: &Exchange<'_>, has_body: bool, kept: &mut usize) {
        if let Some(row) = self.facts.len().checked_sub(1)
            && exchange.started_ms > 0
        {
            let has_room = *kept < MAX_EXAMPLES;
            let is_added = self.examples.offer(row, exchange, has_body, has_room);
            *kept += usize::from(is_added);
        }
    }

    /// The examples among the rows.
    #[must_use]
    pub fn examples(&self) -> &[OfRow] {
        self.examples.as_slice()
    }

    /// Tokens in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.facts.clear();
        self.tokens.clear();
        self.examples.clear();
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// Whether a row is a case.
    #[must_use]
    pub fn has_cases(&self) -> bool {
        self.facts.iter().any(|facts| facts.is_case)
    }

    /// The rows with their tokens, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (RowFacts, &[u16])> {
        // `max`: a chunk of none would panic.
        self.facts
            .iter()
            .copied()
            .zip(self.tokens.chunks_exact(self.width.max(1)))
    }

    /// Writes the rows.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u8(u8::try_from(self.width).unwrap_or(u8::MAX));
        writer.length(self.facts.len());
        // Three bytes a row only where there are other than plain ones.
        let is_told = !self.facts.iter().all(RowFacts::is_plain);
        writer.u8(u8::from(is_told));
        for (facts, tokens) in self.iter() {
            writer.u32(facts.host);
            writer.u32(facts.session);
            writer.u16(facts.lasted);
            if is_told {
                writer.u8(facts.kind());
                writer.u16(facts.odds);
            }
            tokens.iter().for_each(|token| writer.u16(*token));
        }
        self.examples.encode(writer);
    }

    /// Reads rows.
    ///
    /// # Errors
    /// When the bytes are not rows.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut rows = Self::new(usize::from(reader.u8()?));
        let count = reader.length(MAX_ROWS)?;
        let is_told = reader.u8()? == 1;
        for _ in 0..count {
            let mut facts = RowFacts {
                host: reader.u32()?,
                session: reader.u32()?,
                lasted: reader.u16()?,
                ..RowFacts::default()
            };
            if is_told {
                let kind = reader.u8()?;
                facts.is_case = kind & 1 == 1;
                facts.is_further = kind & 2 == 2;
                facts.odds = reader.u16()?.max(NO_ODDS);
            }
            rows.begin(facts);
            for _ in 0..rows.width {
                rows.tokens.push(reader.u16()?);
            }
        }
        rows.examples = Examples::decode(reader)?;
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(rows: &Rows) -> Result<Rows, CodecError> {
        let mut writer = Writer::new();
        rows.encode(&mut writer);
        let bytes = writer.into_bytes();
        let mut reader = Reader::new(&bytes);
        let read = Rows::decode(&mut reader)?;
        reader.finish()?;
        Ok(read)
    }

    #[test]
    fn rows_of_any_width_survive_the_codec() {
        for width in 0..3_u16 {
            let mut rows = Rows::new(usize::from(width));
            for host in 1..4 {
                rows.begin(RowFacts {
                    host,
                    session: 7,
                    lasted: 90,
                    ..RowFacts::default()
                });
                (0..width).for_each(|token| rows.token(token));
            }
            assert_eq!(rows.iter().count(), rows.len());
            assert_eq!(read_back(&rows).as_ref(), Ok(&rows));
            rows.begin(RowFacts {
                is_case: true,
                odds: 7 * NO_ODDS,
                ..RowFacts::default()
            });
            (0..width).for_each(|token| rows.token(token));
            rows.begin(RowFacts {
                is_further: true,
                ..RowFacts::default()
            });
            (0..width).for_each(|token| rows.token(token));
            assert_eq!(read_back(&rows), Ok(rows));
        }
    }
}
