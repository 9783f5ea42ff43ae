//! A service that the shop calls: it answers everything at once and alike.

use std::future::ready;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A running service; it stops when dropped.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Service {
    pub(super) async fn start(name: &'static str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .with_context(|| format!("service {name}: bind"))?;
        let address = listener.local_addr().context("service: local address")?;
        let server = tokio::spawn(async move {
            // Connections live in the set, so that dropping the service also closes them.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        connections.spawn(connection(stream));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self {
            name,
            address,
            server,
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn connection(stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|_| {
        let body = Full::new(Bytes::from_static(br#"{"ok":true}"#));
        let response = Response::builder().header("content-type", "application/json");
        ready(response.body(body))
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
