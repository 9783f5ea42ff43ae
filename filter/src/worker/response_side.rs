//! A response: annotated or refused at its headers, counted when it is over.

use super::{Flight, REJECT_HEADER, REPORT_HEADER, SCORE_HEADER, Served, Stream, Worker, served};
use crate::host::Host;
use crate::stream::body;
use crate::stream::fan_out;
use crate::stream::in_flight::InFlight;
use crate::stream::request::Request;
use crate::stream::response::Response;
use scorer_sdk::config::Mode;
use scorer_sdk::exchange::{Ending, Exchange};
use scorer_sdk::wire::recording::Record;

/// Tells what is thought of the version that answered.
const VERDICT_HEADER: &str = "x-serin-verdict";
/// The response headers that only Serin may set.
const RESPONSE_HEADERS: [&str; 4] = [REJECT_HEADER, VERDICT_HEADER, REPORT_HEADER, SCORE_HEADER];
/// Envoy's response flags: the proxy reset the stream (LR), the upstream did (UR) or closed it (UC)
/// or broke the protocol (UPE), or it took too long (SI, UMSDR).
const FLAGS_RESET: u64 = 0x8 | 0x10 | 0x40 | 0x80_0000 | 0x1_0000 | 0x8_0000;
/// Envoy's response flags: the client closed the connection (DC), broke the protocol (DPE) or reset
/// the stream (DR), as HTTP/2 clients do who change their mind.
const FLAGS_CLIENT_GONE: u64 = 0x4000 | 0x4_0000 | 0x1000_0000;
/// When an exchange is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// At the response's headers, because the answer is being replaced: its length is not known.
    Headers,
    /// When it is over.
    Log,
}

impl<H: Host> Worker<H> {
    /// The response's headers have come. Whether the response goes on.
    pub fn on_response(&mut self, stream: &mut Stream) -> bool {
        // A local reply of our own comes by here too.
        if stream.refused {
            return true;
        }
        // Read once: each read copies the whole map.
        let mut response = Response::read(self.host.response_headers());
        if self.guarding {
            // The application is next to a guard, so nothing of Serin's can have set them. A caller
            // cannot do this: its router decides on a retry before its filters see the response.
            for name in RESPONSE_HEADERS {
                if response.has_own(name) {
                    self.host.remove_response_header(name);
                }
            }
            self.report_calls(stream);
        } else if let Some(report) = response.take_own(REPORT_HEADER) {
            // Not for clients, also where this proxy has no use for it.
            self.host.remove_response_header(REPORT_HEADER);
            if self.fans_out && report.len() <= fan_out::MAX_REPORT_BYTES {
                stream.report = String::from_utf8(report).ok();
            }
        }
        if self.plan.mode == Mode::Annotate && !matches!(stream.flight, Flight::Unwatched) {
            self.annotate();
        }
        if self.is_too_strange(stream, &response) {
            return false;
        }
        if self.guarding && self.guard.is_armed() {
            let refused = self.refuse_response(stream, &response);
            stream.keep(response);
            return !refused;
        }
        if let Some(plan) = &self.plan.body
            && !self.guarding
            && self.may_have_body(stream)
        {
            stream.body = self.bodies.choose(plan, &response);
        }
        stream.keep(response);
        true
    }

    /// Reports the calls that were made for the request to the caller's proxy.
    fn report_calls(&self, stream: &mut Stream) {
        if stream.gathered_as.is_empty() {
            return;
        }
        let names = core::mem::take(&mut stream.gathered_as);
        if let Some(report) = fan_out::close(&self.host, &names, self.host.now()) {
            self.host.set_response_header(REPORT_HEADER, &report);
        }
    }

    /// Whether the answer to this request may have a body: the answer to HEAD has none.
    fn may_have_body(&self, stream: &Stream) -> bool {
        self.flight(stream)
            .is_some_and(|flight| flight.method != "HEAD")
    }

    /// The part of a request that the table of those in flight has.
    pub(super) fn flight<'a>(&'a self, stream: &'a Stream) -> Option<&'a InFlight> {
        match &stream.flight {
            Flight::Unwatched => None,
            Flight::Listed(index) => self.in_flight.get(*index),
            Flight::Unlisted(flight) => Some(flight),
        }
    }

    /// A chunk of the response's body is passing.
    pub fn on_response_body(&mut self, stream: &mut Stream, size: usize) {
        if let (Some(plan), Some(watch)) = (&self.plan.body, &mut stream.body) {
            body::look(&self.host, plan, watch, size);
        }
    }

    fn annotate(&mut self) {
        let Some((destination, version)) = self.upstreams.served(&self.host, &self.plan) else {
            self.host.remove_response_header(VERDICT_HEADER);
            return;
        };
        let directive = self
            .directives
            .iter()
            .find(|directive| directive.destination == *destination);
        let verdict = directive
            .and_then(|directive| directive.verdict)
            .unwrap_or_default();
        let candidate = directive.map_or("", |directive| directive.candidate.as_str());
        let text = format!("{verdict};candidate={candidate};version={version}");
        self.host.set_response_header(VERDICT_HEADER, &text);
    }

