//! The server: HTTP/1.1, one request a connection, everything bounded.
//!
//! A connection is taken at once. Until its request has come it is one of a [`Crowd`], whose oldest
//! makes room for the newest; from then on it is answered, or told that too many ask.
//!
//! It is meant for a cluster's inside. It reads from Prometheus, and writes nothing but the memories of
//! proxies. Who may ask it is for the network's policy to say, and for a token where the fleet's verdict
//! or a memory is asked for.

use super::Options;
use super::answer::{Question, Reply, answer, question};
use super::bearer::is_allowed;
use super::crowd::{Crowd, Place};
use super::fleet::Scope;
use super::fleet_answer::{FleetReply, fleet_reply};
use super::fleet_cache::FleetCache;
use super::memory::{Memories, MemoryOptions};
use super::memory_http::{self, Keeper};
use super::prometheus::Prometheus;
use super::release::Releases;
use crate::output::json_text;
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, WWW_AUTHENTICATE,
};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Requests that are answered at a time: as many proxies may wait for one answer of Prometheus.
const MAX_ANSWERS: usize = 1_024;
/// Questions to Prometheus at a time.
const MAX_QUESTIONS: usize = 8;
/// Largest body of a request in bytes.
const MAX_BODY: usize = 64 << 10;
/// Largest head of a request in bytes.
const MAX_HEAD: usize = 16 << 10;
/// Longest wait for a request's head, and again for its body.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a connection may take beside the question to Prometheus, waiting for its turn included.
const SLACK: Duration = Duration::from_secs(20);
/// Pause after a connection could not be taken: too many open files, most likely.
const PAUSE: Duration = Duration::from_millis(100);

struct Shared {
    prometheus: Prometheus,
    options: Options,
    questions: Semaphore,
    answers: Semaphore,
    releases: Releases,
    fleet: FleetCache,
    keeper: Option<Arc<Keeper>>,
}

impl Shared {
    fn answer(&self, asked: &Question, body: &[u8]) -> Reply {
        let window = self.options.window;
        answer(asked, body, &self.prometheus, window, &self.releases)
    }
}

