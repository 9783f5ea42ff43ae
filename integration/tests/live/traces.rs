//! Spans: each one says which version answered and what is thought of the rollout, and nothing that
//! is not so. The tags are those of the manifest.
//!
//! Which version a request went to is known from Envoy's own tag `upstream_cluster.name`.

use super::common::{
    ENOUGH, config, filter, load, wait_for_anomalous, wait_for_counted, wait_for_judged, with,
};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use scorer_sdk::judge::verdict::Verdict;
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::envoy::workspace;
use serin_integration::shop::{Regression, Shops};
use serin_integration::spans::{Receiver, Span};
use serin_integration::topology::{AccessLog, Topology};
use serin_integration::{http, turn};
use std::fs;
use std::net::SocketAddr;

const MANIFEST: &str = "envoyfilter-manifests/traces/telemetry.yaml";
const VERSION: &str = "serin.version";
const CANDIDATE: &str = "serin.candidate";
const VERDICT: &str = "serin.verdict";
const SURPRISE: &str = "serin.surprise";
/// Envoy's tag with host and path of the request; Envoy gives each request an id of its own.
const URL: &str = "http.url";

/// The tags of the manifest, as Envoy's own config has them.
fn tags() -> Result<Value> {
    let text = fs::read_to_string(workspace().join(MANIFEST)).context(MANIFEST)?;
    let manifest: Value = serde_saphyr::from_str(&text)?;
    let tags = manifest
        .pointer("/spec/tracing/0/customTags")
        .and_then(Value::as_object)
        .context("no tags")?;
    Ok(tags
        .iter()
        .map(|(name, tag)| json!({"tag": name, "value": tag["formatter"]["value"]}))
        .collect())
}

/// Whether anything of Serin's is in the span.
fn says_anything(span: &Span) -> bool {
    span.tags.keys().any(|name| name.starts_with("serin."))
}

/// The version that the request went to, as Envoy has it.
fn sent_to(span: &Span) -> Option<&str> {
    span.tag("upstream_cluster.name")?.strip_prefix("shop-")
}

/// Whether a version answered, and not the proxy, and the client waited for it.
fn is_answered(span: &Span) -> bool {
    span.tag("response_flags") == Some("-") && sent_to(span).is_some()
}

/// What a span says of version and rollout is so, or it is not said.
fn assert_true(span: &Span) {
    let version = span.tag(VERSION);
    if version.is_some() {
        assert_eq!(version, sent_to(span), "{span:?}");
    }
    let (candidate, verdict) = (span.tag(CANDIDATE), span.tag(VERDICT));
    assert_eq!(candidate.is_some(), verdict.is_some(), "{span:?}");
    if let Some(verdict) = verdict {
        assert!(version.is_some(), "{span:?}");
        assert_eq!(candidate, Some("v2"), "{span:?}");
        let known = Verdict::ALL.iter().any(|known| known.name() == verdict);
        assert!(known, "{span:?}");
    }
}

/// Whether a span of this version has come that says this verdict.
fn has_verdict(spans: &[Span], version: &str, verdict: &str) -> bool {
    spans
        .iter()
        .any(|span| span.tag(VERSION) == Some(version) && span.tag(VERDICT) == Some(verdict))
}

/// Whether this is the span of a request to a path.
fn is_of(span: &Span, path: &str) -> bool {
    span.tag(URL).is_some_and(|url| url.ends_with(path))
}

