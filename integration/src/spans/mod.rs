//! A receiver of spans: the other end of a proxy's OpenTelemetry tracer, over HTTP.

mod otlp;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::wait_until;

/// Where the protocol has a tracer send spans.
pub(crate) const PATH: &str = "/v1/traces";
/// Largest message that is read, in bytes; one that is longer is refused.
const MAX_MESSAGE: usize = 16 << 20;

/// The span of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// Its attributes, which Envoy calls tags.
    pub tags: BTreeMap<String, String>,
}

impl Span {
    /// The value of a tag; `None` where the span does not have it.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).map(String::as_str)
    }
}

type Received = Arc<Mutex<Vec<Span>>>;

/// A running receiver; it stops when dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    received: Received,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver on a free port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("receiver of spans: bind")?;
        let address = listener
            .local_addr()
            .context("receiver of spans: local address")?;
        let received = Received::default();
        let kept = Arc::clone(&received);
        let server = tokio::spawn(async move {
            // Connections live in the set, so that dropping the receiver also closes them.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        connections.spawn(connection(stream, Arc::clone(&kept)));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            address,
            received,
            server,
        })
    }

    /// Where a tracer sends its spans.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All spans that have come, in their order.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        lock(&self.received).clone()
    }

    /// Waits until the spans that have come fulfil `predicate`, and gives them back. Envoy sends them
    /// each five seconds, and when it has five.
    ///
    /// # Errors
    /// When that does not come true: with `what`.
    pub async fn wait_for(
        &self,
        what: &str,
        predicate: impl Fn(&[Span]) -> bool,
    ) -> Result<Vec<Span>> {
        wait_until(what, async || Ok(predicate(&lock(&self.received))))
            .await
            .with_context(|| format!("of {} spans", lock(&self.received).len()))?;
        Ok(self.spans())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(received: &Received) -> MutexGuard<'_, Vec<Span>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn connection(stream: TcpStream, received: Received) {
    let service = service_fn(|request| answer(request, &received));
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    received: &Received,
) -> Result<Response<Full<Bytes>>, hyper::http::Error> {
    let status = if request.uri().path() == PATH {
        match read(request).await {
            Ok(spans) => {
                lock(received).extend(spans);
                StatusCode::OK
            }
            Err(_) => StatusCode::BAD_REQUEST,
        }
    } else {
        StatusCode::NOT_FOUND
    };
    // An empty message says that everything was taken.
    Response::builder()
        .status(status)
        .header("content-type", "application/x-protobuf")
        .body(Full::default())
}

async fn read(request: Request<Incoming>) -> Result<Vec<Span>> {
    let body = Limited::new(request.into_body(), MAX_MESSAGE);
    let body = body
        .collect()
        .await
        .map_err(|error| anyhow::anyhow!("spans: {error}"))?;
    decode(body.to_bytes())
}

fn decode(message: Bytes) -> Result<Vec<Span>> {
    let message = otlp::ExportTraceServiceRequest::decode(message).context("decode spans")?;
    let spans = message
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans);
    Ok(spans
        .map(|span| Span {
            tags: span
                .attributes
                .into_iter()
                .filter_map(|attribute| Some((attribute.key, attribute.value?.string_value?)))
                .collect(),
        })
        .collect())
}
