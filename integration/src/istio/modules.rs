//! Where the agents fetch the module: a registry's stand-in over plain HTTP.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::envoy::workspace;

const MODULE: &str = "target/serin.wasm";

/// Serves the shipped module under `/serin.wasm` and nothing else; it stops when dropped.
#[derive(Debug)]
pub struct Modules {
    address: SocketAddr,
    fetched: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

impl Modules {
    /// Reads the module and starts on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the module was not built, or no port can be bound.
    pub async fn start() -> Result<Self> {
        let path = workspace().join(MODULE);
        let module = std::fs::read(&path)
            .with_context(|| format!("{}; `make wasm` builds it", path.display()))?;
        let module = Bytes::from(module);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("bind")?;
        let address = listener.local_addr().context("address")?;
        let fetched = Arc::new(AtomicU64::new(0));
        let server = tokio::spawn(serve(listener, module, Arc::clone(&fetched)));
        Ok(Self {
            address,
            fetched,
            server,
        })
    }

    /// The URL of the module.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/serin.wasm", self.address)
    }

    /// A URL that is answered with 404.
    #[must_use]
    pub fn missing_url(&self) -> String {
        format!("http://{}/missing.wasm", self.address)
    }

    /// How often the module was fetched.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.fetched.load(Ordering::Relaxed)
    }

    /// The hash of the module, as a WasmPlugin's `sha256` wants it.
    ///
    /// # Errors
    /// When there is no `sha256sum`.
    pub fn sha256() -> Result<String> {
        let output = Command::new("sha256sum")
            .arg(workspace().join(MODULE))
            .output()
            .context("sha256sum")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let hash = text.split_whitespace().next().unwrap_or_default();
        ensure!(hash.len() == 64, "sha256sum: {text}");
        Ok(hash.to_owned())
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, module: Bytes, fetched: Arc<AtomicU64>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (module, fetched) = (module.clone(), Arc::clone(&fetched));
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let mut response = Response::new(Full::new(Bytes::new()));
            if request.uri().path() == "/serin.wasm" {
                fetched.fetch_add(1, Ordering::Relaxed);
                *response.body_mut() = Full::new(module.clone());
            } else {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}
