//! A pod is not a version: what one pod does is no verdict while pods of stable differ as much, or
//! while another pod of the candidate does well.

use super::common::{
    ANOMALOUS, ENOUGH, UNHURRIED, config, filter, tells_of_failures, verdict, wait_for_anomalous,
    wait_for_counted, wait_for_judged, watch, why_anomalous,
};
use anyhow::Result;
use hyper::StatusCode;
use serin_integration::load::{Load, LoadOptions};
use serin_integration::metrics::Metrics;
use serin_integration::shop::{Fault, Shop};
use serin_integration::topology::Topology;
use serin_integration::turn;
use std::net::SocketAddr;
use std::time::Duration;

const RATE: f64 = 400.0;
/// Exchanges of stable after which its pods are known: some hundreds of each.
const PODS_ARE_KNOWN: f64 = 2_400.0;
/// Speeds of eight pods of the same code, as factors on the latency: a log-normal law with 30%
/// standard deviation, by its quantiles.
const UNLIKE: [f64; 8] = [0.63, 0.77, 0.86, 0.95, 1.05, 1.16, 1.3, 1.58];
const ALIKE: [f64; 8] = [1.0; 8];

struct Scene {
    topology: Topology,
    load: Load,
    canary: Vec<Shop>,
    _stable: Vec<Shop>,
}

/// Pods of `stable` and of the canary with these factors on their latencies. The canary gets its
/// share once the pods of stable are known.
async fn start(name: &str, seed: u64, stable: &[f64], canary: &[f64]) -> Result<Scene> {
    let mut seeds = seed..;
    let mut pods = async |version: &str, factors: &[f64]| -> Result<Vec<Shop>> {
        let mut pods = Vec::new();
        for (factor, seed) in factors.iter().zip(&mut seeds) {
            let pod = Shop::start(version, seed).await?;
            pod.set_slowdown(factor * UNHURRIED);
            pods.push(pod);
        }
        Ok(pods)
    };
    let (stable, canary) = (pods("v1", stable).await?, pods("v2", canary).await?);
    let mut topology = Topology::of(name, &addresses(&stable), &addresses(&canary))
        .weights(100, 0)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), RATE).clients(200);
    let load = Load::start(options.seed(seed))?;
    wait_for_counted(&topology.front, "v1", PODS_ARE_KNOWN).await?;
    topology.set_weights(75, 25).await?;
    Ok(Scene {
        topology,
        load,
        canary,
        _stable: stable,
    })
}

fn addresses(pods: &[Shop]) -> Vec<SocketAddr> {
    pods.iter().map(Shop::address).collect()
}

impl Scene {
    /// Nobody is condemned while this number of requests is answered.
    async fn stays_free(&self, answers: u64) -> Result<()> {
        let never = |metrics: &Metrics| verdict(metrics) == Some(ANOMALOUS);
        let end = self.load.wait_for_answers(answers);
        watch(&self.topology.front, end, never).await
    }

    async fn is_condemned(&self, why: impl FnOnce(&str) -> bool) -> Result<()> {
        wait_for_anomalous(&self.topology).await?;
        let said = why_anomalous(&self.topology.front).await?;
        assert!(why(&said), "{said}");
        println!("{said}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_of_one_pod_that_is_as_slow_as_some_pods_of_stable_are_is_not_condemned()
-> Result<()> {
    let _turn = turn::alone().await;
    let scene = start("pods-unlike", 201, &UNLIKE, &[1.5]).await?;
    wait_for_judged(&scene.topology.front, ENOUGH).await?;
    scene.stays_free(6_000).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_of_one_pod_that_is_three_times_as_slow_as_alike_pods_is_condemned() -> Result<()>
{
    let _turn = turn::alone().await;
    let scene = start("pods-alike", 221, &ALIKE, &[3.0]).await?;
    scene
        .is_condemned(|said| said.contains("slower than"))
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_pod_of_two_that_fails_for_five_seconds_is_no_verdict_and_both_together_are()
-> Result<()> {
    let _turn = turn::beside_another().await;
    let scene = start("pods-failing", 241, &ALIKE, &[1.0, 1.0]).await?;
    wait_for_judged(&scene.topology.front, ENOUGH).await?;
    let [failing, _] = &scene.canary[..] else {
        unreachable!("two pods");
    };
    let errors = |pod: &Shop| -> u64 { pod.served().values().map(|route| route.errors).sum() };
    let fault = Fault::all(StatusCode::INTERNAL_SERVER_ERROR);
    let lasts = Duration::from_secs(5);
    failing.set_fault(Some(fault.lasts(lasts)));
    // It takes longer than the fault, and as long again.
    scene
        .stays_free((2.0 * RATE * lasts.as_secs_f64()) as u64)
        .await?;
    assert!(errors(failing) > 100, "only {} failed", errors(failing));
    for pod in &scene.canary {
        pod.set_fault(Some(fault.share(0.5)));
    }
    scene.is_condemned(tells_of_failures).await
}
