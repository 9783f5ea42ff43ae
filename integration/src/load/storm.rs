//! One client that asks for the same thing again and again, on one connection.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::LoadOptions;

/// Sends `requests` times `GET path` with the options' headers, at their rate or as fast as the
/// answers come, whichever is slower. Gives the number of answers by status.
///
/// # Errors
/// When the rate is not above 0, the connection ends, or an answer takes longer than the options'
/// timeout.
pub async fn storm(options: &LoadOptions, path: &str, requests: u32) -> Result<BTreeMap<u16, u32>> {
    let pause = Duration::try_from_secs_f64(1.0 / options.rate).context("rate of a storm")?;
    let stream = TcpStream::connect(options.target)
        .await
        .context("connect")?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.context("handshake")?;
    // Ends by itself when the sender is dropped.
    tokio::spawn(connection);
    let mut answers = BTreeMap::new();
    let begun = Instant::now();
    for number in 0..requests {
        sleep_until(begun + pause * number).await;
        let status = timeout(options.timeout, ask(&mut sender, options, path))
            .await
            .with_context(|| format!("request {number}: no answer"))?
            .with_context(|| format!("request {number}"))?;
        *answers.entry(status).or_default() += 1;
    }
    Ok(answers)
}

async fn ask(
    sender: &mut SendRequest<Empty<Bytes>>,
    options: &LoadOptions,
    path: &str,
) -> Result<u16> {
    let mut request = Request::get(path).body(Empty::new()).context("build")?;
    request.headers_mut().clone_from(&options.headers);
    sender.ready().await.context("connection")?;
    let response = sender.send_request(request).await.context("send")?;
    let status = response.status().as_u16();
    response.into_body().collect().await.context("read")?;
    Ok(status)
}