/// A server that has its port.
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    /// When the port cannot be had, or the address of Prometheus is none.
    pub async fn bind(listen: SocketAddr, options: Options) -> Result<Self> {
        let prometheus = Prometheus::new(&options)?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}"))?;
        let shared = Arc::new(Shared {
            prometheus,
            options,
            questions: Semaphore::new(MAX_QUESTIONS),
            answers: Semaphore::new(MAX_ANSWERS),
            releases: Releases::default(),
            fleet: FleetCache::default(),
            keeper: None,
        });
        Ok(Self { listener, shared })
    }

    /// Keeps memories of proxies in a place.
    ///
    /// # Errors
    /// When the place cannot be opened.
    pub async fn with_memories(mut self, options: MemoryOptions) -> Result<Self> {
        let handle = Handle::current();
        let open = move || Memories::open(options, handle);
        let memories = tokio::task::spawn_blocking(open).await??;
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.keeper = Some(Arc::new(Keeper::new(memories)));
        }
        Ok(self)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().context("the server's address")
    }

    /// Serves until `stop` is ready. Answers under way are not waited for.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let crowd = Arc::new(Crowd::default());
        let accept = async {
            loop {
                let Ok((stream, _)) = self.listener.accept().await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let shared = Arc::clone(&self.shared);
                crowd.admit(|place| {
                    let longest = shared.options.timeout + SLACK;
                    // Whoever is too slow, or gone, is not told.
                    let serve = timeout(longest, connection(stream, shared, place));
                    tokio::spawn(serve).abort_handle()
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = stop => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, place: Place) {
    let place = Arc::new(place);
    let service = service_fn(move |request| {
        let (shared, place) = (Arc::clone(&shared), Arc::clone(&place));
        async move { Ok::<_, Infallible>(respond(request, shared, &place).await) }
    });
    // An error is the client's: it sent no HTTP, or went away.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    place: &Place,
) -> Response<Full<Bytes>> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    match question(request.method().as_str(), target) {
        Err(refused) => response(refused),
        Ok(Question::Fleet(scope, candidate)) => {
            place.leave();
            let Ok(_answering) = shared.answers.try_acquire() else {
                return response(too_many());
            };
            let found = fleet(&request, &scope, candidate.as_deref(), &shared).await;
            tagged(found.unwrap_or_else(FleetReply::from))
        }
        Ok(Question::Memory(key, is_put)) => match admit(&request, &shared) {
            Err(refused) => tagged(FleetReply::from(refused)),
            Ok(()) => {
                let keeper = shared.keeper.clone();
                let found = memory_http::respond(request, key, is_put, keeper, place).await;
                found.unwrap_or_else(response)
            }
        },
        Ok(asked) => response(reply(request, asked, shared, place).await),
    }
}

/// The answer to a question other than the fleet's. Until its body has come it is one of the crowd.
async fn reply(
    request: Request<Incoming>,
    asked: Question,
    shared: Arc<Shared>,
    place: &Place,
) -> Reply {
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = match timeout(PATIENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Reply::error(413, "the body is cut off, or has more than 64 KiB"),
        Err(_) => return Reply::error(408, "the body did not come within 5 s"),
    };
    place.leave();
    if asked == Question::Health {
        // Does not wait for its turn at Prometheus: a probe that does would end a healthy server.
        return shared.answer(&asked, &body);
    }
    let Ok(_answering) = shared.answers.try_acquire() else {
        return too_many();
    };
    let within = Arc::clone(&shared);
    at_prometheus(&shared, move || within.answer(&asked, &body))
        .await
        .unwrap_or_else(|refused| refused)
}

/// Refuses who has not the token, where one is asked for.
fn admit(request: &Request<Incoming>, shared: &Shared) -> Result<(), Reply> {
    let file = shared.options.fleet_token_file.as_deref();
    let header = request.headers().get(AUTHORIZATION);
    match is_allowed(file, header.map(HeaderValue::as_bytes)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Reply::error(401, "send the token as Authorization: Bearer")),
        Err(error) => Err(Reply::error(500, &format!("{error:#}"))),
    }
}

/// The fleet's verdict: from what is remembered, else from Prometheus. An error is an answer as well.
async fn fleet(
    request: &Request<Incoming>,
    scope: &Scope,
    candidate: Option<&str>,
    shared: &Arc<Shared>,
) -> Result<FleetReply, Reply> {
    admit(request, shared)?;
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let slot = shared.fleet.slot(scope);
    let Ok(mut slot) = timeout(SLACK / 2, slot.lock()).await else {
        return Err(too_many());
    };
    let known = match slot.fresh(Instant::now()) {
        Some(known) => known,
        None => {
            let (within, scope) = (Arc::clone(shared), scope.clone());
            let begun = Instant::now();
            let ask = move || {
                let window = within.options.window;
                scope.ask(window, |question| within.prometheus.query(question))
            };
            let samples = at_prometheus(shared, ask).await?;
            let answer = samples.map(Arc::from).map_err(|error| format!("{error:#}"));
            let now = Instant::now();
            slot.keep(answer.clone(), now - begun, now);
            (answer, Duration::ZERO)
        }
    };
    drop(slot);
    let tags = header(IF_NONE_MATCH).and_then(|tags| core::str::from_utf8(tags).ok());
    let tags = tags.unwrap_or_default();
    Ok(fleet_reply(scope, candidate, &known, tags))
}

/// Does `work`, which asks Prometheus, when its turn has come.
async fn at_prometheus<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Reply> {
    let turn = timeout(SLACK / 2, shared.questions.acquire());
    let Ok(Ok(turn)) = turn.await else {
        return Err(too_many());
    };
    let done = tokio::task::spawn_blocking(work).await;
    drop(turn);
    done.map_err(|error| Reply::error(500, &error.to_string()))
}

fn too_many() -> Reply {
    Reply::error(503, "too many ask at the same time")
}

fn tagged(found: FleetReply) -> Response<Full<Bytes>> {
    let status = found.reply.status;
    let mut response = response(found.reply);
    if status == 304 {
        *response.body_mut() = Full::default();
    }
    if status == 401 {
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(tag) = found.tag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!(
        "{}\n",
        json_text(&reply.body.to_string())
    ))));
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
