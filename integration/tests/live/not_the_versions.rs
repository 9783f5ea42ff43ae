//! What is not the version's doing, in a real Envoy: answers that the proxy makes itself. And what
//! is: a version that cannot be reached, whatever host the client asks for.

use super::common::{config, filter};
use anyhow::Result;
use bytes::Bytes;
use hyper::Method;
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::http::request;
use serin_integration::metrics::Metrics;
use serin_integration::shop::Shops;
use serin_integration::topology::Topology;
use serin_integration::turn;

/// Requests of each kind.
const EACH: u64 = 20;

fn extension(name: &str, kind: &str, mut settings: Value) -> Value {
    if let Value::Object(fields) = &mut settings {
        let kind = format!("type.googleapis.com/envoy.extensions.filters.http.{kind}");
        fields.insert("@type".to_owned(), kind.into());
    }
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": settings})
}

/// Answers with the status that a request header asks for.
fn fault() -> Value {
    let abort = json!({"abort": {
        "header_abort": {}, "percentage": {"numerator": 100}
    }});
    extension("fault", "fault.v3.HTTPFault", abort)
}

/// Refuses requests with the header `x-forbidden`.
fn rbac() -> Value {
    let header = json!({"header": {"name": "x-forbidden", "present_match": true}});
    let rules = json!({"action": "DENY", "policies": {"forbidden": {
        "permissions": [header], "principals": [{"any": true}]
    }}});
    extension("rbac", "rbac.v3.RBAC", json!({"rules": rules}))
}

/// Lets one request through and no more.
fn rate_limit() -> Value {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    let limit = json!({
        "stat_prefix": "limit",
        "token_bucket": {"max_tokens": 1, "tokens_per_fill": 1, "fill_interval": "86400s"},
        "filter_enabled": always,
        "filter_enforced": always
    });
    extension(
        "local_ratelimit",
        "local_ratelimit.v3.LocalRateLimit",
        limit,
    )
}

/// Sends requests and counts the answers by status.
async fn ask(topology: &Topology, headers: &[(&str, &str)], status: u16) -> Result<u64> {
    let mut answered = 0;
    for _ in 0..EACH {
        let path = "/api/products";
        let answer = request(topology.address(), Method::GET, path, headers, Bytes::new()).await?;
        answered += u64::from(answer.status().as_u16() == status);
    }
    Ok(answered)
}

async fn wait_for_counts(topology: &Topology, counted: u64, unattributed: u64) -> Result<Metrics> {
    topology
        .front
        .wait_for_metrics("all requests counted", |metrics| {
            metrics.sum(telemetry::EXCHANGES.name, &[]) == counted
                && metrics.sum(telemetry::UNATTRIBUTED.name, &[]) == unattributed
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_proxy_answers_is_nobodys_and_what_the_version_fails_at_is_its_own() -> Result<()>
{
    let _turn = turn::beside_another().await;
    let Shops { v1, v2 } = Shops::start(64).await?;
    let shops = Shops { v1, v2 };
    let serin = filter(&config("observe"));
    let mut topology = Topology::builder("not-the-versions", &shops)
        .weights(50, 50)
        .concurrency(2)
        .filter(serin.clone())
        .raw_filter(fault())
        .raw_filter(rbac())
        .start()
        .await?;
    let abort = [("x-envoy-fault-abort-request", "503")];
    assert_eq!(ask(&topology, &abort, 503).await?, EACH);
    let forbidden = [("x-forbidden", "1")];
    assert_eq!(ask(&topology, &forbidden, 403).await?, EACH);
    wait_for_counts(&topology, 0, 2 * EACH).await?;
    assert_eq!(shops.v1.received() + shops.v2.received(), 0);

    // A host that looks like a copy's does not opt out.
    let shadow = [("host", "shop-shadow")];
    ask(&topology, &shadow, 200).await?;
    wait_for_counts(&topology, EACH, 2 * EACH).await?;

    topology
        .set_raw_filters(vec![serin.to_json(), rate_limit()])
        .await?;
    let limited = ask(&topology, &[], 429).await?;
    assert!(limited >= EACH - 2, "{limited}");
    let passed = EACH - limited;
    wait_for_counts(&topology, EACH + passed, 2 * EACH + limited).await?;

    // Nothing listens there any more: the proxy answers, and the version has failed.
    topology.set_raw_filters(vec![serin.to_json()]).await?;
    topology.set_weights(0, 100).await?;
    let Shops { v1, v2 } = shops;
    drop(v2);
    assert_eq!(ask(&topology, &[], 503).await?, EACH);
    wait_for_counts(&topology, 2 * EACH + passed, 2 * EACH + limited).await?;
    drop(v1);
    Ok(())
}
