//! The observer: reads each stream, and counts it as an exchange.

use super::body::{Sampler, Watch};
use super::budget::Budget;
use super::calls::Calls;
use super::decoding::Decoding;
use super::exchange::{self, End, Facts, Phase};
use super::glance::{Glance, Habits};
use super::in_flight::{InFlight, Table};
use super::life::{Flight, Stream};
use super::local_reply;
use super::origin::Origins;
use super::request::{self, Request};
use super::response::{self, Response};
use super::served::Served;
use super::surprise::{self, Surprise};
use super::timing::{Kind, Timing};
use super::upstream::{Upstream, Upstreams};
use crate::host::{Host, properties};
use core::time::Duration;
use hashbrown::HashMap;
use scorer_sdk::Plan;
use scorer_sdk::count::delta::Delta;
use scorer_sdk::count::tally::Tally;
use scorer_sdk::limits::LONG_WITHOUT_CUT;
use scorer_sdk::route::RouteKey;
use scorer_sdk::signal::NameHasher;
use scorer_sdk::telemetry::REPORT_HEADER;
use scorer_sdk::wire::envoy;
use scorer_sdk::wire::recording::Record;
use scorer_sdk::{Ending, Exchange, Sampling};
use std::rc::Rc;
use std::sync::Arc;

/// Exchanges in flight that are looked at in one tick.
const MAX_LONG_RUNNING_PER_TICK: usize = 512;
/// Time in microseconds until an exchange in flight on a route without a cut is looked at again.
const LOOK_AGAIN_US: u64 = 10_000_000;

/// Ticks, and time beyond them, after which a tick is not late: the clock was set, or the proxy stood
/// still.
const LATE_TICKS: u32 = 2;
const LATE: Duration = Duration::from_secs(10);

/// What one worker sees of its streams.
pub struct Observer {
    plan: Arc<Plan>,
    /// Whether this is the callee's own inbound listener.
    guarding: bool,
    tally: Tally,
    budget: Budget,
    habits: Habits,
    requests: request::Reader,
    responses: response::Reader,
    upstreams: Upstreams,
    origins: Origins,
    bodies: Sampler,
    decoding: Decoding,
    /// What is usual, where surprise is on.
    surprise: Option<Surprise>,
    calls: Calls,
    in_flight: Table,
    overflowed_flights: u64,
    /// When the last tick was.
    last_tick: Option<Duration>,
    /// Per route, the microseconds from which on an exchange in flight is slow.
    cuts: HashMap<RouteKey, u64>,
}

/// An exchange that was counted.
pub struct Counted {
    /// Where it went.
    pub served: Served,
    /// Response status; `None` when no response came.
    pub status: Option<u16>,
    /// How strange it was, where surprise is on.
    pub surprise: Option<Surprising>,
    /// The exchange as a line of JSON, where the plan asks for a recording.
    pub record: Option<Vec<u8>>,
}

/// How strange an exchange was, for those who are told.
pub struct Surprising {
    /// For the access log.
    pub text: String,
    /// Its surprise in bits; `None` in the first epochs, when everything is new.
    pub bits: Option<f64>,
}

/// How strange an exchange is at the response's headers.
pub struct Early {
    /// For the response's header and the trace.
    pub text: String,
    /// Whether there was a past to be strange beside; not in the first epochs.
    pub has_past: bool,
    /// Its method and route, when it is so strange that a guard may refuse it.
    pub too_strange: Option<(String, RouteKey)>,
}

