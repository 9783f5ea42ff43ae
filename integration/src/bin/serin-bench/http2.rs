//! The same load over HTTP/2: one connection, with as many requests under way as the friendly load has
//! connections. A thread of its own drives it, so that whoever measures waits as for a plain socket.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest, handshake};
use hyper::Request;
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use crate::load::Load;
use crate::traffic::Traffic;

/// Most headers of a request.
const MAX_HEADERS: usize = 64;

/// An open connection to one proxy; it closes when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    /// How many turns to take next.
    turns: Sender<usize>,
    /// Whether they ended well; once at the beginning, when it is open.
    ended: Receiver<Result<()>>,
    under_way: usize,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn open(address: SocketAddr, load: &Load) -> Result<Self> {
        let traffic = load.traffic;
        let texts = traffic.requests(load);
        let requests: Vec<_> = texts
            .iter()
            .map(|text| request(text))
            .collect::<Result<_>>()?;
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (turns, asked) = channel();
        let (tell, ended) = channel();
        let under_way = load.connections;
        thread::spawn(move || {
            runtime.block_on(async {
                let mut sender = match connect(address).await {
                    Ok(sender) => sender,
                    Err(error) => return tell.send(Err(error)).unwrap_or_default(),
                };
                let mut next = requests.iter().cycle();
                let mut result = Ok(());
                // Ends with either side.
                while tell.send(result).is_ok()
                    && let Ok(turns) = asked.recv()
                {
                    result = run(&mut sender, &mut next, turns, under_way, traffic).await;
                }
            });
        });
        ended.recv().context("a connection's thread")??;
        Ok(Self {
            turns,
            ended,
            under_way,
        })
    }

    /// Sends `count` requests, rounded down to whole turns and at least one turn, and reads their
    /// answers; gives how many that were.
    ///
    /// # Errors
    /// When an answer is not whole, or has a status that was not asked for.
    pub(crate) fn run(&self, count: usize) -> Result<usize> {
        let turns = (count / self.under_way).max(1);
        self.turns.send(turns).context("a connection's thread")?;
        self.ended.recv().context("a connection's thread")??;
        Ok(turns * self.under_way)
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await.context("connect")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Each turn sends so many requests and reads all of their answers.
async fn run(
    sender: &mut SendRequest<Bytes>,
    requests: &mut impl Iterator<Item = &Request<()>>,
    turns: usize,
    under_way: usize,
    traffic: Traffic,
) -> Result<()> {
    for _ in 0..turns {
        let mut answers = Vec::with_capacity(under_way);
        for request in requests.by_ref().take(under_way) {
            let mut ready = sender.clone().ready().await?;
            answers.push(ready.send_request(request.clone(), true)?.0);
        }
        for answer in answers {
            read(answer, traffic).await?;
        }
    }
    Ok(())
}

async fn read(answer: ResponseFuture, traffic: Traffic) -> Result<()> {
    let answer = answer.await?;
    let status = answer.status().as_u16();
    ensure!(traffic.accepts(status), "answered with {status}");
    let mut body = answer.into_body();
    while let Some(part) = body.data().await {
        let bytes = part?.len();
        body.flow_control().release_capacity(bytes)?;
    }
    Ok(())
}

/// The request of a text in HTTP/1.1.
fn request(text: &str) -> Result<Request<()>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(text.as_bytes())?;
    let path = parsed.path.context("a path")?;
    let is_host = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("host");
    let host = parsed.headers.iter().find(is_host).context("a host")?;
    let host = std::str::from_utf8(host.value)?;
    let mut request = Request::builder()
        .method(parsed.method.context("a method")?)
        .uri(format!("http://{host}{path}"));
    for header in parsed.headers.iter().filter(|header| !is_host(header)) {
        request = request.header(header.name, header.value);
    }
    Ok(request.body(())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_same_headers_as_over_http_1() {
        let request =
            request("GET /a?b=1 HTTP/1.1\r\nHost: shop\r\naccept: */*\r\nx-a: 1\r\n\r\n").unwrap();
        assert_eq!(request.uri(), "http://shop/a?b=1");
        assert_eq!(request.headers().len(), 2);
        assert_eq!(request.headers()["accept"], "*/*");
    }
}
