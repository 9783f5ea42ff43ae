//! What clients do over HTTP/1, byte by byte.

use super::origin::{LARGE, MANY};
use super::proxy::Proxy;
use anyhow::{Context as _, Result};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for bytes: ample for a slow machine.
const LONGEST: Duration = Duration::from_secs(60);

/// A header beyond what the proxies let pass, and not so far beyond that it could not be sent.
const TOO_LARGE: usize = 110 * 1024;

/// What a client does next.
pub(super) enum Act {
    Send(Vec<u8>),
    /// Reads until these bytes have come.
    Await(&'static str),
    /// Reads the head and at least this many bytes after it; what comes beyond is not compared.
    AwaitBytes(usize),
    /// Waits until the origin has the case's request.
    AwaitOrigin,
    /// Lets the origin go on.
    OpenGate,
    /// Reads a head and ends the connection: Envoy keeps one open for a second that it has refused.
    CloseAfterHead,
    /// Ends the connection with a reset.
    Reset,
    /// Ends it in order.
    Close,
}

/// What one connection does, and what is to be counted of it.
pub(super) struct Case {
    /// Path and query; the query is the case's name.
    pub(super) target: &'static str,
    acts: Vec<Act>,
    /// Exchanges that are counted for the version.
    pub(super) counted: usize,
    /// Requests that the proxy answers by itself.
    pub(super) nobodys: usize,
}

/// Sends a request and reads to the end.
fn simple(target: &'static str, request: &str) -> Case {
    Case {
        target,
        acts: vec![send(target, request)],
        counted: 1,
        nobodys: 0,
    }
}

/// The request's text, with `TARGET` for the target.
fn send(target: &str, request: &str) -> Act {
    Act::Send(request.replace("TARGET", target).into_bytes())
}

const GET: &str = "GET TARGET HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
const GET_AND_STAY: &str = "GET TARGET HTTP/1.1\r\nhost: shop.example\r\n\r\n";

impl Case {
    fn nobodys(self) -> Self {
        Self {
            counted: 0,
            nobodys: 1,
            ..self
        }
    }

    fn left_alone(self) -> Self {
        Self { counted: 0, ..self }
    }

    fn then(mut self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.acts.extend(acts);
        self
    }

