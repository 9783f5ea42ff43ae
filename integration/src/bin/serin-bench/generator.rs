//! Closed-loop load over a few kept connections, by one thread.
//!
//! Each connection has one request under way; answers are read in the connections' order, and each
//! is followed at once by the next request. As blocking reads of a plain socket cost a few
//! microseconds, far less than a proxy spends on a request, the proxy is what everybody waits for:
//! its worker never sleeps, and finds as many requests at each turn as it could handle meanwhile.
//! A proxy that idles between requests pays more for each (a system call to sleep and one to wake);
//! that comes on top of every variant alike.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::http2;
use crate::load::Load;
use crate::traffic::Traffic;
use crate::variants::MAX_BODY_BYTES;

/// Longest wait for one answer: a machine that is busy otherwise may be slow, and says so in the
/// scatter of the numbers.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Most response headers and bytes of an answer.
const MAX_HEADERS: usize = 64;
const MAX_ANSWER_BYTES: usize = 2 * MAX_BODY_BYTES;

/// Open connections to one proxy.
#[derive(Debug)]
pub(crate) struct Generator {
    address: SocketAddr,
    traffic: Traffic,
    connections: Vec<TcpStream>,
    /// In place of them.
    http2: Option<http2::Connection>,
    requests: Vec<String>,
    next: usize,
    answered: u64,
    buffer: Vec<u8>,
}

impl Generator {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub(crate) fn connect(address: SocketAddr, load: &Load) -> Result<Self> {
        let is_http2 = load.traffic == Traffic::Http2;
        let connections = if is_http2 { 0 } else { load.connections };
        let connections = (0..connections).map(|_| connect(address));
        Ok(Self {
            address,
            traffic: load.traffic,
            connections: connections.collect::<Result<_>>()?,
            http2: is_http2
                .then(|| http2::Connection::open(address, load))
                .transpose()?,
            requests: load.traffic.requests(load),
            next: 0,
            answered: 0,
            buffer: vec![0; MAX_ANSWER_BYTES],
        })
    }

    /// Sends `count` requests, rounded down to whole turns of the connections and at least one
    /// turn, and reads their answers; gives how many that were.
    ///
    /// # Errors
    /// When an answer is not whole, or has a status that was not asked for.
    pub(crate) fn run(&mut self, count: usize) -> Result<usize> {
        if let Some(connection) = &self.http2 {
            let answered = connection.run(count)?;
            self.answered += answered as u64;
            return Ok(answered);
        }
        let connections = self.connections.len();
        let turns = (count / connections).max(1);
        for turn in 0..=turns {
            for connection in &mut self.connections {
                // The first turn has nothing to read yet, the last one nothing to send.
                if turn > 0 {
                    read_answer(connection, &mut self.buffer, self.traffic)?;
                    if self.traffic.closes() {
                        *connection = connect(self.address)?;
                    }
                }
                if turn < turns {
                    let request = self.requests.get(self.next).context("no requests")?;
                    connection.write_all(request.as_bytes()).context("send")?;
                    self.next = (self.next + 1) % self.requests.len();
                }
            }
        }
        self.answered += (turns * connections) as u64;
        Ok(turns * connections)
    }

    /// Answers since it was connected.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn read_answer(connection: &mut TcpStream, buffer: &mut [u8], traffic: Traffic) -> Result<()> {
    let mut filled = 0;
    let mut needed = None;
    while needed.is_none_or(|needed| filled < needed) {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        ensure!(!room.is_empty(), "an answer above {MAX_ANSWER_BYTES} bytes");
        let read = connection.read(room).context("read an answer")?;
        ensure!(read > 0, "the proxy closed a connection");
        filled += read;
        if needed.is_none() {
            needed = answer_length(buffer.get(..filled).unwrap_or_default(), traffic)?;
        }
    }
    ensure!(needed == Some(filled), "bytes after the end of an answer");
    Ok(())
}

/// Bytes of the answer, head and body; `None` while its head is not complete.
fn answer_length(bytes: &[u8], traffic: Traffic) -> Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).context("parse an answer")? else {
        return Ok(None);
    };
    ensure!(
        response.code.is_some_and(|status| traffic.accepts(status)),
        "answered with {:?}",
        response.code
    );
    let length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| {
            std::str::from_utf8(header.value)
                .ok()?
                .parse::<usize>()
                .ok()
        })
        .context("an answer without content-length")?;
    Ok(Some(head + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(
            answer_length(answer, Traffic::Friendly).unwrap(),
            Some(answer.len())
        );
        assert_eq!(
            answer_length(&answer[..20], Traffic::Friendly).unwrap(),
            None
        );
        let failed = b"HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n";
        assert!(answer_length(failed, Traffic::Friendly).is_err());
        assert_eq!(
            answer_length(failed, Traffic::Errors).unwrap(),
            Some(failed.len())
        );
        assert!(answer_length(b"HTTP/1.1 200 OK\r\n\r\n", Traffic::Friendly).is_err());
    }
}
