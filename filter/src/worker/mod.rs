//! What one worker does with the proxy's callbacks: requests and responses become facts in a
//! tally; ticks carry them to the mailbox and bring verdicts back.
//!
//! [`Worker`] and what starts and ends it are here; what it does with a request is in
//! `request_side`, with its response in `response_side`, how strange it was in `surprise_side`,
//! between requests in `tick`.

mod request_side;
mod response_side;
mod surprise_side;
mod tick;

use crate::act::guard::Guard;
use crate::host::{Host, Level};
use crate::report::metrics::Metrics;
use crate::stream::body::Sampler;
use crate::stream::fan_out;
use crate::stream::in_flight::{InFlight, Table};
use crate::stream::origin::Origins;
use crate::stream::request::{Reader, Request};
use crate::stream::response::Response;
use crate::stream::surprise::Surprise;
use crate::stream::upstream::Upstreams;
use crate::sync::leader::Leader;
use crate::sync::mailbox::{Keys, Outbox};
use crate::sync::publication::Directive;
use crate::sync::secret;
use crate::sync::worker_id;
use hashbrown::HashMap;
use scorer_sdk::Plan;
use scorer_sdk::config::{Mode, Role};
use scorer_sdk::count::tally::{RouteIndex, Tally};
use scorer_sdk::exchange::Exchange;
use scorer_sdk::route::RouteKey;
use scorer_sdk::shape::Shape;
use scorer_sdk::signal::NameHasher;
use scorer_sdk::surprise::Score;
use std::rc::Rc;
use std::sync::Arc;

/// `xds.listener_direction` of an inbound listener.
const INBOUND: [u8; 8] = 1u64.to_le_bytes();
/// Tells the caller's proxy that the answer is a refusal, and why.
const REJECT_HEADER: &str = "x-serin-reject";
/// Tells the caller's proxy which calls were made for the request.
const REPORT_HEADER: &str = "x-serin-report";
/// Tells how strange the exchange is.
const SCORE_HEADER: &str = "x-serin-score";
/// Distinct reasons of refusal that are counted apart by one worker between two ticks.
const MAX_REASONS: usize = 64;

/// One request as the filter follows it.
#[derive(Debug, Default)]
pub struct Stream {
    context_id: u32,
    request: Request,
    flight: Flight,
    /// The response's headers, once they have come.
    response: Option<Response>,
    /// Bytes of the response's body that have passed.
    body_bytes: u64,
    /// Whether all of the response has come, so that nothing can have cut it off.
    is_whole: bool,
    refused: bool,
    body: Option<Shape>,
    /// Names of the slots in which the calls for this request are gathered.
    gathered_as: fan_out::Names,
    /// The calls that were made for it, as the callee's sidecar reported them.
    report: Option<String>,
    /// The route that an early score has found.
    index: Option<RouteIndex>,
    /// How strange it was when the response's headers came, where somebody wants to know so early.
    early: Option<Score>,
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

    /// So many bytes of the response's body have passed; whether they were its end.
    pub fn passed(&mut self, bytes: usize, end_of_stream: bool) {
        self.body_bytes = self.body_bytes.saturating_add(bytes as u64);
        self.is_whole |= end_of_stream;
    }

    /// Keeps what the log needs of the response, for an exchange that will be counted.
    fn keep(&mut self, mut response: Response) {
        if !matches!(self.flight, Flight::Unwatched) {
            response.forget_values();
            self.response = Some(response);
        }
    }

    /// Whether the response's body is looked at.
    #[must_use]
    pub fn has_watched_body(&self) -> bool {
        self.body.is_some()
    }
}

/// Where an exchange went.
struct Served {
    destination: Rc<str>,
    version: Rc<str>,
    route_name: String,
}

impl Served {
    /// What is known of an exchange from where it went and from its request.
    fn exchange<'a>(&'a self, flight: &'a InFlight) -> Exchange<'a> {
        Exchange {
            destination: &self.destination,
            route_name: &self.route_name,
            method: &flight.method,
            path: &flight.path,
            version: &self.version,
            ..Exchange::default()
        }
    }
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

/// The role's name in metrics and keys.
fn role(guarding: bool) -> &'static str {
    if guarding { "guard" } else { "comparer" }
}

fn keys(plugin: &str, guarding: bool) -> Keys {
    Keys::new(&format!("{plugin}/{}", role(guarding)))
}

