//! The pieces of Envoy config: bootstrap, clusters, routes, listeners.

#![allow(
    clippy::indexing_slicing,
    reason = "a JSON object made here: a key that is missing is inserted"
)]

use scorer_sdk::telemetry::{self, LABELS, tag_regex};
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::AccessLog;
use crate::envoy::{Launch, run_dir};
use crate::load::BETA_HEADER;
use crate::shop::EVENTS_PATH;
use crate::spans;

/// Prefix of the counters of the front's route subscription.
pub(super) const ROUTES_STAT: &str = "http.front.rds.shop";
/// What the cookie of a client contains whom session affinity keeps on v2.
pub const AFFINE_TO_V2: &str = "affinity=v2";
/// Name of the cluster that spans go to.
const TRACER: &str = "tracer";
/// Longer than a busy machine stands still.
const CONNECT_TIMEOUT: &str = "10s";

/// The front listener and its routes.
#[derive(Debug, Clone)]
pub(super) struct Front {
    name: String,
    pub(super) port: u16,
    pub(super) weights: (u32, u32),
    pub(super) filters: Vec<Value>,
    pub(super) access_logs: Vec<Value>,
    pub(super) tracing: Option<Value>,
    pub(super) rescue: bool,
    /// Requests with `x-beta: yes` go to v2 and all others to v1, whatever the weights are.
    pub(super) beta_rule: bool,
    /// Requests with [`AFFINE_TO_V2`] in their cookie go to v2, whatever the weights are.
    pub(super) affinity: bool,
}

/// The listener of the canary's sidecar.
#[derive(Debug, Clone)]
pub(super) struct Inbound {
    pub(super) port: u16,
    pub(super) filters: Vec<Value>,
}

/// A cluster with its hosts.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    name: String,
    hosts: Vec<SocketAddr>,
    metadata: Value,
}

impl Cluster {
    /// `shop-<version>`, its hosts marked as Istio marks them.
    pub(crate) fn shop(version: &str, hosts: &[SocketAddr]) -> Self {
        let workload = format!("shop-{version};shop;shop;{version};Kubernetes");
        let metadata = json!({"filter_metadata": {"istio": {"workload": workload}}});
        Self {
            name: format!("shop-{version}"),
            hosts: hosts.to_vec(),
            metadata,
        }
    }

    /// The application behind an inbound sidecar, named as Istio names it.
    pub(crate) fn inbound(hosts: &[SocketAddr]) -> Self {
        Self {
            name: "inbound|8080||".to_owned(),
            hosts: hosts.to_vec(),
            metadata: json!({}),
        }
    }

    /// A service that others call.
    pub(crate) fn service(name: &str, host: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            hosts: vec![host],
            metadata: json!({}),
        }
    }

    /// What receives the spans of [`tracing`].
    pub(super) fn tracer(host: SocketAddr) -> Self {
        Self::service(TRACER, host)
    }

    fn to_json(&self) -> Value {
        let endpoint = |host: &SocketAddr| {
            let address = address(&host.ip().to_string(), host.port());
            json!({"endpoint": {"address": address}, "metadata": self.metadata})
        };
        let endpoints: Vec<Value> = self.hosts.iter().map(endpoint).collect();
        json!({
            "name": self.name,
            "type": "STATIC",
            "connect_timeout": CONNECT_TIMEOUT,
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/\
                        envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http_protocol_options": {"enable_trailers": true}}
                }
            },
            // Above what the load generator keeps under way: a full breaker is no regression.
            "circuit_breakers": {"thresholds": [
                {"max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096,
                 "max_retries": 1024}
            ]},
            "load_assignment": {
                "cluster_name": self.name,
                "endpoints": [{"lb_endpoints": endpoints}]
            }
        })
    }
}

impl Front {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            port: 0,
            weights: (100, 0),
            filters: Vec::new(),
            access_logs: Vec::new(),
            tracing: None,
            rescue: false,
            beta_rule: false,
            affinity: false,
        }
    }

    /// The route configuration `shop`.
    pub(super) fn routes(&self) -> Value {
        let (v1, v2) = if self.beta_rule {
            (100, 0)
        } else {
            self.weights
        };
        let mut weighted = weighted_route(v1, v2);
        let mut host = json!({"name": "shop", "domains": ["*"]});
        if self.rescue {
            // `retriable-headers` alone: stable's own failures must not be retried on the canary.
            weighted["route"]["retry_policy"] = json!({
                "retry_on": "retriable-headers",
                "num_retries": 2,
                "refresh_cluster_on_retry": true
            });
            // Istio's retry policy has no field for the names; this request header stands in.
            weighted["request_headers_to_add"] = json!([{
                "header": {"key": "x-envoy-retriable-header-names", "value": telemetry::REJECT_HEADER.name},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"
            }]);
            host["include_request_attempt_count"] = json!(true);
        }
        let mut routes = vec![steered_route()];
        if self.beta_rule {
            routes.push(json!({
                "match": {
                    "prefix": "/",
                    "headers": [{"name": BETA_HEADER, "string_match": {"exact": "yes"}}]
                },
                "route": {"cluster": "shop-v2"}
            }));
        }
        if self.affinity {
            routes.push(json!({
                "match": {
                    "prefix": "/",
                    "headers": [{"name": "cookie", "string_match": {"contains": AFFINE_TO_V2}}]
                },
                "route": {"cluster": "shop-v2"}
            }));
        }
        routes.push(weighted);
        let routes = routes
            .into_iter()
            .flat_map(|route| [for_streams(&route), route]);
        host["routes"] = routes.collect();
        json!({
            "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            "name": "shop",
            "virtual_hosts": [host]
        })
    }

    pub(super) fn listener(&self) -> Value {
        let rds = json!({
            "route_config_name": "shop",
            "config_source": Launch::routes_source(&self.name)
        });
        let mut manager = connection_manager("front", &self.filters);
        manager["rds"] = rds;
        manager["access_log"] = json!(self.access_logs);
        if let Some(tracing) = &self.tracing {
            manager["tracing"] = tracing.clone();
        }
        listener("front", "OUTBOUND", self.port, &manager)
    }
}

