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
use scorer_sdk::wire::envoy::{self, Flags};
use scorer_sdk::{Ending, Exchange};

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
            started_ms: millis(self.flight.timing.started),
            id: self.flight.id.as_str(),
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

/// Whole milliseconds.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
    Flags(flags).ending(response.status, timing.is_over())
}

/// The gRPC status of the current stream, from its headers or its trailers.
pub(super) fn grpc_status(
    host: &impl Host,
    response: &Response,
    phase: Phase,
    ending: Ending,
) -> Option<u16> {
    if !envoy::has_grpc_status(response.grpc, ending) {
        return None;
    }
    match response.grpc_status {
        None if phase == Phase::End => host
            .number(properties::GRPC_STATUS)
            .map(|code| envoy::grpc_status(code.cast_signed())),
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
