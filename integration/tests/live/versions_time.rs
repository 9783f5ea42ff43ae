//! Which part of an exchange's time is the version's, in a real Envoy: clients that read or send
//! slowly, and streams.

use super::common::{
    ENOUGH, config, filter, recording, stop_and_read, verdict, wait_for_judged, watch,
};
use anyhow::{Context, Result, ensure};
use scorer_sdk::wire::recording::Record;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

const SUSPECT: f64 = 2.0;
/// How long a slow client waits: far longer than an answer takes.
const PAUSE: Duration = Duration::from_secs(3);
/// More than all buffers between the version and a client hold.
const LARGE: usize = 32 << 20;

/// Frames of HTTP/2 (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (payload.len() as u32).to_be_bytes();
    let mut frame = length.to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header that is not indexed (RFC 7541, 6.2.2), by its full name.
fn header(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0, name.len() as u8];
    field.extend(name.as_bytes());
    field.push(value.len() as u8);
    field.extend(value.as_bytes());
    field
}

/// Asks by HTTP/2 with a window of 0, and opens it after a pause from the answer's headers on.
async fn read_slowly(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "shop.example"),
    ]
    .iter()
    .chain(headers)
    {
        block.extend(header(name, value));
    }
    let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE is 4.
    hello.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    hello.extend(frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    stream.write_all(&hello).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.context("a frame")?;
        let [high, middle, low, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        match kind {
            HEADERS => {
                ensure!(flags & END_STREAM == 0, "the answer has no body");
                sleep(PAUSE).await;
                let window = (1u32 << 20).to_be_bytes();
                stream
                    .write_all(&frame(WINDOW_UPDATE, 0, 1, &window))
                    .await?;
            }
            DATA if flags & END_STREAM != 0 => return Ok(()),
            _ => {}
        }
    }
}

/// An instance of the version with a large answer, and one that is a stream.
async fn serve_large(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> Result<()> {
    let mut request = vec![0; 16 << 10];
    loop {
        let length = stream.read(&mut request).await?;
        let text = String::from_utf8_lossy(request.get(..length).unwrap_or_default()).into_owned();
        if text.is_empty() {
            return Ok(());
        }
        if text.contains(" /events") {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await?;
            for _ in 0..4 {
                stream.write_all(b"data: 1\n\n").await?;
                sleep(PAUSE / 4).await;
            }
            return Ok(());
        }
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&vec![b'x'; LARGE]).await?;
    }
}

/// Sends `request` by HTTP/1, the part after the first blank line after a pause, and reads the answer
/// after another one if it is slow in this, too.
async fn ask(address: SocketAddr, request: &str, pauses: bool) -> Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let (head, body) = request.split_once("\r\n\r\n").context("a blank line")?;
    stream
        .write_all(format!("{head}\r\n\r\n").as_bytes())
        .await?;
    if !body.is_empty() {
        sleep(PAUSE).await;
        stream.write_all(body.as_bytes()).await?;
    }
    if pauses {
        // Nothing is read, so all buffers on the way are full by then.
        sleep(PAUSE).await;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure!(answer.starts_with(b"HTTP/1.1 2"), "no answer");
    Ok(())
}

fn times<'a>(records: &'a [Record], path: &str) -> Result<(f64, f64, &'a Record)> {
    let record = records
        .iter()
        .find(|record| record.path == path && record.status.is_some_and(|status| status < 300))
        .with_context(|| format!("no line for {path} among {records:?}"))?;
    let lasted = record.lasted_ms.unwrap_or(record.duration_ms);
    Ok((record.duration_ms, lasted, record))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_versions_part_of_an_exchange_is_its_time() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(61).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let large = listener.local_addr()?;
    let server = tokio::spawn(serve_large(listener));
    let (settings, log) = recording();
    let topology = Topology::builder("versions-time", &shops)
        .more_v2(&[large])
        .beta_rule()
        .concurrency(1)
        .filter(filter(&settings))
        .access_log(log)
        .start()
        .await?;
    let address = topology.address();
    let get = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: shop\r\nx-beta: yes\r\nconnection: close\r\n\r\n")
    };
    read_slowly(address, "/api/products", &[]).await?;
    // v2 has two hosts that take turns: the shop answers 404 here.
    let mut found = 0;
    for _ in 0..4 {
        found += u32::from(ask(address, &get("/large"), true).await.is_ok());
        found += u32::from(ask(address, &get("/events"), false).await.is_ok());
        // Shifts the turns.
        let _ = ask(address, &get("/health"), false).await;
    }
    ensure!(found >= 2, "the large instance was not reached");
    let cart = r#"{"cart":"c1","product":3}"#;
    let post = format!(
        "POST /api/cart HTTP/1.1\r\nhost: shop\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{cart}",
        cart.len()
    );
    ask(address, &post, false).await?;
    let records = stop_and_read(topology).await?;
    server.abort();
    let pause = PAUSE.as_secs_f64() * 1e3;
    for path in ["/api/products", "/large", "/events", "/api/cart"] {
        let (version, lasted, record) = times(&records, path)?;
        // A stream and its pauses are a little shorter than a client's pause on the clock of Envoy.
        assert!(lasted > 0.7 * pause, "{path}: {record:?}");
        assert!(version < lasted - 0.6 * pause, "{path}: {record:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_a_healthy_candidate_slowly_do_not_condemn_it() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(62).await?;
    let topology = Topology::builder("slow-readers", &shops)
        .beta_rule()
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let address = topology.address();
    let load = Load::start(LoadOptions::new(address, 40.0).beta_share(0.5).seed(63))?;
    // As many slow answers as others of the candidate: of those, one in seven was once enough.
    let mut readers = JoinSet::new();
    for _ in 0..60 {
        readers.spawn(async move {
            loop {
                read_slowly(address, "/api/products", &[("x-beta", "yes")]).await?;
            }
            #[allow(unreachable_code, reason = "gives the loop its type")]
            anyhow::Ok(())
        });
    }
    let accused = |metrics: &_| verdict(metrics) >= Some(SUSPECT);
    let judged = wait_for_judged(&topology.front, 2.0 * ENOUGH);
    watch(&topology.front, judged, accused).await?;
    load.stop().await;
    let received = shops.v2.received();
    assert!(received > 500, "{received}");
    // Not one of them has ended: a client that failed would prove nothing.
    assert!(readers.try_join_next().is_none());
    Ok(())
}
