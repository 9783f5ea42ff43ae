//! An application that speaks raw HTTP/1.1: what a path is answered is a script of bytes and breaks.

use anyhow::{Context as _, Result};
use serin_integration::wait_until;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Headers of an answer with many, and the bytes of a large one: within what the proxies let pass.
pub(super) const MANY: usize = 1_000;
pub(super) const LARGE: usize = 60 * 1024;
/// Longest request that is read.
const MOST_BYTES: usize = 1 << 20;
/// One piece of the body that never ends.
const PIECE: usize = 4_096;

/// What is done after a request was read, in order.
enum Step {
    Write(Vec<u8>),
    /// The request's body, as it came, in an answer of its own.
    Echo,
    /// Writes as long as anybody reads.
    Forever,
    /// Gives back what comes, until the other side has ended.
    Tunnel,
    /// Waits until the test opens the gate.
    Gate,
    /// Answers nothing until the other side leaves.
    Wait,
    Reset,
    Close,
}

/// Requests by path: heads and bodies as they came, and how many.
type Received = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// A running origin; it ends when dropped.
pub(super) struct Origin {
    address: SocketAddr,
    received: Received,
    gate: Arc<Semaphore>,
    accepting: JoinHandle<()>,
}

impl Origin {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let received = Received::default();
        let gate = Arc::new(Semaphore::new(0));
        let shared = (Arc::clone(&received), Arc::clone(&gate));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (received, gate) = shared.clone();
                tokio::spawn(async move { serve(stream, &received, &gate).await });
            }
        });
        Ok(Self {
            address,
            received,
            gate,
            accepting,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets one script go on that waits at the gate, or the next one that comes there.
    pub(super) fn open_gate(&self) {
        self.gate.add_permits(1);
    }

    /// What came for a path with its query, in order.
    pub(super) fn received(&self, target: &str) -> Vec<String> {
        lock(&self.received)
            .get(target)
            .cloned()
            .unwrap_or_default()
    }

    /// Waits until a request with this path has come.
    pub(super) async fn wait_for(&self, target: &str) -> Result<()> {
        let what = format!("request for {target}");
        wait_until(&what, async || Ok(!self.received(target).is_empty())).await
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves one connection until a script or the other side ends it.
async fn serve(mut stream: TcpStream, received: &Received, gate: &Semaphore) {
    let mut buffer = Vec::new();
    while let Ok(true) = serve_one(&mut stream, &mut buffer, received, gate).await {}
}

/// Reads one request and plays its script; whether the connection goes on.
async fn serve_one(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    received: &Received,
    gate: &Semaphore,
) -> Result<bool> {
    let Some(head) = read_until(stream, buffer, b"\r\n\r\n").await? else {
        return Ok(false);
    };
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).context("a target")?.to_owned();
    let index = note(received, &target, &head);
    let path = target.split('?').next().unwrap_or_default();
    if path == "/continue" {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let body = if matches!(path, "/switch" | "/wait") {
        Vec::new()
    } else {
        read_body(stream, buffer, &head).await?
    };
    if let Some(request) = lock(received)
        .get_mut(&target)
        .and_then(|all| all.get_mut(index))
    {
        request.push_str(&String::from_utf8_lossy(&body));
    }
    for step in script(path, head.starts_with("HEAD")) {
        match step {
            Step::Write(bytes) => stream.write_all(&bytes).await?,
            Step::Echo => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                let answer = [head.as_bytes(), &body].concat();
                stream.write_all(&answer).await?;
            }
            Step::Forever => loop {
                stream.write_all(&[b'x'; PIECE]).await?;
            },
            Step::Tunnel => {
                stream.write_all(buffer).await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await?;
                return Ok(false);
            }
            Step::Gate => gate.acquire().await?.forget(),
            Step::Wait => {
                let mut sink = [0; 1_024];
                while stream.read(&mut sink).await? > 0 {}
                return Ok(false);
            }
            Step::Reset => {
                stream.set_zero_linger()?;
                return Ok(false);
            }
            Step::Close => return Ok(false),
        }
    }
    Ok(!head.contains("connection: close"))
}

/// Keeps a request's head, and gives its number among those of its target.
fn note(received: &Received, target: &str, head: &str) -> usize {
    let mut all = lock(received);
    let requests = all.entry(target.to_owned()).or_default();
    requests.push(head.to_owned());
    requests.len() - 1
}

/// The bytes up to and with `end`; `None` when the other side is done.
async fn read_until(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    end: &[u8],
) -> Result<Option<Vec<u8>>> {
    loop {
        let found = buffer.windows(end.len()).position(|window| window == end);
        if let Some(position) = found {
            return Ok(Some(buffer.drain(..position + end.len()).collect()));
        }
        anyhow::ensure!(buffer.len() < MOST_BYTES, "too long");
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// The request's body as its head announces it: of chunks, the chunks as they came.
async fn read_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, head: &str) -> Result<Vec<u8>> {
    let value = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|line| line.0.eq_ignore_ascii_case(name))
            .map(|line| line.1)
    };
    if value("transfer-encoding").is_some() {
        let mut body = Vec::new();
        loop {
            let line = read_until(stream, buffer, b"\r\n")
                .await?
                .context("a chunk")?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16)?;
            if size == 0 {
                break;
            }
            body.extend(
                read_exactly(stream, buffer, size + 2)
                    .await?
                    .get(..size)
                    .unwrap_or(&[]),
            );
        }
        // Trailers, up to an empty line.
        loop {
            let line = read_until(stream, buffer, b"\r\n")
                .await?
                .context("a trailer")?;
            if line == b"\r\n" {
                return Ok(body);
            }
            body.extend(line);
        }
    }
    let length = value("content-length").map_or(Ok(0), str::parse)?;
    read_exactly(stream, buffer, length).await
}

