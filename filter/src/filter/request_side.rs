//! A request's headers: forged ones go, a verdict steers or refuses, and the rest is kept for later.

use super::{Filter, Flight, Stream};
use crate::host::Host;
use crate::in_flight::InFlight;
use crate::request::Request;

impl<H: Host> Filter<H> {
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
            Ok(place) => Flight::Listed(place),
            Err(flight) => {
                self.overflowed_flights += 1;
                Flight::Unlisted(flight)
            }
        };
        true
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
