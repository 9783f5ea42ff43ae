//! Open-loop load: requests leave at a given rate, whether or not answers come back.
//!
//! Arrivals are a Poisson process. A closed loop would send less to a slow version and so hide
//! what its users wait for.

mod collections;
mod finished;
mod journey;
mod mix;
mod session;
mod storm;
mod tally;
mod wait;

pub use finished::Finished;
pub use mix::Mix;
pub use storm::storm;
pub use tally::{Tally, VersionTally};

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Exp1};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::shop::{Route, VERSION_HEADER};
use journey::{Journeys, Page};
use session::Sessions;

/// Says `yes` on the requests of users who try new releases.
pub const BETA_HEADER: &str = "x-beta";
/// What those users' clients send beside what all send.
const BETA_HEADERS: [(&str, &str); 3] = [
    (BETA_HEADER, "yes"),
    ("x-client-build", "2048"),
    ("save-data", "on"),
];

/// How the load begins; rate and mix can be changed while it runs.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where the requests go.
    pub target: SocketAddr,
    /// Requests per second.
    pub rate: f64,
    /// Which routes, how often.
    pub mix: Mix,
    /// Requests under way at most; an arrival beyond it is not sent but counted as held back.
    pub max_in_flight: u32,
    /// A request without a complete answer after this time has failed.
    pub timeout: Duration,
    /// Seed of arrivals, routes and ids.
    pub seed: u64,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// Share of the users who try new releases: their requests carry [`BETA_HEADER`] and the two
    /// other headers of a newer client.
    pub beta_share: f64,
    /// Clients with connections of their own; a session stays with one of them.
    pub clients: u32,
    /// Whether users follow the links of the pages that they got; the mix then does not count.
    pub follow_links: bool,
    /// Whether the carts lie in eight collections, under ids of many shapes, each asked for once.
    pub collections: bool,
    /// Who is told of each request that is over; what finds the channel full is not told.
    pub finished: Option<mpsc::Sender<Finished>>,
}

impl LoadOptions {
    /// The default mix at `rate` requests per second, 512 in flight at most, 10 s timeout, one client
    /// whose connections all sessions share.
    #[must_use]
    pub fn new(target: SocketAddr, rate: f64) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("shop.example"));
        headers.insert("user-agent", HeaderValue::from_static("serin-load/1"));
        headers.insert("accept", HeaderValue::from_static("*/*"));
        Self {
            target,
            rate,
            mix: Mix::default(),
            max_in_flight: 512,
            timeout: Duration::from_secs(10),
            seed: 1,
            headers,
            beta_share: 0.0,
            clients: 1,
            follow_links: false,
            collections: false,
            finished: None,
        }
    }

    /// Tells of each request that is over, beside the counts of the tally.
    #[must_use]
    pub fn tell(mut self, finished: mpsc::Sender<Finished>) -> Self {
        self.finished = Some(finished);
        self
    }

    /// Replaces the mix.
    #[must_use]
    pub fn mix(mut self, mix: Mix) -> Self {
        self.mix = mix;
        self
    }

    /// Replaces the timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Replaces the number of clients, which is at least 1.
    #[must_use]
    pub fn clients(mut self, clients: u32) -> Self {
        self.clients = clients;
        self
    }

    /// Replaces the largest number of requests under way.
    #[must_use]
    pub fn max_in_flight(mut self, requests: u32) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// Lets users follow the links of the pages that they got, instead of drawing routes from a mix.
    #[must_use]
    pub fn follow_links(mut self) -> Self {
        self.follow_links = true;
        self
    }

    /// Lets the carts lie in eight collections, under ids of many shapes, each asked for once.
    #[must_use]
    pub fn collections(mut self) -> Self {
        self.collections = true;
        self
    }

    /// Replaces the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Replaces the share of users who try new releases, 0 to 1.
    #[must_use]
    pub fn beta_share(mut self, share: f64) -> Self {
        self.beta_share = share;
        self
    }

    /// Adds a header to every request.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        let value = HeaderValue::from_static(value);
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }
}

