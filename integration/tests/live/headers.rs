//! Headers that only Serin may set, labels, and annotations.

use super::common::{ENOUGH, config, filter, load, wait_for_judged};
use anyhow::Result;
use scorer_sdk::telemetry;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::{Route, Shops};
use serin_integration::topology::Topology;
use serin_integration::{http, turn, wait_until};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longest wait for an answer.
const LONGEST: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_serins_headers_itself_changes_nothing() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(11).await?;
    let topology = Topology::builder("forged", &shops)
        .weights(50, 50)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 200.0)
        .seed(12)
        .header(telemetry::STEER_HEADER.name, "v1")
        .header(telemetry::REJECT_HEADER.name, "all;of it");
    let load = Load::start(options)?;
    load.wait_for_answers(800).await?;
    let tally = load.stop().await;
    assert_eq!(tally.failed, 0);
    // Had the header counted, v1 would have got everything.
    let share = shops.v2.received() as f64 / tally.sent as f64;
    assert!((0.4..0.6).contains(&share), "v2 got {share}");
    for shop in [&shops.v1, &shops.v2] {
        assert!(shop.served().values().all(|route| route.steered == 0));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_come_out_as_labels_and_annotations_name_the_version() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(13).await?;
    let topology = Topology::builder("labels", &shops)
        .weights(50, 50)
        .concurrency(2)
        .filter(filter(&config("annotate")))
        .start()
        .await?;
    let load = load(&topology, 200.0, 14)?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    let (mut annotation, mut version) = (String::new(), String::new());
    // A worker hears of the candidate at its next tick.
    wait_until("annotation with a candidate", async || {
        let answer = http::get(topology.address(), "/api/products").await?;
        let header = |name: &str| -> String {
            let value = answer.headers().get(name);
            let value = value.and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        (annotation, version) = (
            header(telemetry::VERDICT_HEADER.name),
            header("x-shop-version"),
        );
        Ok(annotation.contains("candidate=v2"))
    })
    .await?;
    let (verdict, rest) = annotation.split_once(';').unwrap_or_default();
    assert!(
        ["learning", "healthy", "suspect"].contains(&verdict),
        "{annotation}"
    );
    assert_eq!(rest, format!("candidate=v2;version={version}"));
    load.stop().await;
    let labels = [
        ("destination", "shop"),
        ("route", "GET /api/products/{int}"),
        ("version", "v2"),
    ];
    let received = shops.v2.served()[&Route::Product].received as f64;
    let metrics = topology
        .front
        .wait_for_metrics("all exchanges of a route", |metrics| {
            metrics.value(telemetry::EXCHANGES.name, &labels) >= Some(received)
        })
        .await?;
    let page = topology.front.prometheus().await?;
    let counted = metrics.value(telemetry::EXCHANGES.name, &labels);
    assert_eq!(counted, Some(received), "{page}");
    assert!(
        metrics
            .value(telemetry::EVIDENCE_FOR.name, &[("category", "error")])
            .is_some(),
        "{page}"
    );
    for line in page.lines().filter(|line| line.contains("serin_")) {
        assert!(!line.contains("=.="), "a tag was left in a name: {line}");
    }
    Ok(())
}

/// An application that sets Serin's headers and trailers itself.
async fn serve_forger(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(forge(stream));
    }
}

async fn forge(mut stream: TcpStream) -> Result<()> {
    let mut request = vec![0; 16 << 10];
    while stream.read(&mut request).await? > 0 {
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\
            x-serin-verdict: healthy\r\nx-serin-score: 1\r\nx-serin-reject: all\r\n\
            x-serin-report: stock GET / 1\r\nx-serin-else: 1\r\nx-kept: 1\r\n\r\n2\r\nok\r\n0\r\n\
            x-serin-verdict: healthy\r\nx-serin-else: 1\r\nx-kept-trailer: 1\r\n\r\n";
        stream.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_sets_serins_headers_and_trailers_itself_is_not_heard() -> Result<()> {
    let _turn = turn::beside_another().await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let application = [listener.local_addr()?];
    let server = tokio::spawn(serve_forger(listener));
    let topology = Topology::of("forged-answers", &application, &application)
        .weights(50, 50)
        .concurrency(1)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let mut client = TcpStream::connect(topology.address()).await?;
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: shop\r\nte: trailers\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    timeout(LONGEST, client.read_to_string(&mut answer)).await??;
    for kept in ["200 OK", "x-kept: 1", "ok", "x-kept-trailer: 1"] {
        assert!(answer.contains(kept), "{kept} is missing: {answer}");
    }
    assert!(!answer.contains("x-serin"), "{answer}");
    server.abort();
    Ok(())
}