async fn read_exactly(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    length: usize,
) -> Result<Vec<u8>> {
    while buffer.len() < length {
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "ended early");
    }
    Ok(buffer.drain(..length).collect())
}

fn write(text: &str) -> Step {
    Step::Write(text.as_bytes().to_vec())
}

/// What a path is answered.
fn script(path: &str, is_head: bool) -> Vec<Step> {
    match path {
        "/plain" if is_head => vec![write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")],
        "/plain" => vec![write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")],
        "/echo" | "/continue" => vec![Step::Echo],
        "/204" => vec![write("HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n")],
        "/304" => vec![write("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n")],
        "/999" => vec![write(
            "HTTP/1.1 999 Odd\r\ncontent-length: 0\r\nx-empty:\r\n\r\n",
        )],
        "/chunked" => vec![write(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
             5\r\nhello\r\n7\r\n, world\r\n0\r\nx-sum: 12\r\n\r\n",
        )],
        "/grpc" => vec![write(
            "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\n\0\0\0\0\0\r\n0\r\ngrpc-status: 5\r\ngrpc-message: no\r\n\r\n",
        )],
        "/hints" => vec![write(
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        )],
        "/until-close" => vec![write("HTTP/1.1 200 OK\r\n\r\nuntil the end"), Step::Close],
        "/endless" => vec![
            write("HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n"),
            Step::Forever,
        ],
        "/bytes" => vec![Step::Write(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-bytes: caf\xe9\xff\r\n\r\nok".to_vec(),
        )],
        "/many-headers" => {
            let headers: String = (0..MANY).map(|n| format!("x-h{n}: {n}\r\n")).collect();
            vec![write(&format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n{headers}\r\nok"
            ))]
        }
        "/large-header" => {
            let value = "v".repeat(LARGE);
            vec![write(&format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-l: {value}\r\n\r\nok"
            ))]
        }
        "/reset-at-once" => vec![Step::Reset],
        "/reset-midway" => vec![
            write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes."),
            Step::Gate,
            Step::Reset,
        ],
        "/close-midway" => vec![
            write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nten bytes."),
            Step::Gate,
            Step::Close,
        ],
        "/garbage" => vec![write("this is not HTTP at all\r\n\r\n"), Step::Close],
        "/wait" => vec![Step::Wait],
        "/switch" => vec![
            write(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
            ),
            Step::Tunnel,
        ],
        _ => vec![write("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")],
    }
}