/// A running load; dropping it stops new requests.
#[derive(Debug)]
pub struct Load {
    settings: watch::Sender<Settings>,
    shared: Arc<Shared>,
    max_in_flight: u32,
    arrivals: JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct Settings {
    rate: f64,
    mix: Mix,
    stopped: bool,
}

#[derive(Debug)]
struct Shared {
    /// At least one.
    clients: Vec<Client<HttpConnector, Full<Bytes>>>,
    options: LoadOptions,
    tally: Mutex<Tally>,
    in_flight: Arc<Semaphore>,
    /// The users who follow links, where they do.
    journeys: Option<Mutex<Journeys>>,
}

impl Load {
    /// Starts sending.
    ///
    /// # Errors
    /// When the rate is not a number of at least 0, or the mix has no weight at all.
    pub fn start(options: LoadOptions) -> Result<Self> {
        ensure!(
            options.rate >= 0.0 && options.rate.is_finite(),
            "rate {}",
            options.rate
        );
        ensure!(
            options.mix.total() > 0,
            "every route of the mix has weight 0"
        );
        let max_in_flight = options.max_in_flight;
        let clients = (0..options.clients.max(1))
            .map(|_| client(max_in_flight))
            .collect();
        let settings = Settings {
            rate: options.rate,
            mix: options.mix.clone(),
            stopped: false,
        };
        let (settings, changes) = watch::channel(settings);
        let journeys = options
            .follow_links
            .then(|| Mutex::new(Journeys::new(options.seed)));
        let shared = Arc::new(Shared {
            clients,
            journeys,
            options,
            tally: Mutex::default(),
            in_flight: Arc::new(Semaphore::new(
                usize::try_from(max_in_flight).context("max_in_flight")?,
            )),
        });
        let arrivals = tokio::spawn(arrivals(changes, Arc::clone(&shared)));
        Ok(Self {
            settings,
            shared,
            max_in_flight,
            arrivals,
        })
    }

    /// Requests per second from now on; 0 pauses. Values that are no rate count as 0.
    pub fn set_rate(&self, rate: f64) {
        let rate = if rate.is_finite() { rate.max(0.0) } else { 0.0 };
        self.settings.send_modify(|settings| settings.rate = rate);
    }

    /// Routes and their weights from now on; a mix without any weight pauses.
    pub fn set_mix(&self, mix: Mix) {
        self.settings.send_modify(|settings| settings.mix = mix);
    }

    /// The counts up to now.
    #[must_use]
    pub fn snapshot(&self) -> Tally {
        self.shared.tally().clone()
    }

    /// Sends nothing more, waits for what is under way (at most the timeout) and counts it.
    pub async fn stop(mut self) -> Tally {
        self.settings
            .send_modify(|settings| settings.stopped = true);
        let _ = (&mut self.arrivals).await;
        // All permits back means: nothing is under way. The semaphore is never closed.
        let _ = self.shared.in_flight.acquire_many(self.max_in_flight).await;
        self.snapshot()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.arrivals.abort();
    }
}

/// A client that keeps all its connections for further requests.
fn client(max_in_flight: u32) -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(usize::try_from(max_in_flight).unwrap_or(usize::MAX))
        .build(connector)
}

