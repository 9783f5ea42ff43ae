//! What is kept of a request from its headers.

use crate::host::Headers;

/// Prefix of the headers that belong to Serin: those that come from outside are removed.
pub const OWN_PREFIX: &str = "x-serin-";
/// Longest path that is looked at, in bytes; the rest is cut off.
const MAX_PATH_BYTES: usize = 2_048;

/// A request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Which attempt this is, from the caller's proxy; `None` when it does not say.
    pub attempt: Option<u64>,
    /// Whether the content type is gRPC.
    pub grpc: bool,
    /// Upgrade, CONNECT or mirrored: none of Serin's business.
    pub left_alone: bool,
    /// Names of the headers that only Serin may set.
    pub forged: Vec<String>,
}

impl Request {
    /// Reads the headers.
    #[must_use]
    pub fn read(headers: Headers) -> Self {
        let mut request = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                ":method" => request.method = text(value),
                ":path" => request.path = text(value),
                ":authority" => request.left_alone |= is_mirrored(&value),
                "upgrade" => request.left_alone = true,
                "content-type" => request.grpc = is_grpc(&value),
                "x-envoy-attempt-count" => request.attempt = text(value).parse().ok(),
                _ if name.starts_with(OWN_PREFIX) => request.forged.push(name),
                _ => {}
            }
        }
        request.left_alone |= request.method == "CONNECT";
        request
    }

    /// Whether the method is safe (RFC 9110, 9.2.1): asking again does no harm.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }
}

/// Whether a content type is gRPC.
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    content_type.starts_with(b"application/grpc")
        && !content_type.starts_with(b"application/grpc-web")
}

/// Envoy appends `-shadow` to the host of mirrored requests.
fn is_mirrored(authority: &[u8]) -> bool {
    let host = authority
        .split(|byte| *byte == b':')
        .next()
        .unwrap_or_default();
    host.ends_with(b"-shadow")
}

fn text(mut bytes: Vec<u8>) -> String {
    bytes.truncate(MAX_PATH_BYTES);
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Request {
        Request::read(
            headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
        )
    }

    #[test]
    fn what_is_not_an_exchange_is_left_alone() {
        assert!(read(&[(":method", "GET"), ("upgrade", "websocket")]).left_alone);
        assert!(read(&[(":method", "CONNECT")]).left_alone);
        assert!(read(&[(":authority", "shop-shadow:8080")]).left_alone);
        assert!(!read(&[(":authority", "shop:8080"), (":method", "GET")]).left_alone);
    }

    #[test]
    fn headers_that_only_serin_may_set_are_found() {
        let request = read(&[
            ("x-serin-steer", "v2"),
            ("x-request-id", "1"),
            ("x-serin-x", ""),
        ]);
        assert_eq!(request.forged, ["x-serin-steer", "x-serin-x"]);
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let headers = vec![(":path".to_owned(), vec![b'/', 0xff, 0xfe])];
        assert!(Request::read(headers).path.starts_with('/'));
        let long = vec![(":path".to_owned(), vec![b'a'; 1 << 20])];
        assert_eq!(Request::read(long).path.len(), MAX_PATH_BYTES);
    }
}
