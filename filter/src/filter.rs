//! What one worker does with the proxy's callbacks: requests and responses become facts in a
//! tally; ticks carry them to the board and bring verdicts back.

use crate::board::{Keys, Outbox};
use crate::guard::Guard;
use crate::host::{Host, Level};
use crate::in_flight::{InFlight, Table};
use crate::leader::Leader;
use crate::metrics::Metrics;
use crate::publication::{Directive, Publication};
use crate::request::Request;
use crate::response::Response;
use crate::upstream::Upstreams;
use core::time::Duration;
use hashbrown::HashMap;
use scorer_sdk::Plan;
use scorer_sdk::config::{Mode, Role};
use scorer_sdk::facts::{Ending, Exchange};
use scorer_sdk::recording::Record;
use scorer_sdk::route::RouteKey;
use scorer_sdk::signal::NameHasher;
use scorer_sdk::tally::Tally;
use scorer_sdk::verdict::Verdict;
use std::rc::Rc;
use std::sync::Arc;

/// Exchanges in flight that are looked at in one tick.
const MAX_OVERDUE_PER_TICK: usize = 512;
/// Time in microseconds until an exchange in flight on a route without a cut is looked at again.
const LOOK_AGAIN_US: u64 = 10_000_000;
/// `xds.listener_direction` of an inbound listener.
const INBOUND: [u8; 8] = 1u64.to_le_bytes();
/// Envoy's response flags: the upstream reset or closed the stream, or the proxy reset it.
const FLAGS_RESET: u64 = 0x8 | 0x10 | 0x40;
/// Envoy's response flag: the client closed the connection.
const FLAG_CLIENT_GONE: u64 = 0x4000;
/// Distinct reasons of refusal that are counted apart by one worker between two ticks.
const MAX_REASONS: usize = 64;

/// One request as the filter follows it.
#[derive(Debug, Default)]
pub struct Stream {
    context_id: u32,
    request: Request,
    flight: Flight,
    responded: bool,
    refused: bool,
}

/// Where the part of a request is that has to be found at a tick.
#[derive(Debug, Default)]
enum Flight {
    /// The request is not watched: left alone, refused, or never seen.
    #[default]
    Unwatched,
    /// At this place of the worker's table.
    Listed(u32),
    /// The table was full.
    Unlisted(InFlight),
}

impl Stream {
    /// A stream of which nothing is known yet.
    #[must_use]
    pub fn new(context_id: u32) -> Self {
        Self {
            context_id,
            ..Self::default()
        }
    }
}

/// When an exchange is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// At the response's headers, because the answer is being replaced: its length is not known.
    Headers,
    /// When it is over.
    Log,
}

/// Where an exchange went.
struct Served {
    destination: Rc<str>,
    version: Rc<str>,
    route_name: String,
}

/// Where the current stream went: for a guard, to itself.
fn served(
    host: &impl Host,
    plan: &Plan,
    upstreams: &mut Upstreams,
    guarding: bool,
) -> Option<Served> {
    if guarding {
        let reference = plan.reject.reference.as_ref();
        return Some(Served {
            destination: reference
                .map_or("inbound", |known| known.destination.as_str())
                .into(),
            version: plan.candidate.as_deref().unwrap_or("candidate").into(),
            route_name: String::new(),
        });
    }
    let (destination, version) = upstreams.served(host, plan)?;
    let name = if plan.routes_by_name {
        host.property(&["xds", "route_name"])
    } else {
        None
    };
    let route_name = name
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    Some(Served {
        destination,
        version,
        route_name,
    })
}

/// What one worker knows and does under one config.
pub struct Filter<H: Host> {
    host: H,
    plan: Arc<Plan>,
    /// Whether this is the callee's own inbound listener.
    guarding: bool,
    /// The root context, for calls between streams.
    root_id: u32,
    tally: Tally,
    hasher: NameHasher,
    upstreams: Upstreams,
    in_flight: Table,
    overflowed_flights: u64,
    outbox: Outbox,
    leader: Leader,
    keys: Keys,
    guard: Guard,
    metrics: Metrics,
    publication: u64,
    directives: Vec<Directive>,
    cuts: HashMap<RouteKey, u64>,
    /// Whether any destination is being steered: the one flag that a request looks at.
    steering: bool,
    /// Gathers the share of requests that a probation lets through.
    trickle: f64,
    steered: HashMap<Rc<str>, u64>,
    rescued: HashMap<Rc<str>, u64>,
    rejected: HashMap<String, u64>,
    busy: bool,
    closed: bool,
}

