//! Three gateways that act on one verdict: a real Prometheus adds their evidence up, serve-verdict
//! tells it, and all of them steer. A fourth gateway has the same traffic and judges alone.

use super::gateways::{ServeVerdict, all_exceed, gateway, value, values};
use super::manifests::hurried_rule_groups;
use super::server::{self, Prometheus};
use crate::live::common::ANOMALOUS;
use anyhow::{Context as _, Result, ensure};
use hyper::StatusCode;
use scorer_sdk::telemetry::{
    FLEET_ANSWER_TIME, FLEET_UNANSWERED, JUDGED_EXCHANGES, STEERED, VERDICT,
};
use serin_integration::envoy::free_port;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::shop::{Fault, Shops};
use serin_integration::turn;
use std::net::SocketAddr;
use std::time::Instant;

/// Requests a second to each gateway, half of them to the candidate.
const RATE: f64 = 40.0;
/// Share of the candidate's requests that fail, which a gateway alone needs long to find.
const FAILING: f64 = 0.03;
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_find_together_what_each_alone_needs_longer_for() -> Result<()> {
    let Some(binary) = server::prometheus_binary() else {
        return Ok(());
    };
    let _turn = turn::alone().await;
    let shops = Shops::start(81).await?;
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let mut gateways = Vec::new();
    for name in ["fleet-a", "fleet-b", "fleet-c"] {
        gateways.push(gateway(name, &shops, Some((address, "1s"))).await?);
    }
    let alone = gateway("fleet-alone", &shops, None).await?;
    let targets: Vec<_> = gateways
        .iter()
        .map(|gateway| (gateway.front.name(), gateway.front.admin_address()))
        .collect();
    let prometheus = Prometheus::start(&binary, &targets, &hurried_rule_groups()?).await?;
    let folder = alone.front.dir();
    let mut served = ServeVerdict::begin(prometheus.address(), address, folder).await?;
    let mut loads = Vec::new();
    for (seed, gateway) in (82_u64..).zip(gateways.iter().chain([&alone])) {
        let options = LoadOptions::new(gateway.address(), RATE).seed(seed);
        loads.push(Load::start(options)?);
    }

    // A healthy candidate: each asks, and is answered.
    all_exceed(&gateways, &FLEET_ANSWER_TIME, &[0.0; 3]).await?;
    // serve-verdict is gone: each notices it, and goes on judging.
    served.stop().await;
    let unanswered = values(&gateways, &FLEET_UNANSWERED).await?;
    all_exceed(&gateways, &FLEET_UNANSWERED, &unanswered).await?;
    let judged = values(&gateways, &JUDGED_EXCHANGES).await?;
    all_exceed(&gateways, &JUDGED_EXCHANGES, &judged).await?;
    // It comes back.
    let answered = values(&gateways, &FLEET_ANSWER_TIME).await?;
    served.start().await?;
    all_exceed(&gateways, &FLEET_ANSWER_TIME, &answered).await?;
    for gateway in &gateways {
        let verdict = value(gateway, &VERDICT).await?;
        ensure!(verdict < ANOMALOUS, "a healthy candidate is condemned");
    }

    let fault = Fault::all(StatusCode::SERVICE_UNAVAILABLE).share(FAILING);
    shops.v2.set_fault(Some(fault));
    let begun = Instant::now();
    let as_fleet = async {
        all_exceed(&gateways, &VERDICT, &[ANOMALOUS - 0.5; 3]).await?;
        let seconds = begun.elapsed().as_secs_f64();
        all_exceed(&gateways, &STEERED, &[0.0; 3]).await?;
        anyhow::Ok(seconds)
    };
    let by_itself = async {
        all_exceed(std::slice::from_ref(&alone), &VERDICT, &[ANOMALOUS - 0.5]).await?;
        anyhow::Ok(begun.elapsed().as_secs_f64())
    };
    let (together, single) = tokio::join!(as_fleet, by_itself);
    let together = together.context("as a fleet")?;
    // What it takes alone is told and not required.
    let single = single.map_or_else(|_| "too long".to_owned(), |seconds| format!("{seconds:.1}"));
    println!("seconds to the verdict: {single} alone, {together:.1} as a fleet of three");
    // By chance one of them may be first by itself, and not all.
    let told = gateways
        .iter()
        .filter(|gateway| {
            let log = gateway.front.log_text();
            log.contains("by the evidence of all proxies together")
        })
        .count();
    ensure!(told >= 1, "no gateway acts on the fleet's verdict");
    Ok(())
}
