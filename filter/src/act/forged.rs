//! Headers that only Serin may set are removed where others have set them.

use crate::host::Host;
use crate::stream::request::Request;
use crate::stream::response::Response;
use scorer_sdk::telemetry::{REJECT_HEADER, REPORT_HEADER, SCORE_HEADER, VERDICT_HEADER};

/// The response headers that only Serin may set.
const RESPONSE_HEADERS: [&str; 4] = [
    REJECT_HEADER.name,
    VERDICT_HEADER.name,
    REPORT_HEADER.name,
    SCORE_HEADER.name,
];

/// Removes Serin's headers from a request that comes from outside.
pub fn remove_from_request(host: &impl Host, request: &mut Request) {
    for name in request.forged.drain(..) {
        host.remove_request_header(&name);
    }
}

/// Removes Serin's headers from the application's answer, in a guard: the application is next to it,
/// so nothing of Serin's can have set them. A caller cannot do this: its router decides on a retry
/// before its filters see the response.
pub fn remove_from_response(host: &impl Host, response: &Response) {
    for name in RESPONSE_HEADERS {
        if response.has_own(name) {
            host.remove_response_header(name);
        }
    }
}