impl<H: Host + Clone> Filter<H> {
    /// A worker under `plan`. `plugin` names the plugin among those of the proxy.
    #[must_use]
    pub fn new(host: H, plan: Arc<Plan>, plugin: &str, root_id: u32) -> Self {
        let now = host.now();
        // Unlike any other worker's: two VMs are not made in the same nanosecond.
        let owner = (now.as_nanos() as u64).rotate_left(17) ^ u64::from(root_id);
        let inbound = || host.property(&["xds", "listener_direction"]).as_deref() == Some(&INBOUND);
        let guarding = match plan.role {
            Role::Guard => true,
            Role::Comparer => false,
            Role::Auto => plan.mode == Mode::Reject || inbound(),
        };
        let keys = Keys::new(&format!(
            "{plugin}/{}",
            if guarding { "guard" } else { "comparer" }
        ));
        Self {
            tally: Tally::new(Arc::clone(&plan), owner),
            hasher: NameHasher::new(owner),
            upstreams: Upstreams::default(),
            in_flight: Table::default(),
            overflowed_flights: 0,
            outbox: Outbox::new(keys.clone(), owner),
            leader: Leader::new(
                Arc::clone(&plan),
                keys.clone(),
                owner,
                now,
                if guarding { "guard" } else { "comparer" },
            ),
            keys,
            guard: Guard::default(),
            metrics: Metrics::new(plan.max_series),
            publication: 0,
            directives: Vec::new(),
            cuts: HashMap::new(),
            steering: false,
            trickle: 0.0,
            steered: HashMap::new(),
            rescued: HashMap::new(),
            rejected: HashMap::new(),
            busy: false,
            closed: false,
            host,
            plan,
            guarding,
            root_id,
        }
    }

