//! A request's headers: forged ones go, a verdict steers or refuses, and the rest is kept for later.

use super::{Flight, Stream, Worker};
use crate::host::Host;
use crate::stream::fan_out;
use crate::stream::in_flight::InFlight;
use crate::stream::request::Request;

impl<H: Host> Worker<H> {
    /// The request's headers have come. Whether the request goes on; it does not when it was
    /// refused.
    pub fn on_request(&mut self, stream: &mut Stream) -> bool {
        let mut request = self.reader.read(&self.plan, self.host.request_headers());
        for name in request.forged.drain(..) {
            self.host.remove_request_header(&name);
        }
        if request.left_alone {
            return true;
        }
        self.busy = true;
        self.find_role();
        if self.steering {
            self.steer();
        }
        if self.guarding {
            self.guard.note_request(&self.plan);
            if self.guard.is_armed() && self.refuse_request(&request) {
                stream.refused = true;
                return false;
            }
        }
        if self.fans_out {
            self.follow_calls(stream, &request);
        }
        let flight = InFlight {
            context_id: stream.context_id,
            started: self.host.now(),
            counted: false,
            not_before_us: 0,
            method: core::mem::take(&mut request.method),
            path: core::mem::take(&mut request.path),
            session: request.session,
        };
        stream.request = request;
        stream.flight = match self.in_flight.add(flight) {
            Ok(index) => Flight::Listed(index),
            Err(flight) => {
                self.overflowed_flights += 1;
                Flight::Unlisted(flight)
            }
        };
        true
    }

    /// On the way in, gathers the calls that the application will make for this request; on the way
    /// out, adds this one to the request that it is made for.
    fn follow_calls(&mut self, stream: &mut Stream, request: &Request) {
        let now = self.host.now();
        if self.guarding {
            if !self.reporter.is_settled {
                return;
            }
            let names = &request.traced_as;
            stream.gathered_as =
                fan_out::open(&self.host, names, now, &mut self.overflowed_fan_outs);
            return;
        }
        if !self.beside_reporter || request.traced_as.is_empty() {
            return;
        }
        let Some(upstream) = self.upstreams.current(&self.host, &self.plan) else {
            return;
        };
        let path = self.plan.paths.fixed_text(&request.path);
        let call = format!("{} {} {path}", upstream.destination, request.method);
        fan_out::note(&self.host, &request.traced_as, &call, now);
    }

    /// Sends the request to the baseline if a verdict stands against its destination's candidate.
    fn steer(&mut self) {
        let Some(upstream) = self.upstreams.current(&self.host, &self.plan) else {
            return;
        };
        let Some(directive) = self
            .directives
            .iter()
            .find(|directive| directive.destination == *upstream.destination)
            .filter(|directive| directive.steer_share > 0.0)
        else {
            return;
        };
        // Where the route tells the version, the other versions' requests stay where they are.
        if let Some(version) = &upstream.version
            && !directive
                .condemned_versions
                .iter()
                .any(|condemned| **condemned == **version)
        {
            return;
        }
        self.trickle += 1.0 - directive.steer_share;
        if self.trickle >= 1.0 {
            self.trickle -= 1.0;
            return;
        }
        self.host
            .set_request_header("x-serin-steer", &directive.baseline);
        *self.steered.entry(upstream.destination).or_insert(0) += 1;
    }

    fn refuse_request(&mut self, request: &Request) -> bool {
        let Some(route) = self.guarded_route(&request.method, &request.path) else {
            return false;
        };
        match self.guard.refuse_request(&self.plan, request, &route) {
            Some(reason) => {
                self.refuse(&reason, request.grpc);
                true
            }
            None => false,
        }
    }
}
