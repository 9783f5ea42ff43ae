//! The two listeners of a sidecar, where fan-out is looked at: the inbound one reports the calls
//! that the outbound one notes.

use super::fan_out::{self, Names, Reporter};
use super::request::Request;
use super::response::Response;
use super::upstream::Upstream;
use crate::host::Host;
use core::time::Duration;
use scorer_sdk::Plan;
use scorer_sdk::telemetry::REPORT_HEADER;

/// One listener's side of it.
#[derive(Debug, Default)]
pub struct Calls {
    /// Whether fan-out is looked at.
    is_on: bool,
    /// Whether an inbound listener of this proxy wants to know of the calls that pass here.
    beside_reporter: bool,
    reporter: Reporter,
    overflow: u64,
}

impl Calls {
    /// A listener under a plan that has not looked for the other one yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        Self {
            is_on: fan_out::is_on(plan),
            ..Self::default()
        }
    }

    /// Looks for the other listener, and makes an inbound one known to it. `tick` is the time
    /// between two ticks.
    pub fn look_for_counterpart(&mut self, host: &impl Host, tick: Duration, inbound: bool) {
        if !self.is_on {
            return;
        }
        let now = host.now();
        if inbound {
            self.reporter.announce(host, now, tick);
        } else {
            self.beside_reporter = fan_out::reporter_since(host, now, tick).is_some();
        }
    }

    /// On the way in: gathers the calls that the application will make for this request. The names
    /// of its slots.
    pub fn gather(&mut self, host: &impl Host, request: &Request) -> Names {
        if !self.is_on || !self.reporter.is_settled {
            return Names::new();
        }
        fan_out::open(host, &request.traced_as, host.now(), &mut self.overflow)
    }

    /// Whether this request, on its way out, may be a call for one that is being gathered.
    #[must_use]
    pub fn notes(&self, request: &Request) -> bool {
        self.is_on && self.beside_reporter && !request.traced_as.is_empty()
    }

    /// On the way out: adds a call to the request that it is made for.
    pub fn note(&self, host: &impl Host, plan: &Plan, upstream: &Upstream, request: &Request) {
        let path = plan.paths.fixed_text(&request.path);
        let call = format!("{} {} {path}", upstream.destination, request.method);
        fan_out::note(host, &request.traced_as, &call, host.now());
    }

    /// Reports the calls that were gathered under these names to the caller's proxy.
    pub fn report(&self, host: &impl Host, names: &Names) {
        if names.is_empty() {
            return;
        }
        if let Some(report) = fan_out::close(host, names, host.now()) {
            host.set_response_header(REPORT_HEADER.name, &report);
        }
    }

    /// Frees the slots of a request that has got no response.
    pub fn abandon(&self, host: &impl Host, names: &Names) {
        if !names.is_empty() {
            fan_out::close(host, names, host.now());
        }
    }

    /// Takes the callee's report off a response: it is not for clients, whether or not this proxy
    /// has a use for it.
    pub fn take_report(&self, host: &impl Host, response: &mut Response) -> Option<String> {
        let report = response.take_own(REPORT_HEADER.name)?;
        host.remove_response_header(REPORT_HEADER.name);
        if !self.is_on || report.len() > fan_out::MAX_REPORT_BYTES {
            return None;
        }
        String::from_utf8(report).ok()
    }

    /// Requests that could not be followed since the last call.
    pub fn take_overflow(&mut self) -> u64 {
        core::mem::take(&mut self.overflow)
    }
}
