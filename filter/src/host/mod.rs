//! What the filter asks of the proxy.
//!
//! [`Host`] is the one trait for it, and [`properties`] has the names of the properties.
//! [`proxy_host`] makes the calls, those of every request through `serin_abi`; tests have a fake proxy.

pub mod properties;
pub mod proxy_host;

use core::time::Duration;
use properties::Path;
use scorer_sdk::telemetry::Kind;

pub use serin_abi::Headers;

/// A header: its name in lower case, and its value.
pub type Header<'a> = (&'a [u8], &'a [u8]);

/// A value in shared data with the number that a compare-and-swap needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// The bytes; empty when there is no value.
    pub bytes: Vec<u8>,
    /// What [`Host::swap_shared`] has to be given to replace just this value.
    pub swap: Option<u32>,
}

/// The proxy.
pub trait Host {
    /// Time since the Unix epoch.
    fn now(&self) -> Duration;

    /// All request headers; only in the request's headers phase and in the log phase.
    fn request_headers(&self) -> Headers;
    /// The value of a request header; in the same phases.
    fn request_header(&self, name: &str) -> Option<Vec<u8>>;
    /// All response headers; only in the response's headers phase and in the log phase.
    fn response_headers(&self) -> Headers;
    /// The value of a response header; in the same phases.
    fn response_header(&self, name: &str) -> Option<Vec<u8>>;
    /// All response trailers; only in their phase.
    fn response_trailers(&self) -> Headers;
    /// The first `size` bytes of the response body's chunk that is passing; only in the response's
    /// body phase.
    fn response_body(&self, size: usize) -> Vec<u8>;
    /// Sets a request header; makes the proxy choose the route anew.
    fn set_request_header(&self, name: &str, value: &str);
    /// Removes a request header; makes the proxy choose the route anew.
    fn remove_request_header(&self, name: &str);
    /// Sets a response header.
    fn set_response_header(&self, name: &str, value: &str);
    /// Removes a response header; only in the response's headers phase.
    fn remove_response_header(&self, name: &str);
    /// Removes a response trailer; only in their phase.
    fn remove_response_trailer(&self, name: &str);
    /// Answers in the application's place: 503, or UNAVAILABLE for gRPC.
    fn refuse(&self, header: &str, reason: &str, grpc: bool);

    /// A property of the stream or the proxy.
    fn property(&self, path: Path) -> Option<Vec<u8>>;
    /// A property that is a whole number.
    fn number(&self, path: Path) -> Option<u64> {
        self.property(path)?.try_into().ok().map(u64::from_le_bytes)
    }
    /// Leaves a value in the stream's filter state, where access logs and traces find it.
    fn set_property(&self, path: Path, value: &[u8]);
    /// Makes further calls concern another stream of this worker; whether it exists.
    fn enter(&self, context_id: u32) -> bool;

    /// Reads shared data.
    fn shared(&self, key: &str) -> Shared;
    /// Replaces a value if it is still the one that `swap` came with; `None` replaces anything.
    fn swap_shared(&self, key: &str, bytes: &[u8], swap: Option<u32>) -> bool;

    /// Asks a cluster for `path`, with a bearer token where there is one, and with the tag of the
    /// answer that is `known`. The number of the call; none when it cannot be sent. The answer comes
    /// to the root context.
    fn call(
        &self,
        cluster: &str,
        path: &str,
        bearer: Option<&str>,
        known: Option<&str>,
        timeout: Duration,
    ) -> Option<u32>;
    /// As [`Host::call`], and hands `body` over to be kept under `path`.
    fn put(
        &self,
        cluster: &str,
        path: &str,
        bearer: Option<&str>,
        body: &[u8],
        timeout: Duration,
    ) -> Option<u32>;
    /// A number that is another one at each moment and in each proxy.
    fn draw(&self) -> u64 {
        self.now().as_nanos() as u64 / 1_000
    }

    /// Makes a metric, or finds it when it is there.
    fn define_metric(&self, kind: Kind, name: &str) -> u32;
    /// Adds to a counter.
    fn add_metric(&self, id: u32, amount: u64);
    /// Sets a gauge, or adds a value to a histogram.
    fn set_metric(&self, id: u32, value: u64);
}