    /// Plays the case against a proxy; what the client has seen.
    pub(super) async fn play(&self, proxy: &Proxy) -> Result<String> {
        let mut stream = TcpStream::connect(proxy.address).await?;
        let mut seen = Vec::new();
        for act in &self.acts {
            match act {
                Act::Send(bytes) => stream.write_all(bytes).await?,
                Act::Await(text) => {
                    let text = text.as_bytes();
                    while !seen.windows(text.len()).any(|window| window == text) {
                        anyhow::ensure!(read(&mut stream, &mut seen).await?, "ended early");
                    }
                }
                Act::AwaitBytes(bytes) => {
                    // Heads differ in length: one has the milliseconds that the origin took.
                    let end = |seen: &[u8]| head_of(seen).map_or(usize::MAX, |head| head + bytes);
                    while seen.len() < end(&seen) {
                        anyhow::ensure!(read(&mut stream, &mut seen).await?, "ended early");
                    }
                    seen.truncate(end(&seen));
                }
                Act::CloseAfterHead => {
                    while head_of(&seen).is_none() {
                        anyhow::ensure!(read(&mut stream, &mut seen).await?, "ended early");
                    }
                    seen.truncate(head_of(&seen).unwrap_or(seen.len()));
                    return Ok(normal(&seen));
                }
                Act::AwaitOrigin => proxy.origin.wait_for(self.target).await?,
                Act::OpenGate => proxy.origin.open_gate(),
                Act::Reset => {
                    stream.set_zero_linger()?;
                    return Ok(normal(&seen));
                }
                Act::Close => return Ok(normal(&seen)),
            }
        }
        while read(&mut stream, &mut seen).await? {}
        Ok(normal(&seen))
    }
}

/// Length of the head in front, once it is whole.
fn head_of(seen: &[u8]) -> Option<usize> {
    let end = b"\r\n\r\n";
    let position = seen.windows(end.len()).position(|window| window == end)?;
    Some(position + end.len())
}

/// Reads what has come; whether there was anything. A reset is an end like another.
async fn read(stream: &mut TcpStream, seen: &mut Vec<u8>) -> Result<bool> {
    let read = timeout(LONGEST, stream.read_buf(seen)).await;
    let read =
        read.with_context(|| format!("nothing after {:?}", String::from_utf8_lossy(seen)))?;
    Ok(read.is_ok_and(|bytes| bytes > 0))
}

/// What was seen, without what differs from request to request.
fn normal(seen: &[u8]) -> String {
    let text = String::from_utf8_lossy(seen);
    let differs = |line: &str| {
        ["date: ", "x-envoy-upstream-service-time: "]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let lines = text.split("\r\n").map(|line| {
        let name = line.split(": ").next().filter(|_| differs(line));
        name.unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// All cases.
pub(super) fn cases() -> Vec<Case> {
    let many: String = (0..MANY).map(|n| format!("x-h{n}: {n}\r\n")).collect();
    let large = "v".repeat(LARGE);
    let with = |headers: &str| {
        format!("GET TARGET HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n{headers}\r\n")
    };
    let mut cases = vec![
        simple("/plain?http-1.0", "GET TARGET HTTP/1.0\r\n\r\n"),
        simple("/plain?http-0.9", "GET TARGET\r\n\r\n"),
        simple(
            "/until-close?http-1.0-until-close",
            "GET TARGET HTTP/1.0\r\n\r\n",
        ),
        simple(
            "/plain?absolute",
            "GET http://shop.exampleTARGET HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n",
        ),
        simple(
            "/plain?head",
            "HEAD TARGET HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n",
        ),
        simple("/204?no-content", GET),
        simple("/304?not-modified", GET),
        simple("/999?odd-status", GET),
        simple("/chunked?trailers", GET),
        simple("/grpc?grpc", GET),
        simple("/hints?early-hints", GET),
        simple("/until-close?until-close", GET),
        simple("/bytes?answer-not-utf-8", GET),
        simple("/many-headers?answer-many-headers", GET),
        simple("/large-header?answer-large-header", GET),
        simple("/plain?many-headers", &with(&many)),
        simple("/plain?large-header", &with(&format!("x-l: {large}\r\n"))),
        simple("/plain?empty-header", &with("x-empty:\r\n")),
        simple("/garbage?garbage", GET),
        simple("/reset-at-once?origin-resets", GET),
        simple("/wait?timeout", GET),
        simple(
            "/echo?body",
            "POST TARGET HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello",
        ),
        simple(
            "/echo?chunks-and-trailers",
            "POST TARGET HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\
             transfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
             5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n",
        ),
    ];
    cases.push(Case {
        target: "/plain?bytes",
        acts: vec![Act::Send(
            b"GET /plain?bytes HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\nx-bytes: caf\xe9\xff\r\n\r\n"
                .to_vec(),
        )],
        counted: 1,
        nobodys: 0,
    });
    let pipelined = [GET_AND_STAY, GET_AND_STAY, GET].concat();
    cases.push(Case {
        counted: 3,
        ..simple("/plain?pipelined", &pipelined)
    });
    let expect = "POST TARGET HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\
                  expect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    cases.push(simple("/continue?expect-100", expect).then([
        Act::Await("100 Continue\r\n\r\n"),
        Act::Send(b"hello".to_vec()),
    ]));
    for target in [
        "/reset-midway?origin-resets-midway",
        "/close-midway?origin-closes-midway",
    ] {
        cases.push(simple(target, GET).then([Act::Await("ten bytes."), Act::OpenGate]));
    }
    // Clients that leave.
    cases.push(simple("/endless?endless", GET).then([Act::AwaitBytes(LARGE), Act::Reset]));
    for (target, end) in [
        ("/wait?client-resets", Act::Reset),
        ("/wait?client-closes", Act::Close),
    ] {
        cases.push(simple(target, GET).then([Act::AwaitOrigin, end]));
    }
    let half =
        "POST TARGET HTTP/1.1\r\nhost: shop.example\r\ncontent-length: 100\r\n\r\nten bytes.";
    cases.push(simple("/echo?client-resets-midway", half).then([Act::AwaitOrigin, Act::Reset]));
    // What is no exchange.
    let upgrade = "GET TARGET HTTP/1.1\r\nhost: shop.example\r\nconnection: upgrade\r\n\
                   upgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n\r\n";
    cases.push(simple("/switch?websocket", upgrade).left_alone().then([
        Act::Await("\r\n\r\n"),
        Act::Send(b"ping".to_vec()),
        Act::Await("ping"),
        Act::Close,
    ]));
    let connect = "CONNECT shop.example:80 HTTP/1.1\r\nhost: shop.example:80\r\n\r\n";
    let inner = GET.replace("TARGET", "/plain?connect").into_bytes();
    cases.push(simple("/plain?connect", connect).left_alone().then([
        Act::Await("\r\n\r\n"),
        Act::Send(inner),
        Act::Await("hello"),
        Act::Close,
    ]));
    // What the proxy does not let pass.
    cases.push(simple("/direct?direct-answer", GET).nobodys());
    let too_large = with(&format!("x-l: {}\r\n", "v".repeat(TOO_LARGE)));
    for (target, request) in [
        ("/plain?too-large", too_large.as_str()),
        (
            "*",
            "OPTIONS TARGET HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n",
        ),
        (
            "/plain?malformed",
            "GET TARGET HTTP/1.1\r\nno colon\r\n\r\n",
        ),
        (
            "/plain?odd-method",
            "BREW TARGET HTTP/1.1\r\nhost: shop.example\r\n\r\n",
        ),
        (
            "/plain?two-lengths",
            "POST TARGET HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        ),
        ("/plain?no-host", "GET TARGET HTTP/1.1\r\n\r\n"),
    ] {
        cases.push(
            simple(target, request)
                .left_alone()
                .then([Act::CloseAfterHead]),
        );
    }
    cases
}