fn of_request<'a>(spans: &'a [Span], path: &str) -> Option<&'a Span> {
    spans.iter().find(|span| is_of(span, path))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_name_the_version_and_after_the_verdict_the_verdict() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(401).await?;
    let receiver = Receiver::start().await?;
    let each = json!({"traces": true, "looks_per_second": 0});
    let topology = Topology::builder("traces", &shops)
        .weights(50, 50)
        .filter(filter(&with(config("observe"), each)))
        // Behind Serin, and answered by the proxy: by no version.
        .raw_filter(json!({
            "name": "envoy.filters.http.fault",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                "abort": {"header_abort": {}, "percentage": {"numerator": 100}}
            }
        }))
        .tracing(receiver.address(), &tags()?)
        .start()
        .await?;
    let load = load(&topology, 150.0, 402)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    receiver
        .wait_for("spans before the verdict", |spans| {
            let known = ["learning", "healthy"];
            known.iter().any(|known| has_verdict(spans, "v2", known))
        })
        .await?;
    shops.v2.set_regression(Regression::Errors);
    wait_for_anomalous(&topology).await?;
    receiver
        .wait_for("spans of both versions with the verdict", |spans| {
            has_verdict(spans, "v1", "anomalous") && has_verdict(spans, "v2", "anomalous")
        })
        .await?;
    load.stop().await;

    let path = "/?aborted";
    let headers = [("x-envoy-fault-abort-request", "418")];
    let aborted = http::request(
        topology.address(),
        Method::GET,
        path,
        &headers,
        Bytes::new(),
    );
    assert_eq!(aborted.await?.status(), StatusCode::IM_A_TEAPOT);
    let spans = receiver
        .wait_for("span of the aborted request", |spans| {
            of_request(spans, path).is_some()
        })
        .await?;
    for span in &spans {
        assert_true(span);
        assert_eq!(span.tag(SURPRISE), None, "{span:?}");
        if is_of(span, path) {
            assert!(!says_anything(span), "{span:?}");
        } else if is_answered(span) {
            assert!(span.tag(VERSION).is_some(), "{span:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_was_not_looked_at_has_a_span_that_says_nothing() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(403).await?;
    let receiver = Receiver::start().await?;
    let few = json!({"traces": true, "looks_per_second": 10});
    let topology = Topology::builder("traces-glances", &shops)
        .weights(50, 50)
        .concurrency(1)
        .filter(filter(&with(config("observe"), few)))
        .tracing(receiver.address(), &tags()?)
        .start()
        .await?;
    let load = load(&topology, 150.0, 404)?;
    let spans = receiver
        .wait_for("spans of both kinds", |spans| {
            let said = spans.iter().filter(|span| says_anything(span)).count();
            said >= 20 && spans.len() - said >= 20
        })
        .await?;
    load.stop().await;
    spans.iter().for_each(assert_true);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_traces_in_the_config_spans_say_nothing() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(405).await?;
    let receiver = Receiver::start().await?;
    let topology = Topology::builder("traces-off", &shops)
        .concurrency(1)
        .filter(filter(&config("observe")))
        .tracing(receiver.address(), &tags()?)
        .start()
        .await?;
    let load = load(&topology, 60.0, 406)?;
    wait_for_counted(&topology.front, "v1", 30.0).await?;
    let spans = receiver
        .wait_for("spans", |spans| spans.len() >= 30)
        .await?;
    load.stop().await;
    for span in &spans {
        assert!(!says_anything(span), "{span:?}");
    }
    Ok(())
}

/// Asks for a path, and gives the score in the answer's header.
async fn score(address: SocketAddr, path: &str) -> Result<Option<String>> {
    let answer = http::get(address, path).await?;
    let score = answer.headers().get(telemetry::SCORE_HEADER.name);
    let score = score.map(|score| score.to_str().map(str::to_owned));
    Ok(score.transpose()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_span_has_the_score_of_the_header_and_the_access_log_that_of_the_whole() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(407).await?;
    let receiver = Receiver::start().await?;
    let scored = json!({"traces": true, "surprise": {"epoch": "1s"}});
    let topology = Topology::builder("traces-surprise", &shops)
        .concurrency(1)
        .filter(filter(&with(config("annotate"), scored)))
        .access_log(AccessLog {
            path: "surprise.log".into(),
            format: json!("%FILTER_STATE(wasm.serin.surprise:PLAIN)%\n"),
        })
        .tracing(receiver.address(), &tags()?)
        .start()
        .await?;
    let load = load(&topology, 60.0, 408)?;
    // The past begins with the second epoch.
    receiver
        .wait_for("spans with a score", |spans| {
            spans.iter().any(|span| span.tag(SURPRISE).is_some())
        })
        .await?;
    let path = "/?scored";
    let said = score(topology.address(), path).await?.context("no score")?;
    let spans = receiver
        .wait_for("span of the request", |spans| {
            of_request(spans, path).is_some()
        })
        .await?;
    load.stop().await;
    let span = of_request(&spans, path).context("no span")?;
    assert_eq!(span.tag(SURPRISE), Some(said.as_str()), "{span:?}");

    let log = topology.front.dir().join("surprise.log");
    topology.front.stop().await?;
    let text = fs::read_to_string(&log)?;
    // "-" is of what was not counted, such as a request whose client has left.
    let scores: Vec<&str> = text.lines().filter(|line| *line != "-").collect();
    assert!(scores.len() > 30, "{}", scores.len());
    for score in scores {
        assert!(score.contains(";terms="), "{score}");
    }
    Ok(())
}
