//! A recorded rollout, made from a seed.

use scorer_sdk::wire::recording::{Record, RecordEnding};
use std::fmt::Write as _;

/// A rollout of `shop` from v1 to v2 that takes `seconds`.
pub(crate) struct Rollout {
    pub(crate) seed: u64,
    pub(crate) seconds: u32,
    pub(crate) rate: u32,
    /// The candidate's share, after the first quarter of the time.
    pub(crate) share: f64,
    /// The candidate's share of failures; v1 has half a per cent.
    pub(crate) error_rate: f64,
    /// The candidate's share of requests that hang for 20 seconds and then fail.
    pub(crate) hang_rate: f64,
}

impl Default for Rollout {
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 120,
            rate: 40,
            share: 0.3,
            error_rate: 0.005,
            hang_rate: 0.0,
        }
    }
}

const START: f64 = 1_770_000_000.0;

impl Rollout {
    /// The exchanges in the order of their ends, as an access log has them.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut records = Vec::new();
        for number in 0..self.seconds * self.rate {
            let at = f64::from(number) / f64::from(self.rate);
            let candidate = at >= f64::from(self.seconds) / 4.0 && random.f64() < self.share;
            let (method, path) = *random
                .choice(&[
                    ("GET", "/api/products"),
                    ("GET", "/api/products/"),
                    ("POST", "/api/cart"),
                ])
                .unwrap();
            let path = match path.strip_suffix('/') {
                Some(path) => format!("{path}/{}", random.u32(1..500)),
                None => path.to_owned(),
            };
            let failed = random.f64() < if candidate { self.error_rate } else { 0.005 };
            let hangs = candidate && random.f64() < self.hang_rate;
            let mut headers = vec!["content-type", "cache-control", "vary"];
            if method == "GET" {
                headers.push("etag");
            }
            records.push(Record {
                start: START + (at * 1e3).round() / 1e3,
                destination: "shop".to_owned(),
                route: String::new(),
                method: method.to_owned(),
                path,
                version: if candidate { "v2" } else { "v1" }.to_owned(),
                status: (!hangs).then_some(if failed { 500 } else { 200 }),
                grpc_status: None,
                ending: if hangs {
                    RecordEnding::Reset
                } else {
                    RecordEnding::Complete
                },
                duration_ms: if hangs {
                    20_000.0
                } else {
                    (4.0 + 8.0 * random.f64() * random.f64() * 10.0).round() / 2.0
                },
                response_bytes: (!hangs).then(|| 900 + random.u64(0..200)),
                content_type: if hangs { "" } else { "application/json" }.to_owned(),
                headers: (!hangs).then(|| headers.into_iter().map(str::to_owned).collect()),
                ..Record::default()
            });
        }
        records.sort_by_key(Record::end);
        records
    }

    /// The exchanges as Serin's JSON lines.
    pub(crate) fn lines(&self) -> String {
        let mut text = String::new();
        for record in self.records() {
            writeln!(text, "{}", serde_json::to_string(&record).unwrap()).unwrap();
        }
        text
    }

    /// The exchanges as Envoy's access log, cluster `shop-v1` or `shop-v2`.
    pub(crate) fn envoy_lines(&self) -> String {
        let mut text = String::new();
        for record in self.records() {
            let start = jiff::Timestamp::from_microsecond((record.start * 1e6).round() as i64);
            let line = serde_json::json!({
                "start_time": format!("{:.3}", start.unwrap()),
                "method": record.method,
                "path": format!("{}?page=1", record.path),
                "response_code": record.status.unwrap_or(0),
                "response_flags": if record.status.is_none() { "UC" } else { "-" },
                "grpc_status": null,
                "duration": record.duration_ms.round() as u64,
                "bytes_sent": record.response_bytes.unwrap_or(0),
                "upstream_cluster": format!("shop-{}", record.version),
                "route_name": null,
                "authority": "shop.example",
                "content_type": if record.content_type.is_empty() { None } else { Some(&record.content_type) },
            });
            writeln!(text, "{line}").unwrap();
        }
        text
    }
}
