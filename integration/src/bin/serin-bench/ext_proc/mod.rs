//! The server that the proxy asks in the variant `ext-proc`: it reads all headers, counts answers by
//! version and status, and lets everything pass.
//!
//! gRPC by hand over `h2`, with two of the protocol's messages, so that next to nothing but the
//! protocol is in what it costs. It has a thread of its own, whose processor time comes on top of
//! the proxy's.

mod message;

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use h2::server::{SendResponse, handshake};
use h2::{RecvStream, SendStream};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::cpu::Usage;
use message::Asked;

/// Name of the variant, of its cluster and of the server's thread.
pub(crate) const NAME: &str = "ext-proc";
/// Bytes of a message's frame: whether it is compressed, and its length.
const FRAME: usize = 5;
/// Longest message: headers alone are sent.
const MAX_MESSAGE: usize = 256 * 1024;
/// Longest wait of the proxy for an answer: a machine that is busy otherwise may be slow.
const TIMEOUT: &str = "60s";

/// Answers by version and status.
type Counts = Arc<Mutex<HashMap<(String, String), u64>>>;

/// The server; it runs until the process ends.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its thread's folder in `/proc`.
    thread: String,
    counts: Counts,
}

impl Server {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot listen or has no thread.
    pub(crate) fn start() -> Result<Self> {
        let counts = Counts::default();
        let of_thread = Arc::clone(&counts);
        let (ready, told) = channel();
        thread::Builder::new()
            .name(NAME.to_owned())
            .spawn(move || {
                if let Err(error) = run(&ready, of_thread) {
                    eprintln!("the server of {NAME} has ended: {error:#}");
                }
            })
            .context("a thread for the server of ext_proc")?;
        let (address, thread) = told.recv().context("the server of ext_proc")?;
        Ok(Self {
            address,
            thread,
            counts,
        })
    }

    /// Answers that it has counted.
    pub(crate) fn counted(&self) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.values().sum()
    }

    /// Processor time of its thread since it started.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of_thread(&self.thread)
    }
}

/// The filter that asks it: headers both ways and no body.
pub(crate) fn filter() -> Value {
    json!({
        "name": "envoy.filters.http.ext_proc",
        "typed_config": {
            "@type": "type.googleapis.com/\
                envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": NAME}, "timeout": TIMEOUT},
            "message_timeout": TIMEOUT,
            "processing_mode": {
                "request_header_mode": "SEND",
                "response_header_mode": "SEND",
                "request_trailer_mode": "SKIP",
                "response_trailer_mode": "SKIP"
            }
        }
    })
}

/// Serves; tells where, and in which thread.
fn run(ready: &Sender<(SocketAddr, String)>, counts: Counts) -> Result<()> {
    let own = fs::read_link("/proc/thread-self").context("/proc/thread-self")?;
    let thread = format!("/proc/{}", own.display());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        ready.send((listener.local_addr()?, thread))?;
        loop {
            let (stream, _) = listener.accept().await?;
            let counts = Arc::clone(&counts);
            tokio::spawn(async move {
                if let Err(error) = connection(stream, counts).await {
                    eprintln!("a connection of {NAME}: {error:#}");
                }
            });
        }
    })
}

async fn connection(stream: TcpStream, counts: Counts) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = handshake(stream).await?;
    while let Some(call) = connection.accept().await {
        let (request, respond) = call?;
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            // A proxy that ends resets its calls.
            let _ = exchange(request, respond, &counts).await;
        });
    }
    Ok(())
}

/// One call, which lasts for an exchange.
async fn exchange(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    counts: &Counts,
) -> Result<()> {
    let mut head = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    head.headers_mut().insert(CONTENT_TYPE, grpc);
    let mut answers = respond.send_response(head, false)?;
    let mut body = request.into_body();
    let mut waiting = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        waiting.extend_from_slice(&part);
        while let Some(message) = next_message(&mut waiting)? {
            answer(message, &mut answers, counts)?;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    answers.send_trailers(trailers)?;
    Ok(())
}

/// Takes a whole message, without its frame, from what came.
fn next_message(waiting: &mut BytesMut) -> Result<Option<Bytes>> {
    let Some([_, length @ ..]) = waiting.first_chunk::<FRAME>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_MESSAGE {
        bail!("a message of {length} bytes");
    }
    if waiting.len() < FRAME + length {
        return Ok(None);
    }
    let _ = waiting.split_to(FRAME);
    Ok(Some(waiting.split_to(length).freeze()))
}

fn answer(message: Bytes, answers: &mut SendStream<Bytes>, counts: &Counts) -> Result<()> {
    let asked = message::read(message).context("a message that is no headers")?;
    let reply = match asked {
        Asked::Request(headers) => {
            // As the others, it reads every header of the request.
            std::hint::black_box(
                headers
                    .pairs()
                    .map(|(name, value)| name.len() + value.len())
                    .sum::<usize>(),
            );
            message::REQUEST_PASSES
        }
        Asked::Response(headers) => {
            count(&headers, counts);
            message::RESPONSE_PASSES
        }
    };
    answers.send_data(Bytes::from_static(reply), false)?;
    Ok(())
}

fn count(headers: &message::HeaderMap, counts: &Counts) {
    let (mut version, mut status) = (String::new(), String::new());
    for (name, value) in headers.pairs() {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"x-shop-version" => version = text(),
            b":status" => status = text(),
            _ => {}
        }
    }
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry((version, status)).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_once_it_is_whole() {
        let mut waiting = BytesMut::from(&[0, 0, 0, 0, 2, 7][..]);
        assert_eq!(next_message(&mut waiting).unwrap(), None);
        waiting.extend_from_slice(&[8, 0]);
        assert_eq!(
            next_message(&mut waiting).unwrap(),
            Some(Bytes::from_static(&[7, 8]))
        );
        assert_eq!(waiting.len(), 1);
        let mut waiting = BytesMut::from(&[0, 0xff, 0, 0, 0][..]);
        assert!(next_message(&mut waiting).is_err());
    }
}
