//! The proxy behind hostcalls.
//!
//! What each request asks for goes through [`serin_abi`], which copies nothing and gives nothing on a
//! status that it does not expect. The rest goes through the SDK, which panics on such a status, and a
//! panic takes the worker's VM with it; the callers keep to the phases that [`Host`] names, in which
//! none comes.

use crate::host::properties::Path;
use crate::host::{Headers, Host, Shared};
use crate::sync::inquiry::Reply;
use core::time::Duration;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, GrpcStatusCode, LogLevel, MapType, MetricType};
use scorer_sdk::memory;
use scorer_sdk::telemetry::Kind;
use serin_abi::host::{self, Map};

/// The proxy that this module runs in.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProxyHost;

impl ProxyHost {
    /// The plugin's configuration.
    #[must_use]
    pub fn configuration(self, size: usize) -> Vec<u8> {
        if size == 0 {
            return Vec::new();
        }
        hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Sends what the macros of `log` write to the proxy's log: info, warnings and errors. The proxy
    /// keeps what its own level for wasm lets through.
    pub fn start_logging(self) {
        proxy_wasm::set_log_level(LogLevel::Info);
    }

    /// The answer to the call `token`, with a body of `size` bytes; only while the proxy hands it
    /// over. A body that is too long to be read is left out.
    #[must_use]
    pub fn answer(self, token: u32, size: usize) -> Reply {
        let header = |name| {
            let value = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name);
            value.ok().flatten()
        };
        let status =
            header(":status").and_then(|status| core::str::from_utf8(&status).ok()?.parse().ok());
        let body = if size == 0 || size > memory::MAX_BYTES {
            None
        } else {
            let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size);
            body.ok().flatten()
        };
        Reply {
            token,
            status,
            body: body.unwrap_or_default(),
            tag: header("etag"),
        }
    }

    /// Asks for a tick every `period`.
    pub fn set_tick_period(self, period: Duration) {
        let _ = hostcalls::set_tick_period(period);
    }
}

impl Host for ProxyHost {
    fn now(&self) -> Duration {
        Duration::from_nanos(host::now_ns())
    }

    fn request_headers(&self) -> Headers {
        host::headers(Map::Request)
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        host::header(Map::Request, name)
    }

    fn response_headers(&self) -> Headers {
        host::headers(Map::Response)
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        host::header(Map::Response, name)
    }

    fn response_trailers(&self) -> Headers {
        host::headers(Map::ResponseTrailers)
    }

    fn response_body(&self, size: usize) -> Vec<u8> {
        hostcalls::get_buffer(BufferType::HttpResponseBody, 0, size)
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    fn set_request_header(&self, name: &str, value: &str) {
        let _ = hostcalls::set_map_value(MapType::HttpRequestHeaders, name, Some(value));
    }

    fn remove_request_header(&self, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
    }

    fn set_response_header(&self, name: &str, value: &str) {
        let _ = hostcalls::set_map_value(MapType::HttpResponseHeaders, name, Some(value));
    }

    fn remove_response_header(&self, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpResponseHeaders, name);
    }

    fn remove_response_trailer(&self, name: &str) {
        let _ = hostcalls::remove_map_value(MapType::HttpResponseTrailers, name);
    }

    fn refuse(&self, header: &str, reason: &str, grpc: bool) {
        if grpc {
            let _ = hostcalls::send_grpc_response(
                GrpcStatusCode::Unavailable,
                Some("refused by serin"),
                vec![(header, reason.as_bytes())],
            );
        } else {
            let _ = hostcalls::send_http_response(503, vec![(header, reason)], None);
        }
    }

    fn property(&self, path: Path) -> Option<Vec<u8>> {
        host::property(path)
    }

    fn set_property(&self, path: Path, value: &[u8]) {
        let _ = hostcalls::set_property(path.split('\0').collect(), Some(value));
    }

    fn enter(&self, context_id: u32) -> bool {
        hostcalls::set_effective_context(context_id).is_ok()
    }

    fn shared(&self, key: &str) -> Shared {
        let (bytes, swap) = hostcalls::get_shared_data(key).unwrap_or_default();
        Shared {
            bytes: bytes.unwrap_or_default(),
            swap,
        }
    }

    fn swap_shared(&self, key: &str, bytes: &[u8], swap: Option<u32>) -> bool {
        hostcalls::set_shared_data(key, Some(bytes), swap).is_ok()
    }

    fn call(
        &self,
        cluster: &str,
        path: &str,
        bearer: Option<&str>,
        known: Option<&str>,
        timeout: Duration,
    ) -> Option<u32> {
        let mut headers = vec![(":method", "GET"), ("accept", "application/json")];
        headers.extend(known.map(|tag| ("if-none-match", tag)));
        dispatch((cluster, path), &headers, bearer, None, timeout)
    }

    fn put(
        &self,
        cluster: &str,
        path: &str,
        bearer: Option<&str>,
        body: &[u8],
        timeout: Duration,
    ) -> Option<u32> {
        let headers = [
            (":method", "PUT"),
            ("content-type", "application/octet-stream"),
        ];
        dispatch((cluster, path), &headers, bearer, Some(body), timeout)
    }

    fn define_metric(&self, kind: Kind, name: &str) -> u32 {
        let kind = match kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        hostcalls::define_metric(kind, name).unwrap_or_default()
    }

    fn add_metric(&self, id: u32, amount: u64) {
        let _ = hostcalls::increment_metric(id, i64::try_from(amount).unwrap_or(i64::MAX));
    }

    fn set_metric(&self, id: u32, value: u64) {
        let _ = hostcalls::record_metric(id, value);
    }
}

/// Sends a request to a path of a cluster, with a bearer token where there is one.
fn dispatch(
    (cluster, path): (&str, &str),
    headers: &[(&str, &str)],
    bearer: Option<&str>,
    body: Option<&[u8]>,
    timeout: Duration,
) -> Option<u32> {
    let authorization = bearer.map(|token| format!("Bearer {token}"));
    let mut headers = headers.to_vec();
    headers.extend([(":path", path), (":authority", "serve-verdict")]);
    if let Some(authorization) = &authorization {
        headers.push(("authorization", authorization));
    }
    hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), timeout).ok()
}
