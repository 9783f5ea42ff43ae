//! What clients do over HTTP/2, stream by stream.

use super::origin::{LARGE, MANY};
use super::proxy::Proxy;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request};
use std::fmt::Write as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Longest wait for anything: ample for a slow machine.
const LONGEST: Duration = Duration::from_secs(60);
/// Streams that a client opens and resets at once: Envoy closes a connection at 250 of them.
pub(super) const RAPID: usize = 200;
/// Bytes of an endless body after which the client resets.
const SOME: usize = 32 * 1024;

/// How a stream goes on after its request.
#[derive(Clone, Copy)]
enum Then {
    /// To its end.
    Read,
    /// The client resets once it has some bytes.
    ResetWithin,
    /// The client resets once the origin has the request.
    ResetUnanswered,
    /// The origin goes on once the client has some bytes.
    OpenGate,
}

/// One stream, and what is to be counted of it.
pub(super) struct Case {
    /// Path and query; the query is the case's name.
    pub(super) target: &'static str,
    method: Method,
    headers: HeaderMap,
    body: Option<&'static str>,
    /// Whether a trailer follows the body.
    trailers: bool,
    then: Then,
    /// Exchanges that are counted for the version.
    pub(super) counted: usize,
}

fn get(target: &'static str) -> Case {
    Case {
        target,
        method: Method::GET,
        headers: HeaderMap::new(),
        body: None,
        trailers: false,
        then: Then::Read,
        counted: 1,
    }
}

fn many() -> HeaderMap {
    let header = |n: usize| {
        let name = HeaderName::from_bytes(format!("x-h{n}").as_bytes()).ok()?;
        Some((name, HeaderValue::from(n)))
    };
    (0..MANY).filter_map(header).collect()
}

fn large() -> Result<HeaderMap> {
    let value = HeaderValue::from_str(&"v".repeat(LARGE))?;
    Ok([(HeaderName::from_static("x-l"), value)]
        .into_iter()
        .collect())
}

