//! The request's side: what a version cannot be blamed for.
//!
//! Requests of one route are assigned to the versions by chance, so these tokens must not differ
//! between them. Where they do, the comparison is not of like with like: the balance check. None of
//! them is ever harm.

use super::header_names::HeaderNameSet;
use super::{NameHasher, Quantity, Question, Side, Signal, Token};
use crate::exchange::{Exchange, HeaderNames};
use crate::sketch::buckets;
use crate::telemetry::HEADER_PREFIX;

/// The signal `request_size`: log buckets of the request body's bytes.
#[derive(Debug, Clone, Copy)]
pub struct RequestSize;

impl Signal for RequestSize {
    fn name(&self) -> &'static str {
        "request_size"
    }

    fn side(&self) -> Side {
        Side::Request
    }

    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn read(&self, exchange: &Exchange<'_>, _: &NameHasher) -> Option<Token> {
        exchange
            .request_bytes
            .map(|bytes| Token::Number(buckets::code(bytes)))
    }

    fn quantity(&self) -> Option<Quantity> {
        Some(Quantity::Bytes)
    }
}

/// The signal `request_headers`: the set of the request headers' names.
#[derive(Debug, Clone, Copy)]
pub struct RequestHeaders;

/// Whether a request header's name says something about the client, and not about the way to this proxy.
#[must_use]
#[inline]
pub fn tells_of_the_client(name: &[u8]) -> bool {
    match name {
        [b':', ..] => false,
        b"content-length" | b"traceparent" | b"tracestate" | b"transfer-encoding" | b"baggage"
        | b"b3" => false,
        [b'x', b'-', rest @ ..] => {
            !(rest.starts_with(b"b3-")
                || rest.starts_with(b"envoy-")
                || rest.starts_with(b"forwarded-")
                || rest.starts_with(b"request-")
                || name.starts_with(HEADER_PREFIX.as_bytes()))
        }
        _ => true,
    }
}

impl Signal for RequestHeaders {
    fn name(&self) -> &'static str {
        "request_headers"
    }

    fn side(&self) -> Side {
        Side::Request
    }

    fn questions(&self) -> Vec<Question> {
        Vec::new()
    }

    fn read(&self, exchange: &Exchange<'_>, hasher: &NameHasher) -> Option<Token> {
        Some(HeaderNameSet::token(
            exchange.request_header_names?,
            |name| tells_of_the_client(name.as_bytes()),
            hasher,
        ))
    }

    fn names<'a>(&self, exchange: &Exchange<'a>) -> Option<&'a dyn HeaderNames> {
        exchange.request_header_names
    }

    fn describe(&self, exchange: &Exchange<'_>, name: &mut String) {
        if let Some(names) = exchange.request_header_names {
            HeaderNameSet::list(names, |name| tells_of_the_client(name.as_bytes()), name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_proxy_does_not_tell_clients_apart() {
        let token = |names: &[&str]| {
            let names = names.to_vec();
            let exchange = Exchange {
                request_header_names: Some(&names),
                ..crate::testing::exchange()
            };
            RequestHeaders.read(&exchange, &NameHasher::new(1)).unwrap()
        };
        let plain = token(&[":path", "accept", "x-request-id", "user-agent"]);
        assert_eq!(plain, token(&["user-agent", "accept", "x-forwarded-for"]));
        assert_ne!(plain, token(&["user-agent", "accept", "x-beta"]));
    }
}
