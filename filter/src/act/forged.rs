//! Headers that only Serin may set are removed where others have set them.

use crate::host::Host;
use crate::stream::request::Request;
use crate::stream::response::Response;
use scorer_sdk::telemetry::{
    REJECT_HEADER, REPORT_HEADER, SCORE_HEADER, STEER_HEADER, VERDICT_HEADER,
};

/// The response headers that only Serin may set.
const RESPONSE_HEADERS: [&str; 4] = [
    REJECT_HEADER.name,
    VERDICT_HEADER.name,
    REPORT_HEADER.name,
    SCORE_HEADER.name,
];

/// Removes Serin's headers from a request that comes from outside; whether there were any.
pub fn remove_from_request(host: &impl Host, request: &mut Request) -> bool {
    let is_forged = !request.forged.is_empty();
    for name in request.forged.drain(..) {
        host.remove_request_header(&name);
    }
    is_forged
}

/// Removes the header that steers from a request that is only glanced at; whether it was there. The
/// others do nothing in a request.
pub fn remove_at_glance(host: &impl Host) -> bool {
    let is_forged = host.request_header(STEER_HEADER.name).is_some();
    if is_forged {
        host.remove_request_header(STEER_HEADER.name);
    }
    is_forged
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