/// What one worker knows and does under one config.
pub struct Worker<H: Host> {
    host: H,
    plan: Arc<Plan>,
    /// Whether this is the callee's own inbound listener.
    guarding: bool,
    /// The root context, for calls between streams.
    root_id: u32,
    tally: Tally,
    hasher: NameHasher,
    reader: Reader,
    upstreams: Upstreams,
    origins: Origins,
    bodies: Sampler,
    /// What is usual, where surprise is on.
    surprise: Option<Surprise>,
    /// Whether fan-out is looked at.
    fans_out: bool,
    /// Whether an inbound listener of this proxy wants to know of the calls that pass here.
    beside_reporter: bool,
    reporter: fan_out::Reporter,
    overflowed_fan_outs: u64,
    in_flight: Table,
    overflowed_flights: u64,
    outbox: Outbox,
    leader: Leader,
    keys: Keys,
    /// The plugin's name, and this worker's.
    plugin: String,
    owner: u64,
    role_is_known: bool,
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
impl<H: Host> Worker<H> {
    /// A worker under `plan`. `plugin` names the plugin among those of the proxy.
    #[must_use]
    pub fn new(host: H, plan: Arc<Plan>, plugin: &str, root_id: u32) -> Self {
        let now = host.now();
        let owner = worker_id::of_worker(&host, now, root_id);
        let guarding = match plan.role {
            Role::Guard => true,
            Role::Comparer => false,
            // The rest is known at the first request.
            Role::Auto => plan.mode == Mode::Reject,
        };
        let keys = keys(plugin, guarding);
        Self {
            tally: Tally::new(Arc::clone(&plan), owner),
            hasher: NameHasher::new(owner),
            reader: Reader::new(
                &plan,
                NameHasher::new(owner),
                secret::of_proxy(&host, owner),
            ),
            upstreams: Upstreams::default(),
            origins: Origins::new(&plan),
            bodies: Sampler::default(),
            surprise: Surprise::new(&plan, &NameHasher::new(owner)),
            fans_out: fan_out::is_on(&plan),
            beside_reporter: false,
            reporter: fan_out::Reporter::default(),
            overflowed_fan_outs: 0,
            in_flight: Table::default(),
            overflowed_flights: 0,
            outbox: Outbox::new(keys.clone(), owner),
            leader: Leader::new(Arc::clone(&plan), keys.clone(), owner, now, role(guarding)),
            keys,
            plugin: plugin.to_owned(),
            owner,
            role_is_known: guarding || plan.role != Role::Auto,
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

    /// Finds out at the first request whether this is an inbound listener: the proxy tells a stream
    /// and not a root context. On an inbound one the filter begins anew as a guard; nothing has been
    /// counted yet.
    fn find_role(&mut self) {
        if self.role_is_known {
            return;
        }
        self.role_is_known = true;
        let direction = self.host.property(&["xds", "listener_direction"]);
        if direction.as_deref() != Some(&INBOUND) {
            self.look_for_counterpart();
            return;
        }
        self.guarding = true;
        self.keys = keys(&self.plugin, true);
        self.outbox = Outbox::new(self.keys.clone(), self.owner);
        self.leader = Leader::new(
            Arc::clone(&self.plan),
            self.keys.clone(),
            self.owner,
            self.host.now(),
            role(true),
        );
        self.look_for_counterpart();
        self.host
            .log(Level::Info, "serin: inbound listener, so guard");
    }

    /// The two listeners of a sidecar look for each other, where fan-out is looked at.
    fn look_for_counterpart(&mut self) {
        if !self.fans_out {
            return;
        }
        let now = self.host.now();
        if self.guarding {
            self.reporter.announce(&self.host, now, self.plan.tick);
        } else {
            self.beside_reporter =
                fan_out::reporter_since(&self.host, now, self.plan.tick).is_some();
        }
    }

    /// Says in the log what runs here.
    pub fn announce(&mut self) {
        let text = format!(
            "serin {}: {} as {}, baseline {}, candidate {}",
            env!("CARGO_PKG_VERSION"),
            self.plan.mode.name(),
            role(self.guarding),
            self.plan.baseline.as_deref().unwrap_or("found"),
            self.plan.candidate.as_deref().unwrap_or("found"),
        );
        self.host.log(Level::Info, &text);
        if self.role_is_known {
            self.look_for_counterpart();
        }
    }

    /// The config is going: everything that was counted goes to the mailbox at once.
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

    fn guarded_destination(&self) -> Option<&str> {
        self.plan
            .reject
            .reference
            .as_ref()
            .map(|reference| reference.destination.as_str())
    }

    fn guarded_route(&mut self, method: &str, path: &str) -> Option<RouteKey> {
        let destination = self.guarded_destination()?.to_owned();
        let index = self.tally.route(&destination, "", method, path)?;
        self.tally.key(index).cloned()
    }

    fn refuse(&mut self, reason: &str, grpc: bool) {
        self.host.refuse(REJECT_HEADER, reason, grpc);
        if self.rejected.len() < MAX_REASONS || self.rejected.contains_key(reason) {
            *self.rejected.entry(reason.to_owned()).or_insert(0) += 1;
        }
    }
}
