//! The messages of ext_proc that are needed. Numbers of fields:
//! `envoy/service/ext_proc/v3/external_processor.proto` and `envoy/config/core/v3/base.proto`.

use bytes::Bytes;
use prost::Message as _;

/// A frame and a `ProcessingResponse` whose `request_headers` (1) is an empty answer: let it pass.
pub(super) const REQUEST_PASSES: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];
/// The same for `response_headers` (2).
pub(super) const RESPONSE_PASSES: &[u8] = &[0, 0, 0, 0, 2, 0x12, 0];

/// What the proxy asks about.
#[derive(Debug)]
pub(super) enum Asked {
    /// A request's headers.
    Request(HeaderMap),
    /// A response's headers.
    Response(HeaderMap),
}

/// Reads a `ProcessingRequest`; `None` where it has no headers.
pub(super) fn read(message: Bytes) -> Option<Asked> {
    let request = ProcessingRequest::decode(message).ok()?;
    let map = |found: HttpHeaders| found.headers.unwrap_or_default();
    match (request.request_headers, request.response_headers) {
        (Some(found), _) => Some(Asked::Request(map(found))),
        (None, found) => Some(Asked::Response(map(found?))),
    }
}

/// What the proxy sends.
#[derive(Clone, PartialEq, prost::Message)]
struct ProcessingRequest {
    #[prost(message, optional, tag = "2")]
    request_headers: Option<HttpHeaders>,
    #[prost(message, optional, tag = "3")]
    response_headers: Option<HttpHeaders>,
}

/// The headers of a request or a response.
#[derive(Clone, PartialEq, prost::Message)]
struct HttpHeaders {
    #[prost(message, optional, tag = "1")]
    headers: Option<HeaderMap>,
}

/// Names and values.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct HeaderMap {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<HeaderValue>,
}

impl HeaderMap {
    /// Name and value of each header.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|header| {
            let value = match header.raw_value.is_empty() {
                true => &header.value,
                false => &header.raw_value,
            };
            (&header.key[..], &value[..])
        })
    }
}

/// One header; the proxy sends one of the two values.
#[derive(Clone, PartialEq, prost::Message)]
struct HeaderValue {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    raw_value: Bytes,
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

        let Some(Asked::Response(headers)) = read(Bytes::from(message.clone())) else {
            unreachable!("no headers of a response");
        };

        let expected: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"x-a", b"\xff")];
        assert_eq!(headers.pairs().collect::<Vec<_>>(), expected);
        assert!(read(Bytes::new()).is_none());
        for length in 0..message.len() {
            if let Some(Asked::Response(headers)) = read(Bytes::copy_from_slice(&message[..length]))
            {
                assert!(headers.pairs().count() <= 2);
            }
        }
    }
}
