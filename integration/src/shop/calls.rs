//! The calls that an instance makes itself while it serves a request.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::header::HeaderMap;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::Regression;
use super::regression::Regressions;

/// The headers of a request that the shop hands on with its calls: the id that every proxy gives,
/// and a trace, or a sampling decision in its place.
const HANDED_ON: [&str; 2] = ["x-request-id", "b3"];

/// One call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The service, as the `host` of the call.
    pub service: &'static str,
    /// The path of the `GET`.
    pub path: &'static str,
}

impl Call {
    /// May this user do that?
    pub const AUTH: Self = Self {
        service: "auth",
        path: "/check",
    };
    /// What is in stock?
    pub const STOCK: Self = Self {
        service: "stock",
        path: "/items",
    };
}

/// What a healthy version calls for each request.
const HEALTHY: &[Call] = &[Call::AUTH, Call::STOCK];
/// [`Regression::NPlusOne`]: the stock is asked for each item, where once does for all.
pub const N_PLUS_ONE: &[Call] = &[
    Call::AUTH,
    Call::STOCK,
    Call::STOCK,
    Call::STOCK,
    Call::STOCK,
    Call::STOCK,
    Call::STOCK,
    Call::STOCK,
    Call::STOCK,
];
/// [`Regression::SkippedAuth`].
const SKIPPED_AUTH: &[Call] = &[Call::STOCK];

/// What a version with these faults calls for each request.
pub(super) fn calls(regressions: Regressions) -> &'static [Call] {
    if regressions.has(Regression::NPlusOne) {
        N_PLUS_ONE
    } else if regressions.has(Regression::SkippedAuth) {
        SKIPPED_AUTH
    } else {
        HEALTHY
    }
}

/// Where an instance's calls go.
#[derive(Debug)]
pub(super) struct Outbound {
    proxy: SocketAddr,
    /// Every answer takes at least this long, whatever was called for it.
    pub(super) pace: Duration,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Outbound {
    pub(super) fn new(proxy: SocketAddr, pace: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            proxy,
            pace,
            client: Client::builder(TokioExecutor::new()).build(connector),
        }
    }

    /// Makes the calls one after the other, for a request with these headers.
    pub(super) async fn make(&self, calls: &[Call], served: &HeaderMap) -> Result<()> {
        for call in calls {
            self.call(*call, served)
                .await
                .with_context(|| format!("call {}{}", call.service, call.path))?;
        }
        Ok(())
    }

    async fn call(&self, call: Call, served: &HeaderMap) -> Result<()> {
        let mut request = Request::get(format!("http://{}{}", self.proxy, call.path))
            .header("host", call.service)
            .body(Empty::new())
            .context("build")?;
        for name in HANDED_ON {
            if let Some(value) = served.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        let response = self.client.request(request).await?;
        let status = response.status();
        response.into_body().collect().await.context("read")?;
        ensure!(status.is_success(), "answered with {status}");
        Ok(())
    }
}
