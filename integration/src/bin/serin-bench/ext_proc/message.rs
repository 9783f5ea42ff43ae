//! The messages of ext_proc that are needed, in protobuf
//! (`envoy/service/ext_proc/v3/external_processor.proto`).

/// A frame and a `ProcessingResponse` whose `request_headers` (1) is an empty answer: let it pass.
pub(super) const REQUEST_PASSES: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];
/// The same for `response_headers` (2).
pub(super) const RESPONSE_PASSES: &[u8] = &[0, 0, 0, 0, 2, 0x12, 0];

/// Fields of `ProcessingRequest`.
const REQUEST_HEADERS: u64 = 2;
const RESPONSE_HEADERS: u64 = 3;
/// The field of `HttpHeaders` that has the map, and that of the map which has a header.
const MAP: u64 = 1;
const HEADER: u64 = 1;
/// Fields of `HeaderValue`; the proxy sends one of the two values.
const NAME: u64 = 1;
const VALUE: u64 = 2;
const RAW_VALUE: u64 = 3;

/// What the proxy asks about.
#[derive(Debug)]
pub(super) enum Asked<'a> {
    /// A request's headers.
    Request(Headers<'a>),
    /// A response's headers.
    Response(Headers<'a>),
}

/// Names and values of a header map.
#[derive(Debug, Clone)]
pub(super) struct Headers<'a>(Fields<'a>);

/// Reads a `ProcessingRequest`; `None` where it has no headers.
pub(super) fn read(message: &[u8]) -> Option<Asked<'_>> {
    Fields(message).find_map(|(number, bytes)| match number {
        REQUEST_HEADERS => Some(Asked::Request(headers(bytes))),
        RESPONSE_HEADERS => Some(Asked::Response(headers(bytes))),
        _ => None,
    })
}

fn headers(bytes: &[u8]) -> Headers<'_> {
    let map = Fields(bytes).find(|(number, _)| *number == MAP);
    Headers(Fields(map.map(|(_, map)| map).unwrap_or_default()))
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (_, header) = self.0.find(|(number, _)| *number == HEADER)?;
        let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
        for (number, bytes) in Fields(header) {
            match number {
                NAME => name = bytes,
                VALUE | RAW_VALUE => value = bytes,
                _ => {}
            }
        }
        Some((name, value))
    }
}

/// The fields of a message that have a length: number and content. What has none is passed over; where
/// the bytes are damaged it ends.
#[derive(Debug, Clone)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = self.number()?;
            match key & 7 {
                0 => {
                    self.number()?;
                }
                1 => {
                    self.bytes(8)?;
                }
                2 => {
                    let length = self.number()?;
                    return Some((key >> 3, self.bytes(length)?));
                }
                5 => {
                    self.bytes(4)?;
                }
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_with_either_kind_of_value() {
        let field = |number: u8, content: &[u8]| {
            let length = u8::try_from(content.len()).unwrap();
            [&[(number << 3) | 2, length], content].concat()
        };
        let header = |value: u8, name: &[u8], text: &[u8]| {
            field(1, &[field(1, name), field(value, text)].concat())
        };
        let map = [header(2, b":status", b"200"), header(3, b"x-a", b"\xff")].concat();
        // `end_of_stream` has no length; `observability_mode` comes before the headers.
        let content = [field(1, &map), vec![3 << 3, 1]].concat();
        let message = [vec![10 << 3, 0], field(3, &content)].concat();

        let Some(Asked::Response(headers)) = read(&message) else {
            unreachable!("no headers of a response");
        };

        let expected: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"x-a", b"\xff")];
        assert_eq!(headers.collect::<Vec<_>>(), expected);
        assert!(read(&[]).is_none());
        for length in 0..message.len() {
            if let Some(Asked::Response(headers)) = read(&message[..length]) {
                assert!(headers.count() <= 2);
            }
        }
    }
}
