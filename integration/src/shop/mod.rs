//! A small shop: the application whose versions are compared.
//!
//! One code base; a version is a name in the `x-shop-version` header and a switchable
//! [`Regression`]. Both versions behave alike while they are healthy: log-normal latency,
//! 0.3 % of 5xx, 1 % of 404 where a request names something that may be missing.

mod behaviour;
mod calls;
mod catalogue;
mod cold_start;
mod encoding;
mod events;
mod fault;
mod regression;
mod respond;
mod route;
mod served;

pub use calls::{Call, N_PLUS_ONE};
pub use encoding::{BOMB_CONTENT, Encoding, bomb};
pub use fault::Fault;
pub use regression::{Regression, UnknownRegression};
pub use respond::VERSION_HEADER;
pub(crate) use route::EVENTS_PATH;
pub use route::Route;
pub use served::RouteCounts;

use scorer_sdk::telemetry;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use behaviour::{Behaviour, Ending, Plan};
use calls::Outbound;
use catalogue::Catalogue;
use cold_start::ColdStart;
use events::Events;
use regression::Regressions;
use served::Served;

/// More than any request of the load generator; what is longer is answered with 413.
const MAX_REQUEST_BODY: usize = 64 * 1024;

/// The `authorization` of a client whose token is over: every answer to it is 401.
pub const EXPIRED: &str = "Bearer expired";

/// A whole answer, or a stream.
type Body = Either<Full<Bytes>, Events>;

/// The two versions side by side.
#[derive(Debug)]
pub struct Shops {
    /// The stable version.
    pub v1: Shop,
    /// The new version.
    pub v2: Shop,
}

impl Shops {
    /// Starts `v1` and `v2` on free ports.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(seed: u64) -> Result<Self> {
        Ok(Self {
            v1: Shop::start("v1", seed).await?,
            v2: Shop::start("v2", seed.wrapping_add(1)).await?,
        })
    }

    /// Shared change: multiplies every latency of both versions, 1.0 is normal. No request falls between:
    /// else one version alone would be slow where the machine stands still just then.
    pub fn set_slowdown(&self, factor: f64) {
        let (v1, v2) = (&self.v1.state.behaviour, &self.v2.state.behaviour);
        v1.change(|one| {
            v2.change(|other| (one.slowdown, other.slowdown) = (factor, factor));
        });
    }
}

/// One running instance of the shop; it stops when dropped.
#[derive(Debug)]
pub struct Shop {
    address: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    version: String,
    behaviour: Behaviour,
    served: Served,
    catalogue: Catalogue,
    outbound: Option<Outbound>,
}

impl Shop {
    /// Starts an instance on a free port of 127.0.0.1. Several instances may carry one version.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(version: &str, seed: u64) -> Result<Self> {
        Self::start_at(version, seed, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Starts an instance on a given address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start_at(version: &str, seed: u64, address: SocketAddr) -> Result<Self> {
        Self::serve_at(version, seed, address, None).await
    }

    /// Starts an instance on a free port of 127.0.0.1 that makes calls of its own for each request,
    /// through the proxy at `outbound`. An answer takes at least `pace`, so that its time does not
    /// tell what was called for it.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_calling(
        version: &str,
        seed: u64,
        outbound: SocketAddr,
        pace: Duration,
    ) -> Result<Self> {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let outbound = Outbound::new(outbound, pace);
        Self::serve_at(version, seed, free, Some(outbound)).await
    }

