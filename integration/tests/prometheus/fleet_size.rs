//! A thousand proxies: what Prometheus and serve-verdict carry. The figures of `docs/fleet.md`, by
//! `make fleet-size`.
//!
//! One real gateway judges a rollout, and its page of metrics is then shown a thousand times, each
//! with the time of now and with counters that grow.

use super::gateways::{ServeVerdict, TOKEN, gateway, value};
use super::manifests::rule_groups;
use super::server::{self, Prometheus};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use scorer_sdk::telemetry::{EXCHANGES, HEARTBEAT, JUDGED_EXCHANGES, ROLLOUT_ID, STATE_BYTES};
use serde_json::{Value, json};
use serin_cli::verdict_server::fleet::Scope;
use serin_integration::envoy::free_port;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::metrics::Metrics;
use serin_integration::shop::Shops;
use serin_integration::{http, turn, wait_until};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

const PROXIES: usize = 1_000;
/// Seconds between two scrapes.
const STEP: u64 = 15;
/// The window of serve-verdict.
const WINDOW: Duration = Duration::from_secs(300);
/// How long Prometheus and serve-verdict are watched.
const WATCHED: Duration = Duration::from_secs(45);
const LOADED: Duration = Duration::from_secs(10);
/// Clients of serve-verdict that ask as fast as they can.
const CLIENTS: usize = 16;
/// The destination of the real gateway.
const SHOP: &str = "shop";

/// A line of a page, as it is shown.
enum Line {
    As(String),
    /// The time of now in seconds follows.
    Now(String),
    /// The counter's value, and more with each second.
    Growing(String, u64),
}

/// The page of a proxy.
struct Page {
    lines: Vec<Line>,
    begun: Instant,
}

impl Page {
    fn of(text: &str) -> Self {
        let lines = text.lines().map(|line| {
            let Some((name, number)) = line.rsplit_once(' ') else {
                return Line::As(line.to_owned());
            };
            let is = |metric: &str| {
                name.strip_prefix(metric)
                    .is_some_and(|rest| rest.starts_with('{'))
            };
            match number.parse() {
                Ok(number) if is(EXCHANGES.name) => Line::Growing(name.to_owned(), number),
                Ok(_) if is(HEARTBEAT.name) => Line::Now(name.to_owned()),
                _ => Line::As(line.to_owned()),
            }
        });
        Self {
            lines: lines.collect(),
            begun: Instant::now(),
        }
    }

    fn text(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let more = self.begun.elapsed().as_secs();
        let mut text = String::new();
        for line in &self.lines {
            let _ = match line {
                Line::As(line) => writeln!(text, "{line}"),
                Line::Now(name) => writeln!(text, "{name} {now}"),
                Line::Growing(name, number) => writeln!(text, "{name} {}", number + more),
            };
        }
        text
    }

    /// Shows it at every path of an address.
    async fn serve(self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let page = Arc::new(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let page = Arc::clone(&page);
                tokio::spawn(async move {
                    let service = service_fn(move |_: Request<_>| {
                        let text = page.text();
                        async move {
                            let mut answer = Response::new(Full::new(Bytes::from(text)));
                            let plain = "text/plain; version=0.0.4".parse();
                            if let Ok(plain) = plain {
                                answer.headers_mut().insert("content-type", plain);
                            }
                            Ok::<_, Infallible>(answer)
                        }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(address)
    }
}

/// What a real gateway shows of a rollout.
async fn real_page() -> Result<String> {
    let shops = Shops::start(71).await?;
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let gateway = gateway("fleet-size", &shops, Some((nobody, "5s"))).await?;
    let load = Load::start(LoadOptions::new(gateway.address(), 150.0).seed(72))?;
    wait_until("a rollout that is judged", async || {
        Ok(value(&gateway, &JUDGED_EXCHANGES).await? > 1_500.0)
    })
    .await?;
    load.stop().await;
    let path = "/stats/prometheus?filter=serin_";
    let page = http::get(gateway.front.admin_address(), path).await?;
    ensure!(page.status().is_success(), "{page:?}");
    Ok(String::from_utf8(page.into_body().to_vec())?)
}

/// A Prometheus that scrapes all proxies at one address.
async fn prometheus(binary: &std::path::Path, proxies: SocketAddr) -> Result<Prometheus> {
    let targets: Vec<Value> = (0..PROXIES)
        .map(|number| {
            json!({
                "targets": [proxies.to_string()],
                "labels": {"instance": format!("proxy-{number}"), "__metrics_path__": format!("/{number}")},
            })
        })
        .collect();
    let step = format!("{STEP}s");
    let config = json!({
        "global": {"scrape_interval": step, "scrape_timeout": "10s", "evaluation_interval": step},
        "scrape_configs": [{"job_name": "envoy", "static_configs": targets}],
    });
    Prometheus::start_config(binary, "prometheus-fleet-size", config, &rule_groups()?).await
}

/// A figure that Prometheus tells of itself.
async fn own(prometheus: &Prometheus, metric: &str) -> Result<f64> {
    let page = http::get(prometheus.address(), "/metrics").await?;
    let page = Metrics::parse(&String::from_utf8_lossy(page.body()));
    page.value(metric, &[]).with_context(|| metric.to_owned())
}

/// Median time in milliseconds, and the bytes of the answer.
async fn asked(prometheus: &Prometheus, question: &str) -> Result<(f64, usize)> {
    let form = format!("query={}", serin_cli::fetch::encoded(question));
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..7 {
        let begun = Instant::now();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let path = "/api/v1/query";
        let answer = http::request(
            prometheus.address(),
            Method::POST,
            path,
            &headers,
            form.clone(),
        )
        .await?;
        ensure!(answer.status() == StatusCode::OK, "{answer:?}");
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        bytes = answer.body().len();
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], bytes))
}

/// Times in milliseconds until answers, the shortest first.
struct Times(Vec<f64>);

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    fn part(&self, part: f64) -> f64 {
        let place = (self.0.len() as f64 * part) as usize;
        self.0.get(place).or(self.0.last()).copied().unwrap_or(0.0)
    }

    fn text(&self) -> String {
        format!(
            "{:.1} ms in the median, {:.1} ms for 99 of 100, {:.0} ms at most",
            self.part(0.5),
            self.part(0.99),
            self.part(1.0)
        )
    }
}

/// One question as a proxy asks it, in milliseconds.
async fn one(served: SocketAddr, path: &str) -> Result<f64> {
    let begun = Instant::now();
    let token = format!("Bearer {TOKEN}");
    let headers = [("authorization", token.as_str())];
    let answer = http::request(served, Method::GET, path, &headers, Bytes::new()).await?;
    ensure!(answer.status() == StatusCode::OK, "{answer:?}");
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// As many as come through.
async fn as_fast_as_it_goes(served: SocketAddr, path: &str) -> Result<Times> {
    let begun = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let path = path.to_owned();
        clients.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < LOADED {
                times.push(one(served, &path).await?);
            }
            anyhow::Ok(times)
        }));
    }
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await??);
    }
    Ok(Times::of(times))
}

