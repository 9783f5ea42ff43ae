//! What limits a comparison, in a real Envoy: requests that are not dealt by chance, hosts that
//! differ, changes that were declared, and a candidate's first seconds.

mod common;

use anyhow::Result;
use common::{
    ANOMALOUS, ENOUGH, LONGEST, config, filter, verdict, wait_for_anomalous, wait_for_counted,
    wait_for_judged, wait_for_line, with,
};
use serde_json::{Value, json};
use serin_integration::load::{Load, LoadOptions, Mix};
use serin_integration::metrics::Metrics;
use serin_integration::one_at_a_time;
use serin_integration::shop::{Regression, Route, Shop, Shops};
use serin_integration::topology::Topology;
use std::time::{Duration, Instant};
use tokio::time::sleep;

const SUSPECT: f64 = 2.0;

fn of_candidate(metrics: &Metrics, name: &str) -> f64 {
    let labels = [("destination", "shop"), ("version", "v2")];
    metrics.value(name, &labels).unwrap_or(0.0)
}

fn is_anomalous(metrics: &Metrics) -> bool {
    verdict(metrics) == Some(ANOMALOUS)
}

/// Looks at the metrics twice a second; none of them may be as `never` says.
async fn watch(topology: &Topology, time: Duration, never: fn(&Metrics) -> bool) -> Result<()> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        let metrics = topology.front.metrics().await?;
        assert!(!never(&metrics), "{}", topology.front.log_tail());
        sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_who_are_chosen_by_a_header_make_the_balance_speak_and_chance_does_not() -> Result<()>
{
    let _turn = one_at_a_time().await;
    let shops = Shops::start(41).await?;
    let mut topology = Topology::builder("limits-balance", &shops)
        .weights(70, 30)
        .concurrency(2)
        .filter(filter(&config("observe")))
        .start()
        .await?;
    let options = LoadOptions::new(topology.address(), 400.0).beta_share(0.3);
    let load = Load::start(options.seed(42))?;
    // The same users, dealt by chance.
    let unbalanced = |metrics: &Metrics| of_candidate(metrics, "serin_unbalanced") > 0.0;
    watch(&topology, Duration::from_secs(8), unbalanced).await?;
    topology.set_beta_rule(true).await?;
    let metrics = topology
        .front
        .wait_for_metrics("the balance", LONGEST, unbalanced)
        .await?;
    let labels = [("destination", "shop"), ("signal", "request_headers")];
    assert!(metrics.value("serin_balance", &labels) > Some(0.0));
    assert!(!is_anomalous(&metrics));
    let line = wait_for_line(&topology.front, "do not get the same requests").await?;
    assert!(line.contains("request_headers"), "{line}");
    load.stop().await;
    Ok(())
}

