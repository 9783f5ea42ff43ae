//! The Envoys that are compared: alike in everything but their filter.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use serin_integration::envoy::{Envoy, Launch, free_port, workspace};
use serin_integration::topology::WasmFilter;
use serin_pack::{KEEP, Names, pack};

use crate::ext_proc;
use crate::load::Load;
use crate::traffic::failures;

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

/// As [`LUA_ALL`], and counts by version and status what a comparison would need.
const LUA_COUNT: &str = r#"
local counts = {}

function envoy_on_request(handle)
  local bytes = 0
  for name, value in pairs(handle:headers()) do
    bytes = bytes + #name + #value
  end
end

function envoy_on_response(handle)
  local version = "none"
  local status = "none"
  for name, value in pairs(handle:headers()) do
    if name == "x-shop-version" then
      version = value
    elseif name == ":status" then
      status = value
    end
  end
  local of_version = counts[version] or {}
  of_version[status] = (of_version[status] or 0) + 1
  counts[version] = of_version
end
"#;

/// Longest body of a request or an answer.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The upstream's body.
pub(crate) fn body(load: &Load) -> String {
    let filling = load.body_bytes.saturating_sub(r#"{"filling":""}"#.len());
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
    /// Where its filter asks a server beside the proxy: that server.
    pub(crate) server: Option<SocketAddr>,
}

/// The variants in the order of the table; `extra` are further modules under Serin's config, in
/// which a tick takes `tick`; the server of ext_proc is at `ext_proc`.
///
/// # Errors
/// When the no-op filter cannot be packed.
pub(crate) fn variants(
    load: &Load,
    extra: &[(String, PathBuf)],
    tick: &str,
    ext_proc: SocketAddr,
) -> Result<Vec<Variant>> {
    let variant = |name: &str, about: &str, filters: Vec<Value>| Variant {
        name: name.to_owned(),
        about: about.to_owned(),
        filters,
        server: None,
    };
    let noop = || vec![WasmFilter::new("target/noop.wasm", &json!({})).to_json()];
    let with_looks = |module: &Path, looks: Option<u64>| {
        let mut config = load.serin_config(tick);
        if let (Some(looks), Value::Object(fields)) = (looks, &mut config) {
            fields.insert("looks_per_second".to_owned(), json!(looks));
        }
        vec![WasmFilter::new(module, &config).to_json()]
    };
    let shipped = Path::new("target/serin.wasm");
    let serin = |module: &Path| with_looks(module, None);
    let mut all = vec![
        variant("none", "no filter", Vec::new()),
        variant("noop", "a proxy-wasm filter that does nothing", noop()),
        variant(
            "noop-packed",
            "the same with the callbacks that Serin has, and no other",
            vec![WasmFilter::new(packed_noop()?, &json!({})).to_json()],
        ),
        // What this one differs from the first by is what the measurement cannot see.
        variant("noop-again", "the same in another process", noop()),
        variant(
            "serin",
            "Serin as it ships: observe, all signals, some 1,000 exchanges a second looked at",
            serin(shipped),
        ),
        variant(
            "serin-all",
            "Serin that looks at every exchange",
            with_looks(shipped, Some(0)),
        ),
        variant(
            "serin-glance",
            "Serin that looks at 10 exchanges a second and glances at the others",
            with_looks(shipped, Some(10)),
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
        variant(
            "lua-count",
            "Lua: all headers each way, and counts by version and status",
            vec![lua(LUA_COUNT)],
        ),
        Variant {
            server: Some(ext_proc),
            ..variant(
                ext_proc::NAME,
                "ext_proc: all headers each way go to a server, which counts by version and status",
                vec![ext_proc::filter()],
            )
        },
    ];
    all.extend(extra.iter().map(|(name, path)| {
        let about = format!("{} under Serin's config", path.display());
        variant(name, &about, serin(path))
    }));
    Ok(all)
}

/// Packs the no-op filter as Serin is packed: the SDK exports every callback, and each that is called
/// costs. Gives its path.
fn packed_noop() -> Result<PathBuf> {
    let noop = workspace().join("target/noop.wasm");
    let built = std::fs::read(&noop)
        .with_context(|| format!("{}; make noop-wasm builds it", noop.display()))?;
    let packed = noop.with_file_name("noop-packed.wasm");
    std::fs::write(&packed, pack(&built, KEEP, Names::Dropped)?)
        .with_context(|| packed.display().to_string())?;
    Ok(packed)
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
    pub(crate) async fn start(
        &self,
        load: &Load,
        upstream: SocketAddr,
    ) -> Result<(Envoy, SocketAddr)> {
        self.start_under(&[], load, upstream).await
    }

    /// As [`start`](Self::start), under another program.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub(crate) async fn start_under(
        &self,
        program: &[String],
        load: &Load,
        upstream: SocketAddr,
    ) -> Result<(Envoy, SocketAddr)> {
        self.start_as(program, 1, load, upstream).await
    }

    /// As [`start`](Self::start), with this many workers.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub(crate) async fn start_with(
        &self,
        workers: u32,
        load: &Load,
        upstream: SocketAddr,
    ) -> Result<(Envoy, SocketAddr)> {
        self.start_as(&[], workers, load, upstream).await
    }

    async fn start_as(
        &self,
        program: &[String],
        workers: u32,
        load: &Load,
        upstream: SocketAddr,
    ) -> Result<(Envoy, SocketAddr)> {
        let weights: Vec<Value> = load
            .clusters
            .iter()
            .map(|one| json!({"name": one.name, "weight": one.weight}))
            .collect();
        let versions = load.clusters.iter();
        let clusters = versions
            .map(|one| cluster(&one.name, upstream))
            .chain(self.server.map(ext_proc_cluster))
            .collect();
        let split = json!({
            "name": "shop",
            "match": {"prefix": "/"},
            "metadata": {"filter_metadata": {"envoy.filters.http.lua": {"version": "v1"}}},
            "route": {"weighted_clusters": {"clusters": weights}}
        });
        let filters = self.filters.clone();
        // Those with other numbers of workers may run at the same time.
        let name = match workers {
            1 => self.name.clone(),
            _ => format!("{}-{workers}-workers", self.name),
        };
        start(program, workers, &name, clusters, filters, &[split]).await
    }
}