/// Each proxy once in five seconds.
async fn as_proxies_ask(served: SocketAddr, path: &str) -> Result<Times> {
    let mut ticks = tokio::time::interval(Duration::from_secs(5) / PROXIES as u32);
    let begun = Instant::now();
    let mut questions = Vec::new();
    while begun.elapsed() < LOADED {
        ticks.tick().await;
        let path = path.to_owned();
        questions.push(tokio::spawn(async move { one(served, &path).await }));
    }
    let mut times = Vec::new();
    for question in questions {
        times.push(question.await??);
    }
    Ok(Times::of(times))
}

#[ignore = "takes a machine for three minutes: make fleet-size"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_thousand_proxies_cost() -> Result<()> {
    let Some(binary) = server::prometheus_binary() else {
        return Ok(());
    };
    let _turn = turn::alone().await;
    let text = real_page().await?;
    let page = Metrics::parse(&text);
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    ensure!(
        page.value(STATE_BYTES.name, &[]).is_some() && series > 100,
        "{text}"
    );
    let of_shop = [("destination", SHOP)];
    let mut routes: Vec<_> = page
        .select(EXCHANGES.name, &of_shop)
        .filter_map(|sample| sample.label("route"))
        .collect();
    routes.sort_unstable();
    routes.dedup();
    let by_route = text
        .lines()
        .filter(|line| line.contains("route=\""))
        .count();
    println!(
        "a page: {series} series, {} bytes; {by_route} series are of {} routes",
        text.len(),
        routes.len()
    );
    let rollout = page.value(ROLLOUT_ID.name, &[]).context("a rollout")? as u32;

    let prometheus = prometheus(&binary, Page::of(&text).serve().await?).await?;
    let all = format!("serin:fleet:proxies{{destination=\"{SHOP}\"}} == {PROXIES}");
    prometheus.wait_for(&all).await?;
    let cpu = own(&prometheus, "process_cpu_seconds_total").await?;
    let begun = Instant::now();
    wait_until("the end of the watch", async || {
        Ok(begun.elapsed() > WATCHED)
    })
    .await?;
    let cpu = own(&prometheus, "process_cpu_seconds_total").await? - cpu;
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "Prometheus: {:.0} series, {:.0} samples/s scraped, {:.2} cores, {:.0} MiB resident",
        own(&prometheus, "prometheus_tsdb_head_series").await?,
        (PROXIES * series) as f64 / STEP as f64,
        cpu / seconds,
        own(&prometheus, "process_resident_memory_bytes").await? / f64::from(1 << 20),
    );
    let metrics = http::get(prometheus.address(), "/metrics").await?;
    let metrics = String::from_utf8_lossy(metrics.body()).into_owned();
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("prometheus_rule_group_last_duration_seconds{"))
    {
        println!("{line}");
    }

    let scope = Scope {
        destination: SHOP.to_owned(),
        rollout: Some(rollout),
    };
    let recorded = scope.recorded_question(WINDOW).context("a question")?;
    for (what, question) in [
        ("the proxies' series", scope.question(WINDOW)),
        ("the recorded series", recorded),
    ] {
        let (milliseconds, bytes) = asked(&prometheus, &question).await?;
        println!("a question about {what}: {milliseconds:.0} ms, an answer of {bytes} bytes");
    }

    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let folder = serin_integration::envoy::run_dir("prometheus-fleet-size");
    let _served = ServeVerdict::begin(prometheus.address(), address, &folder).await?;
    let path = format!("/v1/fleet?destination={SHOP}&candidate=v2&rollout={rollout}");
    one(address, &path).await?;
    let times = as_proxies_ask(address, &path).await?;
    let each = times.0.len() as f64 / LOADED.as_secs_f64();
    println!("serve-verdict, {each:.0} questions/s: {}", times.text());
    let times = as_fast_as_it_goes(address, &path).await?;
    let each = times.0.len() as f64 / LOADED.as_secs_f64();
    println!(
        "serve-verdict, {CLIENTS} clients without a pause, {each:.0} answers/s: {}",
        times.text()
    );
    Ok(())
}