/// Three hosts of v1, the last of which is slow, before one of v2 that is between: worse than v1 as
/// a whole, but by less than v1's hosts differ, however they are dealt into halves.
async fn slow_hosts(name: &str, placebo: bool) -> Result<(Topology, Load, Vec<Shop>)> {
    let shops = Shops::start(43).await?;
    let (second, slow) = (Shop::start("v1", 44).await?, Shop::start("v1", 45).await?);
    slow.set_slowdown(4.0);
    shops.v2.set_slowdown(2.3);
    let settings = with(config("steer"), json!({"placebo": placebo}));
    let mut topology = Topology::builder(name, &shops)
        .weights(100, 0)
        .more_v1(&[second.address(), slow.address()])
        .concurrency(2)
        .filter(filter(&settings))
        .start()
        .await?;
    let load = Load::start(
        LoadOptions::new(topology.address(), 400.0)
            .mix(Mix::only(Route::Product))
            .seed(46),
    )?;
    wait_for_counted(&topology.front, "v1", 1_800.0).await?;
    topology.set_weights(75, 25).await?;
    Ok((topology, load, vec![shops.v1, shops.v2, second, slow]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_host_of_stable_makes_the_placebo_speak_and_holds_back_a_verdict() -> Result<()> {
    let _turn = one_at_a_time().await;
    let (topology, load, shops) = slow_hosts("limits-placebo", true).await?;
    // It is held back already when the placebo is half as sure as it has to be to say so.
    let held_and_told = |metrics: &Metrics| {
        of_candidate(metrics, "serin_held_by_placebo") > 0.0
            && metrics
                .select("serin_placebo_odds_ratio", &[("destination", "shop")])
                .any(|sample| sample.value > 2_000.0)
    };
    topology
        .front
        .wait_for_metrics("a verdict held back", LONGEST, held_and_told)
        .await?;
    let line = wait_for_line(&topology.front, "v1 differs from itself").await?;
    assert!(line.contains("on one half of its hosts"), "{line}");
    watch(&topology, Duration::from_secs(4), is_anomalous).await?;
    assert_eq!(verdict(&topology.front.metrics().await?), Some(SUSPECT));
    load.stop().await;
    drop(shops);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_candidate_is_condemned_where_stable_is_not_compared_with_itself() -> Result<()> {
    let _turn = one_at_a_time().await;
    let (topology, load, shops) = slow_hosts("limits-no-placebo", false).await?;
    wait_for_anomalous(&topology).await?;
    load.stop().await;
    drop(shops);
    Ok(())
}

fn expecting(expected: Value) -> Value {
    with(config("steer"), json!({"expected": expected}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declared_change_stays_quiet_and_an_undeclared_one_next_to_it_is_caught() -> Result<()> {
    let _turn = one_at_a_time().await;
    let shops = Shops::start(47).await?;
    let declared = expecting(json!([{"route": "GET /api/products", "category": "size"}]));
    let topology = Topology::builder("limits-expected", &shops)
        .weights(70, 30)
        .concurrency(2)
        .filter(filter(&declared))
        .start()
        .await?;
    let load = Load::start(LoadOptions::new(topology.address(), 400.0).seed(48))?;
    wait_for_judged(&topology.front, ENOUGH).await?;
    shops.v2.set_regression(Regression::Size);
    let speaks = |metrics: &Metrics| {
        verdict(metrics) >= Some(SUSPECT) || of_candidate(metrics, "serin_differs") > 0.0
    };
    watch(&topology, Duration::from_secs(8), speaks).await?;
    shops
        .v2
        .set_regressions(&[Regression::Size, Regression::Headers]);
    wait_for_anomalous(&topology).await?;
    let line = common::why_anomalous(&topology).await?;
    assert!(
        line.contains("lack a header") && !line.contains("size"),
        "{line}"
    );
    load.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_is_slow_in_its_first_seconds_is_not_condemned_for_it() -> Result<()> {
    let _turn = one_at_a_time().await;
    let shops = Shops::start(49).await?;
    let settings = with(config("steer"), json!({"warm_up": "15s"}));
    let mut topology = Topology::builder("limits-warm-up", &shops)
        .weights(100, 0)
        .concurrency(2)
        .filter(filter(&settings))
        .start()
        .await?;
    let load = Load::start(LoadOptions::new(topology.address(), 400.0).seed(50))?;
    wait_for_counted(&topology.front, "v1", 1_500.0).await?;
    // Caches are cold and code is not compiled yet.
    shops.v2.set_slowdown(5.0);
    topology.set_weights(70, 30).await?;
    topology
        .front
        .wait_for_metrics("the warm-up", LONGEST, |metrics| {
            of_candidate(metrics, "serin_warming_up") > 0.0
        })
        .await?;
    let accused = |metrics: &Metrics| verdict(metrics) >= Some(SUSPECT);
    watch(&topology, Duration::from_secs(4), accused).await?;
    shops.v2.set_slowdown(1.0);
    let until = Instant::now() + LONGEST;
    let mut judged = 0.0;
    while judged < ENOUGH && Instant::now() < until {
        watch(&topology, Duration::from_secs(1), accused).await?;
        judged = of_candidate(&topology.front.metrics().await?, "serin_judged_exchanges");
    }
    let metrics = topology.front.metrics().await?;
    assert_eq!(of_candidate(&metrics, "serin_warming_up"), 0.0);
    assert!(of_candidate(&metrics, "serin_judged_exchanges") > 0.0);
    load.stop().await;
    Ok(())
}
