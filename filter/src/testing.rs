//! A proxy for unit tests: a clock that is set, shared data, metrics, one stream at a time.

use crate::host::properties::Path;
use crate::host::{Headers, Host, Shared};
use core::time::Duration;
use scorer_sdk::telemetry::Kind;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Once;

thread_local! {
    /// Log lines of the test that runs in this thread.
    static LINES: RefCell<Vec<(log::Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// What all workers of a fake proxy share, and the current stream.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) shared: BTreeMap<String, (Vec<u8>, u32)>,
    next_swap: u32,
    pub(crate) metrics: Vec<(String, u64)>,
    pub(crate) request: Vec<(String, Vec<u8>)>,
    pub(crate) response: Vec<(String, Vec<u8>)>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) properties: BTreeMap<String, Vec<u8>>,
    /// How often each property was asked for.
    pub(crate) asked: BTreeMap<String, u64>,
    pub(crate) refused: Option<(String, bool)>,
    pub(crate) calls: Vec<Call>,
}

/// A call to a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) token: u32,
    pub(crate) cluster: String,
    pub(crate) path: String,
    pub(crate) token_sent: Option<String>,
    pub(crate) known: Option<String>,
    /// What is to be kept, in a PUT.
    pub(crate) body: Option<Vec<u8>>,
}

/// Keeps log lines in the thread that wrote them, so that tests in parallel do not mix theirs.
struct Capture;

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = (record.level(), record.args().to_string());
        LINES.with(|lines| lines.borrow_mut().push(line));
    }

    fn flush(&self) {}
}

/// A fake proxy.
#[derive(Debug, Clone)]
pub(crate) struct FakeHost(pub(crate) Rc<RefCell<World>>);

impl Default for FakeHost {
    /// A proxy in which nothing has happened, with an empty log.
    fn default() -> Self {
        static START: Once = Once::new();
        START.call_once(|| {
            log::set_logger(&Capture).unwrap();
            log::set_max_level(log::LevelFilter::Info);
        });
        LINES.with(|lines| lines.borrow_mut().clear());
        Self(Rc::default())
    }
}

impl FakeHost {
    /// The log, from its first line on.
    pub(crate) fn log(&self) -> Vec<(log::Level, String)> {
        LINES.with(|lines| lines.borrow().clone())
    }

    pub(crate) fn metric_value(&self, name: &str) -> Option<u64> {
        self.0
            .borrow()
            .metrics
            .iter()
            .find(|metric| metric.0 == name)
            .map(|metric| metric.1)
    }

    /// Sum over all series of a metric.
    pub(crate) fn metric_sum(&self, metric: &str) -> u64 {
        let world = self.0.borrow();
        world
            .metrics
            .iter()
            .filter(|known| known.0.rsplit(";.;").next() == Some(metric))
            .map(|known| known.1)
            .sum()
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.0.borrow().calls.clone()
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.0.borrow_mut().now += time;
    }
}

/// A header map as a proxy hands it over.
fn map(headers: &[(String, Vec<u8>)]) -> Headers {
    Headers::of(
        headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_slice())),
    )
}

fn value(headers: &[(String, Vec<u8>)], name: &str) -> Option<Vec<u8>> {
    let found = headers.iter().find(|header| header.0 == name)?;
    Some(found.1.clone())
}

impl Host for FakeHost {
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
        map(&self.0.borrow().trailers)
    }

    fn response_body(&self, size: usize) -> Vec<u8> {
        let world = self.0.borrow();
        world.body.iter().take(size).copied().collect()
    }

    fn set_request_header(&self, name: &str, value: &str) {
        self.remove_request_header(name);
        self.0
            .borrow_mut()
            .request
            .push((name.to_owned(), value.as_bytes().to_vec()));
    }

    fn remove_request_header(&self, name: &str) {
        self.0
            .borrow_mut()
            .request
            .retain(|header| header.0 != name);
    }

    fn set_response_header(&self, name: &str, value: &str) {
        self.remove_response_header(name);
        self.0
            .borrow_mut()
            .response
            .push((name.to_owned(), value.as_bytes().to_vec()));
    }

    fn remove_response_header(&self, name: &str) {
        self.0
            .borrow_mut()
            .response
            .retain(|header| header.0 != name);
    }

    fn remove_response_trailer(&self, name: &str) {
        self.0
            .borrow_mut()
            .trailers
            .retain(|trailer| trailer.0 != name);
    }

    fn refuse(&self, _: &str, reason: &str, grpc: bool) {
        self.0.borrow_mut().refused = Some((reason.to_owned(), grpc));
    }

    fn property(&self, path: Path) -> Option<Vec<u8>> {
        let mut world = self.0.borrow_mut();
        let path = path.replace('\0', ".");
        let found = world.properties.get(&path).cloned();
        *world.asked.entry(path).or_insert(0) += 1;
        found
    }

    fn set_property(&self, path: Path, value: &[u8]) {
        self.0
            .borrow_mut()
            .properties
            .insert(path.replace('\0', "."), value.to_vec());
    }

    fn enter(&self, _: u32) -> bool {
        true
    }

    fn shared(&self, key: &str) -> Shared {
        let world = self.0.borrow();
        match world.shared.get(key) {
            Some((bytes, swap)) => Shared {
                bytes: bytes.clone(),
                swap: Some(*swap),
            },
            None => Shared::default(),
        }
    }

    fn swap_shared(&self, key: &str, bytes: &[u8], swap: Option<u32>) -> bool {
        let mut world = self.0.borrow_mut();
        let current = world.shared.get(key).map(|value| value.1);
        // As Envoy does: no number replaces anything.
        if swap.is_some() && current.is_some() && swap != current {
            return false;
        }
        world.next_swap += 1;
        let next = world.next_swap;
        world.shared.insert(key.to_owned(), (bytes.to_vec(), next));
        true
    }

    fn call(
        &self,
        cluster: &str,
        path: &str,
        bearer: Option<&str>,
        known: Option<&str>,
        _: Duration,
    ) -> Option<u32> {
        let mut world = self.0.borrow_mut();
        let token = world.calls.len() as u32;
        world.calls.push(Call {
            token,
            cluster: cluster.to_owned(),
            path: path.to_owned(),
            token_sent: bearer.map(str::to_owned),
            known: known.map(str::to_owned),
            body: None,
        });
        Some(token)
    }

    fn put(
        &self,
        cluster: &str,
        path: &str,
        bearer: Option<&str>,
        body: &[u8],
        timeout: Duration,
    ) -> Option<u32> {
        let token = self.call(cluster, path, bearer, None, timeout)?;
        let mut world = self.0.borrow_mut();
        world.calls.last_mut()?.body = Some(body.to_vec());
        Some(token)
    }

    fn define_metric(&self, _: Kind, name: &str) -> u32 {
        let mut world = self.0.borrow_mut();
        let known = world.metrics.iter().position(|metric| metric.0 == name);
        known.unwrap_or_else(|| {
            world.metrics.push((name.to_owned(), 0));
            world.metrics.len() - 1
        }) as u32
    }

    fn add_metric(&self, id: u32, amount: u64) {
        self.0.borrow_mut().metrics[id as usize].1 += amount;
    }

    fn set_metric(&self, id: u32, value: u64) {
        self.0.borrow_mut().metrics[id as usize].1 = value;
    }
}
