//! The server: HTTP/1.1, one request a connection, everything bounded.
//!
//! It is meant for a cluster's inside. It reads from Prometheus and changes nothing; who may ask it
//! is for the network's policy to say.

use super::Options;
use super::answer::{Question, Reply, answer, question};
use super::prometheus::Prometheus;
use super::release::Releases;
use crate::output::json_text;
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
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
    releases: Releases,
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
            releases: Releases::default(),
        });
        Ok(Self { listener, shared })
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
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let accept = async {
            loop {
                let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
                    return;
                };
                let Ok((stream, _)) = self.listener.accept().await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    let longest = shared.options.timeout + SLACK;
                    // Whoever is too slow, or gone, is not told.
                    let _ = timeout(longest, connection(stream, shared)).await;
                    drop(permit);
                });
            }
        };
        tokio::select! {
            () = accept => {}
            () = stop => {}
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(response(respond(request, shared).await)) }
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

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Reply {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let asked = match question(request.method().as_str(), target) {
        Ok(asked) => asked,
        Err(refused) => return refused,
    };
    let body = Limited::new(request.into_body(), MAX_BODY).collect();
    let body = match timeout(PATIENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Reply::error(413, "the body is cut off, or has more than 64 KiB"),
        Err(_) => return Reply::error(408, "the body did not come within 5 s"),
    };
    if asked == Question::Health {
        // Does not wait for its turn at Prometheus: a probe that does would end a healthy server.
        return shared.answer(&asked, &body);
    }
    let turn = timeout(SLACK / 2, shared.questions.acquire());
    let Ok(Ok(turn)) = turn.await else {
        return Reply::error(503, "too many ask at the same time");
    };
    let within = Arc::clone(&shared);
    let work = move || within.answer(&asked, &body);
    let reply = tokio::task::spawn_blocking(work).await;
    drop(turn);
    reply.unwrap_or_else(|error| Reply::error(500, &error.to_string()))
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