impl Observer {
    /// An observer in the worker `owner`, under the proxy's `secret`.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, owner: u64, secret: u64, guarding: bool) -> Self {
        let hasher = NameHasher::new(owner);
        Self {
            guarding,
            tally: Tally::new(Arc::clone(plan), owner),
            budget: Budget::new(plan, owner),
            habits: Habits::default(),
            surprise: Surprise::new(plan, &hasher),
            responses: response::Reader::new(hasher.clone()),
            requests: request::Reader::new(plan, hasher, secret),
            upstreams: Upstreams::default(),
            origins: Origins::new(plan, owner),
            bodies: Sampler::default(),
            decoding: Decoding::default(),
            calls: Calls::new(plan),
            in_flight: Table::default(),
            overflowed_flights: 0,
            last_tick: None,
            cuts: HashMap::new(),
            plan: Arc::clone(plan),
        }
    }

    /// This is an inbound listener; nothing has been counted yet.
    pub fn become_guard(&mut self) {
        self.guarding = true;
    }

    /// Looks for the other listener of a sidecar, where fan-out is looked at.
    pub fn look_for_counterpart(&mut self, host: &impl Host) {
        self.calls
            .look_for_counterpart(host, self.plan.tick, self.guarding);
    }

    /// Draws whether the exchange of a request that has come is looked at in full, or only glanced
    /// at; whether it is looked at.
    pub fn looks(&mut self, host: &impl Host, stream: &mut Stream) -> bool {
        let looks = self.budget.looks();
        if !looks {
            stream.glance = Some(Glance::at_request(
                host,
                self.budget.sampling(),
                self.habits,
            ));
        }
        looks
    }

    /// The response's headers have come of an exchange that is only glanced at.
    pub fn glance_at_response(&self, host: &impl Host, stream: &mut Stream) {
        let is_http = stream
            .glance
            .as_mut()
            .is_some_and(|glance| glance.read_response(host, self.habits));
        if !is_http {
            stream.glance = None;
        }
    }

    /// An exchange that was only glanced at is over: one that failed is looked at now.
    pub fn count_glance(&mut self, host: &impl Host, stream: &mut Stream) {
        let Some(glance) = stream.glance.take() else {
            return;
        };
        if glance.has_failed(host, stream) && self.budget.takes_case(glance.sampling) {
            self.count_case(host, stream, glance);
        } else {
            self.tally.record_unlooked();
        }
    }

    /// Counts an exchange that was only glanced at and failed, as a case.
    fn count_case(&mut self, host: &impl Host, stream: &mut Stream, mut glance: Glance) {
        let headers = host.request_headers();
        let mut request = self.requests.read_late(&self.plan, &headers);
        if let Some(path) = glance.original_path(host) {
            request.path = request::text(&path).into_owned();
        }
        // Attempts that are counted here are this proxy's own.
        request.id = request.id.filter(|_| self.habits.has_attempts);
        let response = match glance.status {
            Some(_) => self.read_response(host),
            None => Response::default(),
        };
        // Of no version: its like that ended well is not known to be either.
        let served = self.version_behind(host, &response);
        let Some(served) = served.filter(|_| !request.left_alone) else {
            self.tally.record_unlooked();
            return;
        };
        let lasted = host.number(properties::REQUEST_DURATION).unwrap_or(0);
        let lasted = Duration::from_nanos(lasted);
        let now = host.now();
        let mut timing = Timing::new(now.saturating_sub(lasted), true);
        if let Some(status) = glance.status {
            let length = response.content_length;
            let kind = Kind::of(Some(status), response.content_type(), length);
            timing.answered(kind, stream.is_whole, || now);
            timing.passed(stream.body_bytes, stream.is_whole, || now);
        }
        let ending = exchange::ending(host, stream, &response, &timing, Phase::End);
        let flight = flight(stream, timing, request, glance.sampling);
        let origin = self
            .origins
            .current(host, &self.plan, &served.destination, flight.session);
        let end = End {
            ending,
            grpc_status: exchange::grpc_status(host, &response, Phase::End, ending),
            response_bytes: None,
            duration_us: None,
            lasted_us: micros(lasted),
            origin: &origin,
            body: None,
            is_case: true,
        };
        let facts = Facts::at_end(&served, &flight, stream, &response, &end);
        self.tally.record(&facts.exchange());
    }

    /// Where the current stream, which is over, went; `None` where the proxy answered itself, or no
    /// known version did.
    fn version_behind(&mut self, host: &impl Host, response: &Response) -> Option<Served> {
        if self.is_proxys_own(host, response) {
            return None;
        }
        self.served(host)
    }

    /// Reads the request's headers.
    pub fn read_request(&mut self, host: &impl Host) -> Request {
        let request = self.requests.read(&self.plan, &host.request_headers());
        self.habits.has_attempts |= request.attempt.is_some();
        request
    }

    /// Reads the response's headers.
    pub fn read_response(&mut self, host: &impl Host) -> Response {
        let response = self.responses.read(&host.response_headers());
        self.habits.has_grpc |= response.grpc;
        self.habits.has_reports |= response.has_own(REPORT_HEADER.name);
        response
    }

    /// Forged headers were found in a response: those that are only glanced at lose theirs, too.
    pub fn note_forged(&mut self) {
        self.habits.has_forged = true;
    }

    /// Whether the headers of this response, which is only glanced at, are to lose forged ones, and
    /// if so, whether it may be a guard's refusal.
    #[must_use]
    pub fn strips_at_glance(&self, stream: &Stream) -> Option<bool> {
        let glance = stream.glance.as_ref().filter(|_| self.habits.has_forged)?;
        Some(glance.may_be_refusal())
    }

    /// Forged trailers were found, too.
    pub fn note_forged_trailers(&mut self) {
        self.habits.has_forged_trailers = true;
    }

    /// Whether the trailers of a response are to be read.
    #[must_use]
    pub fn reads_trailers(&self, stream: &Stream) -> bool {
        !stream.is_glanced_at() || self.habits.has_forged_trailers
    }

    /// Whether the proxy answers the current request by itself, before the version was asked.
    #[must_use]
    pub fn is_proxys_own(&self, host: &impl Host, response: &Response) -> bool {
        local_reply::is_own(host, response)
    }

    /// Where the current request is going, or where it went.
    pub fn upstream(&mut self, host: &impl Host) -> Option<Upstream> {
        self.upstreams.current(host, &self.plan)
    }

    /// Where the current stream went: for a guard, to the application beside it.
    pub fn served(&mut self, host: &impl Host) -> Option<Served> {
        if self.guarding {
            return Some(Served::by_guarded(&self.plan));
        }
        Served::current(host, &self.plan, &mut self.upstreams)
    }

    /// Destination and version of the current stream's upstream.
    pub fn version(&mut self, host: &impl Host) -> Option<(Rc<str>, Rc<str>)> {
        self.upstreams.served(host, &self.plan)
    }

    /// The route of a request to the application that is guarded, if there is a reference for it.
    pub fn guarded_route(&mut self, method: &str, path: &str) -> Option<RouteKey> {
        let reference = self.plan.reject.reference.as_ref()?;
        let index = self.tally.route(&reference.destination, "", method, path)?;
        self.tally.key(index).cloned()
    }

    /// Follows a request that goes on. `is_whole` says that it has no body.
    pub fn follow(
        &mut self,
        host: &impl Host,
        stream: &mut Stream,
        request: Request,
        is_whole: bool,
    ) {
        if self.guarding {
            stream.gathered_as = self.calls.gather(host, &request);
        } else if self.calls.notes(&request)
            && let Some(upstream) = self.upstreams.current(host, &self.plan)
        {
            self.calls.note(host, &self.plan, &upstream, &request);
        }
        let timing = Timing::new(host.now(), is_whole);
        let sampling = self.budget.sampling();
        let flight = flight(stream, timing, request, sampling);
        stream.flight = match self.in_flight.add(flight) {
            Ok(index) => Flight::Listed(index),
            Err(flight) => {
                self.overflowed_flights += 1;
                Flight::Unlisted(flight)
            }
        };
    }

    /// A part of the request's body has come; `is_end` says that it was the last one.
    pub fn follow_request(&mut self, host: &impl Host, stream: &mut Stream, is_end: bool) {
        if let Some(flight) = stream.flight_mut(&mut self.in_flight) {
            flight.timing.asked(|| host.now(), is_end);
        }
    }

    /// The response's headers have come, as far as the exchange's time is concerned.
    pub fn follow_response(&mut self, host: &impl Host, stream: &mut Stream, response: &Response) {
        let is_whole = stream.is_whole;
        if let Some(flight) = stream.flight_mut(&mut self.in_flight) {
            let kind = Kind::of(
                response.status,
                response.content_type(),
                response.content_length,
            );
            flight.timing.answered(kind, is_whole, || host.now());
        }
    }

    /// The calls behind a request: the inbound listener reports them, the caller takes the report.
    pub fn pass_report(&self, host: &impl Host, stream: &mut Stream, response: &mut Response) {
        if self.guarding {
            let names = core::mem::take(&mut stream.gathered_as);
            self.calls.report(host, &names);
        } else if let Some(report) = self.calls.take_report(host, response) {
            stream.report = Some(report);
        }
    }

    /// The response's headers have come: the version does answer, however long it may take.
    pub fn note_answer(&mut self, stream: &Stream, response: &Response) {
        if let Flight::Listed(index) = &stream.flight
            && let Some(flight) = self.in_flight.get_mut(*index)
        {
            flight.status = response.status;
        }
    }

    /// Decides whether the response's body is looked at.
    pub fn choose_body(&mut self, stream: &mut Stream, response: &Response) {
        // The answer to HEAD has no body.
        let may_have_body = stream
            .flight(&self.in_flight)
            .is_some_and(|flight| flight.method != "HEAD");
        if let Some(plan) = &self.plan.body
            && !self.guarding
            && may_have_body
        {
            stream.body = self.bodies.choose(plan, response);
        }
    }

    /// Follows a chunk of the response's body, or its trailers, and looks at it where this is
    /// wanted.
    pub fn follow_body(&mut self, host: &impl Host, stream: &mut Stream, size: usize) {
        let (bytes, is_whole) = (stream.body_bytes, stream.is_whole);
        if let Some(flight) = stream.flight_mut(&mut self.in_flight) {
            flight.timing.passed(bytes, is_whole, || host.now());
        }
        if let Some(watch) = &mut stream.body {
            watch.look(host, &self.decoding, size);
        }
    }

    /// What `decide` says of an exchange to the guarded application at its response's headers.
    pub fn decide_at_headers<Decision>(
        &mut self,
        stream: &Stream,
        response: &Response,
        decide: impl FnOnce(&RouteKey, &Exchange<'_>) -> Option<Decision>,
    ) -> Option<Decision> {
        let flight = stream.flight(&self.in_flight)?.clone();
        let route = self.guarded_route(&flight.method, &flight.path)?;
        let served = Served::by_guarded(&self.plan);
        let facts = Facts::at_headers(&served, &flight, stream, response);
        decide(&route, &facts.exchange())
    }

    /// Whether a score is wanted at the response's headers, for a header, a trace or a guard.
    #[must_use]
    pub fn scores_early(&self, stream: &Stream) -> bool {
        let surprise = self.surprise.as_ref();
        surprise.is_some_and(|surprise| surprise.is_wanted_early(self.guarding))
            && stream.flight(&self.in_flight).is_some()
    }

    /// Scores an exchange at its response's headers. `None` where it is not known whose it is.
    pub fn score_early(
        &mut self,
        host: &impl Host,
        stream: &mut Stream,
        response: &Response,
    ) -> Option<Early> {
        let flight = stream.flight(&self.in_flight)?.clone();
        let served = self.served(host)?;
        let index = self.tally.route(
            &served.destination,
            &served.route_name,
            &flight.method,
            &flight.path,
        )?;
        stream.index = Some(index);
        let route = self.tally.key(index)?;
        let surprise = self.surprise.as_mut()?;
        let label = self.tally.label(index)?;
        let facts = Facts::at_headers(&served, &flight, stream, response);
        let score = surprise.score_early(label, &facts.exchange(), &stream.request.looks);
        let refused = self.guarding && surprise.is_refused(&score);
        let early = Early {
            text: surprise::text(&score),
            has_past: surprise.has_past(&served.destination),
            too_strange: refused.then(|| (flight.method.to_string(), route.clone())),
        };
        stream.early = Some(score);
        Some(early)
    }

    /// No response came: what was kept for one is free again.
    pub fn abandon_report(&self, host: &impl Host, stream: &mut Stream) {
        let names = core::mem::take(&mut stream.gathered_as);
        self.calls.abandon(host, &names);
    }

    /// Counts an exchange, once. `None` when it is not watched or belongs to no known version.
    pub fn count(
        &mut self,
        host: &impl Host,
        stream: &mut Stream,
        response: &Response,
        phase: Phase,
    ) -> Option<Counted> {
        let flight = stream.land(&mut self.in_flight)?;
        if response.status == Some(envoy::SWITCHING) {
            return None;
        }
        let Some(served) = self.version_behind(host, response) else {
            self.tally.record_unattributed();
            return None;
        };
        if phase == Phase::End && !self.habits.has_rewrites && self.budget.asks_for_path() {
            self.habits.learn_rewrites(host, &flight.path);
        }
        let ending = exchange::ending(host, stream, response, &flight.timing, phase);
        let now = host.now();
        let lasted = now.saturating_sub(flight.timing.started);
        let is_complete = ending == Ending::Complete;
        let watch = stream.body.take();
        let body = watch.map(|watch| Watch::finish(watch, is_complete, lasted));
        let origin = self
            .origins
            .current(host, &self.plan, &served.destination, flight.session);
        let end = End {
            ending,
            grpc_status: exchange::grpc_status(host, response, phase, ending),
            response_bytes: exchange::response_bytes(stream, response, phase),
            duration_us: flight.timing.of_version(now).map(micros),
            lasted_us: micros(lasted),
            origin: &origin,
            body: body.as_ref(),
            is_case: false,
        };
        let facts = Facts::at_end(&served, &flight, stream, response, &end);
        let exchange = facts.exchange();
        let surprise = if self.surprise.is_some() {
            self.record_and_score(host, &exchange, stream, phase)
        } else {
            self.tally.record(&exchange);
            None
        };
        let record = if self.plan.record {
            let duration_us = end.duration_us.unwrap_or(end.lasted_us);
            serde_json::to_vec(&Record::new(&exchange, flight.timing.started, duration_us)).ok()
        } else {
            None
        };
        Some(Counted {
            status: response.status,
            surprise,
            record,
            served,
        })
    }

    /// Counts an exchange and says how strange it was; nothing of one whose answer is replaced.
    fn record_and_score(
        &mut self,
        host: &impl Host,
        exchange: &Exchange<'_>,
        stream: &Stream,
        phase: Phase,
    ) -> Option<Surprising> {
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
        })?;
        let surprise = self.surprise.as_mut()?;
        self.tally.record_at(index, exchange);
        let label = self.tally.label(index)?;
        let client = surprise.client(host);
        let (looks, early) = (&stream.request.looks, stream.early.as_ref());
        if phase == Phase::Headers {
            if let Some(early) = early {
                surprise.learn_refused(label, exchange, looks, client, early);
            }
            return None;
        }
        let score = surprise.finish(label, exchange, looks, client, early)?;
        let terms = surprise.terms(&score, exchange);
        Some(Surprising {
            text: format!("{};terms={terms}", surprise::text(&score)),
            bits: surprise
                .has_past(exchange.destination)
                .then_some(score.bits),
        })
    }

    /// Takes over which destinations have a candidate, and from when on an exchange in flight is slow.
    pub fn update(&mut self, rollouts: impl Iterator<Item = String>, cuts: Vec<(RouteKey, u64)>) {
        self.origins.update(rollouts);
        self.cuts = cuts.into_iter().collect();
    }

    /// Takes the proxy's secret anew.
    pub fn set_secret(&mut self, secret: u64) {
        self.requests.set_secret(secret);
    }

    /// A tick has passed. `root_id` is the root context, which calls concern afterwards.
    pub fn tick(&mut self, host: &impl Host, now: Duration, root_id: u32) {
        if self.clock_was_set(now) {
            // Else all of them would pass for slow, those of the slower version most of all.
            self.in_flight
                .iter_mut()
                .for_each(|flight| flight.timing.forget());
        }
        self.count_long_running(host, now, root_id);
        self.origins.tick(self.plan.tick);
        self.budget.tick(self.plan.tick);
        if let Some(surprise) = &mut self.surprise {
            surprise.tick(now);
        }
    }

    /// Whether the clock was set since the last tick: ticks come by another clock.
    fn clock_was_set(&mut self, now: Duration) -> bool {
        let latest = LATE + self.plan.tick.saturating_mul(LATE_TICKS);
        let last = self.last_tick.replace(now);
        last.is_some_and(|last| now < last || now - last > latest)
    }

    /// Where it counts.
    pub fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// What was counted since the last call, and how many entries found no room in the models of
    /// surprise.
    pub fn take(&mut self) -> (Delta, u64) {
        let mut delta = self.tally.take();
        delta.overflow.in_flight += core::mem::take(&mut self.overflowed_flights);
        delta.overflow.fan_outs += self.calls.take_overflow();
        let lost = self.surprise.as_mut().map_or(0, Surprise::take_overflow);
        (delta, lost)
    }

    /// Counts as slow what has been in flight for longer than its route's cut: a candidate that
    /// hangs never completes anything.
    fn count_long_running(&mut self, host: &impl Host, now: Duration, root_id: u32) {
        let without_cut = LONG_WITHOUT_CUT.as_micros() as u64;
        let shortest = self.cuts.values().min().copied();
        let shortest = shortest.unwrap_or(without_cut).min(without_cut);
        let mut table = core::mem::take(&mut self.in_flight);
        let mut looked_at = 0;
        let waiting = |flight: &&mut InFlight| !flight.counted && flight.timing.awaits_version();
        for flight in table.iter_mut().filter(waiting) {
            let elapsed = micros(flight.timing.waited(now));
            if elapsed <= shortest.max(flight.not_before_us)
                || looked_at >= MAX_LONG_RUNNING_PER_TICK
            {
                continue;
            }
            // Streams that last long by nature are not looked at in every tick.
            flight.not_before_us = elapsed.saturating_add(LOOK_AGAIN_US);
            looked_at += 1;
            if host.enter(flight.context_id) {
                self.count_if_long(host, flight, elapsed, now);
            }
        }
        self.in_flight = table;
        if looked_at > 0 {
            host.enter(root_id);
        }
    }

    /// Counts the current stream's exchange as slow if it has waited for the version for
    /// `elapsed_us`, and this is beyond its route's cut.
    fn count_if_long(
        &mut self,
        host: &impl Host,
        flight: &mut InFlight,
        elapsed_us: u64,
        now: Duration,
    ) {
        let Some(served) = self.served(host) else {
            return;
        };
        let Some(index) = self.tally.route(
            &served.destination,
            &served.route_name,
            &flight.method,
            &flight.path,
        ) else {
            return;
        };
        let key = self.tally.key(index);
        let cut = key.and_then(|key| self.cuts.get(key)).copied();
        let cut = cut.unwrap_or(LONG_WITHOUT_CUT.as_micros() as u64);
        if elapsed_us <= cut {
            flight.not_before_us = cut;
            return;
        }
        let origin = self
            .origins
            .current(host, &self.plan, &served.destination, flight.session);
        let facts = Facts::in_flight(&served, flight, elapsed_us, now, &origin);
        self.tally.record_at(index, &facts.exchange());
        flight.counted = true;
    }
}

/// An exchange in flight; the rest of its request is kept with the stream.
fn flight(
    stream: &mut Stream,
    timing: Timing,
    mut request: Request,
    sampling: Sampling,
) -> InFlight {
    let flight = InFlight {
        context_id: stream.context_id,
        timing,
        status: None,
        counted: false,
        not_before_us: 0,
        method: core::mem::take(&mut request.method),
        path: core::mem::take(&mut request.path),
        session: request.session,
        request: request.id,
        id: request.found_by,
        sampling,
    };
    stream.request = request;
    flight
}

/// Whole microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