    fn refuse_response(&mut self, stream: &mut Stream, response: &Response) -> bool {
        let Some(flight) = self.flight(stream).cloned() else {
            return false;
        };
        let Some(route) = self.guarded_route(&flight.method, &flight.path) else {
            return false;
        };
        let request = Request {
            method: flight.method.clone(),
            attempt: stream.request.attempt,
            ..Request::default()
        };
        let exchange = Exchange {
            destination: &route.destination,
            route_name: "",
            method: &flight.method,
            path: &flight.path,
            version: "",
            status: response.status,
            grpc_status: response.grpc_status,
            ending: Ending::Complete,
            duration_us: None,
            response_bytes: response.content_length,
            content_type: &response.content_type(),
            header_names: Some(response),
            ..Exchange::default()
        };
        let reason =
            self.guard
                .refuse_response(&self.plan, &request, &route, &exchange, &self.hasher);
        match reason {
            Some(reason) => {
                // Counted as what it was, before the answer is replaced.
                stream.refused = true;
                self.count(stream, response, Phase::Headers);
                self.refuse(&reason, response.grpc);
                true
            }
            None => false,
        }
    }

    /// The exchange is over.
    pub fn on_log(&mut self, stream: &mut Stream) {
        if !stream.gathered_as.is_empty() {
            // No response came: the slots are free again.
            let names = core::mem::take(&mut stream.gathered_as);
            fan_out::close(&self.host, &names, self.host.now());
        }
        if !stream.refused {
            let response = stream.response.take().unwrap_or_default();
            self.count(stream, &response, Phase::Log);
        }
        if self.closed {
            // The config was replaced while this exchange went on; no further tick will come.
            self.flush();
        }
    }

    pub(super) fn count(&mut self, stream: &mut Stream, response: &Response, phase: Phase) {
        let flight = match core::mem::take(&mut stream.flight) {
            Flight::Unwatched => None,
            Flight::Listed(index) => self.in_flight.remove(index),
            Flight::Unlisted(flight) => Some(flight),
        };
        let Some(flight) = flight else {
            return;
        };
        let Some(served) = served(&self.host, &self.plan, &mut self.upstreams, self.guarding)
        else {
            self.tally.record_unattributed();
            return;
        };
        // What has passed to its end was not cut off, and at the headers nothing has ended yet.
        let flags = if stream.is_whole || phase == Phase::Headers {
            0
        } else {
            self.host.number(&["response", "flags"]).unwrap_or(0)
        };
        let ending = if flags & FLAGS_CLIENT_GONE != 0 {
            Ending::ClientGone
        } else if flags & FLAGS_RESET != 0 && response.status.is_none_or(|status| status < 500) {
            Ending::Reset
        } else {
            Ending::Complete
        };
        let grpc_status = match response.grpc_status {
            // Where no trailers came the proxy makes one up.
            None if response.grpc && phase == Phase::Log && ending == Ending::Complete => self
                .host
                .number(&["response", "grpc_status"])
                .and_then(|code| code.try_into().ok()),
            known => known,
        };
        let response_bytes = match response.content_length {
            None if phase == Phase::Log && response.status.is_some() => Some(stream.body_bytes),
            known => known,
        };
        let duration = self.host.now().saturating_sub(flight.started);
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let origin = self.origins.current(
            &self.host,
            &self.plan,
            &self.tally,
            (&served.destination, &served.version),
            flight.session,
        );
        let names = stream.request.names.as_deref();
        let body = body::facts(stream.body.take(), ending == Ending::Complete, duration);
        let exchange = Exchange {
            status: response.status,
            grpc_status,
            ending,
            duration_us: (!flight.counted).then_some(duration_us),
            response_bytes,
            content_type: &response.content_type(),
            header_names: response.status.is_some().then_some(response as _),
            upstream_host: &origin.host,
            session: origin.session,
            request_bytes: stream.request.bytes,
            request_header_names: names.map(|names| names as _),
            body: body.as_ref(),
            fan_out: stream.report.as_deref(),
            ..served.exchange(&flight)
        };
        if self.surprise.is_none() {
            self.tally.record(&exchange);
        } else {
            self.record_and_score(&exchange, stream, phase);
        }
        if self.plan.record
            && let Ok(line) =
                serde_json::to_vec(&Record::new(&exchange, flight.started, duration_us))
        {
            self.host.set_property(&["serin.exchange"], &line);
        }
        if self.plan.count_rescued {
            let status = response.status;
            self.count_rescued(served, status);
        }
    }

    /// A request that took more than one attempt and was then answered well by the baseline.
    fn count_rescued(&mut self, served: Served, status: Option<u16>) {
        let attempts = self
            .host
            .number(&["upstream", "request_attempt_count"])
            .unwrap_or(1);
        let by_baseline = self.directives.iter().any(|directive| {
            directive.destination == *served.destination && directive.baseline == *served.version
        });
        if attempts > 1 && by_baseline && status.is_some_and(|status| status < 500) {
            *self.rescued.entry(served.destination).or_insert(0) += 1;
        }
    }
}