    async fn serve_at(
        version: &str,
        seed: u64,
        address: SocketAddr,
        outbound: Option<Outbound>,
    ) -> Result<Self> {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("shop {version}: bind {address}"))?;
        let address = listener.local_addr().context("shop: local address")?;
        let state = Arc::new(State {
            version: version.to_owned(),
            behaviour: Behaviour::new(seed),
            served: Served::new(),
            catalogue: Catalogue::new(),
            outbound,
        });
        let server = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            server,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name that it puts into the `x-shop-version` header.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.state.version
    }

    /// From the next request on, behave like this; [`Regression::None`] heals.
    pub fn set_regression(&self, regression: Regression) {
        self.set_regressions(&[regression]);
    }

    /// From the next request on, have all these faults at once.
    pub fn set_regressions(&self, regressions: &[Regression]) {
        let regressions = Regressions::of(regressions);
        self.state
            .behaviour
            .change(|settings| settings.regressions = regressions);
    }

    /// From the next request on, make these calls instead of the version's own. Only an instance of
    /// [`start_calling`](Self::start_calling) makes any.
    pub fn set_calls(&self, calls: &'static [Call]) {
        self.state
            .behaviour
            .change(|settings| settings.calls = Some(calls));
    }

    /// Multiplies every latency, 1.0 is normal.
    pub fn set_slowdown(&self, factor: f64) {
        self.state
            .behaviour
            .change(|settings| settings.slowdown = factor);
    }

    /// Starts the instance anew: from now on every latency is `times` as long, and what is too long
    /// falls to 37% in each `time_constant`.
    pub fn set_cold_start(&self, times: f64, time_constant: Duration) {
        let cold_start = ColdStart::new(times, time_constant, Instant::now());
        self.state
            .behaviour
            .change(|settings| settings.cold_start = Some(cold_start));
    }

    /// Has this fault from now on; `None` heals.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let fault = fault.map(|fault| fault.from(Instant::now()));
        self.state
            .behaviour
            .change(|settings| settings.fault = fault);
    }

    /// Compresses the JSON of its answers so from now on.
    pub fn set_encoding(&self, encoding: Encoding) {
        self.state
            .behaviour
            .change(|settings| settings.encoding = encoding);
    }

    /// Plays a guard that refuses everything: 503 with `x-serin-reject: shop`, at once.
    pub fn set_refusing(&self, refusing: bool) {
        self.state
            .behaviour
            .change(|settings| settings.refusing = refusing);
    }

    /// What came in so far, per route; requests outside all routes are not in it.
    #[must_use]
    pub fn served(&self) -> BTreeMap<Route, RouteCounts> {
        self.state.served.snapshot()
    }

    /// Requests that came in so far, over all routes but `/health`.
    #[must_use]
    pub fn received(&self) -> u64 {
        let served = self.served();
        served
            .iter()
            .filter(|(route, _)| **route != Route::Health)
            .map(|(_, b)| b.received)
            .sum()
    }

    /// When the last request of a route came in.
    #[must_use]
    pub fn last_request(&self, route: Route) -> Option<Instant> {
        self.served().get(&route).and_then(|counts| counts.last)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // Connections live in the set, so that dropping the shop also closes them.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, Arc::clone(&state)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    // A connection that breaks is the client's matter; the load generator counts it.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| handle(&state, request));
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn handle(state: &State, request: Request<Incoming>) -> Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let whole = |answer: Response<Full<Bytes>>| answer.map(Either::Left);
    let Some((route, id)) = Route::of(&head.method, head.uri.path()) else {
        return respond::no_such_route(&state.version).map(whole);
    };
    state.served.arrived(
        route,
        head.headers.contains_key(telemetry::STEER_HEADER.name),
    );
    // The body is read as an application would, even though only its JSON is checked.
    let Ok(body) = Limited::new(body, MAX_REQUEST_BODY).collect().await else {
        return respond::too_large(&state.version).map(whole);
    };
    let begun = tokio::time::Instant::now();
    let plan = state.behaviour.plan(route, begun.into_std());
    let plan = authorized(&head.headers, plan);
    let mut delay = plan.delay;
    if let Some(outbound) = &state.outbound {
        if outbound.make(plan.calls, &head.headers).await.is_err() {
            return respond::no_dependency(&state.version).map(whole);
        }
        delay = delay.max(outbound.pace);
    }
    if !delay.is_zero() {
        tokio::time::sleep_until(begun + delay).await;
    }
    let response = respond::respond(
        &state.version,
        &state.catalogue,
        route,
        id,
        &body.to_bytes(),
        &plan,
    )?;
    let response = encoding::encode(plan.encoding, response).await?;
    state.served.answered(route, response.status());
    if route == Route::Events && plan.ending == Ending::Good {
        return Ok(response.map(|_| Either::Right(Events::new(plan.lasts))));
    }
    Ok(whole(response))
}

/// The plan, with a 401 at its end for a client whose token is over.
fn authorized(headers: &HeaderMap, plan: Plan) -> Plan {
    if headers
        .get(AUTHORIZATION)
        .is_some_and(|token| token == EXPIRED)
    {
        let ending = Ending::Status(StatusCode::UNAUTHORIZED);
        return Plan { ending, ..plan };
    }
    plan
}
