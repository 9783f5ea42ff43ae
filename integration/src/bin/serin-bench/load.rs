//! What is sent and answered: `integration/bench-load.json`, which the benchmark of the module alone
//! reads as well, so that both measure the same exchanges.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::traffic::Traffic;

/// A name and a value.
pub(crate) type Header = (String, String);

/// The load.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Load {
    /// Paths in turn; `{}` stands for the number of the request, in four digits.
    paths: Vec<String>,
    /// Numbers before they begin anew.
    numbers: usize,
    /// Headers of every request.
    pub(crate) request_headers: Vec<Header>,
    /// Headers of the upstream's answers beside `content-length`, `date` and `server`.
    pub(crate) response_headers: Vec<Header>,
    /// Length of the upstream's body.
    pub(crate) body_bytes: usize,
    /// Connections, and therefore requests under way.
    pub(crate) connections: usize,
    /// Clusters by weight.
    pub(crate) clusters: Vec<Cluster>,
    /// Serin's config without `tick`: observe, two versions, all signals that are on by default.
    serin_config: serde_json::Map<String, Value>,
    /// Which requests are sent: `--load`.
    #[serde(skip)]
    pub(crate) traffic: Traffic,
}

/// One of the clusters.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Cluster {
    /// Name in Envoy.
    pub(crate) name: String,
    /// Part of the requests, in per cent.
    pub(crate) weight: u32,
}

impl Load {
    /// Reads it.
    ///
    /// # Errors
    /// When the file was damaged before this was built.
    pub(crate) fn read() -> Result<Self> {
        serde_json::from_str(include_str!("../../../bench-load.json"))
            .context("integration/bench-load.json")
    }

    /// Serin's config with a tick in every `tick`.
    pub(crate) fn serin_config(&self, tick: &str) -> Value {
        let mut config = self.serin_config.clone();
        config.insert("tick".to_owned(), json!(tick));
        Value::Object(config)
    }

    /// The requests' paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = String> {
        (0..self.numbers)
            .zip(self.paths.iter().cycle())
            .map(|(number, path)| path.replace("{}", &format!("{number:04}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_differ_by_route_and_by_number() {
        let load = Load::read().unwrap();
        let paths: Vec<_> = load.paths().collect();
        assert_eq!(paths.len(), 64);
        assert_eq!(paths[1], "/api/products");
        assert_eq!(paths[2], "/api/products/0002?currency=EUR");
        assert_ne!(paths[3], paths[7]);
        assert_eq!(load.clusters.iter().map(|one| one.weight).sum::<u32>(), 100);
    }
}
