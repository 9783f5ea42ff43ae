//! A stand-in for the cluster's DNS: a proxy that knows the names of services.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::http;

/// How often a path was answered with a status.
type Answers = BTreeMap<(String, u16), u64>;

/// An HTTP proxy that leads `http://NAME:PORT/` to where that service runs here, and answers every
/// other name with 502; it stops when dropped. Programs find it by `HTTP_PROXY`.
#[derive(Debug)]
pub struct Names {
    address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    server: JoinHandle<()>,
}

impl Names {
    /// Starts it on a free port of 127.0.0.1, with authorities such as `prometheus.istio-system:9090`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(services: &[(&str, SocketAddr)]) -> Result<Self> {
        let services = services
            .iter()
            .map(|(name, address)| ((*name).to_owned(), *address));
        let services: Arc<BTreeMap<String, SocketAddr>> = Arc::new(services.collect());
        let answers = Arc::default();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("bind")?;
        let address = listener.local_addr().context("address")?;
        let server = tokio::spawn(serve(listener, services, Arc::clone(&answers)));
        Ok(Self {
            address,
            answers,
            server,
        })
    }

    /// What `HTTP_PROXY` has to be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often a path was answered with a status so far, whatever the service.
    #[must_use]
    pub fn answered(&self, path: &str, status: u16) -> u64 {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .get(&(path.to_owned(), status))
            .copied()
            .unwrap_or_default()
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    listener: TcpListener,
    services: Arc<BTreeMap<String, SocketAddr>>,
    answers: Arc<Mutex<Answers>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (services, answers) = (Arc::clone(&services), Arc::clone(&answers));
        let service = service_fn(move |request: Request<Incoming>| {
            let (services, answers) = (Arc::clone(&services), Arc::clone(&answers));
            async move {
                let path = request.uri().path().to_owned();
                let answer = forward(&services, request).await.unwrap_or_else(|error| {
                    let mut refusal = Response::new(Full::from(format!("{error:#}\n")));
                    *refusal.status_mut() = StatusCode::BAD_GATEWAY;
                    refusal
                });
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                *answers.entry((path, answer.status().as_u16())).or_default() += 1;
                Ok::<_, Infallible>(answer)
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn forward(
    services: &BTreeMap<String, SocketAddr>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let name = parts.uri.authority().context("no name of a service")?;
    let address = services
        .get(name.as_str())
        .with_context(|| format!("no service {name}"))?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let kept = ["content-type", "accept", "authorization"];
    let headers = kept.iter().filter_map(|name| {
        let value = parts.headers.get(*name)?.to_str().ok()?;
        Some((*name, value))
    });
    let headers: Vec<(&str, &str)> = headers.collect();
    let body = body.collect().await.context("a request")?.to_bytes();
    let answer = http::request(*address, parts.method, path, &headers, body).await?;
    let mut response = Response::new(Full::new(answer.body().clone()));
    *response.status_mut() = answer.status();
    if let Some(kind) = answer.headers().get("content-type") {
        let headers = response.headers_mut();
        headers.insert("content-type", kind.clone());
    }
    Ok(response)
}
