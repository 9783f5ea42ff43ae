//! An Envoy before an origin, which lets pass what Envoy can pass, with a filter or without one.

use super::origin::Origin;
use anyhow::Result;
use scorer_sdk::telemetry::{LABELS, tag_regex};
use serde_json::{Value, json};
use serin_integration::envoy::{Envoy, Launch, free_port, run_dir};
use serin_integration::topology::WasmFilter;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Of the access log: a line per request with its target and what the filter counted of it.
const LOG: &str = "requests.log";
/// How long the route of `/wait?timeout…` waits.
const TIMEOUT: &str = "0.3s";

/// What Envoy writes for a value that is not there.
const NOTHING: &str = "-";
/// Longest wait for the log, and the pause between two looks.
const LONGEST: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Counted requests by target.
pub(super) type Counted = BTreeMap<String, usize>;

pub(super) struct Proxy {
    pub(super) envoy: Envoy,
    pub(super) origin: Origin,
    pub(super) address: SocketAddr,
}

impl Proxy {
    pub(super) async fn start(name: &str, filter: Option<&WasmFilter>) -> Result<Self> {
        let origin = Origin::start().await?;
        let port = free_port()?;
        let filters: Vec<Value> = filter.map(WasmFilter::to_json).into_iter().collect();
        let envoy = Launch::new(name, bootstrap(origin.address()).to_string())
            .concurrency(1)
            .listeners(vec![listener(name, port, filters)])
            .start()
            .await?;
        Ok(Self {
            envoy,
            origin,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        })
    }

    /// Waits until the access log is as `wanted`, or for as long as it may take: how many requests of
    /// each target were counted.
    pub(super) async fn wait_for_log(&self, wanted: impl Fn(&Counted) -> bool) -> Result<Counted> {
        let begun = Instant::now();
        loop {
            let counted = self.read_log()?;
            if wanted(&counted) || begun.elapsed() > LONGEST {
                return Ok(counted);
            }
            sleep(LOOK).await;
        }
    }

    fn read_log(&self) -> Result<Counted> {
        let text = std::fs::read_to_string(self.envoy.dir().join(LOG))?;
        let mut counted = Counted::new();
        // The last line may not be whole.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for line in whole.lines() {
            let (target, record) = line.split_once(' ').unwrap_or((line, NOTHING));
            *counted.entry(target.to_owned()).or_default() += usize::from(record != NOTHING);
        }
        Ok(counted)
    }
}

fn bootstrap(origin: SocketAddr) -> Value {
    let protocol = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}},
        "common_http_protocol_options": {
            "max_headers_count": 2_000, "max_response_headers_kb": 96
        }
    });
    let host = socket(origin.port());
    let tags: Vec<Value> = LABELS
        .iter()
        .map(|tag| json!({"tag_name": tag, "regex": tag_regex(tag)}))
        .collect();
    json!({
        "node": {"id": "protocols", "cluster": "protocols"},
        "stats_config": {"stats_tags": tags},
        "static_resources": {"clusters": [{
            "name": "shop-v1",
            "type": "STATIC",
            "load_assignment": {"cluster_name": "shop-v1", "endpoints": [
                {"lb_endpoints": [{"endpoint": {"address": host}}]}
            ]},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol
            }
        }]}
    })
}

fn socket(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn listener(name: &str, port: u16, mut filters: Vec<Value>) -> Value {
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        }
    }));
    let connect = json!([{"upgrade_type": "CONNECT", "connect_config": {}}]);
    let routes = json!([
        {"match": {"connect_matcher": {}},
         "route": {"cluster": "shop-v1", "timeout": "0s", "upgrade_configs": connect}},
        {"match": {"prefix": "/wait", "query_parameters": [{"name": "timeout"}]},
         "route": {"cluster": "shop-v1", "timeout": TIMEOUT}},
        {"match": {"path": "/direct"}, "direct_response": {"status": 204}},
        {"match": {"prefix": "/"}, "route": {"cluster": "shop-v1", "timeout": "0s"}}
    ]);
    let log = json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": run_dir(name).join(LOG).to_string_lossy(),
            "log_format": {"text_format_source": {
                "inline_string": "%REQ(:PATH)% %FILTER_STATE(wasm.serin.exchange:PLAIN)%\n"
            }}
        }
    });
    let manager = json!({
        "@type": "type.googleapis.com/\
            envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "http_filters": filters,
        "access_log": [log],
        "max_request_headers_kb": 96,
        "common_http_protocol_options": {"max_headers_count": 2_000},
        "http_protocol_options": {
            "accept_http_10": true,
            "default_host_for_http_10": "shop.example",
            "enable_trailers": true
        },
        "proxy_100_continue": true,
        "upgrade_configs": [{"upgrade_type": "websocket"}, {"upgrade_type": "CONNECT"}],
        "http2_protocol_options": {"allow_connect": true},
        "route_config": {"name": "front", "virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": routes}
        ]}
    });
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "front",
        "traffic_direction": "OUTBOUND",
        "address": socket(port),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager
        }]}]
    })
}
