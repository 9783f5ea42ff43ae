//! Lines of bounded length: what is longer is skipped without being held.

use std::io::{self, BufRead, ErrorKind};

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A line, now in the buffer, without its end.
    Whole,
    /// A line of more bytes than the limit; the buffer is empty.
    TooLong,
    /// The end of the input.
    End,
}

/// Reads the next line into `buffer`, of at most `limit` bytes.
///
/// # Errors
/// What the input fails with.
pub fn next(input: &mut impl BufRead, buffer: &mut Vec<u8>, limit: usize) -> io::Result<Line> {
    buffer.clear();
    let (mut begun, mut too_long) = (false, false);
    loop {
        let chunk = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            chunk => chunk?,
        };
        if chunk.is_empty() && !begun {
            return Ok(Line::End);
        }
        begun = true;
        let end = memchr::memchr(b'\n', chunk);
        let (part, used) = match end {
            Some(end) => (chunk.get(..end).unwrap_or_default(), end + 1),
            None => (chunk, chunk.len()),
        };
        if buffer.len() + part.len() > limit {
            too_long = true;
            buffer.clear();
        }
        if !too_long {
            buffer.extend_from_slice(part);
        }
        let at_end = end.is_some() || part.is_empty();
        input.consume(used);
        if at_end {
            if buffer.last() == Some(&b'\r') {
                buffer.pop();
            }
            return Ok(if too_long { Line::TooLong } else { Line::Whole });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Reads with a tiny buffer, so that lines span chunks.
    fn all(text: &str) -> Vec<(Line, String)> {
        let mut input = BufReader::with_capacity(3, text.as_bytes());
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        loop {
            let line = next(&mut input, &mut buffer, 8).unwrap();
            if line == Line::End {
                return found;
            }
            found.push((line, String::from_utf8(buffer.clone()).unwrap()));
        }
    }

    #[test]
    fn lines_end_with_or_without_carriage_return_and_the_last_needs_no_end() {
        let whole = |text: &str| (Line::Whole, text.to_owned());
        assert_eq!(
            all("abc\r\n\ndefgh"),
            [whole("abc"), whole(""), whole("defgh")]
        );
        assert_eq!(all("12345678\n"), [whole("12345678")]);
        assert_eq!(all(""), []);
    }

    #[test]
    fn a_line_above_the_limit_is_skipped_and_the_next_is_read() {
        let lines = all("123456789012345678901234567890\nok\n123456789");
        assert_eq!(lines[0], (Line::TooLong, String::new()));
        assert_eq!(lines[1], (Line::Whole, "ok".to_owned()));
        assert_eq!(lines[2].0, Line::TooLong);
        assert_eq!(lines.len(), 3);
    }
}
