//! From what was seen to an [`Exchange`]: the one place where the filter builds one.

use super::body::Known;
use super::in_flight::InFlight;
use super::life::Stream;
use super::observer::micros;
use super::origin::Origin;
use super::request::Request;
use super::response::Response;
use super::served::Served;
use super::timing::Timing;
use crate::host::{Host, properties};
use core::time::Duration;
use scorer_sdk::{Ending, Exchange};

/// Envoy's response flags: the proxy reset the stream (LR), the upstream did (UR) or closed it (UC)
/// or broke the protocol (UPE), or it took too long (SI, UMSDR).
const FLAGS_RESET: u64 = 0x8 | 0x10 | 0x40 | 0x80_0000 | 0x1_0000 | 0x8_0000;
/// Envoy's response flags: the proxy's limits on idle and on long streams (SI, UMSDR).
const FLAGS_LIMITS: u64 = 0x1_0000 | 0x8_0000;
/// Envoy's response flags: the client closed the connection (DC), broke the protocol (DPE) or reset
/// the stream (DR), as HTTP/2 clients do that no longer want an answer.
const FLAGS_CLIENT_GONE: u64 = 0x4000 | 0x4_0000 | 0x1000_0000;

/// When an exchange is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// At the response's headers, because the answer is being replaced: its length is not known.
    Headers,
    /// When it is over.
    End,
}

/// What has been seen of an exchange so far.
pub(super) struct Facts<'a> {
    served: &'a Served,
    flight: &'a InFlight,
    request: Option<&'a Request>,
    fan_out: Option<&'a str>,
    response: Option<&'a Response>,
    content_type: &'a str,
    grpc_status: Option<u16>,
    ending: Ending,
    duration_us: Option<u64>,
    lasted_us: Option<u64>,
    response_bytes: Option<u64>,
    upstream_host: &'a str,
    session: Option<u64>,
    is_surplus: bool,
    is_case: bool,
    body: Option<&'a Known>,
}

/// What is known of an exchange only when it is over.
pub(super) struct End<'a> {
    pub(super) ending: Ending,
    pub(super) grpc_status: Option<u16>,
    pub(super) response_bytes: Option<u64>,
    pub(super) duration_us: Option<u64>,
    pub(super) lasted_us: u64,
    pub(super) origin: &'a Origin,
    pub(super) body: Option<&'a Known>,
    /// Whether it was only glanced at, and failed.
    pub(super) is_case: bool,
}

impl<'a> Facts<'a> {
    /// An exchange that is in flight for `elapsed_us` microseconds.
    pub(super) fn in_flight(
        served: &'a Served,
        flight: &'a InFlight,
        elapsed_us: u64,
        now: Duration,
        origin: &'a Origin,
    ) -> Self {
        Self {
            served,
            flight,
            request: None,
            fan_out: None,
            response: None,
            content_type: "",
            grpc_status: None,
            ending: Ending::InFlight,
            duration_us: Some(elapsed_us),
            lasted_us: Some(micros(now.saturating_sub(flight.timing.started))),
            response_bytes: None,
            upstream_host: &origin.host,
            session: origin.session,
            is_surplus: origin.is_surplus,
            is_case: false,
            body: None,
        }
    }

    /// An exchange whose response's headers have come.
    pub(super) fn at_headers(
        served: &'a Served,
        flight: &'a InFlight,
        stream: &'a Stream,
        response: &'a Response,
    ) -> Self {
        Self {
            served,
            flight,
            request: Some(&stream.request),
            fan_out: stream.report.as_deref(),
            response: Some(response),
            content_type: response.content_type(),
            grpc_status: response.grpc_status,
            ending: Ending::Complete,
            duration_us: None,
            lasted_us: None,
            response_bytes: response.content_length,
            upstream_host: "",
            session: flight.session,
            is_surplus: false,
            is_case: false,
            body: None,
        }
    }

    /// An exchange that is over.
    pub(super) fn at_end(
        served: &'a Served,
        flight: &'a InFlight,
        stream: &'a Stream,
        response: &'a Response,
        end: &End<'a>,
    ) -> Self {
        Self {
            grpc_status: end.grpc_status,
            ending: end.ending,
            // A long-running exchange was counted before, with its time.
            duration_us: end.duration_us.filter(|_| !flight.counted),
            lasted_us: Some(end.lasted_us),
            response_bytes: end.response_bytes,
            upstream_host: &end.origin.host,
            session: end.origin.session,
            is_surplus: end.origin.is_surplus,
            is_case: end.is_case,
            body: end.body,
            ..Self::at_headers(served, flight, stream, response)
        }
    }

    /// The exchange, as the engine takes it.
    pub(super) fn exchange(&self) -> Exchange<'_> {
        let names = self.request.and_then(|request| request.names.as_deref());
        let answered = self.response.filter(|response| response.status.is_some());
        let answer_names = answered.and_then(|response| response.names.as_deref());
        Exchange {
            destination: &self.served.destination,
            route_name: &self.served.route_name,
            method: &self.flight.method,
            path: &self.flight.path,
            version: &self.served.version,
            status: match self.response {
                Some(response) => response.status,
                None => self.flight.status,
            },
            grpc_status: self.grpc_status,
            ending: self.ending,
            duration_us: self.duration_us,
            lasted_us: self.lasted_us,
            response_bytes: self.response_bytes,
            content_type: self.content_type,
            header_names: answer_names.map(|names| names as _),
            upstream_host: self.upstream_host,
            session: self.session,
            request: self.flight.request,
            is_surplus: self.is_surplus,
            is_case: self.is_case,
            sampling: self.flight.sampling,
            request_bytes: self.request.and_then(|request| request.bytes),
            request_header_names: names.map(|names| names as _),
            body: self.body.and_then(|body| body.facts.as_ref()),
            body_left_out: self.body.and_then(|body| body.left_out),
            fan_out: self.fan_out,
            ..Exchange::default()
        }
    }
}

/// How the current stream ended.
pub(super) fn ending(
    host: &impl Host,
    stream: &Stream,
    response: &Response,
    timing: &Timing,
    phase: Phase,
) -> Ending {
    // What has passed to its end was not cut off, and at the headers nothing has ended yet.
    let flags = if stream.is_whole || phase == Phase::Headers {
        0
    } else {
        host.number(properties::RESPONSE_FLAGS).unwrap_or(0)
    };
    // A client that reads too slowly runs into the same limits as a version that stops.
    let is_cut_off = flags & FLAGS_LIMITS != 0 && timing.is_over();
    if flags & FLAGS_CLIENT_GONE != 0 || is_cut_off {
        Ending::ClientGone
    } else if flags & FLAGS_RESET != 0 && response.status.is_none_or(|status| status < 500) {
        Ending::Reset
    } else {
        Ending::Complete
    }
}

/// The gRPC status of the current stream, from its headers or its trailers.
pub(super) fn grpc_status(
    host: &impl Host,
    response: &Response,
    phase: Phase,
    ending: Ending,
) -> Option<u16> {
    match response.grpc_status {
        // Where no trailers came the proxy makes one up.
        None if response.grpc && phase == Phase::End && ending == Ending::Complete => host
            .number(properties::GRPC_STATUS)
            .and_then(|code| code.try_into().ok()),
        known => known,
    }
}

/// Length of the response's body in bytes: what was announced, or what has passed.
pub(super) fn response_bytes(stream: &Stream, response: &Response, phase: Phase) -> Option<u64> {
    match response.content_length {
        None if phase == Phase::End && response.status.is_some() => Some(stream.body_bytes),
        known => known,
    }
}
