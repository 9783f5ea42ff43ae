//! The Envoys that are compared: alike in everything but their filter.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};
use serin_integration::envoy::{Envoy, Launch, free_port, workspace};
use serin_integration::topology::WasmFilter;

/// Reads five request and five response headers by name, the route's name and its metadata.
const LUA_FIVE: &str = r#"
function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(":path")
  local method = headers:get(":method")
  local authority = headers:get(":authority")
  local agent = headers:get("user-agent")
  local cookie = headers:get("cookie")
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get(":status")
  local kind = headers:get("content-type")
  local length = headers:get("content-length")
  local caching = headers:get("cache-control")
  local etag = headers:get("etag")
  local route = handle:streamInfo():routeName()
  local version = handle:metadata():get("version")
end
"#;

/// Reads every request and response header, as Serin does, the route's name and its metadata.
const LUA_ALL: &str = r#"
function envoy_on_request(handle)
  local bytes = 0
  for name, value in pairs(handle:headers()) do
    bytes = bytes + #name + #value
  end
end

function envoy_on_response(handle)
  local bytes = 0
  for name, value in pairs(handle:headers()) do
    bytes = bytes + #name + #value
  end
  local route = handle:streamInfo():routeName()
  local version = handle:metadata():get("version")
end
"#;

/// Headers of the upstream's answers beside `content-length`, `date` and `server`.
const RESPONSE_HEADERS: [(&str, &str); 7] = [
    ("content-type", "application/json"),
    ("cache-control", "private, max-age=60"),
    ("etag", "\"5b8f2c61d90e47a3\""),
    ("vary", "accept-encoding"),
    ("x-content-type-options", "nosniff"),
    ("x-shop-version", "v1"),
    ("x-request-cost", "4"),
];
/// Length of the upstream's body.
const BODY_BYTES: usize = 1_024;

/// The upstream's body.
pub(crate) fn body() -> String {
    let filling = BODY_BYTES.saturating_sub(r#"{"filling":""}"#.len());
    json!({"filling": "x".repeat(filling)}).to_string()
}

/// One way to set up the proxy.
#[derive(Debug, Clone)]
pub(crate) struct Variant {
    /// Its name in the table and in `bench.json`.
    pub(crate) name: String,
    /// What it is, for readers.
    pub(crate) about: String,
    pub(crate) filters: Vec<Value>,
}

/// The variants in the order of the table; `extra` are further modules under Serin's config, in
/// which a tick takes `tick`.
pub(crate) fn variants(extra: &[(String, PathBuf)], tick: &str) -> Vec<Variant> {
    let variant = |name: &str, about: &str, filters: Vec<Value>| Variant {
        name: name.to_owned(),
        about: about.to_owned(),
        filters,
    };
    let noop = || vec![WasmFilter::new("target/noop.wasm", &json!({})).to_json()];
    let serin = |module: &Path| {
        let config = serin_config(tick);
        vec![WasmFilter::new(module, &config).to_json()]
    };
    let mut all = vec![
        variant("none", "no filter", Vec::new()),
        variant("noop", "a proxy-wasm filter that does nothing", noop()),
        // What this one differs from the first by is what the measurement cannot see.
        variant("noop-again", "the same in another process", noop()),
        variant(
            "serin",
            "Serin: observe, all signals",
            serin(Path::new("target/serin.wasm")),
        ),
        variant(
            "lua-five",
            "Lua: five headers each way by name",
            vec![lua(LUA_FIVE)],
        ),
        variant(
            "lua-all",
            "Lua: all headers each way, as Serin",
            vec![lua(LUA_ALL)],
        ),
    ];
    all.extend(extra.iter().map(|(name, path)| {
        let about = format!("{} under Serin's config", path.display());
        variant(name, &about, serin(path))
    }));
    all
}

/// Serin's config: observe, two versions, a tick in every `tick`, all signals that are on by default.
pub(crate) fn serin_config(tick: &str) -> Value {
    json!({
        "mode": "observe",
        "tick": tick,
        "baseline": "v1",
        "candidate": "v2",
        "versions": {
            "from": "clusters",
            "destinations": {"shop": {"v1": ["shop-v1"], "v2": ["shop-v2"]}}
        }
    })
}

fn lua(source: &str) -> Value {
    json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": source}
        }
    })
}

impl Variant {
    /// Starts its Envoy with one worker in front of `upstream`; gives it and its address.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub(crate) async fn start(&self, upstream: SocketAddr) -> Result<(Envoy, SocketAddr)> {
        self.start_under(&[], upstream).await
    }

    /// As [`start`](Self::start), under another program.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub(crate) async fn start_under(
        &self,
        program: &[String],
        upstream: SocketAddr,
    ) -> Result<(Envoy, SocketAddr)> {
        self.start_as(program, 1, upstream).await
    }

    /// As [`start`](Self::start), with this many workers.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub(crate) async fn start_with(
        &self,
        workers: u32,
        upstream: SocketAddr,
    ) -> Result<(Envoy, SocketAddr)> {
        self.start_as(&[], workers, upstream).await
    }

    async fn start_as(
        &self,
        program: &[String],
        workers: u32,
        upstream: SocketAddr,
    ) -> Result<(Envoy, SocketAddr)> {
        let split = json!({
            "name": "shop",
            "match": {"prefix": "/"},
            "metadata": {"filter_metadata": {"envoy.filters.http.lua": {"version": "v1"}}},
            "route": {"weighted_clusters": {"clusters": [
                {"name": "shop-v1", "weight": 90},
                {"name": "shop-v2", "weight": 10}
            ]}}
        });
        let clusters = vec![cluster("shop-v1", upstream), cluster("shop-v2", upstream)];
        let filters = self.filters.clone();
        start(program, workers, &self.name, clusters, filters, &split).await
    }
}

/// Starts the upstream: an Envoy that answers everything itself, the cheapest server at hand that
/// speaks HTTP as applications do.
///
/// # Errors
/// As [`Launch::start`].
pub(crate) async fn start_upstream(body: &str) -> Result<(Envoy, SocketAddr)> {
    let headers: Vec<Value> = RESPONSE_HEADERS
        .iter()
        .map(|(name, value)| {
            json!({
                "header": {"key": name, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"
            })
        })
        .collect();
    let answer = json!({
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": body}},
        "response_headers_to_add": headers
    });
    start(&[], 1, "upstream", Vec::new(), Vec::new(), &answer).await
}

async fn start(
    program: &[String],
    workers: u32,
    name: &str,
    clusters: Vec<Value>,
    mut filters: Vec<Value>,
    route: &Value,
) -> Result<(Envoy, SocketAddr)> {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        }
    }));
    let manager = json!({
        "@type": "type.googleapis.com/\
            envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": filters,
        "route_config": {
            "name": "bench",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]
        }
    });
    let listener = json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "bench",
        "traffic_direction": "OUTBOUND",
        "address": socket(address),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager
        }]}]
    });
    let bootstrap = json!({
        "node": {"id": name, "cluster": "bench"},
        "static_resources": {"clusters": clusters}
    });
    let envoy = Launch::new(&format!("bench/{name}"), bootstrap.to_string())
        .listeners(vec![listener])
        .concurrency(workers)
        .under(program.to_vec())
        .start()
        .await?;
    Ok((envoy, address))
}

fn cluster(name: &str, upstream: SocketAddr) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(upstream)}}]}]
        }
    })
}

fn socket(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// The modules whose size is reported: name and path.
pub(crate) fn modules() -> [(&'static str, PathBuf); 2] {
    ["serin", "noop"].map(|name| (name, workspace().join(format!("target/{name}.wasm"))))
}
