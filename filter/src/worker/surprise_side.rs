//! How strange an exchange is: said at the response's headers, where somebody wants to know, and
//! when it is over.

use super::response_side::Phase;
use super::{SCORE_HEADER, Stream, Worker, served};
use crate::host::Host;
use crate::stream::request::Request;
use crate::stream::response::Response;
use crate::stream::surprise;
use scorer_sdk::config::Mode;
use scorer_sdk::exchange::Exchange;

/// Where the access log finds it: `%FILTER_STATE(wasm.serin.surprise:PLAIN)%`.
const PROPERTY: &str = "serin.surprise";

impl<H: Host> Worker<H> {
    /// Scores the exchange at the response's headers, where that is asked for: for a header, or to
    /// refuse an answer that is too strange. Whether it was refused.
    pub(super) fn is_too_strange(&mut self, stream: &mut Stream, response: &Response) -> bool {
        let wanted = self
            .surprise
            .as_ref()
            .is_some_and(|surprise| surprise.is_wanted_early(self.guarding));
        wanted && self.score_early(stream, response).unwrap_or(false)
    }

    fn score_early(&mut self, stream: &mut Stream, response: &Response) -> Option<bool> {
        let flight = self.flight(stream)?.clone();
        let annotates = self.plan.mode == Mode::Annotate;
        if annotates {
            self.host.remove_response_header(SCORE_HEADER);
        }
        let served = served(&self.host, &self.plan, &mut self.upstreams, self.guarding)?;
        let index = self.tally.route(
            &served.destination,
            &served.route_name,
            &flight.method,
            &flight.path,
        )?;
        stream.index = Some(index);
        let route = self.tally.key(index)?;
        let names = stream.request.names.as_deref();
        let exchange = Exchange {
            status: response.status,
            grpc_status: response.grpc_status,
            response_bytes: response.content_length,
            content_type: &response.content_type(),
            header_names: Some(response),
            session: flight.session,
            request_bytes: stream.request.bytes,
            request_header_names: names.map(|names| names as _),
            fan_out: stream.report.as_deref(),
            ..served.exchange(&flight)
        };
        let surprise = self.surprise.as_mut()?;
        let label = self.tally.label(index)?;
        let score = surprise.score_early(label, &exchange, &stream.request.looks);
        if annotates {
            let text = surprise::text(&score);
            self.host.set_response_header(SCORE_HEADER, &text);
        }
        let reason = if self.guarding && surprise.is_refused(&score) {
            let request = Request {
                method: flight.method.clone(),
                attempt: stream.request.attempt,
                ..Request::default()
            };
            self.guard.refuse_strange(&self.plan, &request, route)
        } else {
            None
        };
        stream.early = Some(score);
        let Some(reason) = reason else {
            return Some(false);
        };
        // Counted as what it was, before the answer is replaced.
        stream.refused = true;
        self.count(stream, response, Phase::Headers);
        self.refuse(&reason, response.grpc);
        Some(true)
    }

    /// Counts an exchange, and says to the metrics and to the access log how strange it was.
    pub(super) fn record_and_score(
        &mut self,
        exchange: &Exchange<'_>,
        stream: &Stream,
        phase: Phase,
    ) {
        // Looked up once: each look-up counts the path for the templates that are learned.
        let found = stream
            .index
            .filter(|index| self.tally.key(*index).is_some());
        let index = found.or_else(|| {
            self.tally.route(
                exchange.destination,
                exchange.route_name,
                exchange.method,
                exchange.path,
            )
        });
        let (Some(index), Some(surprise)) = (index, &mut self.surprise) else {
            return;
        };
        self.tally.record_at(index, exchange);
        let Some(label) = self.tally.label(index) else {
            return;
        };
        let client = surprise.client(&self.host);
        let (looks, early) = (&stream.request.looks, stream.early.as_ref());
        if phase == Phase::Headers {
            if let Some(early) = early {
                surprise.learn_refused(label, exchange, looks, client, early);
            }
            return;
        }
        let Some(score) = surprise.finish(label, exchange, looks, client, early) else {
            return;
        };
        let mut text = surprise::text(&score);
        text.push_str(";terms=");
        text.push_str(&surprise.terms(&score, exchange));
        self.host.set_property(&[PROPERTY], text.as_bytes());
        // In the first epochs everything is new.
        if surprise.has_past(exchange.destination) {
            let labels = [
                ("destination", exchange.destination),
                ("version", exchange.version),
            ];
            let tenths = (10.0 * score.bits) as u64;
            self.metrics
                .sample(&self.host, "serin_surprise", &labels, tenths);
        }
    }
}
