//! A module that dies while it runs, under each failure policy: who notices, what goes on, and what
//! brings the filter back.
//!
//! One worker per Envoy, so that what was sent and what was counted can be told to the request. The
//! main thread ticks beside it and leads, as it sees no requests.

use super::common::{config, with};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use scorer_sdk::telemetry;
use serde_json::json;
use serin_integration::http;
use serin_integration::metrics::Metrics;
use serin_integration::shop::Shops;
use serin_integration::topology::{Topology, WasmFilter};
use serin_integration::{turn, wait_until};

const MODULE: &str = "target/trapping.wasm";
const TRAP: &str = "x-test-trap";
const PATH: &str = "/health";
/// Requests that are sent to see whether clients are answered, and whether it is counted.
const EACH: u64 = 20;

/// What a client sees of the request that traps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Status(u16),
    /// The answer breaks off.
    Broken,
}

/// Where the module may die, and what the client sees whose request it was.
const PLACES: [(&str, Seen); 6] = [
    ("request", Seen::Status(503)),
    ("response", Seen::Status(503)),
    ("body", Seen::Broken),
    ("log", Seen::Status(200)),
    ("tick", Seen::Status(200)),
    ("leaders-tick", Seen::Status(200)),
];

struct Scene {
    policy: &'static str,
    topology: Topology,
    /// Configs so far: each differs from the one before.
    configs: u32,
    /// Traps so far.
    traps: usize,
    _shops: Shops,
}

impl Scene {
    async fn start(name: &str, policy: &'static str) -> Result<Self> {
        let shops = Shops::start(70).await?;
        let topology = Topology::builder(name, &shops)
            .weights(50, 50)
            .concurrency(1)
            .filter(filter(policy, 0))
            .start()
            .await?;
        Ok(Self {
            policy,
            topology,
            configs: 0,
            traps: 0,
            _shops: shops,
        })
    }

    async fn ask(&self, trap: Option<&str>) -> Seen {
        let headers: Vec<_> = trap.map(|place| (TRAP, place)).into_iter().collect();
        let address = self.topology.address();
        match http::request(address, Method::GET, PATH, &headers, Bytes::new()).await {
            Ok(answer) => Seen::Status(answer.status().as_u16()),
            Err(_) => Seen::Broken,
        }
    }

    /// Sends requests that all have to be answered with `status`.
    async fn answers(&self, status: StatusCode) {
        for number in 0..EACH {
            let seen = self.ask(None).await;
            assert_eq!(seen, Seen::Status(status.as_u16()), "request {number}");
        }
    }

    /// Sends the request that traps, and waits until its virtual machine has ended.
    async fn trap(&mut self, place: &str, seen: Seen) -> Result<()> {
        assert_eq!(self.ask(Some(place)).await, seen, "{place}");
        self.traps += 1;
        wait_until("trap", async || Ok(self.traps_in_log() == self.traps))
            .await
            .with_context(|| format!("{place}: {}", self.topology.front.log_tail()))
    }

    fn traps_in_log(&self) -> usize {
        let log = self.topology.front.log_text();
        log.matches("Uncaught RuntimeError").count()
    }

    /// Waits until this many exchanges were merged into one state, over all deaths.
    async fn wait_for_merged(&self, exchanges: u64) -> Result<()> {
        let merged = |metrics: &Metrics| metrics.sum(telemetry::MERGED_EXCHANGES.name, &[]);
        let metrics = self
            .topology
            .front
            .wait_for_metrics("merged", |metrics| merged(metrics) >= exchanges)
            .await?;
        assert_eq!(merged(&metrics), exchanges);
        assert_eq!(metrics.sum(telemetry::EXCHANGES.name, &[]), exchanges);
        Ok(())
    }

    /// Sends requests until the state has grown by some beyond `merged` exchanges; how many it has then.
    async fn wait_until_counting(&self, merged: u64) -> Result<u64> {
        let mut found = 0;
        wait_until("counts that go on", async || {
            self.ask(None).await;
            let metrics = self.topology.front.metrics().await?;
            found = metrics.sum(telemetry::MERGED_EXCHANGES.name, &[]);
            assert!(found >= EACH.min(merged), "the state is lost");
            Ok(found > merged + EACH)
        })
        .await?;
        Ok(found)
    }

    /// A new config, as any reload brings one.
    async fn reload(&mut self) -> Result<()> {
        self.configs += 1;
        let next = filter(self.policy, self.configs);
        self.topology.set_filters(vec![next]).await
    }
}

fn filter(policy: &str, number: u32) -> WasmFilter {
    let settings = with(config("observe"), json!({"healthy_after": 200 + number}));
    WasmFilter::new(MODULE, &settings).failure_policy(policy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_fail_open_a_trap_costs_one_answer_and_a_new_config_brings_filter_and_state_back()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let mut scene = Scene::start("traps-open", "FAIL_OPEN").await?;
    let mut counted = 0;
    for (place, seen) in PLACES {
        scene.answers(StatusCode::OK).await;
        counted += EACH;
        scene.wait_for_merged(counted).await?;
        scene.trap(place, seen).await?;
        scene.answers(StatusCode::OK).await;
        if place == "leaders-tick" {
            // Another worker leads now, and the one that answers requests counts as before.
            counted += 1 + EACH;
            scene.wait_for_merged(counted).await?;
        }
        scene.reload().await?;
    }
    scene.answers(StatusCode::OK).await;
    scene.wait_for_merged(counted + EACH).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_fail_reload_the_filter_comes_back_by_itself_and_a_second_trap_costs_a_second()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let mut scene = Scene::start("traps-reload", "FAIL_RELOAD").await?;
    scene.answers(StatusCode::OK).await;
    scene.wait_for_merged(EACH).await?;
    scene.trap("request", Seen::Status(503)).await?;
    scene.answers(StatusCode::OK).await;
    let merged = scene.wait_until_counting(EACH).await?;
    // Another trap at once: Envoy makes a new virtual machine once a second, and fails all requests of
    // the worker until then.
    wait_until("trap within a second of the last one", async || {
        scene.ask(Some("log")).await;
        Ok(scene.ask(None).await == Seen::Status(503))
    })
    .await?;
    scene.wait_until_counting(merged).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_fail_closed_a_trap_costs_all_answers_of_its_worker_until_a_new_config() -> Result<()>
{
    let _turn = turn::beside_another().await;
    let mut scene = Scene::start("traps-closed", "FAIL_CLOSED").await?;
    scene.answers(StatusCode::OK).await;
    // What was not handed in yet would be lost with the virtual machine.
    scene.wait_for_merged(EACH).await?;
    scene.trap("log", Seen::Status(200)).await?;
    scene.answers(StatusCode::SERVICE_UNAVAILABLE).await;
    scene.reload().await?;
    scene.answers(StatusCode::OK).await;
    scene.wait_for_merged(2 * EACH).await
}