    /// The request's headers have come. Whether the request goes on; it does not when it was
    /// refused.
    pub fn on_request(&mut self, stream: &mut Stream) -> bool {
        let mut request = Request::read(self.host.request_headers());
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

    fn guarded_destination(&self) -> Option<&str> {
        self.plan
            .reject
            .reference
            .as_ref()
            .map(|reference| reference.destination.as_str())
    }

    fn guarded_route(&mut self, method: &str, path: &str) -> Option<RouteKey> {
        let destination = self.guarded_destination()?.to_owned();
        let place = self.tally.route(&destination, "", method, path)?;
        self.tally.key(place).cloned()
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

    fn refuse(&mut self, reason: &str, grpc: bool) {
        self.host.refuse("x-serin-reject", reason, grpc);
        if self.rejected.len() < MAX_REASONS || self.rejected.contains_key(reason) {
            *self.rejected.entry(reason.to_owned()).or_insert(0) += 1;
        }
    }

    /// The response's headers have come. Whether the response goes on.
    pub fn on_response(&mut self, stream: &mut Stream) -> bool {
        // A local reply of our own comes by here too.
        if stream.refused {
            return true;
        }
        stream.responded = true;
        if self.plan.mode == Mode::Annotate && !matches!(stream.flight, Flight::Unwatched) {
            self.annotate();
        }
        if self.guarding && self.guard.is_armed() {
            return !self.refuse_response(stream);
        }
        true
    }

    fn annotate(&mut self) {
        let Some((destination, version)) = self.upstreams.served(&self.host, &self.plan) else {
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
        self.host.set_response_header("x-serin-verdict", &text);
    }

    fn refuse_response(&mut self, stream: &mut Stream) -> bool {
        let flight = match &stream.flight {
            Flight::Listed(place) => self.in_flight.get(*place).cloned(),
            Flight::Unlisted(flight) => Some(flight.clone()),
            Flight::Unwatched => None,
        };
        let Some(flight) = flight else {
            return false;
        };
        let Some(route) = self.guarded_route(&flight.method, &flight.path) else {
            return false;
        };
        let response = Response::read(self.host.response_headers());
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
            content_type: &response.content_type,
            header_names: Some(&response),
            ..Exchange::default()
        };
        let reason =
            self.guard
                .refuse_response(&self.plan, &request, &route, &exchange, &self.hasher);
        match reason {
            Some(reason) => {
                // Counted as what it was, before the answer is replaced.
                stream.refused = true;
                self.count(stream, &response, Phase::Headers);
                self.refuse(&reason, response.grpc);
                true
            }
            None => false,
        }
    }

    /// The exchange is over.
    pub fn on_log(&mut self, stream: &mut Stream) {
        if !stream.refused {
            let response = if stream.responded {
                Response::read(self.host.response_headers())
            } else {
                Response::default()
            };
            self.count(stream, &response, Phase::Log);
        }
        if self.closed {
            // The config was replaced while this exchange went on; no further tick will come.
            self.flush();
        }
    }

    fn count(&mut self, stream: &mut Stream, response: &Response, phase: Phase) {
        let flight = match core::mem::take(&mut stream.flight) {
            Flight::Unwatched => None,
            Flight::Listed(place) => self.in_flight.remove(place),
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
        let flags = self.number(&["response", "flags"]).unwrap_or(0);
        let ending = if flags & FLAG_CLIENT_GONE != 0 {
            Ending::ClientGone
        } else if flags & FLAGS_RESET != 0 && response.status.is_none_or(|status| status < 500) {
            Ending::Reset
        } else {
            Ending::Complete
        };
        let grpc_status = match response.grpc_status {
            None if response.grpc => self
                .number(&["response", "grpc_status"])
                .and_then(|code| code.try_into().ok()),
            known => known,
        };
        let response_bytes = match response.content_length {
            None if phase == Phase::Log && response.status.is_some() => {
                self.number(&["response", "size"])
            }
            known => known,
        };
        let duration = self.host.now().saturating_sub(flight.started);
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let exchange = Exchange {
            destination: &served.destination,
            route_name: &served.route_name,
            method: &flight.method,
            path: &flight.path,
            version: &served.version,
            status: response.status,
            grpc_status,
            ending,
            duration_us: (!flight.counted).then_some(duration_us),
            response_bytes,
            content_type: &response.content_type,
            header_names: response.status.is_some().then_some(response as _),
            ..Exchange::default()
        };
        self.tally.record(&exchange);
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

    fn number(&self, path: &[&str]) -> Option<u64> {
        self.host
            .property(path)?
            .try_into()
            .ok()
            .map(u64::from_le_bytes)
    }

    /// A request that took more than one attempt and was then answered well by the baseline.
    fn count_rescued(&mut self, served: Served, status: Option<u16>) {
        let attempts = self
            .number(&["upstream", "request_attempt_count"])
            .unwrap_or(1);
        let by_baseline = self.directives.iter().any(|directive| {
            directive.destination == *served.destination && directive.baseline == *served.version
        });
        if attempts > 1 && by_baseline && status.is_some_and(|status| status < 500) {
            *self.rescued.entry(served.destination).or_insert(0) += 1;
        }
    }

    /// A tick: what hangs is counted, what was counted goes to the board, verdicts come back, and
    /// whoever holds the lease folds.
    pub fn tick(&mut self) {
        let now = self.host.now();
        self.read_publication();
        self.count_overdue(now);
        if self.outbox.has_room() {
            let delta = self.take();
            self.outbox.publish(&self.host, delta, now);
        }
        self.count_actions();
        self.leader.tick(&self.host, now, self.busy);
    }

    fn take(&mut self) -> scorer_sdk::delta::Delta {
        let mut delta = self.tally.take();
        delta.overflow.in_flight += core::mem::take(&mut self.overflowed_flights);
        for route in &delta.routes {
            let route_label = route.key.label();
            for version in &route.versions {
                let labels = [
                    ("destination", route.key.destination.as_str()),
                    ("route", route_label.as_str()),
                    ("version", version.version.as_str()),
                ];
                self.metrics.count(
                    &self.host,
                    "serin_exchanges_total",
                    &labels,
                    version.exchanges,
                );
            }
        }
        self.metrics.count_overflow(&self.host, &delta.overflow);
        self.metrics.count_refused(&self.host);
        delta
    }

    fn count_actions(&mut self) {
        let counts = [
            ("serin_steered_total", &mut self.steered),
            ("serin_rescued_total", &mut self.rescued),
        ];
        for (metric, counts) in counts {
            for (destination, count) in counts.drain() {
                let labels = [("destination", &*destination)];
                self.metrics.count(&self.host, metric, &labels, count);
            }
        }
        for (reason, count) in self.rejected.drain() {
            let (route, category) = reason.rsplit_once(';').unwrap_or((&reason, ""));
            let labels = [("route", route), ("reason", category)];
            self.metrics
                .count(&self.host, "serin_rejected_total", &labels, count);
        }
    }

    fn read_publication(&mut self) {
        let bytes = self.host.shared(&self.keys.verdict()).bytes;
        let number = Publication::peek_number(&bytes);
        if number.is_none_or(|number| number == self.publication) {
            return;
        }
        // What cannot be read is another version's: act as if there were no verdict.
        let publication = Publication::decode(&bytes).unwrap_or_default();
        self.publication = number.unwrap_or(0);
        self.outbox.acknowledge(&publication.acknowledged);
        self.cuts = publication.cuts.into_iter().collect();
        self.steering = self.plan.mode == Mode::Steer
            && publication
                .directives
                .iter()
                .any(|directive| directive.steer_share > 0.0);
        if self.guarding && self.plan.mode == Mode::Reject {
            let condemned: Vec<_> = publication
                .directives
                .iter()
                .filter(|directive| directive.verdict == Some(Verdict::Anomalous))
                .flat_map(|directive| directive.condemned.iter().cloned())
                .collect();
            self.guard.update(&self.plan, &condemned);
        }
        self.directives = publication.directives;
    }

    /// Counts as slow what has been in flight for longer than its route's cut: a candidate that
    /// hangs never completes anything.
    fn count_overdue(&mut self, now: Duration) {
        let Some(shortest) = self.cuts.values().min().copied() else {
            return;
        };
        let mut entered = false;
        let mut looked_at = 0;
        let Self {
            in_flight,
            host,
            tally,
            upstreams,
            plan,
            cuts,
            guarding,
            ..
        } = self;
        for flight in in_flight.iter_mut().filter(|flight| !flight.counted) {
            let elapsed = now.saturating_sub(flight.started).as_micros() as u64;
            if elapsed <= shortest.max(flight.not_before_us) || looked_at >= MAX_OVERDUE_PER_TICK {
                continue;
            }
            // Streams that last long by nature are not looked at in every tick.
            flight.not_before_us = elapsed.saturating_add(LOOK_AGAIN_US);
            looked_at += 1;
            entered = true;
            if !host.enter(flight.context_id) {
                continue;
            }
            let Some(served) = served(host, plan, upstreams, *guarding) else {
                continue;
            };
            let Some(place) = tally.route(
                &served.destination,
                &served.route_name,
                &flight.method,
                &flight.path,
            ) else {
                continue;
            };
            let cut = tally.key(place).and_then(|key| cuts.get(key));
            match cut {
                Some(cut) if elapsed > *cut => {}
                Some(cut) => {
                    flight.not_before_us = *cut;
                    continue;
                }
                None => continue,
            }
            let exchange = Exchange {
                destination: &served.destination,
                route_name: &served.route_name,
                method: &flight.method,
                path: &flight.path,
                version: &served.version,
                status: None,
                grpc_status: None,
                ending: Ending::InFlight,
                duration_us: Some(elapsed),
                response_bytes: None,
                content_type: "",
                header_names: None,
                ..Exchange::default()
            };
            tally.record_at(place, &exchange);
            flight.counted = true;
        }
        if entered {
            self.host.enter(self.root_id);
        }
    }

    /// The config is going: everything that was counted goes to the board at once.
    pub fn close(&mut self) {
        self.closed = true;
        self.flush();
    }

    fn flush(&mut self) {
        let delta = self.take();
        let now = self.host.now();
        self.outbox.flush(&self.host, delta, now);
        self.count_actions();
    }

    /// Says in the log what runs here.
    pub fn announce(&self) {
        let text = format!(
            "serin {}: {} as {}, baseline {}, candidate {}",
            env!("CARGO_PKG_VERSION"),
            self.plan.mode.name(),
            if self.guarding { "guard" } else { "comparer" },
            self.plan.baseline.as_deref().unwrap_or("found"),
            self.plan.candidate.as_deref().unwrap_or("found"),
        );
        self.host.log(Level::Info, &text);
    }
}
