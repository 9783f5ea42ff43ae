//! A proxy with one stream: what the filter asks of it, as Envoy would answer.

use core::time::Duration;
use scorer_sdk::telemetry::Kind;
use serin_filter::host::properties::Path;
use serin_filter::host::{Headers, Host, Shared};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What the stream has.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) now: Duration,
    pub(crate) request: Vec<(String, String)>,
    pub(crate) response: Vec<(String, String)>,
    /// By their paths with dots.
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
}

/// A proxy with one stream.
#[derive(Debug, Clone, Default)]
pub(crate) struct OneStream(pub(crate) Rc<RefCell<Stream>>);

fn map(headers: &[(String, String)]) -> Headers {
    Headers::of(
        headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    )
}

fn value(headers: &[(String, String)], name: &str) -> Option<Vec<u8>> {
    let found = headers.iter().find(|header| header.0 == name)?;
    Some(found.1.clone().into_bytes())
}

impl Host for OneStream {
    fn now(&self) -> Duration {
        self.0.borrow().now
    }

    fn request_headers(&self) -> Headers {
        map(&self.0.borrow().request)
    }

    fn request_header(&self, name: &str) -> Option<Vec<u8>> {
        value(&self.0.borrow().request, name)
    }

    fn response_headers(&self) -> Headers {
        map(&self.0.borrow().response)
    }

    fn response_header(&self, name: &str) -> Option<Vec<u8>> {
        value(&self.0.borrow().response, name)
    }

    fn response_trailers(&self) -> Headers {
        Headers::default()
    }

    fn response_body(&self, _: usize) -> Vec<u8> {
        Vec::new()
    }

    fn set_request_header(&self, _: &str, _: &str) {}

    fn remove_request_header(&self, _: &str) {}

    fn set_response_header(&self, _: &str, _: &str) {}

    fn remove_response_header(&self, _: &str) {}

    fn remove_response_trailer(&self, _: &str) {}

    fn refuse(&self, _: &str, _: &str, _: bool) {}

    fn property(&self, path: Path) -> Option<Vec<u8>> {
        let path = path.replace('\0', ".");
        self.0.borrow().properties.get(&path).cloned()
    }

    fn set_property(&self, path: Path, value: &[u8]) {
        let path = path.replace('\0', ".");
        self.0.borrow_mut().properties.insert(path, value.to_vec());
    }

    fn enter(&self, _: u32) -> bool {
        true
    }

    fn shared(&self, _: &str) -> Shared {
        Shared::default()
    }

    fn swap_shared(&self, _: &str, _: &[u8], _: Option<u32>) -> bool {
        true
    }

    fn call(&self, _: &str, _: &str, _: Option<&str>, _: Option<&str>, _: Duration) -> Option<u32> {
        None
    }

    fn put(&self, _: &str, _: &str, _: Option<&str>, _: &[u8], _: Duration) -> Option<u32> {
        None
    }

    fn define_metric(&self, _: Kind, _: &str) -> u32 {
        0
    }

    fn add_metric(&self, _: u32, _: u64) {}

    fn set_metric(&self, _: u32, _: u64) {}
}
