//! Response header names, as a set: which are there, not what they say.

use super::{Found, NameHasher, Question, Rule, Signal, Token, listed};
use crate::exchange::{Exchange, HeaderNames};
use crate::telemetry::HEADER_PREFIX;

/// The status of an answer that repeats only some of the headers.
const NOT_MODIFIED: u16 = 304;
/// Headers beyond this many count as one set with those before them.
const MAX_HEADERS: usize = 48;

/// The signal `header_names`.
#[derive(Debug, Clone, Default)]
pub struct HeaderNameSet {
    /// Further names that do not count.
    pub ignored: Vec<String>,
}

impl HeaderNameSet {
    fn counts(&self, name: &str) -> bool {
        is_of_application(name) && !self.ignored.iter().any(|ignored| ignored == name)
    }
}

impl HeaderNameSet {
    /// The token of those `names` that count: the same for every order and repetition.
    pub(super) fn token(
        names: &dyn HeaderNames,
        counts: impl Fn(&str) -> bool,
        hasher: &NameHasher,
    ) -> Token {
        let mut seen = [0u64; MAX_HEADERS];
        let mut count = 0;
        let mut sum = 0u64;
        names.visit(&mut |name| {
            if !counts(name) {
                return;
            }
            let hash = hasher.hash(name);
            // A sum does not depend on the order; a header that came twice counts once.
            if seen.iter().take(count).any(|known| *known == hash) {
                return;
            }
            if let Some(free) = seen.get_mut(count) {
                *free = hash;
                count += 1;
                sum = sum.wrapping_add(hash);
            }
        });
        Token::Name(sum)
    }

    /// Appends those `names` that count, sorted and with commas between them.
    pub(super) fn list(names: &dyn HeaderNames, counts: impl Fn(&str) -> bool, text: &mut String) {
        let mut list: Vec<String> = Vec::new();
        names.visit(&mut |header| {
            if list.len() < MAX_HEADERS && counts(header) {
                list.push(header.to_owned());
            }
        });
        crate::order::sort(&mut list);
        list.dedup();
        text.push_str(&list.join(","));
    }
}

/// Whether the application sets a header, and not the transport or a proxy.
fn is_of_application(name: &str) -> bool {
    match name.as_bytes() {
        [b':', ..] => false,
        b"alt-svc" | b"connection" | b"content-length" | b"date" | b"grpc-message"
        | b"grpc-status" | b"keep-alive" | b"server" | b"transfer-encoding" | b"via" => false,
        [b'x', b'-', rest @ ..] => {
            !(rest.starts_with(b"envoy-") || name.starts_with(HEADER_PREFIX))
        }
        _ => true,
    }
}

impl Signal for HeaderNameSet {
    fn name(&self) -> &'static str {
        "header_names"
    }

    fn questions(&self) -> Vec<Question> {
        vec![
            Question::new("lost_header", Rule::Lost { presence: 0.995 })
                .weight(0.06)
                .meaning("lack a header that the baseline always sends"),
        ]
    }

    fn read(&self, exchange: &Exchange<'_>, hasher: &NameHasher) -> Option<Token> {
        let names = self.names(exchange)?;
        Some(Self::token(names, |name| self.counts(name), hasher))
    }

    fn names<'a>(&self, exchange: &Exchange<'a>) -> Option<&'a dyn HeaderNames> {
        // A 304 sends none of the headers that describe what the client has already.
        let is_partial = exchange.is_error() || exchange.status == Some(NOT_MODIFIED);
        exchange.header_names.filter(|_| !is_partial)
    }

    fn phrase(&self, _: &Question, found: &Found) -> Option<String> {
        match found.names.as_slice() {
            [] => None,
            [name] => Some(format!("lack the header {name}")),
            names => Some(format!("lack headers: {}", listed(names))),
        }
    }

    fn describe(&self, exchange: &Exchange<'_>, name: &mut String) {
        if let Some(names) = exchange.header_names {
            Self::list(names, |name| self.counts(name), name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(names: &[&str]) -> (Token, String) {
        let names = names.to_vec();
        let exchange = Exchange {
            header_names: Some(&names),
            ..crate::testing::exchange()
        };
        let (signal, mut text) = (HeaderNameSet::default(), String::new());
        signal.describe(&exchange, &mut text);
        (signal.read(&exchange, &NameHasher::new(1)).unwrap(), text)
    }

    #[test]
    fn order_repetition_and_transport_headers_do_not_matter() {
        let one = token(&[
            "etag",
            "vary",
            "set-cookie",
            "set-cookie",
            "date",
            ":status",
        ]);
        let two = token(&[
            "x-envoy-upstream-service-time",
            "set-cookie",
            "vary",
            "etag",
        ]);
        assert_eq!(one, two);
        assert_eq!(one.1, "etag,set-cookie,vary");
        assert_ne!(one.0, token(&["etag", "vary"]).0);
    }
}
