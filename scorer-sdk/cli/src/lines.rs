//! Lines of bounded length: what is longer is skipped without being held.

use std::io::{self, BufRead, ErrorKind};

/// Bytes that are kept of a line that is too long, so that its like can be told.
const KEPT_OF_LONG: usize = 64;

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A line, now in the buffer, without its end.
    Whole,
    /// The last line, which had no end: it may be cut off.
    Unended,
    /// A line of more bytes than the limit; the buffer has its first few.
    TooLong,
    /// The end of the input.
    End,
}

/// Reads lines of at most `limit` bytes and counts them.
pub struct Lines<Input> {
    input: Input,
    limit: usize,
    number: u64,
    bytes: u64,
}

impl<Input: BufRead> Lines<Input> {
    /// Begins before the first line.
    pub fn new(input: Input, limit: usize) -> Self {
        Self {
            input,
            limit,
            number: 0,
            bytes: 0,
        }
    }

    /// Number of the line that was read last, from 1; 0 before the first.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Bytes that were read, ends of lines included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that come next, none of them consumed: empty at the end.
    ///
    /// # Errors
    /// What the input fails with.
    pub fn peek(&mut self) -> io::Result<&[u8]> {
        // Asked twice, because the borrow checker does not let a loop return what it borrowed.
        while let Err(error) = self.input.fill_buf() {
            if error.kind() != ErrorKind::Interrupted {
                return Err(error);
            }
        }
        self.input.fill_buf()
    }

    /// Skips bytes that were seen by [`Lines::peek`].
    pub fn skip(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.bytes += bytes as u64;
    }

    /// Reads the next line into `buffer`.
    ///
    /// # Errors
    /// What the input fails with.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Line> {
        buffer.clear();
        let limit = self.limit;
        let (mut begun, mut too_long) = (false, false);
        loop {
            let chunk = self.peek()?;
            if chunk.is_empty() && !begun {
                return Ok(Line::End);
            }
            let end = memchr::memchr(b'\n', chunk);
            let (part, used) = match end {
                Some(end) => (chunk.get(..end).unwrap_or_default(), end + 1),
                None => (chunk, chunk.len()),
            };
            if too_long || buffer.len() + part.len() > limit {
                too_long = true;
                let missing = KEPT_OF_LONG.saturating_sub(buffer.len());
                buffer.extend_from_slice(part.get(..missing).unwrap_or(part));
                buffer.truncate(KEPT_OF_LONG);
            } else {
                buffer.extend_from_slice(part);
            }
            let at_end = end.is_some() || part.is_empty();
            self.skip(used);
            if !begun {
                begun = true;
                self.number += 1;
            }
            if !at_end {
                continue;
            }
            if too_long {
                return Ok(Line::TooLong);
            }
            if end.is_none() {
                return Ok(Line::Unended);
            }
            if buffer.last() == Some(&b'\r') {
                buffer.pop();
            }
            return Ok(Line::Whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Reads with a tiny buffer, so that lines span chunks.
    fn all(text: &str) -> Vec<(Line, String)> {
        let mut lines = Lines::new(BufReader::with_capacity(3, text.as_bytes()), 8);
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        loop {
            let line = lines.next(&mut buffer).unwrap();
            if line == Line::End {
                assert_eq!(lines.number(), found.len() as u64);
                assert_eq!(lines.bytes(), text.len() as u64);
                return found;
            }
            found.push((line, String::from_utf8(buffer.clone()).unwrap()));
        }
    }

    #[test]
    fn lines_end_with_or_without_carriage_return_and_a_last_one_without_end_is_told() {
        let whole = |text: &str| (Line::Whole, text.to_owned());
        assert_eq!(
            all("abc\r\n\ndefgh"),
            [whole("abc"), whole(""), (Line::Unended, "defgh".to_owned())]
        );
        assert_eq!(all("12345678\n"), [whole("12345678")]);
        assert_eq!(all(""), []);
    }

    #[test]
    fn a_line_above_the_limit_is_skipped_but_for_its_beginning_and_the_next_is_read() {
        let long = "123456789".repeat(100);
        let lines = all(&format!("{long}\nok\n{long}"));
        let kept = (Line::TooLong, long[..KEPT_OF_LONG].to_owned());
        assert_eq!(lines, [kept.clone(), (Line::Whole, "ok".to_owned()), kept]);
    }
}
