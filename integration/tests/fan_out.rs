//! A canary that answers 200 with the same body in the same time, and makes other calls behind it.
//!
//! ```text
//! clients ─→ gateway ─┬─→ [inbound] app v1 ─→ [outbound] ─┬─→ auth
//!                     └─→ [inbound] app v2 ─→ [outbound] ─┼─→ stock
//!                                                         └─→ tracker
//! ```
//!
//! The gateway compares; each application's sidecar, an Envoy with two listeners, reports the calls
//! that belong to a request.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may; clippy sees that only within test functions"
)]

mod common;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use common::{MODULE, config, with};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use serin_integration::envoy::{Envoy, Launch, free_port};
use serin_integration::load::{Load, LoadOptions};
use serin_integration::topology::WasmFilter;
use serin_integration::{http, one_at_a_time};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// A call: the service and the path.
type Call = (&'static str, &'static str);

const AUTH: Call = ("auth", "/check");
const STOCK: Call = ("stock", "/items");
const TRACKER: Call = ("tracker", "/visit");
/// What the application takes for every request, whatever it calls.
const TAKES: Duration = Duration::from_millis(60);

/// An application or a service behind it; it stops when dropped.
struct Server {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves every path with one body; `outbound` is where its own calls go.
    async fn start(calls: &[Call], outbound: Option<SocketAddr>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let calls = Arc::new(Mutex::new(calls.to_vec()));
        let shared = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(&shared, outbound, request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self {
            address,
            calls,
            task,
        })
    }
}

async fn answer(
    calls: &Mutex<Vec<Call>>,
    outbound: Option<SocketAddr>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let start = Instant::now();
    if let Some(outbound) = outbound {
        let id = request
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok())
            .context("the proxy gives every request an id")?
            .to_owned();
        let calls = calls.lock().unwrap().clone();
        for (service, path) in calls {
            // The application hands on the id, as those that are traced do.
            let headers = [("host", service), ("x-request-id", id.as_str())];
            http::request(outbound, Method::GET, path, &headers, Bytes::new()).await?;
        }
        sleep_until(start + TAKES).await;
    }
    Response::builder()
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(r#"{"ok":true}"#)))
        .context("build the answer")
}

fn endpoint(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn cluster(name: &str, port: u16) -> Value {
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": endpoint(port)}}
        ]}]}
    })
}

fn listener(direction: &str, port: u16, filter: &WasmFilter, hosts: &[Value]) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": direction,
        "traffic_direction": direction,
        "address": endpoint(port),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.\
                    http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": direction,
                "route_config": {"name": direction, "virtual_hosts": hosts},
                "http_filters": [filter.to_json(), {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type":
                        "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
                }]
            }
        }]}]
    })
}

fn host(domain: &str, route: &Value) -> Value {
    json!({"name": domain, "domains": [domain], "routes": [
        {"match": {"prefix": "/"}, "route": route}
    ]})
}

fn bootstrap(id: &str, clusters: &[Value]) -> String {
    let tags: Vec<Value> = serin_integration::topology::STAT_TAGS
        .iter()
        .map(|tag| json!({"tag_name": tag, "regex": format!(r"({tag}=\.=(.*?);\.;)")}))
        .collect();
    json!({
        "node": {"id": id, "cluster": "shop"},
        "stats_config": {"stats_tags": tags},
        "static_resources": {"clusters": clusters}
    })
    .to_string()
}

/// An application with its sidecar.
struct Pod {
    app: Server,
    inbound: u16,
    _sidecar: Envoy,
}