/// Starts the upstream: an Envoy that answers everything itself, the cheapest server at hand that
/// speaks HTTP as applications do.
///
/// # Errors
/// As [`Launch::start`].
pub(crate) async fn start_upstream(load: &Load, body: &str) -> Result<(Envoy, SocketAddr)> {
    let headers: Vec<Value> = load
        .response_headers
        .iter()
        .map(|(name, value)| {
            json!({
                "header": {"key": name, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"
            })
        })
        .collect();
    let answer = |(status, asked): (u16, Value)| {
        json!({
            "match": asked,
            "direct_response": {"status": status, "body": {"inline_string": body}},
            "response_headers_to_add": headers
        })
    };
    let answers: Vec<Value> = failures()
        .chain([(200, json!({"prefix": "/"}))])
        .map(answer)
        .collect();
    // An Envoy that answers before it has the whole body closes the connection.
    let filters = if load.traffic.has_body() {
        vec![whole_body()]
    } else {
        Vec::new()
    };
    start(&[], 1, "upstream", Vec::new(), filters, &answers).await
}

async fn start(
    program: &[String],
    workers: u32,
    name: &str,
    clusters: Vec<Value>,
    mut filters: Vec<Value>,
    routes: &[Value],
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
            // A list has further bytes behind its last item.
            "max_direct_response_body_size_bytes": 2 * MAX_BODY_BYTES,
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]
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

fn ext_proc_cluster(server: SocketAddr) -> Value {
    let mut cluster = cluster(ext_proc::NAME, server);
    if let Some(fields) = cluster.as_object_mut() {
        fields.insert(
            "typed_extension_protocol_options".to_owned(),
            json!({"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/\
                    envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}}
            }}),
        );
    }
    cluster
}

/// Waits for the whole body of a request.
fn whole_body() -> Value {
    json!({
        "name": "envoy.filters.http.buffer",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer",
            "max_request_bytes": MAX_BODY_BYTES
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
