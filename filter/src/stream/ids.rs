//! Which ids tell requests or sessions apart. What others write may be a placeholder, such as `0` or
//! `null`, that all of them share: such an id is none.

/// A shorter request id does not tell requests apart.
const SHORTEST_REQUEST_ID: usize = 8;
/// A shorter session does not tell clients apart.
const SHORTEST_SESSION: usize = 2;
/// Digits of a trace's id: 128 bits, or 64 as Zipkin had them at first.
const TRACE_DIGITS: [usize; 2] = [32, 16];
/// What programs write where they have no value.
const NO_VALUES: [&[u8]; 6] = [
    b"null",
    b"nil",
    b"none",
    b"undefined",
    b"unknown",
    b"anonymous",
];

/// Whether a request id can tell requests apart.
#[must_use]
pub(super) fn is_request_id(id: &[u8]) -> bool {
    id.len() >= SHORTEST_REQUEST_ID && !is_placeholder(id)
}

/// Whether the value of a session's cookie or header can tell clients apart.
#[must_use]
pub(super) fn is_session(value: &[u8]) -> bool {
    value.len() >= SHORTEST_SESSION && !is_placeholder(value)
}

/// Whether this is the id of a trace.
#[must_use]
pub(super) fn is_trace(id: &[u8]) -> bool {
    TRACE_DIGITS.contains(&id.len()) && id.iter().all(u8::is_ascii_hexdigit) && !is_placeholder(id)
}

/// The id of the trace in the value of `traceparent`, as W3C's Trace Context writes it:
/// `version-trace-parent-flags`.
#[must_use]
pub(super) fn trace_in_parent(value: &[u8]) -> Option<&[u8]> {
    let trace = value.split(|byte| *byte == b'-').nth(1)?;
    is_trace(trace).then_some(trace)
}

/// Whether a value is one that all share who have none: one sign again and again, with or without
/// hyphens, or a word for nothing.
fn is_placeholder(value: &[u8]) -> bool {
    let mut signs = value.iter().filter(|byte| **byte != b'-');
    let first = signs.next();
    signs.all(|byte| Some(byte) == first)
        || NO_VALUES
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_tell_nobody_apart() {
        let zeros = "00000000-0000-0000-0000-000000000000";
        for placeholder in [
            "",
            "-",
            "0",
            "7",
            "00",
            "null",
            "undefined",
            "Anonymous",
            zeros,
            "--------",
        ] {
            let value = placeholder.as_bytes();
            assert!(!is_request_id(value), "{placeholder}");
            assert!(!is_session(value), "{placeholder}");
            assert!(!is_trace(value), "{placeholder}");
        }
    }

    #[test]
    fn ids_in_use_tell_apart() {
        for id in [
            "9c1b0f6e-5a7d-4e0b-8f4e-2f6f0d8d2a11",
            "01HZX4Y8",
            "req-0000001",
        ] {
            assert!(is_request_id(id.as_bytes()), "{id}");
        }
        for session in ["17", "abc", "s%3Ax.y"] {
            assert!(is_session(session.as_bytes()), "{session}");
        }
        for trace in ["4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e4736"] {
            assert!(is_trace(trace.as_bytes()), "{trace}");
        }
        for other in [
            "4bf92f3577b34da6a3ce929d0e0e473",
            "4bf92f3577b34da6a3ce929d0e0e473g",
            "00000000000000000000000000000000",
            "0000000000000000",
            "1",
            "d",
        ] {
            assert!(!is_trace(other.as_bytes()), "{other}");
        }
    }
}
