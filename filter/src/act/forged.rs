//! Headers that only Serin may set are removed where others have set them.

use crate::host::Host;
use crate::stream::request::Request;
use crate::stream::response::Response;
use scorer_sdk::telemetry::{
    HEADER_PREFIX, REJECT_HEADER, REPORT_HEADER, SCORE_HEADER, STEER_HEADER, VERDICT_HEADER,
};

/// The response headers that Serin sets and that no comparer takes from another proxy.
const OF_COMPARERS: [&str; 2] = [VERDICT_HEADER.name, SCORE_HEADER.name];

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

/// Removes the headers of an answer that only Serin may set. The application is next to a guard, so
/// nothing of Serin's can have set them there. On a comparer two may come from a guard: the refusal,
/// where the answer is one, and the report, which is taken off elsewhere. Whether there were others
/// than these.
pub fn remove_from_response(host: &impl Host, response: &Response, guarding: bool) -> bool {
    let mut is_forged = false;
    for name in response.own_names() {
        let is_guards =
            name == REPORT_HEADER.name || (name == REJECT_HEADER.name && response.may_be_refusal());
        if guarding || !is_guards {
            host.remove_response_header(name);
            is_forged = true;
        }
    }
    is_forged
}

/// The same for an answer that is only glanced at, of names that Serin knows. `may_be_refusal` says
/// that a guard may have given it.
pub fn remove_from_response_at_glance(host: &impl Host, may_be_refusal: bool) {
    for name in OF_COMPARERS {
        host.remove_response_header(name);
    }
    if !may_be_refusal {
        host.remove_response_header(REJECT_HEADER.name);
    }
}

/// Removes the trailers of an answer that only Serin may set: it sets none. Whether there were any.
pub fn remove_from_trailers(host: &impl Host) -> bool {
    let mut is_forged = false;
    for (name, _) in &host.response_trailers() {
        if name.starts_with(HEADER_PREFIX.as_bytes())
            && let Ok(name) = core::str::from_utf8(name)
        {
            host.remove_response_trailer(name);
            is_forged = true;
        }
    }
    is_forged
}