/// All cases.
pub(super) fn cases() -> Result<Vec<Case>> {
    let content_type = HeaderName::from_static("content-type");
    let grpc = HeaderValue::from_static("application/grpc");
    Ok(vec![
        get("/plain?2-get"),
        Case {
            method: Method::HEAD,
            ..get("/plain?2-head")
        },
        get("/204?2-no-content"),
        get("/304?2-not-modified"),
        get("/chunked?2-trailers"),
        get("/hints?2-early-hints"),
        get("/bytes?2-answer-not-utf-8"),
        get("/many-headers?2-answer-many-headers"),
        get("/large-header?2-answer-large-header"),
        Case {
            headers: many(),
            ..get("/plain?2-many-headers")
        },
        Case {
            headers: large()?,
            ..get("/plain?2-large-header")
        },
        Case {
            method: Method::POST,
            body: Some("hello"),
            trailers: true,
            ..get("/echo?2-body-and-trailers")
        },
        Case {
            method: Method::POST,
            headers: [(content_type, grpc)].into_iter().collect(),
            body: Some("\0\0\0\0\0"),
            ..get("/grpc?2-grpc")
        },
        get("/reset-at-once?2-origin-resets"),
        Case {
            then: Then::OpenGate,
            ..get("/reset-midway?2-origin-resets-midway")
        },
        get("/wait?timeout=2"),
        Case {
            then: Then::ResetWithin,
            ..get("/endless?2-endless")
        },
        Case {
            then: Then::ResetUnanswered,
            ..get("/wait?2-client-resets")
        },
        Case {
            method: Method::CONNECT,
            body: Some("GET /plain?2-connect HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
            counted: 0,
            ..get("/plain?2-connect")
        },
    ])
}

/// A connection to a proxy.
pub(super) struct Connection {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(super) async fn open(proxy: &Proxy) -> Result<Self> {
        let stream = TcpStream::connect(proxy.address).await?;
        let mut builder = h2::client::Builder::new();
        builder.max_header_list_size(1 << 20);
        let (sender, connection) = builder.handshake(stream).await?;
        let driver = tokio::spawn(async move {
            // The streams say how it ended.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    async fn start(&mut self, case: &Case) -> Result<(ResponseFuture, h2::SendStream<Bytes>)> {
        let target = match case.method {
            Method::CONNECT => "shop.example:80".to_owned(),
            _ => format!("http://shop.example{}", case.target),
        };
        let mut request = Request::builder()
            .method(case.method.clone())
            .uri(target)
            .body(())?;
        request.headers_mut().clone_from(&case.headers);
        let mut ready = self.sender.clone().ready().await?;
        Ok(ready.send_request(request, case.body.is_none())?)
    }

    /// Plays a case; what the client has seen.
    pub(super) async fn play(&mut self, case: &Case, proxy: &Proxy) -> Result<String> {
        timeout(LONGEST, self.play_unbounded(case, proxy))
            .await
            .with_context(|| format!("{}: no end", case.target))?
            .with_context(|| case.target)
    }

    async fn play_unbounded(&mut self, case: &Case, proxy: &Proxy) -> Result<String> {
        let (response, mut stream) = self.start(case).await?;
        if let Some(body) = case.body {
            let is_end = !case.trailers && case.method != Method::CONNECT;
            stream.send_data(Bytes::from_static(body.as_bytes()), is_end)?;
        }
        if case.trailers {
            let trailer = (HeaderName::from_static("x-sum"), HeaderValue::from(5));
            stream.send_trailers([trailer].into_iter().collect())?;
        }
        if matches!(case.then, Then::ResetUnanswered) {
            proxy.origin.wait_for(case.target).await?;
            stream.send_reset(Reason::CANCEL);
            return Ok(String::new());
        }
        let mut seen = String::new();
        match response.await {
            Ok(response) => {
                let (head, mut body) = response.into_parts();
                writeln!(seen, "{}", head.status)?;
                write_headers(&mut seen, &head.headers)?;
                read(&mut body, case.then, proxy, &mut seen).await?;
            }
            Err(error) => writeln!(seen, "error {:?}", error.reason())?,
        }
        if matches!(case.then, Then::ResetWithin) {
            stream.send_reset(Reason::CANCEL);
        }
        Ok(seen)
    }
}

/// Opens [`RAPID`] streams and resets each at once, as an attack does, and waits until the proxy has
/// read all of it. In frames: a client library does not send what it takes back.
pub(super) async fn reset_rapidly(proxy: &Proxy, target: &str) -> Result<()> {
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frames.extend(frame(SETTINGS, 0, 0, &[]));
    // `:method: GET` and `:scheme: http` from the static table, two literals with names from it.
    let mut headers = vec![0x82, 0x86];
    for (name, value) in [(0x04, target), (0x01, "shop.example")] {
        headers.extend([name, u8::try_from(value.len())?]);
        headers.extend(value.as_bytes());
    }
    for stream in (0..RAPID).map(|number| 2 * number as u32 + 1) {
        frames.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &headers));
        frames.extend(frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()));
    }
    frames.extend(frame(PING, 0, 0, PING_DATA));
    let mut stream = TcpStream::connect(proxy.address).await?;
    stream.write_all(&frames).await?;
    let answer = frame(PING, ACK, 0, PING_DATA);
    let mut seen = Vec::new();
    while !seen.windows(answer.len()).any(|window| window == answer) {
        let bytes = timeout(LONGEST, stream.read_buf(&mut seen)).await??;
        anyhow::ensure!(bytes > 0, "the proxy has closed the connection");
    }
    Ok(())
}

// RFC 9113, sections 6 and 7.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: u32 = 8;
const PING_DATA: &[u8] = b"all read";

/// A frame whose payload has fewer than 256 bytes.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, payload.len() as u8, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn write_headers(seen: &mut String, headers: &HeaderMap) -> Result<()> {
    let differs = ["date", "x-envoy-upstream-service-time"];
    for (name, value) in headers {
        let value = if differs.contains(&name.as_str()) {
            "".into()
        } else {
            String::from_utf8_lossy(value.as_bytes())
        };
        writeln!(seen, "{name}: {value}")?;
    }
    Ok(())
}

/// Reads a body with its trailers, or as much of it as the case wants.
async fn read(body: &mut RecvStream, then: Then, proxy: &Proxy, seen: &mut String) -> Result<()> {
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        match data {
            Ok(data) => {
                // What an endless body needs is in the windows that a connection begins with.
                body.flow_control().release_capacity(data.len())?;
                bytes.extend_from_slice(&data);
            }
            Err(error) => {
                writeln!(
                    seen,
                    "{:?}\nerror {:?}",
                    String::from_utf8_lossy(&bytes),
                    error.reason()
                )?;
                return Ok(());
            }
        }
        match then {
            Then::ResetWithin if bytes.len() >= SOME => {
                bytes.truncate(SOME);
                break;
            }
            Then::OpenGate if bytes.ends_with(b"ten bytes.") => proxy.origin.open_gate(),
            _ => {}
        }
    }
    writeln!(seen, "{:?}", String::from_utf8_lossy(&bytes))?;
    if !matches!(then, Then::ResetWithin)
        && let Some(trailers) = body.trailers().await?
    {
        write_headers(seen, &trailers)?;
    }
    Ok(())
}