impl Inbound {
    pub(super) fn listener(&self) -> Value {
        // The attempt count of the front must reach the guard: it does not refuse the last one.
        inbound_listener(self.port, &self.filters)
    }
}

/// The route of what the filter steers, whichever name the baseline has.
pub(crate) fn steered_route() -> Value {
    json!({
        "match": {
            "prefix": "/",
            "headers": [{"name": telemetry::STEER_HEADER.name, "string_match": {"safe_regex": {"regex": "v1|primary"}}}]
        },
        "route": {"cluster": "shop-v1"}
    })
}

/// The route of everything else, by the weights of the versions.
pub(crate) fn weighted_route(v1: u32, v2: u32) -> Value {
    json!({
        "match": {"prefix": "/"},
        "route": {"weighted_clusters": {"clusters": [
            {"name": "shop-v1", "weight": v1},
            {"name": "shop-v2", "weight": v2}
        ]}}
    })
}

/// The same route for streams alone: without Envoy's timeout of 15 s, which Istio's routes lack too.
fn for_streams(route: &Value) -> Value {
    let mut route = route.clone();
    if let Some(matches) = route["match"].as_object_mut() {
        matches.remove("prefix");
        matches.insert("path".to_owned(), json!(EVENTS_PATH));
    }
    route["route"]["timeout"] = json!("0s");
    route
}

/// The listener before an application, of [`Cluster::inbound`].
pub(crate) fn inbound_listener(port: u16, filters: &[Value]) -> Value {
    let hosts = json!([host("*", &json!({"cluster": "inbound|8080||"}))]);
    static_listener("inbound", "INBOUND", port, filters, &hosts)
}

/// A listener whose routes never change.
pub(crate) fn static_listener(
    name: &str,
    direction: &str,
    port: u16,
    filters: &[Value],
    hosts: &Value,
) -> Value {
    let mut manager = connection_manager(name, filters);
    manager["route_config"] = json!({"name": name, "virtual_hosts": hosts});
    listener(name, direction, port, &manager)
}

/// A listener with an access log.
pub(crate) fn logged(mut listener: Value, log: &Value) -> Value {
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager["access_log"] = json!([log]);
    listener
}

/// A virtual host that sends everything for a domain one way.
pub(crate) fn host(domain: &str, route: &Value) -> Value {
    let routes = json!([{"match": {"prefix": "/"}, "route": route}]);
    json!({"name": domain, "domains": [domain], "routes": routes})
}

/// A bootstrap without listeners; `version` is the workload's own label.
pub(crate) fn bootstrap(id: &str, version: &str, clusters: &[Cluster]) -> Value {
    let tags: Vec<Value> = LABELS
        .iter()
        .map(|tag| json!({"tag_name": tag, "regex": tag_regex(tag)}))
        .collect();
    let clusters: Vec<Value> = clusters.iter().map(Cluster::to_json).collect();
    json!({
        "node": {
            "id": id,
            "cluster": "shop.shop",
            "metadata": {"LABELS": {"app": "shop", "version": version}}
        },
        "stats_config": {"stats_tags": tags},
        "static_resources": {"clusters": clusters}
    })
}

/// An access log entry; the format is a string (text) or an object (JSON).
pub(crate) fn access_log(name: &str, log: &AccessLog) -> Value {
    let format = match log.format.as_str() {
        Some(text) => json!({"text_format_source": {"inline_string": text}}),
        None => json!({"json_format": log.format}),
    };
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": run_dir(name).join(&log.path).to_string_lossy(),
            "log_format": format
        }
    })
}

/// Tracing of each request by OpenTelemetry, with these tags.
pub(super) fn tracing(tags: &Value) -> Value {
    json!({
        "random_sampling": {"value": 100},
        "custom_tags": tags,
        "provider": {
            "name": "envoy.tracers.opentelemetry",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
                "service_name": "front",
                "http_service": {"http_uri": {
                    "uri": format!("http://{TRACER}{}", spans::PATH),
                    "cluster": TRACER,
                    "timeout": "10s"
                }}
            }
        }
    })
}

fn connection_manager(stat_prefix: &str, filters: &[Value]) -> Value {
    let mut http_filters = filters.to_vec();
    http_filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        }
    }));
    json!({
        "@type": "type.googleapis.com/\
            envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        // As gRPC has them.
        "http_protocol_options": {"enable_trailers": true},
        "http_filters": http_filters
    })
}

fn listener(name: &str, direction: &str, port: u16, manager: &Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "traffic_direction": direction,
        "address": address("127.0.0.1", port),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager
        }]}]
    })
}

fn address(ip: &str, port: u16) -> Value {
    json!({"socket_address": {"address": ip, "port_value": port}})
}
