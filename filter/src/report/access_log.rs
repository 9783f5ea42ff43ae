//! What access logs find of an exchange, in the filter state of its stream.

use crate::host::{Host, properties};

/// Leaves how strange the current exchange was: `<bits>;percentile=…;terms=…`. A trace finds what was
/// left at the response's headers, and the access log what is left last.
pub fn leave_surprise(host: &impl Host, text: &str) {
    host.set_property(properties::SURPRISE, text.as_bytes());
}

/// Leaves the current exchange, as a line of JSON that `serin replay` reads.
pub fn leave_exchange(host: &impl Host, line: &[u8]) {
    host.set_property(properties::EXCHANGE, line);
}
