//! One HTTP request on its own connection: for admin pages and for looking at single answers.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Longest wait for one answer, body included.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends one request and reads the whole answer.
///
/// # Errors
/// When there is no connection, or no complete answer within 60 s. A status of 4xx or 5xx is
/// an answer, not an error.
pub async fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Response<Bytes>> {
    let mut builder = Request::builder().method(method).uri(path);
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        builder = builder.header("host", address.to_string());
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    let request = builder
        .body(Full::new(body.into()))
        .context("build the request")?;
    tokio::time::timeout(TIMEOUT, exchange(address, request))
        .await
        .with_context(|| format!("{address}{path}: no answer within {TIMEOUT:?}"))?
        .with_context(|| format!("request to {address}{path}"))
}

/// `GET path` without extra headers.
///
/// # Errors
/// As [`request`].
pub async fn get(address: SocketAddr, path: &str) -> Result<Response<Bytes>> {
    request(address, Method::GET, path, &[], Bytes::new()).await
}

async fn exchange(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Response<Bytes>> {
    let stream = TcpStream::connect(address).await.context("connect")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .context("handshake")?;
    // Ends by itself when the sender is dropped.
    tokio::spawn(connection);
    let (parts, body) = sender
        .send_request(request)
        .await
        .context("send")?
        .into_parts();
    let body = body.collect().await.context("read the body")?.to_bytes();
    Ok(Response::from_parts(parts, body))
}
