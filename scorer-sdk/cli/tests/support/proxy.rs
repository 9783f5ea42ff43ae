//! Proxies that are none: what Envoy's admin and a Prometheus answer, with metrics named by the
//! filter's own function.

use scorer_sdk::telemetry;
use scorer_sdk::telemetry::LABELS;
use serde_json::{Value, json};
use serin_filter::report::metrics::name;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

/// An Envoy with Serin in it.
#[derive(Clone)]
pub(crate) struct FakeEnvoy {
    /// Names as the filter defines them, with their values.
    metrics: Vec<(String, u64)>,
    /// What the bootstrap extracts: all labels when it is as it has to be.
    pub(crate) tags: Vec<&'static str>,
    /// Numbers of Envoy's own.
    pub(crate) own: Vec<(String, u64)>,
    /// How far its clock is before the real one, in seconds.
    pub(crate) ahead: i64,
    /// Lines of the page that no metric of the filter makes.
    pub(crate) more: String,
}

pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl FakeEnvoy {
    /// Without Serin.
    pub(crate) fn empty() -> Self {
        Self {
            metrics: Vec::new(),
            tags: LABELS.to_vec(),
            own: vec![("wasm.wasm_vm_count".to_owned(), 3)],
            ahead: 0,
            more: String::new(),
        }
    }

    /// In the middle of a rollout of `shop` that goes well.
    pub(crate) fn healthy() -> Self {
        let mut envoy = Self::empty();
        envoy.set(telemetry::CONFIG_BROKEN.name, &[], 0);
        let role = [("role", "comparer")];
        envoy.set(telemetry::HEARTBEAT.name, &role, now());
        envoy.set(telemetry::MERGED_EXCHANGES.name, &role, 1_000);
        envoy.rollout(telemetry::VERDICT.name, 1);
        envoy.rollout(telemetry::ROLLOUT_EVIDENCE.name, 200);
        envoy.rollout(telemetry::ROLLOUT_THRESHOLD.name, 4_605);
        envoy.rollout(telemetry::JUDGED_EXCHANGES.name, 180);
        for (version, count) in [("v1", 900), ("v2", 100)] {
            let labels = [
                ("destination", "shop"),
                ("route", "GET /api/items/{int}"),
                ("version", version),
            ];
            envoy.set(telemetry::EXCHANGES.name, &labels, count);
        }
        let needed = [
            ("destination", "shop"),
            ("version", "v2"),
            ("odds_ratio", "5"),
        ];
        envoy.set(telemetry::REQUESTS_NEEDED.name, &needed, 1_234);
        envoy
            .own
            .push(("cluster.shop-v1.upstream_rq_total".to_owned(), 900));
        envoy
    }

    /// Where the candidate fails, and it was found out.
    pub(crate) fn bad() -> Self {
        let mut envoy = Self::healthy();
        envoy.rollout(telemetry::VERDICT.name, 3);
        envoy.rollout(telemetry::ROLLOUT_EVIDENCE.name, 5_600);
        envoy.evidence("GET /api/items/{int}", "error", 8_100);
        for (version, count) in [("v1", 2), ("v2", 14)] {
            let labels = [
                ("destination", "shop"),
                ("route", "GET /api/items/{int}"),
                ("version", version),
                ("category", "error"),
            ];
            envoy.set(telemetry::CATEGORY.name, &labels, count);
        }
        envoy.set(telemetry::STEERED.name, &[("destination", "shop")], 410);
        envoy
    }

    pub(crate) fn set(&mut self, metric: &str, labels: &[(&str, &str)], value: u64) {
        let name = name(metric, labels);
        self.metrics.retain(|(known, _)| *known != name);
        self.metrics.push((name, value));
    }

    /// A gauge of the candidate v2 of `shop`.
    pub(crate) fn rollout(&mut self, metric: &str, value: u64) {
        self.set(metric, &[("destination", "shop"), ("version", "v2")], value);
    }

    /// Evidence against v2, in thousandths of a nat.
    pub(crate) fn evidence(&mut self, route: &str, category: &str, value: u64) {
        let labels = [
            ("destination", "shop"),
            ("route", route),
            ("version", "v2"),
            ("category", category),
        ];
        self.set(telemetry::EVIDENCE_FOR.name, &labels, value);
        self.set(telemetry::EVIDENCE_AGAINST.name, &labels, 0);
    }

    pub(crate) fn remove(&mut self, metric: &str) {
        self.metrics.retain(|(name, _)| !name.ends_with(metric));
    }

    /// The name and the labels that Envoy makes of one of the filter's names.
    fn extracted(&self, name: &str) -> (String, Vec<(String, String)>) {
        let mut rest = name.to_owned();
        let mut labels = Vec::new();
        for tag in &self.tags {
            let begin = format!("{tag}=.=");
            let Some(at) = rest.find(&begin) else {
                continue;
            };
            let value = &rest[at + begin.len()..];
            let end = value.find(";.;").unwrap();
            labels.push(((*tag).to_owned(), value[..end].to_owned()));
            let behind = value[end + 3..].to_owned();
            rest.truncate(at);
            rest.push_str(&behind);
        }
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let rest = rest.replace(|letter| !plain(letter), "_");
        (rest, labels)
    }

    /// `/stats/prometheus`
    pub(crate) fn page(&self) -> String {
        let mut page = String::from("# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n");
        for (name, value) in &self.metrics {
            let (name, labels) = self.extracted(name);
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                    format!("{label}=\"{value}\"")
                })
                .collect();
            page.push_str(&format!(
                "# TYPE {name} gauge\n{name}{{{}}} {value}\n",
                labels.join(",")
            ));
        }
        page + &self.more
    }

    fn json(&self, wanted: impl Fn(&str) -> bool) -> String {
        let custom = self
            .metrics
            .iter()
            .map(|(name, value)| (format!("wasmcustom.{name}"), *value));
        let stats: Vec<Value> = custom
            .chain(self.own.iter().cloned())
            .filter(|(name, _)| wanted(name))
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        json!({"stats": stats}).to_string()
    }

    /// What the admin address answers to the first line of a request.
    pub(crate) fn admin(&self, line: &str) -> String {
        let path = line.split(' ').nth(1).unwrap();
        let body = match path {
            "/stats?format=json&filter=serin_" => self.json(|name| name.contains("serin_")),
            "/stats/prometheus" => self.page(),
            "/server_info" => json!({"version": "abc/1.40.0/Clean/RELEASE/BoringSSL",
                "state": "LIVE"})
            .to_string(),
            "/config_dump?mask=bootstrap.stats_config" => {
                let tags: Vec<Value> = self
                    .tags
                    .iter()
                    .map(|tag| json!({"tag_name": tag, "regex": format!(r"({tag}=\.=(.*?);\.;)")}))
                    .collect();
                json!({"configs": [{"bootstrap": {"stats_config": {"stats_tags": tags}}}]})
                    .to_string()
            }
            _ if path.contains("wasm") => self.json(|name| name.starts_with("wasm.")),
            _ if path.contains("upstream_rq_total") => {
                self.json(|name| name.starts_with("cluster."))
            }
            _ => return status("404 Not Found"),
        };
        self.ok(&body)
    }

    /// An answer with the proxy's own time.
    pub(crate) fn ok(&self, body: &str) -> String {
        let time = jiff::Timestamp::from_second(now() as i64 + self.ahead).unwrap();
        let date = time.strftime("%a, %d %b %Y %H:%M:%S GMT");
        format!(
            "HTTP/1.1 200 OK\r\ndate: {date}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    /// What Prometheus has of this proxy, under labels of the target.
    pub(crate) fn series(&self, target: &[(&str, &str)]) -> Vec<Value> {
        let series = |(name, value): &(String, u64)| {
            let (name, labels) = self.extracted(name);
            let mut all = serde_json::Map::new();
            all.insert("__name__".to_owned(), json!(name));
            for (label, value) in target {
                all.insert((*label).to_owned(), json!(value));
            }
            for (label, value) in labels {
                // As Prometheus does without honor_labels.
                let label = if all.contains_key(&label) {
                    format!("exported_{label}")
                } else {
                    label
                };
                all.insert(label, json!(value));
            }
            json!({"metric": all, "value": [now(), value.to_string()]})
        };
        self.metrics.iter().map(series).collect()
    }

    /// Serves the admin pages.
    pub(crate) fn serve(self) -> String {
        serve(move |_, line| self.admin(line))
    }

    /// Serves `/stats/prometheus` and nothing else, as Istio's port 15090 does.
    pub(crate) fn serve_page(self) -> String {
        serve(move |_, line| {
            if line.starts_with("GET /stats/prometheus ") {
                self.ok(&self.page())
            } else {
                status("404 Not Found")
            }
        })
    }
}

/// Serves what a Prometheus answers that has these series.
pub(crate) fn serve_prometheus(series: Vec<Value>) -> String {
    serve(move |_, line| {
        if !line.contains("/api/v1/query?query=") {
            return status("404 Not Found");
        }
        let merged = line.contains("count%20by");
        let matching: Vec<&Value> = series
            .iter()
            .filter(|series| {
                let name = series["metric"]["__name__"].as_str().unwrap();
                name.starts_with("serin_") != merged
            })
            .collect();
        let body = json!({"status": "success",
            "data": {"resultType": "vector", "result": matching}});
        ok(&body.to_string())
    })
}

/// An answer with this body.
pub(crate) fn ok(body: &str) -> String {
    FakeEnvoy::empty().ok(body)
}

pub(crate) fn status(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// Answers each request with `answer`, which is told how many came before; the URL.
pub(crate) fn serve(answer: impl Fn(u32, &str) -> String + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = AtomicU32::new(0);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut chunk = [0; 1024];
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => request.extend_from_slice(&chunk[..read]),
                }
            }
            let request = String::from_utf8(request).unwrap();
            let line = request.lines().next().unwrap_or_default();
            if !line.is_empty() {
                let text = answer(count.fetch_add(1, Ordering::SeqCst), line);
                // The client may be gone.
                let _ = stream.write_all(text.as_bytes());
            }
        }
    });
    format!("http://{address}")
}

/// An address where nobody listens.
pub(crate) fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