async fn arrivals(mut changes: watch::Receiver<Settings>, shared: Arc<Shared>) {
    let mut rng = SmallRng::seed_from_u64(shared.options.seed);
    let mut sessions = Sessions::new(&shared.options, &mut rng);
    let mut next = Instant::now();
    loop {
        let settings = changes.borrow_and_update().clone();
        if settings.stopped {
            return;
        }
        let sending = settings.rate > 0.0 && settings.mix.total() > 0;
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                // The gap was drawn for the old rate.
                next = Instant::now();
            }
            () = tokio::time::sleep_until(next), if sending => {
                // A timer has millisecond steps: several arrivals may be due.
                let now = Instant::now();
                while next <= now {
                    match shared.journeys() {
                        Some(mut journeys) => send(&shared, journeys.next()),
                        None => send(&shared, Some(sessions.next(&settings.mix, &mut rng))),
                    }
                    let gap: f64 = Exp1.sample(&mut rng);
                    next += Duration::from_secs_f64((gap / settings.rate).min(3_600.0));
                }
            }
        }
    }
}

/// Sends the request of `visit`; without one there is nobody to send it.
fn send(shared: &Arc<Shared>, visit: Option<session::Visit>) {
    let permit = Arc::clone(&shared.in_flight).try_acquire_owned();
    let (Some(visit), Ok(permit)) = (visit, permit) else {
        shared.tally().held_back += 1;
        return;
    };
    shared.tally().sent += 1;
    tokio::spawn(exchange(Arc::clone(shared), visit, permit));
}

async fn exchange(shared: Arc<Shared>, visit: session::Visit, permit: OwnedSemaphorePermit) {
    let (route, user) = (visit.route, visit.user);
    let started = Instant::now();
    let outcome = tokio::time::timeout(shared.options.timeout, answer(&shared, visit)).await;
    let answer = outcome
        .as_ref()
        .ok()
        .and_then(|answer| answer.as_ref().ok());
    if let (Some(user), Some(mut journeys)) = (user, shared.journeys()) {
        journeys.answered(user, route, answer.map(|(page, _)| page));
    }
    if let Some(told) = &shared.options.finished {
        let _ = told.try_send(Finished {
            route,
            started,
            elapsed: started.elapsed(),
            answer: answer.map(|(page, version)| (page.status, version.clone())),
        });
    }
    let mut tally = shared.tally();
    match outcome {
        Ok(Ok((page, version))) => tally.answered(route, page.status, &version),
        Ok(Err(error)) => tally.broke(route, &error),
        Err(_) => tally.timed_out(route),
    }
    // Counted first, then given back: who holds all permits sees all counts.
    drop(tally);
    drop(permit);
}

/// A complete answer and the version that gave it. The body is kept where users follow its links.
async fn answer(shared: &Shared, visit: session::Visit) -> Result<(Page, String)> {
    let options = &shared.options;
    let mut request = Request::builder()
        .method(visit.route.method())
        .uri(format!("http://{}{}", options.target, visit.path))
        .body(Full::new(Bytes::from(visit.body.unwrap_or_default())))
        .context("build")?;
    let headers = request.headers_mut();
    headers.clone_from(&options.headers);
    headers.insert(
        "cookie",
        HeaderValue::try_from(visit.cookie).context("cookie")?,
    );
    if visit.beta {
        for (name, value) in BETA_HEADERS {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
    }
    if visit.route == Route::AddToCart || visit.route == Route::Checkout {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    let response = shared.client(visit.session)?.request(request).await?;
    let status = response.status();
    let version = response.headers().get(VERSION_HEADER);
    let version = version
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let location = response.headers().get("location");
    let location = location
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut kept = Vec::new();
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.context("body broke off")?;
        if let (true, Some(data)) = (options.follow_links, frame.data_ref()) {
            kept.extend_from_slice(data);
        }
    }
    let page = Page {
        status,
        location,
        body: kept.into(),
    };
    Ok((page, version))
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of a session.
    fn client(&self, session: u64) -> Result<&Client<HttpConnector, Full<Bytes>>> {
        let clients = self.clients.len() as u64;
        let client = session.checked_rem(clients).context("no client")?;
        self.clients.get(client as usize).context("no client")
    }

    fn journeys(&self) -> Option<MutexGuard<'_, Journeys>> {
        let journeys = self.journeys.as_ref()?;
        Some(journeys.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