impl Pod {
    async fn start(name: &str, services: &[(&str, u16)]) -> Result<Self> {
        let (inbound, outbound) = (free_port()?, free_port()?);
        let app = Server::start(&[AUTH, STOCK], Some(local(outbound))).await?;
        let filter =
            |name| WasmFilter::new(MODULE, &json!({"signals": {"fan_out": true}})).name(name);
        let mut clusters = vec![cluster("inbound|80||", app.address.port())];
        let mut hosts = Vec::new();
        for (service, port) in services {
            clusters.push(cluster(service, *port));
            hosts.push(host(service, &json!({"cluster": service})));
        }
        let listeners = vec![
            listener(
                "INBOUND",
                inbound,
                &filter("serin-in"),
                &[host("*", &json!({"cluster": "inbound|80||"}))],
            ),
            listener("OUTBOUND", outbound, &filter("serin-out"), &hosts),
        ];
        let sidecar = Launch::new(name, bootstrap(name, &clusters))
            .listeners(listeners)
            .start()
            .await?;
        Ok(Self {
            app,
            inbound,
            _sidecar: sidecar,
        })
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// What the gateway logs of a canary that makes these calls; none while it says nothing.
async fn announced(name: &str, canary: &[Call], longest: Duration) -> Result<Option<String>> {
    let _turn = one_at_a_time().await;
    let mut running = Vec::new();
    let mut services = Vec::new();
    for service in ["auth", "stock", "tracker"] {
        let server = Server::start(&[], None).await?;
        services.push((service, server.address.port()));
        running.push(server);
    }
    let v1 = Pod::start(&format!("{name}/v1"), &services).await?;
    let v2 = Pod::start(&format!("{name}/v2"), &services).await?;
    let port = free_port()?;
    let weights = json!({"weighted_clusters": {"clusters": [
        {"name": "shop-v1", "weight": 70}, {"name": "shop-v2", "weight": 30}
    ]}});
    let compare = with(config("observe"), json!({"signals": {"fan_out": true}}));
    let gateway = Launch::new(
        name,
        bootstrap(
            name,
            &[
                cluster("shop-v1", v1.inbound),
                cluster("shop-v2", v2.inbound),
            ],
        ),
    )
    .listeners(vec![listener(
        "OUTBOUND",
        port,
        &WasmFilter::new(MODULE, &compare),
        &[host("*", &weights)],
    )])
    .start()
    .await?;
    // The report is for the gateway alone.
    let seen = http::get(local(port), "/").await?;
    assert!(
        seen.headers()
            .keys()
            .all(|name| !name.as_str().starts_with("x-serin"))
    );
    let load = Load::start(LoadOptions::new(local(port), 80.0).seed(3))?;
    // The sidecars report when both of their listeners know of each other, three ticks later.
    sleep(Duration::from_secs(12)).await;
    *v2.app.calls.lock().unwrap() = canary.to_vec();
    let until = Instant::now() + longest;
    let mut found = None;
    while found.is_none() && Instant::now() < until {
        sleep(Duration::from_millis(250)).await;
        let log = gateway.log_text();
        found = log
            .lines()
            .find(|line| line.contains("shop v2 is anomalous"))
            .map(str::to_owned);
    }
    let tally = load.stop().await;
    assert!(tally.sent > 0);
    Ok(found)
}

async fn caught(name: &str, canary: &[Call], words: &[&str]) -> Result<()> {
    let why = announced(&format!("fan-out-{name}"), canary, Duration::from_secs(150))
        .await?
        .context("nothing was said of the canary")?;
    for word in words {
        assert!(why.contains(word), "{name} was explained with: {why}");
    }
    println!("{name}: {why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_for_each_item_is_caught_and_named() -> Result<()> {
    let mut calls = vec![AUTH];
    calls.extend([STOCK; 8]);
    caught("n-plus-one", &calls, &["stock GET /items"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skipped_authorisation_is_caught_and_named() -> Result<()> {
    caught("skipped-auth", &[STOCK], &["auth GET /check"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_was_never_called_is_caught_and_named() -> Result<()> {
    caught("tracker", &[AUTH, STOCK, TRACKER], &["tracker GET /visit"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_calls_in_another_order_are_no_regression() -> Result<()> {
    let quiet = Duration::from_secs(12);
    let said = announced("fan-out-order", &[STOCK, AUTH], quiet).await?;
    assert_eq!(said, None);
    Ok(())
}
